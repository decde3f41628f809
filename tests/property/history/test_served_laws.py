"""The laws of histories, with the decision point's own code between the calls and the API server.

The book is that of `historysimulation`; see `test_history_laws`. Over several keys no call leaves its window here,
since only the decision point knows when each key was counted.
"""

from typing import Final

import pytest

from support.histories import MINUTE
from support.historyworlds import LONG, WORLDS, miscounted
from support.servedhistories import ServedRun
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]

FEW: Final = range(15)
MANY: Final = range(150)
SEVERAL_KEYS: Final = frozenset({"two keys", "a joint limit"})
names = pytest.mark.parametrize("world", WORLDS)


async def assert_laws_hold(world: str, seeds: range, time: VirtualTime) -> None:
    passed = 0
    for seed in seeds:
        for window, calm in ((LONG, True), (LONG, False), (MINUTE, False)):
            if window == MINUTE and world in SEVERAL_KEYS:
                continue
            run = ServedRun(f"{world} {seed}", world, time, window=window, calm=calm)
            await run.run()
            assert run.world.check(run) == [], (world, seed, window, calm)  # type: ignore[arg-type]
            if window == LONG:
                # Whether what got lost or came late was a release, only the decision point knows.
                tolerated = run.faults.any and world in SEVERAL_KEYS
                found = [one for one in miscounted(run.world, run) if not (tolerated and "did not pass" in one)]  # type: ignore[arg-type]
                assert found == [], (world, seed, calm)
            passed += len(run.passed)
    assert passed > len(seeds)


@names
async def test_the_laws_hold_of_what_is_served(world: str, virtual_time: VirtualTime) -> None:
    await assert_laws_hold(world, FEW, virtual_time)


@pytest.mark.long
@names
async def test_the_laws_hold_of_what_is_served_in_many_runs(world: str, virtual_time: VirtualTime) -> None:
    await assert_laws_hold(world, MANY, virtual_time)
