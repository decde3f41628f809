"""Laws of histories: no limit is exceeded in any true window, and no place is lost but by an accident.

The oracle is the book of a simulation (`historysimulation`): the true time of each call that passed. Each law is also
shown to be red without one of the things that it rests on.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.history import commit as commits, windows
from bailiwick_engine.history.commit import ClockBounds
from bailiwick_engine.history.state import KeyState
from support.histories import MINUTE
from support.historyworlds import LONG, WORLDS, miscounted, run_in_turn, run_world

FEW: Final = range(100)
MANY: Final = range(2_000)
names = pytest.mark.parametrize("world", WORLDS)


def assert_limits_hold(world: str, seeds: range) -> None:
    passed = 0
    for seed in seeds:
        made, run = run_world(f"{world} {seed}", world, window=MINUTE)
        assert made.check(run) == [], (world, seed)
        passed += len(run.passed)
    assert passed > len(seeds)


def assert_nothing_is_lost(world: str, seeds: range, *, calm: bool) -> None:
    for seed in seeds:
        made, run = run_world(f"{world} {seed}", world, window=LONG, calm=calm)
        assert made.check(run) == [], (world, seed)
        assert miscounted(made, run) == [], (world, seed)
        if calm and made.places is not None:
            assert len(run.passed) == min(made.places, len(run.calls)), (world, seed)


class TestNoLimitIsExceeded:
    """Law 1: under any interleaving, replicas, lost answers and crashes."""

    @names
    def test_in_any_true_window(self, world: str) -> None:
        assert_limits_hold(world, FEW)

    @pytest.mark.long
    @names
    def test_in_any_true_window_of_many_runs(self, world: str) -> None:
        assert_limits_hold(world, MANY)


class TestAllowanceIsLost:
    """Law 2. Each allowed call stands in the store exactly once, and no other one without an accident."""

    @pytest.mark.parametrize("calm", [True, False], ids=["calm", "faults"])
    @names
    def test_only_by_a_lost_answer_or_a_crash(self, world: str, calm: bool) -> None:
        assert_nothing_is_lost(world, FEW, calm=calm)

    @pytest.mark.long
    @names
    def test_only_by_a_lost_answer_or_a_crash_in_many_runs(self, world: str) -> None:
        assert_nothing_is_lost(world, MANY, calm=True)
        assert_nothing_is_lost(world, MANY, calm=False)


class TestVerdictsAreTheSame:
    """Law 4."""

    @pytest.mark.parametrize("window", [MINUTE, LONG])
    @names
    def test_however_calls_are_split_over_replicas(self, world: str, window: int) -> None:
        for seed in FEW:
            alone, split = (
                run_in_turn(f"{world} {seed}", world, window=window, replicas=replicas) for replicas in (1, 4)
            )
            assert [call.verdicts for call in alone.calls] == [call.verdicts for call in split.calls], (world, seed)
            assert {call.verdicts[0] for call in alone.calls} <= {True, False}

    @names
    def test_for_calls_that_are_sent_again(self, world: str) -> None:
        for seed in FEW:
            once, again = (
                run_in_turn(f"{world} {seed}", world, window=LONG, replicas=4, resend=resend)
                for resend in (False, True)
            )
            assert [call.verdicts * 2 if call.verdicts == [True] else call.verdicts for call in once.calls] == [
                call.verdicts for call in again.calls
            ], (world, seed)
            for name in once.objects:
                first, second = once.state(name), again.state(name)
                assert first is not None
                assert second is not None
                assert first.lines == second.lines, (world, seed)


Mutation = Callable[[pytest.MonkeyPatch], dict[str, Any]]


def bent(bend: Callable[[ClockBounds], ClockBounds]) -> Mutation:
    return lambda _: {"bend": bend}


def patched(name: str, replacement: object) -> Mutation:
    def patch(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setattr(commits, name, replacement)
        return {}

    return patch


def release_all(state: KeyState, entries: list[str]) -> KeyState:
    bare = replace(state, recent=tuple(replace(entry, relied_on=False) for entry in state.recent))
    released = RELEASE(bare, entries)
    return state if released is bare else released


RELEASE: Final = commits.release
WITHOUT: Final[dict[str, tuple[str, Mutation]]] = {
    "the earliest time to be out by": ("one key", bent(lambda clock: ClockBounds(clock.latest, clock.latest))),
    "the latest time to count by": ("one key", bent(lambda clock: ClockBounds(clock.earliest, clock.earliest))),
    "a last look at all keys": ("a joint limit", lambda _: {"last_look": False}),
    "a resourceVersion": ("one key", lambda _: {"unversioned": True}),
    "keeping what is relied on": ("a joint limit", patched("release", release_all)),
    "an end of its own for each attempt": ("one key", lambda _: {"own_ends": False}),
    "a release": ("a joint limit", patched("release", lambda state, _: state)),
    "a retry's own entry": ("one key", patched("_retried", lambda *_: None)),
    "a retry's move to the present": (
        "one key",
        patched("_is_settled", lambda before, after: len(before.shares) == len(after.shares)),
    ),
    "counting in both periods": (
        "a calendar",
        patched("present_slots", lambda *given: windows.present_slots(*given)[:1]),
    ),
    "all of a slot": (
        "one key",
        patched("live_slots", lambda window, slots, earliest: windows.live_slots(window, slots, earliest + 2_000)),
    ),
}


@pytest.mark.parametrize("missing", WITHOUT)
def test_a_law_is_broken_without(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world, mutate = WITHOUT[missing]
    options = mutate(monkeypatch)
    for seed in range(400):
        for window in (MINUTE, LONG):
            made, run = run_world(f"{world} {seed}", world, window=window, **options)
            if made.check(run) or (window == LONG and miscounted(made, run)):
                return
    pytest.fail("no run broke a law")
