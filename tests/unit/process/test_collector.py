"""What the collector is kept from, and when it looks at all of it again."""

import gc
import weakref
from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick_process.collector import CollectorKeeper

HELD: Final = 1_000_000


class Cycle:
    """Something that only a collector frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def frozen() -> Iterator[None]:
    """Leave nothing kept from the collector."""
    yield
    gc.unfreeze()


def tended(keeper: CollectorKeeper) -> None:
    """Let it tend at a moment at which it does."""
    for _ in range(20):
        gc.collect(1)
    keeper.tend()


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(
    ("grown", "freed"),
    [
        pytest.param(700_000, False, id="stays while there is little more"),
        pytest.param(900_000, True, id="goes once there is much more"),
    ],
)
def test_a_cycle_that_was_alive_when_the_collector_was_kept_from_it(grown: int, freed: bool) -> None:
    held = [HELD]
    keeper = CollectorKeeper(lambda: held[0])
    cycle = Cycle()
    tended(keeper)
    seen = weakref.ref(cycle)
    del cycle
    held[0] += grown
    tended(keeper)
    assert (seen() is None) is freed
    # From what is held now it may grow again.
    last = weakref.ref(Cycle())
    tended(keeper)
    assert last() is None


def test_walks_that_free_nothing_are_rare_until_one_frees_much(monkeypatch: pytest.MonkeyPatch) -> None:
    held, freed, walks = [HELD], [0], []

    def walk() -> None:
        walks.append(held[0] - HELD)
        held[0] -= freed[0]

    monkeypatch.setattr(gc, "unfreeze", walk)
    keeper = CollectorKeeper(lambda: held[0])

    def grow(most: int) -> list[int]:
        walks.clear()
        while held[0] < HELD + most:
            held[0] += 100_000
            tended(keeper)
        return list(walks)

    tended(keeper)
    assert grow(2_700_000) == [900_000, 1_800_000, 2_700_000]
    freed[0] = 200_000
    assert grow(3_700_000) == [3_600_000, 3_700_000]


@pytest.mark.usefixtures("frozen")
def test_what_was_freed_makes_no_room_for_more_garbage_than_before() -> None:
    keeper = CollectorKeeper()
    tended(keeper)
    first, second = garbage(keeper), garbage(keeper)
    assert second < 1.5 * first


def garbage(keeper: CollectorKeeper) -> int:
    """Return how many cycles were made, each in use while all was kept from the collector, until it took them."""
    made = 0
    seen: weakref.ref[Cycle] | None = None
    while seen is None or seen() is not None:
        batch = [Cycle() for _ in range(20_000)]
        seen = seen or weakref.ref(batch[0])
        made += len(batch)
        tended(keeper)
        assert made < 1_000_000
    return made
