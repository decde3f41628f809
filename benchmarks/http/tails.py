"""Tails: how late the latest answers are, and which pauses of the decision point make them so.

Standing: `section` measures one decision point for each case, in front of the stand-in; `main` is its process, `python
-m benchmarks.http.tails FILE FLAGS`, which serves as ever and writes down how long each kind of pause took. Holds:
nothing is replaced; what may pause the loop has a clock around it, which begins with SIGUSR1. A pause is told by the
wall: what else runs counts too.
"""

import asyncio
import contextlib
import gc
import itertools
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest.mock import patch

import aiohttp
import orjson

from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.rotation import FairRotation
from bailiwick_webhook.main import main as serve
from bailiwick_webhook.record.writing.recordthread import RecordThread
from bailiwick_webhook.record.writing.writer import RecordWriter
from benchmarks.rig import workload
from benchmarks.rig.grants import grant
from benchmarks.rig.load import Round, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import Row, Section, ratio
from benchmarks.rig.servers import MissingError, Servers
from benchmarks.rig.workload import EXPORT, Place
from benchmarks.targets import ours
from benchmarks.targets.apiserver import EVENTS

_POLICIES: Final = 1_000
_DIFFERENT: Final = 16
_BUDGET: Final = 3.0
_GRANTS_A_SECOND: Final = 100
# What the loop does not do while it lasts. The last holds the interpreter lock now and then, and not the loop.
_COLLECTOR, _STEP, _RECORDS, _THREAD = "collector", "a step of compiling", "records", "records' thread"
_KINDS: Final = (_COLLECTOR, _STEP, _RECORDS, _THREAD)
_COLUMNS: Final = ("requests/s", "p50 ms", "p99 ms", "p99/p50", "budget", *(f"{kind}, ms (longest)" for kind in _KINDS))


def section(plan: Plan, servers: Servers) -> Section:
    """Measure by itself, and beside what may come between."""
    made = Section(f"Tails: one core, {_POLICIES:,} policies, 32 connections, one CEL condition", _COLUMNS)
    cases: dict[str, tuple[tuple[str, ...], Callable[[str], contextlib.AbstractAsyncContextManager[None]]]] = {
        "nothing beside": ((), _nothing),
        "records not chained": (("--record-chain=off",), _nothing),
        "a policy changes once a second": ((), _policies),
        f"{_GRANTS_A_SECOND} grants change a second": ((), _grants),
    }
    for name, (flags, beside) in cases.items():
        plan.progress.say(name)
        try:
            made.rows.append(_measured(plan, servers, name, flags, beside))
        except MissingError as error:
            made.rows.append(Row(name, missing=str(error)))
    made.notes.append(
        "The median of the rounds. Of each kind of pause: all of them together, in ms for each second, and the longest."
    )
    return made


def _measured(
    plan: Plan,
    servers: Servers,
    name: str,
    flags: tuple[str, ...],
    beside: Callable[[str], contextlib.AbstractAsyncContextManager[None]],
) -> Row:
    wrk, called = Wrk.find(plan.cores.load), f"tails, {name}"
    file = servers.folder / f"{called}.pauses.json"
    program = (sys.executable, "-m", "benchmarks.http.tails", str(file), *flags)
    server = ours.in_cluster(servers, _POLICIES, load_core=plan.cores.load, name=called, program=program)
    requests = workload.load(_POLICIES, _DIFFERENT, EXPORT)
    lines = [(one.path, dict(ours.as_itself(one)), one.encoded()) for one in requests]
    prepared = WireRequests.write(servers.folder / f"{called}.requests", lines)
    # Before the first of all: the pages of a process that has just begun are touched for the first time.
    wrk.round(server, prepared, 1)
    server.running.id.send(signal.SIGUSR1)
    began, rounds = time.monotonic(), list[Round]()

    async def load() -> None:
        async with beside(ours.stand_in(servers, called)):
            for _ in range(plan.rounds):
                rounds.append(await asyncio.to_thread(wrk.round, server, prepared, plan.seconds))

    asyncio.run(load())
    took = time.monotonic() - began
    servers.end(server.running)
    pauses = json.loads(file.read_text(encoding="utf-8"))
    p50, p99 = median(one.p50 for one in rounds), median(one.p99 for one in rounds)
    told = (f"{1e3 * pauses[kind]['seconds'] / took:.2f} ({1e3 * pauses[kind]['longest']:.1f})" for kind in _KINDS)
    rate = f"{median(one.per_second for one in rounds):,.0f}"
    cells = (rate, f"{p50:.2f}", f"{p99:.2f}", ratio(p99 / p50), f"<= {_BUDGET:g} x", *told)
    return Row(name, cells, data={"pauses": pauses, "p50_ms": p50, "p99_ms": p99, "seconds": took})


@contextlib.asynccontextmanager
async def _nothing(_: str) -> AsyncIterator[None]:
    yield


def _policies(stand_in: str) -> contextlib.AbstractAsyncContextManager[None]:
    """Tell of another policy of a tenant who asks, once a second."""

    def changed(number: int) -> dict[str, Any]:
        made = workload.policy(Place(0))
        made["metadata"] |= {"generation": number, "resourceVersion": f"{number}"}
        return made

    return _changing(stand_in, EVENTS, 1.0, changed)


def _grants(stand_in: str) -> contextlib.AbstractAsyncContextManager[None]:
    """Tell of grants that others have used up."""

    def changed(number: int) -> dict[str, Any]:
        made = grant(Place(number % _POLICIES))
        made["metadata"]["resourceVersion"] = f"{number}"
        made["status"] |= {"phase": "Consumed", "uses": 1}
        return made

    return _changing(stand_in, f"{EVENTS}?of=grants", 1 / _GRANTS_A_SECOND, changed)


@contextlib.asynccontextmanager
async def _changing(
    stand_in: str, path: str, pace: float, changed: Callable[[int], dict[str, Any]]
) -> AsyncIterator[None]:
    """Tell of a change every so many seconds while the block runs."""
    async with aiohttp.ClientSession(stand_in, connector=aiohttp.TCPConnector(ssl=False)) as events:

        async def tell() -> None:
            due = time.monotonic()
            for number in itertools.count(2):
                event = orjson.dumps({"type": "MODIFIED", "object": changed(number)}) + b"\n"
                async with events.post(path, data=event) as answer:
                    answer.raise_for_status()
                due += pace
                await asyncio.sleep(max(0.0, due - time.monotonic()))

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling


@dataclass
class _Pause:
    """All pauses of one kind. `seconds` together."""

    count: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds
        self.longest = max(self.longest, seconds)


@dataclass
class _Pauses:
    """Clocks around whatever may pause the loop."""

    kinds: dict[str, _Pause] = field(default_factory=lambda: {kind: _Pause() for kind in _KINDS})
    _collecting: float = 0.0

    def begin(self, *_: object) -> None:
        """Forget what was before."""
        self.kinds.update((kind, _Pause()) for kind in _KINDS)

    def watch(self) -> None:
        """Put the clocks in place."""
        gc.callbacks.append(self._collected)
        clocked: tuple[tuple[str, type, tuple[str, ...]], ...] = (
            (_RECORDS, RecordWriter, ("_launch", "_settle")),
            (_THREAD, RecordThread, ("_append",)),
            # A step, and what follows each.
            (_STEP, FairRotation, ("turn",)),
            (_STEP, PolicyController, ("_publish",)),
        )
        for kind, of, names in clocked:
            for name in names:
                patch.object(of, name, self._timed(kind, getattr(of, name))).start()

    def _collected(self, phase: str, _: object) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            self.kinds[_COLLECTOR].add(time.perf_counter() - self._collecting)

    def _timed(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is called
            began = time.perf_counter()
            try:
                return function(*arguments, **more)
            finally:
                self.kinds[kind].add(time.perf_counter() - began)

        return timed

    def write(self, file: Path) -> None:
        """Write what they showed."""
        told = {kind: asdict(one) for kind, one in self.kinds.items()}
        file.write_text(json.dumps(told), encoding="utf-8")


def main() -> None:
    """Serve, and tell of the pauses."""
    file, pauses = Path(sys.argv.pop(1)), _Pauses()
    pauses.watch()
    signal.signal(signal.SIGUSR1, pauses.begin)
    try:
        sys.exit(serve())
    finally:
        pauses.write(file)


if __name__ == "__main__":
    main()
