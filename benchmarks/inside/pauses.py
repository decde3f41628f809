"""Pauses: for how long reading large data keeps the event loop from anybody else, at most.

Standing: a process of its own (`python -m benchmarks.inside.pauses`) around the store that serves. Holds: processor
time of each callback of the loop; `work` is that time in lengths of a step that takes ten milliseconds on a quiet
machine, measured beside it, since a neighbour on the same core makes all work longer.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final
from unittest.mock import patch

from bailiwick_engine.budget.ledger import Budget
from bailiwick_policystore.controller import PolicyController
from bailiwick_process.collector import CollectorKeeper
from benchmarks.rig.ownprocess import measured
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import Row, Section
from benchmarks.rig.servers import Servers

_OBJECTS: Final = 100
_TURNS: Final = 5
_SECONDS: Final = 600
_YARD: Final = 340_000
_SHAPES: Final[Mapping[str, Any]] = {
    "a directory": {"by": {f"p{number}": {"groups": ["a", "b"], "n": number} for number in range(6_000)}},
    "numbers": {"l": [1.5] * 65_000},
    "empty lists": {"l": [[]] * 19_000, "t": "x" * 200_000},
    "small entries": {"by": {f"p{number}": {"g": ["a"]} for number in range(9_999)}},
    "one text": {"t": "x" * 262_000},
}


@dataclass(frozen=True, slots=True)
class _Turn:
    """One reading of all objects: its longest callback in milliseconds, and the same in tens of ms of work."""

    ms: float
    work: float


def section(plan: Plan, _: Servers) -> Section:
    """Measure in a process of its own."""
    plan.progress.say(f"Reading {_OBJECTS} objects of 256 KiB ...")
    found = measured(plan, "benchmarks.inside.pauses", seconds=_SECONDS)
    turns = [_Turn(**one) for one in found]
    longest = sorted(turn.ms for turn in turns)
    cells = (f"{longest[0]:.1f}", f"{median(longest):.1f}", f"{median(turn.work for turn in turns):.2f}")
    row = Row(f"{_OBJECTS} objects", cells, data={"turns": found})
    return Section(
        "The longest hold of the loop while large data is read", ("best ms", "median ms", "median work"), [row]
    )


async def _turns() -> list[_Turn]:
    shapes = [*_SHAPES.values()]
    # Each of its own, as the API server's are, so that nothing that was made of one is found again for another.
    objects = [json.loads(json.dumps(shapes[number % len(shapes)])) for number in range(_OBJECTS)]
    # The collector is kept as the process keeps it.
    keeper = CollectorKeeper(lambda: sys.getallocatedblocks() - policies.data.blocks)
    policies = PolicyController(Budget(namespace=0, policy=0, total=0), tend=keeper.tend)
    working = asyncio.create_task(policies.run())
    for _ in policies.listing().finish():
        pass
    found = []
    for turn in range(1, _TURNS + 1):
        yard = _yardstick()
        with _measured() as callbacks:
            for number, data in enumerate(objects):
                name = f"d{number}"
                policies.data.apply("MODIFIED", ("bench", name), _stored(name, turn, data))
                await asyncio.sleep(0)
            while any(not policies.serves(f"d{number}", turn) for number in range(_OBJECTS)):  # noqa: ASYNC110 - as `main` waits
                await asyncio.sleep(0.001)
        longest = max(callbacks)
        found.append(_Turn(longest * 1_000, longest / max(yard, _yardstick())))
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return found


def _stored(name: str, generation: int, data: object) -> dict[str, Any]:
    metadata = {"namespace": "bench", "name": name, "uid": name, "generation": generation, "resourceVersion": "1"}
    return {"kind": "EndpointData", "metadata": metadata, "spec": {"data": data}}


@contextmanager
def _measured() -> Iterator[list[float]]:
    found: list[float] = []
    run = asyncio.events.Handle._run  # noqa: SLF001 - what asyncio has no seam for

    def timed(handle: asyncio.Handle) -> None:
        before = time.thread_time()
        run(handle)
        found.append(time.thread_time() - before)

    gc.freeze()
    with patch.object(asyncio.events.Handle, "_run", timed):
        yield found


def _yardstick() -> float:
    before, count = time.thread_time(), 0
    for number in range(_YARD):
        count += number & 1
    return time.thread_time() - before


if __name__ == "__main__":
    json.dump([asdict(turn) for turn in asyncio.run(_turns())], sys.stdout)
