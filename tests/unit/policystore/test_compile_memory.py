"""Memory to compile in: what is small never waits, and what is large waits for its turn, but not for ever."""

import pytest
from hypothesis import given, strategies as st

from bailiwick_policystore.compilememory import MOST, SMALL, CompileMemory


def test_what_is_small_never_waits() -> None:
    room = CompileMemory()
    assert room.take("a", MOST)
    assert not room.take("b", SMALL + 1)
    assert room.take("c", SMALL)
    assert room.leave("c") == []
    assert room.leave("a") == ["b"]


def test_whoever_has_room_has_it_until_it_is_given_back() -> None:
    room = CompileMemory()
    assert room.take("a", MOST // 2)
    assert room.take("a", MOST // 4)
    assert room.take("b", MOST // 2)
    assert not room.take("c", MOST // 2)
    assert room.leave("a") == ["c"]


def test_nobody_overtakes_one_who_waits_for_much() -> None:
    room = CompileMemory()
    assert room.take("a", MOST // 2)
    assert not room.take("b", MOST)
    assert not room.take("c", MOST // 2)
    assert room.leave("a") == ["b"]
    assert room.leave("b") == ["c"]


@pytest.mark.parametrize("size", [MOST + 1, 100 * MOST])
def test_what_is_larger_than_all_of_it_goes_alone(size: int) -> None:
    room = CompileMemory()
    assert room.take("a", size)
    assert not room.take("b", SMALL + 1)
    assert room.leave("a") == ["b"]
    assert not room.take("a", size)
    assert room.leave("b") == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 2 * MOST), st.booleans()), max_size=60))
def test_whoever_waits_is_let_in_and_no_more_are_in_than_fit(steps: list[tuple[str, int, bool]]) -> None:
    room, inside, waiting = CompileMemory(), dict[str, int](), dict[str, int]()

    def leave(who: str) -> None:
        inside.pop(who, None)
        for other in room.leave(who):
            inside[other] = waiting.pop(other)

    for who, size, leaves in steps:
        if who in waiting:
            continue
        if leaves:
            leave(who)
        elif who not in inside and not room.take(who, size):
            waiting[who] = size
        elif who not in inside and size > SMALL:
            inside[who] = size
        assert sum(inside.values()) <= MOST or len(inside) == 1
        assert not waiting or inside
    while inside:
        leave(next(iter(inside)))
    assert not waiting


def test_of_several_that_a_namespace_waits_with_the_largest_is_what_it_gets() -> None:
    memory = CompileMemory()
    assert memory.take("a", MOST)
    assert not memory.take("b", MOST // 2)
    assert not memory.take("b", SMALL + 1)
    assert memory.leave("a") == ["b"]
    assert memory.take("b", MOST // 2)
    assert not memory.take("c", MOST // 2 + 1)


def test_a_namespace_that_needs_more_than_it_has_gives_it_back_and_waits() -> None:
    memory = CompileMemory()
    assert memory.take("a", MOST // 2)
    assert memory.take("b", SMALL + 1)
    assert memory.take("b", SMALL)
    assert not memory.take("b", MOST)
    assert memory.leave("b") == []
    assert memory.leave("a") == ["b"]
    assert memory.take("b", MOST)
