"""Stages: what one evaluation costs in process, from the bytes of a request to the bytes of its answer, part by part.

Standing: a process of its own (`python -m benchmarks.inside.stages`) that is the decision point itself, in front of the
stand-in; only its socket is replaced, by a transport that keeps what is written. Holds: `whole` runs the very code that
serves; each stage is called as that code calls it, with what it gets there. Processor time, so that what else runs
counts little.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, Final
from unittest.mock import patch

import orjson
import uvloop

from bailiwick_process import logs
from bailiwick_webhook import main as webhook
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.addressing import CorrelationIds, Tenant
from bailiwick_webhook.http.app import AUTHENTICATOR
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.body import parse_object
from bailiwick_webhook.http.transport import server
from bailiwick_webhook.http.transport.connections import Connections
from bailiwick_webhook.http.transport.decisionprotocol import DecisionProtocol
from bailiwick_webhook.identity.tokens import AuthenticatedAccount
from bailiwick_webhook.pipeline.decision import Decision, settle
from bailiwick_webhook.process import settings
from bailiwick_webhook.steps import resolve
from benchmarks.rig import workload
from benchmarks.rig.ownprocess import measured
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section
from benchmarks.rig.servers import Servers
from benchmarks.rig.workload import EXPORT, Request
from benchmarks.targets import ours

_POLICIES: Final = 1_000
_DIFFERENT: Final = 16
_CALLS: Final = 400
_ROUNDS: Final = 15
_SECONDS: Final = 600
_SETTLED: Final = 0.05
# Of the last three none hangs on the machine: a change of them shows in one run.
_COLUMNS: Final = ("us", "Python calls", "C calls", "bytecodes", "bytes held at most")
_COUNTED: Final = ("call", "c_call", "opcode", "bytes")
_WHOLE: Final = "whole, bytes to bytes"

Stage = Callable[[], object]


def section(plan: Plan, servers: Servers) -> Section:
    """Measure in a process of its own."""
    made = Section(f"One evaluation in process: {_POLICIES:,} policies, one CEL condition", _COLUMNS)
    kubeconfig = ours.start_stand_in(servers, _POLICIES, load_core=plan.cores.load, name="stages")
    records = servers.folder / "stages.records.jsonl"
    said = measured(plan, "benchmarks.inside.stages", str(kubeconfig), str(records), seconds=_SECONDS)
    for name, found in said.items():
        us, calls = median(found["us"]), found["calls"]
        cells = (f"{us:.1f}", *(f"{calls[kind]:.0f}" if calls else NONE for kind in _COUNTED))
        made.rows.append(Row(name, cells, data=found))
    return made


class _Written(asyncio.Transport):
    """A transport that keeps what is written, and never asks anybody to wait."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.parts: list[bytes] = []
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.parts.append(bytes(data))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = True

    def pause_reading(self) -> None:
        """Do nothing: what is measured is sent piece by piece."""

    def resume_reading(self) -> None:
        """Do nothing."""


@dataclass
class _ServedPdp:
    """What the decision point was made of."""

    authenticator: RequestAuthenticator | None = None
    connections: Connections | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def parts(self) -> tuple[RequestAuthenticator, Connections]:
        """What it was made of, once it has begun."""
        if self.authenticator is None or self.connections is None:
            raise RuntimeError("nothing is served")
        return self.authenticator, self.connections


async def _measured(kubeconfig: str, records: str) -> dict[str, Any]:
    served = _ServedPdp()
    listen = server.serve

    async def serve(app: Any, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is called
        started = await listen(app, *arguments, **more)
        if AUTHENTICATOR in app:
            served.authenticator, made = app[AUTHENTICATOR], started.connections
            served.connections = made if isinstance(made, Connections) else None
            served.begun.set()
        return started

    flags = ["--kubeconfig", kubeconfig, "--record-file", records, "--port=0", "--status-port=0", "--admission-port=0"]
    given = settings.parse([*flags, "--log-level=error", "--drain-seconds=0.1"])
    logs.configure(given.log_level, plain=False)
    with patch.object(webhook, "serve", serve):
        running = asyncio.create_task(webhook._run(given))  # noqa: SLF001 - `main` would make a loop of its own
        await served.begun.wait()
        try:
            return await _stages(*served.parts)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def _stages(authenticator: RequestAuthenticator, connections: Connections) -> dict[str, Any]:
    requests = workload.load(_POLICIES, _DIFFERENT, EXPORT)
    found: dict[str, Any] = {}
    wires = [await _Wire.open(connections, one) for one in requests]
    found[_WHOLE] = await _timed(wires)
    for name, stages in (await _parts(authenticator, requests)).items():
        found[name] = {"us": [_round(stages) for _ in range(_ROUNDS)], "calls": _counted(stages)}
    return found


class _Wire:
    """A connection on which one request is sent again and again."""

    def __init__(self, connection: DecisionProtocol, raw: bytes) -> None:
        self._connection = connection
        self._raw = raw
        self._transport = _Written()
        connection.connection_made(self._transport)

    @classmethod
    async def open(cls, connections: Connections, request: Request) -> "_Wire":
        headers = {**ours.as_itself(request), "Content-Type": "application/json", "Host": "pdp"}
        body = request.encoded()
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw = f"POST {request.path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        wire = cls(connections.accept(), raw)
        for _ in range(3):
            said = await wire.ask()
            if not said.startswith(b"HTTP/1.1 200 ") or not orjson.loads(said.partition(b"\r\n\r\n")[2])["decision"]:
                raise RuntimeError(said.decode())
        return wire

    async def ask(self) -> bytes:
        """Return the answer. Where it is not there at once, turns of the loop are taken until it is."""
        parts = self._transport.parts
        parts.clear()
        self._connection.data_received(self._raw)
        while not parts:  # noqa: ASYNC110 - a turn is what is measured
            await asyncio.sleep(0)
        return b"".join(parts)


async def _timed(wires: Sequence[_Wire]) -> dict[str, Any]:
    times = []
    for _ in range(_ROUNDS):
        gc.collect()
        began = time.process_time_ns()
        for number in range(_CALLS):
            await wires[number % len(wires)].ask()
            if number % len(wires) == 0:
                # What came in one turn of the loop is written in the next one.
                await asyncio.sleep(0)
        times.append((time.process_time_ns() - began) / _CALLS / 1_000)
    counter = _Counter()
    for way in counter.ways:
        with way():
            for wire in wires:
                await wire.ask()
        # What this left to be done, the next way does not count.
        await asyncio.sleep(_SETTLED)
    return {"us": times, "calls": counter.each(len(wires))}


async def _parts(authenticator: RequestAuthenticator, requests: Sequence[Request]) -> dict[str, list[Stage]]:
    """Return each stage, for each request what it is called with."""
    evaluator, compose = authenticator.pdp._evaluator, authenticator.pdp._recorder.compose  # noqa: SLF001 - the parts of what is measured as a whole

    def judged(asked: EvaluationRequest) -> object:
        return evaluator.evaluate_now(asked, evaluator.inputs())

    def answered(decision: Decision, of: Tenant) -> object:
        return orjson.dumps(messages.answer(decision, authenticator.base(of), {}))

    found: dict[str, list[Stage]] = {
        name: [] for name in ("body", "caller", "parse", "parties", "judge", "record", "answer")
    }
    for request in requests:
        raw, authorization = request.encoded(), ours.as_itself(request)["Authorization"]
        of = Tenant(request.place.namespace, workload.ENDPOINT)
        caller = await resolve(authenticator.identity.caller(authorization))
        if not isinstance(caller, AuthenticatedAccount):
            raise TypeError(caller)
        parsed = messages.parse(parse_object(raw))
        marked = CorrelationIds(None, None)
        asked = await resolve(authenticator.call(of, caller, parsed, marked))
        inputs = evaluator.inputs()
        one = evaluator.evaluate_now(asked, inputs)
        settled = settle(one, None)
        decision, _ = compose("evaluation", settled, inputs.now, one.weighed, None)
        found["body"].append(partial(parse_object, raw))
        found["caller"].append(partial(authenticator.identity.caller, authorization))
        found["parse"].append(partial(messages.parse, parse_object(raw)))
        found["parties"].append(partial(authenticator.call, of, caller, parsed, marked))
        found["judge"].append(partial(judged, asked))
        found["record"].append(partial(compose, "evaluation", settled, inputs.now, one.weighed, None))
        found["answer"].append(partial(answered, decision, of))
    return found


def _round(stages: Sequence[Stage]) -> float:
    gc.collect()
    began = time.process_time_ns()
    for number in range(_CALLS):
        stages[number % len(stages)]()
    return (time.process_time_ns() - began) / _CALLS / 1_000


def _counted(stages: Sequence[Stage]) -> dict[str, float]:
    counter = _Counter()
    for way in counter.ways:
        with way():
            for stage in stages:
                stage()
    return counter.each(len(stages))


class _Counter:
    """Counts what is done, each thing by itself, since each way of counting would count the others.

    By none of them it shows how many objects are made; what all of them take at a time does.
    """

    def __init__(self) -> None:
        self._found = dict.fromkeys(_COUNTED, 0)
        self.ways = (self._calls, self._bytecodes, self._memory)

    def each(self, of: int) -> dict[str, float]:
        """Return the counts of one of so many."""
        # The most that was held at a time is that of one already.
        return {kind: count if kind == "bytes" else count / of for kind, count in self._found.items()}

    @contextmanager
    def _calls(self) -> Iterator[None]:
        sys.setprofile(self._count)
        try:
            yield
        finally:
            sys.setprofile(None)

    @contextmanager
    def _bytecodes(self) -> Iterator[None]:
        sys.settrace(self._follow)
        try:
            yield
        finally:
            sys.settrace(None)

    @contextmanager
    def _memory(self) -> Iterator[None]:
        tracemalloc.start(1)
        try:
            yield
            self._found["bytes"] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def _count(self, _: object, event: str, __: object) -> None:
        if event in self._found:
            self._found[event] += 1

    def _follow(self, frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - what follows a frame
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self._found["opcode"] += event == "opcode"
        return self._follow


def main() -> None:
    """Measure, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("records", type=Path)
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_measured(str(options.kubeconfig), str(options.records)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
