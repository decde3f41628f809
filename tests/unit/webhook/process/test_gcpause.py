"""What the collector is kept from, and when it looks at all of it again."""

import gc
import weakref
from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick_webhook.process.gcpause import CollectorKeeper

MIB: Final = 2**20


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
        pytest.param(10 * MIB, False, id="stays while the process grows by little"),
        pytest.param(100 * MIB, True, id="goes once the process has grown by much"),
    ],
)
def test_a_cycle_that_was_alive_when_the_collector_was_kept_from_it(grown: int, freed: bool) -> None:
    held = [100 * MIB]
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
