"""A batch: a hundred evaluations in one request, per decision, beside single ones to the same server.

Standing: uses a server that `serve` started, or starts one. The route is AuthZEN's `/access/v1/evaluations`; where it
does not answer, the row says so.
"""

import dataclasses
import http.client
from statistics import median
from typing import Final

import orjson

from benchmarks.rig import workload
from benchmarks.rig.load import Round, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import HOST, MissingError, Server, Servers
from benchmarks.rig.workload import EXPORT, Request
from benchmarks.targets import ours

_BATCH: Final = 100
_POLICIES: Final = 1_000
_DIFFERENT: Final = 16
_NAME: Final = f"batch of {_BATCH}"
_COLUMNS: Final = ("decisions/s", "CPU us", "p50 ms", "p99 ms", "batch's rate", "by CPU", "budget")


def section(plan: Plan, servers: Servers) -> Section:
    """Measure single evaluations and batches, in turn."""
    made = Section("AuthZEN evaluations: per decision, one core, 1,000 policies, one CEL condition", _COLUMNS)
    try:
        wrk = Wrk.find(plan.cores.load)
        server = ours.in_cluster(servers, _POLICIES, load_core=plan.cores.load, name="batching")
        requests = workload.load(_POLICIES, _DIFFERENT, EXPORT)
        _probe(server, requests[0])
        _measure(made, plan, wrk, server, requests)
    except MissingError as error:
        made.rows.append(Row(_NAME, missing=str(error)))
    return made


def _measure(made: Section, plan: Plan, wrk: Wrk, server: Server, requests: list[Request]) -> None:
    folder = server.running.log.parent
    lines = {
        "single": [(one.path, dict(server.headers(one)), one.encoded()) for one in requests],
        _NAME: [(_path(one), dict(server.headers(one)), _body(one)) for one in requests],
    }
    prepared = {name: WireRequests.write(folder / f"batching {name}.requests", found) for name, found in lines.items()}
    amounts = {"single": 1, _NAME: _BATCH}
    rounds: dict[str, list[Round]] = {name: [] for name in prepared}
    for number in range(plan.rounds + 1):
        for name, wanted in prepared.items():
            one_round = wrk.round(server, wanted, plan.seconds if number else 1)
            if number:
                rounds[name].append(one_round)
    single = rounds["single"]
    for name, found in rounds.items():
        amount = amounts[name]
        times = [amount * one.per_second / other.per_second for one, other in zip(found, single, strict=True)]
        by_cpu = [amount * other.cpu / one.cpu for one, other in zip(found, single, strict=True) if one.cpu]
        cells = (
            f"{amount * median(one.per_second for one in found):,.0f}",
            f"{median(one.cpu for one in found) / amount:.1f}",
            f"{median(one.p50 for one in found):.2f}",
            f"{median(one.p99 for one in found):.2f}",
            ratio(median(times)) if amount > 1 else NONE,
            ratio(median(by_cpu)) if amount > 1 and by_cpu else NONE,
            ">= 10 x" if amount > 1 else NONE,
        )
        made.rows.append(Row(name, cells, data={"rounds": [dataclasses.asdict(one) for one in found]}))


def _path(request: Request) -> str:
    return f"{request.path}s"


def _body(request: Request) -> bytes:
    """Return a hundred resources of one subject and action, each in full, as AuthZEN has it."""
    shared = {name: request.body[name] for name in ("subject", "action", "context")}
    resource = request.body["resource"]
    items = [{"resource": {**resource, "id": f"{resource['id']}-{number}"}} for number in range(_BATCH)]
    return orjson.dumps({**shared, "evaluations": items})


def _probe(server: Server, request: Request) -> None:
    """Ask once. Raises `MissingError` where the route is not there or does not answer as AuthZEN says."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    try:
        headers = {"Content-Type": "application/json", **server.headers(request)}
        connection.request("POST", _path(request), _body(request), headers)
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status == http.client.NOT_FOUND:
        raise MissingError("not there: /access/v1/evaluations answers 404")
    if answer.status != http.client.OK:
        raise MissingError(f"/access/v1/evaluations answered {answer.status}: {said[:300].decode()}")
    decisions = [bool(one.get("decision")) for one in orjson.loads(said).get("evaluations", [])]
    if decisions != [True] * _BATCH:
        raise MissingError(f"/access/v1/evaluations allowed {sum(decisions)} of {len(decisions)}, not {_BATCH}")
