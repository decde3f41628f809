"""Scale: what a hundred times more policies cost, and ten thousand connections, beside the usual workload.

Standing: starts one decision point for each row, in front of the stand-in, each alone on the servers' core. The other
connections were each used once, and stay open while the load has 32 of its own. Holds: a connection that is no longer
there at the end fails its row.
"""

import contextlib
import http.client
from collections.abc import Iterator
from dataclasses import asdict
from statistics import median
from typing import Final

from benchmarks.rig import workload
from benchmarks.rig.load import CONNECTIONS, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import HOST, MissingError, Server, Servers
from benchmarks.rig.workload import EXPORT, Request
from benchmarks.targets import ours

_USUAL: Final = 1_000
_MANY: Final = 100_000
_OTHERS: Final = 10_000
_QUICK: Final = 10
# An enforcer can have so many times less than there may be.
_OF_ONE: Final = 4
_DIFFERENT: Final = 16
_ROOM: Final = 16 * 1024**3
_COLUMNS: Final = ("ready s", "resident MB", "requests/s", "CPU us", "p50 ms", "p99 ms", "CPU, over the usual")


def section(plan: Plan, servers: Servers) -> Section:
    """Measure the usual, with more policies, and with more connections."""
    made = Section(f"Scale: one core, {CONNECTIONS} busy connections, one CEL condition", _COLUMNS)
    less = _QUICK if plan.quick else 1
    cases = [(_USUAL, 0), (_MANY // less, 0), (_USUAL, _OTHERS // less)]
    usual: float | None = None
    for policies, others in cases:
        name = f"{policies:,} policies" + (f", {others:,} more connections" if others else "")
        plan.progress.say(name)
        try:
            row, cpu = _measured(plan, servers, name, policies, others, usual)
        except MissingError as error:
            made.rows.append(Row(name, missing=str(error)))
            continue
        made.rows.append(row)
        usual = usual or cpu
    made.notes.append("Resident: after the load. The other connections were each used once, and stay open.")
    return made


def _measured(
    plan: Plan, servers: Servers, name: str, policies: int, others: int, usual: float | None
) -> tuple[Row, float]:
    wrk = Wrk.find(plan.cores.load)
    # As somebody would who has so many: more room than by default, so that nothing is denied for lack of it.
    flags = [f"--budget-bytes={_ROOM}"] if policies > _USUAL else []
    flags += [f"--connections={_OF_ONE * (others + CONNECTIONS)}"] if others else []
    program = (*ours.WEBHOOK, *flags)
    server = ours.in_cluster(servers, policies, load_core=plan.cores.load, name=f"scale {name}", program=program)
    try:
        # Of all tenants, not of the first ones alone.
        requests = workload.load(policies, _DIFFERENT, EXPORT)
        lines = [(one.path, dict(server.headers(one)), one.encoded()) for one in requests]
        prepared = WireRequests.write(servers.folder / f"scale {name}.requests", lines)
        with _open(server, requests[0], others):
            wrk.round(server, prepared, 1)
            rounds = [wrk.round(server, prepared, plan.seconds) for _ in range(plan.rounds)]
            resident = server.resident_megabytes()
    finally:
        servers.end(server.running)
    cpu = median(one.cpu for one in rounds)
    cells = (
        f"{server.ready_seconds:.1f}",
        f"{resident:.0f}" if resident else NONE,
        f"{median(one.per_second for one in rounds):,.0f}",
        f"{cpu:.1f}",
        f"{median(one.p50 for one in rounds):.2f}",
        f"{median(one.p99 for one in rounds):.2f}",
        ratio(cpu / usual) if usual else NONE,
    )
    data = {"ready_s": server.ready_seconds, "resident_mb": resident, "rounds": [asdict(one) for one in rounds]}
    return Row(name, cells, data=data), cpu


@contextlib.contextmanager
def _open(server: Server, request: Request, count: int) -> Iterator[None]:
    """Hold so many connections open, and use each once more at the end. Raises `MissingError` where one is gone."""
    with contextlib.ExitStack() as stack:
        held = [http.client.HTTPConnection(HOST, server.port, timeout=30) for _ in range(count)]
        for connection in held:
            stack.callback(connection.close)
            _use(connection, server, request)
        yield
        for connection in held:
            # A connection that is closed would be made anew without a word.
            if connection.sock is None:
                raise MissingError(f"{server.name} closed a connection that was held open")
            _use(connection, server, request)


def _use(connection: http.client.HTTPConnection, server: Server, request: Request) -> None:
    headers = {"Content-Type": "application/json", **server.headers(request)}
    try:
        connection.request("POST", server.path(request), request.encoded(), headers)
        answer = connection.getresponse()
        said = answer.read()
    except OSError as error:
        raise MissingError(f"{server.name} lost a connection that was held open: {error}") from error
    if answer.status != http.client.OK or not server.allowed(said):
        raise MissingError(f"{server.name} answered {answer.status} on a held connection: {said[:300].decode()}")
