"""Applications: what the SDK's guards add to a web application, and the gateway to an MCP server.

Standing: starts what `guardedapp` describes and the gateway that ships, and measures each beside the same one
without a check, and beside one that asks a server that allows everything.
"""

import re
import sys
import time
from typing import Final

import orjson

from bailiwick.testing import token_for
from benchmarks.http import addedcost
from benchmarks.http.addedcost import AskingPath
from benchmarks.rig import caller
from benchmarks.rig.load import WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import Row, Section
from benchmarks.rig.servers import HOST, MissingError, Server, Servers, await_port
from benchmarks.targets import guardedapp, ours
from localcluster.ports import free_ports
from localcluster.process import RunningProcess

_POLICIES: Final = 1_000
_AGENT: Final = "system:serviceaccount:agents:agent"
_ARGUMENTS: Final = {"amount": 120, "currency": "EUR"}
_GUARDS: Final = {"FastAPI": "fastapi", "aiohttp": "aiohttp", "ASGI": "asgi"}
# A call of MCP takes milliseconds: with more, a round on a busy machine ends before the first answer.
_MCP_CONNECTIONS: Final = 4
_START_SECONDS: Final = 60.0
_LISTENS: Final = re.compile(r"listening on https?://[^/\s]+:(\d+)/mcp,")


def section(plan: Plan, servers: Servers) -> Section:
    """Measure the guards and the gateway."""
    title = f"A call of an application that asks: all on one core, {_POLICIES:,} policies, one CEL condition"
    made = Section(title, addedcost.COLUMNS)
    try:
        wrk = Wrk.find(plan.cores.load)
        point = ours.standalone(servers, _POLICIES, name="applications", more=[caller.policy()])
        made.rows += addedcost.measure_rows(plan, wrk, _paths(servers, point))
    except MissingError as error:
        made.rows.append(Row("all", missing=str(error)))
        return made
    made.notes += [
        f"The median of {plan.rounds} rounds of {plan.seconds} s, interleaved. Latencies over one connection, rate and",
        "processor time (application, gateway, and whom it asks) over 32. Added: over the same application that",
        "no check, for the gateway over its MCP server without one (over 4 for MCP). All in the clear, on loopback.",
    ]
    return made


def _paths(servers: Servers, point: Server) -> dict[str, AskingPath]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.targets.bare", "--kind=echo", f"--port={port}"]
    allow = servers.spawn("allow-all", command)
    await_port(allow, port)
    asked = {
        "no check": (None, ()),
        "a server that allows everything": (port, (allow,)),
        "bailiwick": (point.port, (point.running,)),
    }
    headers = {"Host": HOST, "Authorization": f"Bearer {token_for(_AGENT)}"}
    call = WireRequests.write(
        servers.folder / "guarded.requests", [(guardedapp.PATH, headers, orjson.dumps(_ARGUMENTS))]
    )
    paths: dict[str, AskingPath] = {}
    for name, kind in _GUARDS.items():
        for way, (to, others) in asked.items():
            floor = f"{name}, a server that allows everything" if way == "bailiwick" else ""
            started = _app(servers, kind, to)
            paths[f"{name}, {way}"] = AskingPath.make(name, started, others, call, f"{name}, no check", floor)
    return paths | _gateways(servers, headers, asked)


def _gateways(
    servers: Servers, headers: dict[str, str], asked: dict[str, tuple[int | None, tuple[RunningProcess, ...]]]
) -> dict[str, AskingPath]:
    tools, upstream = _app(servers, "mcp", None)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    body = orjson.dumps({**message, "params": {"name": guardedapp.ACTION, "arguments": _ARGUMENTS}})
    sent = {**headers, "Accept": "application/json, text/event-stream"}
    call = WireRequests.write(servers.folder / "mcp.requests", [("/mcp", sent, body)])
    alone = "MCP server, no check"
    paths = {alone: AskingPath.make(alone, (tools, upstream), (), call, alone, "")}
    for way, (to, others) in asked.items():
        if to is not None:
            name = f"MCP gateway, {way}"
            floor = "MCP gateway, a server that allows everything" if way == "bailiwick" else ""
            try:
                started = _gateway(servers, upstream, to)
                paths[name] = AskingPath.make(name, started, (*others, tools), call, alone, floor)
            except MissingError as error:
                paths[name] = AskingPath.absent(str(error))
    for path in paths.values():
        path.connections = _MCP_CONNECTIONS
    return paths


def _app(servers: Servers, kind: str, to: int | None) -> tuple[RunningProcess, int]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.targets.guardedapp", kind, f"--port={port}"]
    if to is not None:
        command.append(f"--pdp=http://{HOST}:{to}")
    running = servers.spawn(f"{kind} {to or 'alone'}", command)
    await_port(running, port)
    return running, port


def _gateway(servers: Servers, upstream: int, to: int) -> tuple[RunningProcess, int]:
    own = servers.folder / "gateway.token"
    own.write_text("test", encoding="ascii")
    command = [sys.executable, "-m", "bailiwick.mcp.gateway", "--port=0", f"--token-file={own}"]
    command += [f"--endpoint={guardedapp.ENDPOINT}", f"--upstream=http://{HOST}:{upstream}/mcp"]
    running = servers.spawn(f"gateway {to}", [*command, f"--pdp=http://{HOST}:{to}"])
    deadline = time.monotonic() + _START_SECONDS
    while running.alive and time.monotonic() < deadline:
        if listens := _LISTENS.search(running.log.read_text(encoding="utf-8")):
            return running, int(listens[1])
        time.sleep(0.05)
    raise MissingError(f"the gateway does not listen:\n{running.last_words()}")
