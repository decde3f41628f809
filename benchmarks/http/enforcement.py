"""Enforcement: what asking adds to a proxied call, to a client's call, and to an MCP tool call.

Standing: starts what `envoy`, `proxies` and `caller` describe, and measures in interleaved rounds. Latencies are those
of one connection, since with many they are the queue's; rates are those of 32.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.http import addedcost
from benchmarks.http.addedcost import AskingPath
from benchmarks.rig import caller, interpreters
from benchmarks.rig.cores import pinned
from benchmarks.rig.load import Round, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import MissingError, Servers
from benchmarks.targets import envoy, ours, points
from benchmarks.targets.points import AskedPdp
from benchmarks.targets.proxies import PROXIES
from localcluster.process import RunningProcess

_POLICIES: Final = 1_000
_ENVOY: Final = "Envoy, no check"
_ENVOY_ALLOW: Final = "Envoy, a server that allows everything"
_HTTP: Final = "Envoy, bailiwick over HTTP"
_GRPC: Final = "Envoy, bailiwick over gRPC"
_CLIENT_COLUMNS: Final = ("calls/s", "client's CPU us", "p50 ms", "p99 ms", "added p50 ms", "by CPU")
_CLIENTS: Final = {
    "evaluation, bare client": ("bare", None),
    "evaluation, SDK": ("sdk", "evaluation, bare client"),
    "MCP tool call": ("mcp", None),
    "MCP tool call, guarded": ("mcp-guarded", "MCP tool call"),
}


def proxies(plan: Plan, servers: Servers) -> Section:
    """Measure calls through each proxy that a configuration ships for."""
    title = f"A call through a proxy: all on one core, {_POLICIES:,} policies, one CEL condition on the arguments"
    made = Section(title, addedcost.COLUMNS)
    try:
        wrk = Wrk.find(plan.cores.load)
        asked = points.decision_point(servers, _POLICIES)
        rows = _envoys(servers, asked) | _others(servers, asked)
    except MissingError as error:
        made.rows.append(Row("all", missing=str(error)))
        return made
    made.rows += addedcost.measure_rows(plan, wrk, rows)
    made.notes += [
        f"The median of {plan.rounds} rounds of {plan.seconds} s, interleaved. Latencies over one connection, rate and",
        "processor time (the proxy, whom it asks, the upstream) over 32. Added: over the same proxy without a check.",
        "A proxy asks over TLS with its client certificate, HAProxy with a token; likewise a server that allows",
        "everything, except in the clear. CPU, over allow-all: round by round, of the same proxy and protocol.",
        "Envoy sends the body, and serves the call itself; the others send the query, and have an upstream.",
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


def _envoys(servers: Servers, asked: AskedPdp) -> dict[str, AskingPath]:
    """Start each Envoy. Raises `MissingError`."""
    file = servers.folder / "envoy.requests"
    prepared = WireRequests.write(file, [(points.TARGET, dict(asked.headers), points.BODY)])
    (clear, clear_port), (tls, tls_port) = points.bare(servers, "allow"), points.bare(servers, "allow", asked)
    grpc, grpc_port = points.grpc_bare(servers, asked)
    rows: dict[str, AskingPath] = {}

    def add(name: str, started: tuple[RunningProcess, int], *others: RunningProcess, floor: str = "") -> None:
        rows[name] = AskingPath.make(name, started, others, prepared, _ENVOY, floor)

    add(_ENVOY, envoy.asking_nobody(servers, asked))
    add(f"{_ENVOY_ALLOW}, in the clear", envoy.by_bare(servers, asked, clear_port), clear)
    add(_ENVOY_ALLOW, envoy.by_http(servers, asked, tls_port), tls)
    add(f"{_ENVOY_ALLOW}, gRPC", envoy.by_grpc(servers, asked, grpc_port), grpc)
    add(_HTTP, envoy.by_http(servers, asked, asked.http), asked.running, floor=_ENVOY_ALLOW)
    add(_GRPC, envoy.by_grpc(servers, asked, asked.grpc), asked.running, floor=f"{_ENVOY_ALLOW}, gRPC")
    try:
        python = interpreters.optimised(servers.folder)
        fast = points.decision_point(servers, _POLICIES, name="optimised", python=python)
        # Another key has signed its tokens.
        other = WireRequests.write(
            servers.folder / "optimised.requests", [(points.TARGET, dict(fast.headers), points.BODY)]
        )
        name = f"{_HTTP}, optimised Python {python.version}"
        started = envoy.by_http(servers, fast, fast.http)
        rows[name] = AskingPath.make(name, started, (fast.running,), other, _ENVOY, _ENVOY_ALLOW)
    except MissingError as error:
        rows[f"{_HTTP}, optimised Python"] = AskingPath.absent(str(error))
    return rows


def _others(servers: Servers, asked: AskedPdp) -> dict[str, AskingPath]:
    """Start each of the other proxies, as far as it is there."""
    file = servers.folder / "query.requests"
    prepared = WireRequests.write(file, [(points.QUERY_TARGET, dict(asked.headers), points.BODY)])
    allow, allow_port = points.bare(servers, "allow", asked)
    upstream, upstream_port = points.bare(servers, "upstream")
    rows = {}
    for kind, start in PROXIES.items():
        alone, floor = f"{kind}, no check", f"{kind}, a server that allows everything"
        ways: dict[str, tuple[int | None, tuple[RunningProcess, ...], str]] = {
            alone: (None, (), ""),
            floor: (allow_port, (allow,), ""),
            f"{kind}, bailiwick": (asked.http, (asked.running,), floor),
        }
        for name, (port, others, over) in ways.items():
            try:
                started = start(servers, asked, port, upstream_port)
            except MissingError as error:
                rows[name] = AskingPath.absent(str(error))
            else:
                rows[name] = AskingPath.make(name, started, (*others, upstream), prepared, alone, over)
    return rows


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
    return Row(name, cells, data={"rounds": [addedcost.round_data(one) for one in rounds]})


def _called(core: int | None, kind: str, port: int, seconds: int) -> Round:
    command = [sys.executable, "-m", "benchmarks.rig.caller", kind, f"--port={port}", f"--seconds={seconds}"]
    with pinned(core):
        answer = subprocess.run(  # noqa: S603 - our own module
            command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=False
        )
    if answer.returncode != 0:
        raise MissingError(f"the client {kind} failed: {answer.stderr.strip()[-500:]}")
    return Round(**json.loads(answer.stdout))
