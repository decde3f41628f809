"""Enforcement: what asking adds to a proxied call, to a client's call, and to an MCP tool call.

Standing: starts what `envoy` and `caller` describe, and measures in interleaved rounds. Latencies are those of one
connection, since with many they are the queue's; rates are those of 32.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.rig import caller
from benchmarks.rig.cores import cpu_seconds, pinned
from benchmarks.rig.load import Round, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import MissingError, Server, Servers
from benchmarks.targets import envoy, ours
from benchmarks.targets.envoy import AskedPdp
from localcluster.process import RunningProcess

_POLICIES: Final = 1_000
_ALONE: Final = "Envoy, asks nobody"
_ALLOW: Final = "Envoy, a server that allows everything"
_HTTP: Final = "Envoy, bailiwick over HTTP"
_GRPC: Final = "Envoy, bailiwick over gRPC"
_COLUMNS: Final = ("calls/s", "CPU us", "p50 ms", "p99 ms", "added p50 ms", "added p99 ms", "budget")
_CLIENT_COLUMNS: Final = ("calls/s", "client's CPU us", "p50 ms", "p99 ms", "added p50 ms", "by CPU")
_CLIENTS: Final = {
    "evaluation, bare client": ("bare", None),
    "evaluation, SDK": ("sdk", "evaluation, bare client"),
    "MCP tool call": ("mcp", None),
    "MCP tool call, guarded": ("mcp-guarded", "MCP tool call"),
}


@dataclass(slots=True)
class _EnvoyRow:
    """One row of Envoy: who works on a call, and its rounds over one connection and over 32."""

    server: Server
    others: tuple[RunningProcess, ...]
    one: list[Round] = field(default_factory=list)
    many: list[Round] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        """Processor time so far, of the proxy and of whom it asks."""
        return sum(cpu_seconds(each.handle.pid) for each in (self.server.running, *self.others))


def proxies(plan: Plan, servers: Servers) -> Section:
    """Measure calls through Envoy."""
    title = f"A call through Envoy: all on one core, {_POLICIES:,} policies, one CEL condition on the body"
    made = Section(title, _COLUMNS)
    try:
        wrk = Wrk.find(plan.cores.load)
        asked = envoy.decision_point(servers, _POLICIES)
        rows = _started(servers, asked)
    except MissingError as error:
        made.rows.append(Row("all", missing=str(error)))
        return made
    prepared = WireRequests.write(servers.folder / "envoy.requests", [(envoy.TARGET, dict(asked.headers), envoy.BODY)])
    for number in range(plan.rounds + 1):
        plan.progress.say(f"Round {number} of {plan.rounds}" if number else "Warming up")
        for row in rows.values():
            seconds = plan.seconds if number else 1
            one = wrk.round(row.server, prepared, seconds, connections=1)
            before = row.cpu_seconds()
            many = wrk.round(row.server, prepared, seconds)
            if number:
                row.one.append(one)
                row.many.append(many)
                row.cpu.append((row.cpu_seconds() - before) / many.requests * 1e6)
    floor = rows[_ALONE]
    made.rows += [_proxied_row(name, row, floor) for name, row in rows.items()]
    made.notes += [
        f"The median of {plan.rounds} rounds of {plan.seconds} s, interleaved. Latencies over one connection, rate and",
        "processor time (the proxy and whom it asks) over 32. Added: over Envoy that asks nobody, round by round.",
        "Envoy asks bailiwick over TLS with its client certificate; the server that allows everything in the clear.",
    ]
    return made


def clients(plan: Plan, servers: Servers) -> Section:
    """Measure the SDK beside a bare client, and an MCP tool call with the guard and without."""
    made = Section(f"A client's call, one after the other: {_POLICIES:,} policies, one CEL condition", _CLIENT_COLUMNS)
    try:
        point = ours.standalone(servers, _POLICIES, name="clients", more=[caller.policy()])
    except MissingError as error:
        made.rows.append(Row("all", missing=str(error)))
        return made
    rounds: dict[str, list[Round]] = {name: [] for name in _CLIENTS}
    for number in range(plan.rounds + 1):
        plan.progress.say(f"Round {number} of {plan.rounds}" if number else "Warming up")
        for name, (kind, _) in _CLIENTS.items():
            found = _called(plan.cores.load, kind, point.port, plan.seconds if number else 1)
            if number:
                rounds[name].append(found)
    for name, (_, compared) in _CLIENTS.items():
        made.rows.append(_client_row(name, rounds[name], rounds[compared] if compared else None))
    made.notes += [
        f"The median of {plan.rounds} rounds of {plan.seconds} s, interleaved; the client has a core of its own.",
        "bare client: httpcore2, which the SDK uses, and orjson. MCP: FastMCP's client and server in one process.",
    ]
    return made


def _started(servers: Servers, asked: AskedPdp) -> dict[str, _EnvoyRow]:
    allow, port = envoy.bare(servers)
    starts: dict[str, tuple[Callable[[], tuple[RunningProcess, int]], tuple[RunningProcess, ...]]] = {
        _ALONE: (lambda: envoy.asking_nobody(servers, asked), ()),
        _ALLOW: (lambda: envoy.by_bare(servers, asked, port), (allow,)),
        _HTTP: (lambda: envoy.by_http(servers, asked), (asked.running,)),
        _GRPC: (lambda: envoy.by_grpc(servers, asked), (asked.running,)),
    }
    rows = {}
    for name, (start, others) in starts.items():
        running, at = start()
        server = Server(name, "", running, at, lambda _: envoy.TARGET, lambda said: said == b"true")
        rows[name] = _EnvoyRow(server, others)
    return rows


def _proxied_row(name: str, row: _EnvoyRow, floor: _EnvoyRow) -> Row:
    added = [(mine.p50 - other.p50, mine.p99 - other.p99) for mine, other in zip(row.one, floor.one, strict=True)]
    itself = row is floor
    p50, p99 = (median(column) for column in zip(*added, strict=True))
    cells = (
        f"{median(one.per_second for one in row.many):,.0f}",
        f"{median(row.cpu):.0f}",
        f"{median(one.p50 for one in row.one):.2f}",
        f"{median(one.p99 for one in row.one):.2f}",
        NONE if itself else f"{p50:.2f}",
        NONE if itself else f"{p99:.2f}",
        "added p50 <= 1 ms" if name in {_HTTP, _GRPC} else NONE,
    )
    rounds = [
        {"one": _data(one), "many": _data(many), "cpu_us": cpu}
        for one, many, cpu in zip(row.one, row.many, row.cpu, strict=True)
    ]
    return Row(name, cells, data={"rounds": rounds, "added_p50_ms": p50, "added_p99_ms": p99})


def _client_row(name: str, rounds: Sequence[Round], compared: Sequence[Round] | None) -> Row:
    pairs = list(zip(rounds, compared or (), strict=False))
    cells = (
        f"{median(one.per_second for one in rounds):,.0f}",
        f"{median(one.cpu for one in rounds):.0f}",
        f"{median(one.p50 for one in rounds):.2f}",
        f"{median(one.p99 for one in rounds):.2f}",
        f"{median(one.p50 - other.p50 for one, other in pairs):.2f}" if pairs else NONE,
        ratio(median(one.cpu / other.cpu for one, other in pairs)) if pairs else NONE,
    )
    return Row(name, cells, data={"rounds": [_data(one) for one in rounds]})


def _called(core: int | None, kind: str, port: int, seconds: int) -> Round:
    command = [sys.executable, "-m", "benchmarks.rig.caller", kind, f"--port={port}", f"--seconds={seconds}"]
    with pinned(core):
        answer = subprocess.run(  # noqa: S603 - our own module
            command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=False
        )
    if answer.returncode != 0:
        raise MissingError(f"the client {kind} failed: {answer.stderr.strip()[-500:]}")
    return Round(**json.loads(answer.stdout))


def _data(one: Round) -> dict[str, float]:
    return {"per_second": one.per_second, "p50_ms": one.p50, "p99_ms": one.p99, "cpu_us": one.cpu}
