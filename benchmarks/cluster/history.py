"""History rows: what it costs to count a call, beside the least that the same API server does for it.

Standing: as `cluster`, on a real API server with three decision points. A counted call is beside a bare PUT of an
object of the same contents and beside the use of a grant; a call that only reads is beside a bare GET.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, NamedTuple, Self

import aiohttp

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_HISTORIES
from benchmarks.cluster.cluster import Clients, row
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import MissingError, Servers
from benchmarks.targets.clusterstack import ENDPOINT, NAMESPACE, bring_up
from demo.stack import AGENT, AGENT_ACCOUNT, DecisionPoint, Stack
from localcluster.errors import LocalClusterError

_COLUMNS: Final = ("n", "p50 ms", "p99 ms", "worst ms", "bare p50 ms", "over bare", "goal")
_HISTORIES: Final = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{ENDPOINT_HISTORIES}"
_COUNTING: Final = "bench-counting"
_PLAIN: Final = "bench-plain"
_MANY: Final = 10**9
_CALLERS: Final = 64
_KEYS: Final = 50
_TICKS: Final = 100


def section(plan: Plan, servers: Servers) -> Section:
    """Bring a cluster up, measure, take it down."""
    made = Section("Histories on a real API server, three decision points", _COLUMNS)
    try:
        with ExitStack() as closing:
            stack = bring_up(closing, servers.folder, plan.progress)
            asyncio.run(_measure(made, stack, plan))
    except (LocalClusterError, MissingError) as error:
        made.rows.append(Row("all", missing=str(error)))
    made.notes.append("bare: a plain PUT, or a plain GET, of an object of the same contents by the same account.")
    made.notes.append("inside a request: what it and a call that no history touches take, one after the other.")
    return made


async def _measure(made: Section, stack: Stack, plan: Plan) -> None:
    for name, histories in ((_PLAIN, []), (_COUNTING, _histories())):
        applied = stack.cluster.rest().apply(_policy(name, histories), "bench")
        if not applied.ok:
            raise MissingError(f"the policy was refused: {applied.message}")
    async with Clients(stack) as clients, _Asker(stack) as asking:
        for point in range(3):
            await asking.until_known(point)
        few = plan.quick
        made.rows.append(await _untouched(asking, stack.decision_points[0], rounds=4 if few else 20))
        counted = await _counted(clients, asking, 40 if few else 120)
        made.rows.append(row("counted, one caller", counted.asked, counted.bare, "<= 1.3 x PUT"))
        made.rows.append(_least("such a PUT, inside a request", counted))
        made.rows.append(await _grants(clients, counted.asked, uses=10 if few else 40))
        read = await _read(clients, asking, rounds=2 if few else 4)
        made.rows.append(row("read only", read.asked, read.bare, "<= 1.3 x GET"))
        made.rows.append(_least("such a GET, inside a request", read))
        for points, goal in ((1, ">= 1,000/s, p99 <= 15 p50"), (3, ">= 500/s, p99 <= 15 p50")):
            made.rows.append(await _one_key(asking, points, 2.0 if few else 8.0, goal))


def _histories() -> list[dict[str, Any]]:
    window = {"window": "1h"}
    return [
        {"name": "all", "key": ["agent"], **window, "counts": {"actions": ["bench.all"]}},
        {"name": "one", "key": ["agent", "context.key"], **window, "counts": {"actions": ["bench.one"]}},
        {"name": "marks", "key": ["context.key"], **window, "counts": {"actions": ["bench.mark"]}},
    ]


def _policy(endpoint: str, histories: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    covered = {"subjects": ["agent"], "resources": [{"type": "customer", "ids": ["*"]}]}

    def allow(name: str, expression: str | None = None) -> dict[str, Any]:
        conditions = {} if expression is None else {"conditions": [{"name": "limit", "expression": expression}]}
        return {"name": name, "effect": "Allow", "actions": [f"bench.{name}"], **covered, **conditions}

    limits = {"all": "all", "one": "one", "mark": "marks", "look": "marks"}
    # Where nothing is counted there are as many rules, since each of them takes a moment.
    limit = "history.{}.count" if histories else "size('{}')"
    rules = [allow("read"), *(allow(name, f"{limit.format(read)} <= {_MANY}") for name, read in limits.items())]
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointPolicy",
        "metadata": {"namespace": NAMESPACE, "name": endpoint},
        "spec": {
            "endpoint": endpoint,
            "endpointSettings": {
                "enforcers": [{"namespace": NAMESPACE, "name": ENDPOINT}],
                **({"history": list(histories)} if histories else {}),
            },
            "subjects": [{"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}],
            "rules": rules,
        },
    }


class _Asker:
    """Asks the decision points about the two endpoints."""

    def __init__(self, stack: Stack) -> None:
        self._points = stack.decision_points
        cluster = stack.cluster
        namespace, name = AGENT.split(":")[2:]
        self._tokens = {
            endpoint: cluster.service_account_token(namespace, name, (*AGENT_ACCOUNT.audiences, f"{endpoint}.crm"))
            for endpoint in (_COUNTING, _PLAIN)
        }
        self._enforcer = cluster.service_account_token(NAMESPACE, ENDPOINT, ("bailiwick",))

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._enforcer}"}
        self._session = aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, action: str, point: int = 0, endpoint: str = _COUNTING, key: str = "k") -> dict[str, Any]:
        """Ask about a call."""
        body = {
            "subject": {"type": "serviceAccount", "id": AGENT},
            "action": {"name": f"bench.{action}"},
            "resource": {"type": "customer", "id": "42"},
            "context": {"evidence": {"subject_token": self._tokens[endpoint]}, "key": key},
        }
        url = self._points[point].evaluation(f"{NAMESPACE}/{endpoint}")
        async with self._session.post(url, json=body) as answer:
            said: dict[str, Any] = await answer.json(content_type=None)
        return said

    async def allowed(self, action: str, point: int = 0, endpoint: str = _COUNTING, key: str = "k") -> float:
        """Ask about a call that must be allowed; return how many seconds that took."""
        began = time.monotonic()
        said = await self.ask(action, point, endpoint, key)
        if said.get("decision") is not True:
            raise MissingError(f"bench.{action} was denied: {said}")
        return time.monotonic() - began

    async def until_known(self, point: int) -> None:
        """Wait until a decision point has both policies."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            answers = [await self.ask("read", point, endpoint) for endpoint in (_PLAIN, _COUNTING)]
            if all(said.get("decision") for said in answers):
                return
            await asyncio.sleep(0.05)
        raise MissingError("a decision point does not know the policies")


async def _untouched(asking: _Asker, point: DecisionPoint, rounds: int) -> Row:
    """Ask about calls that no history touches, at an endpoint with histories and at one without."""
    spent: dict[str, list[float]] = {_PLAIN: [], _COUNTING: []}
    for number in range(rounds + 1):
        for endpoint in (_PLAIN, _COUNTING) if number % 2 else (_COUNTING, _PLAIN):
            before = _processor_seconds(point)
            for _ in range(5):
                await asyncio.gather(*(asking.allowed("read", endpoint=endpoint) for _ in range(_TICKS)))
            if number:
                spent[endpoint].append(_processor_seconds(point) - before)
    plain, counting = sum(spent[_PLAIN]), sum(spent[_COUNTING])
    calls = rounds * 5 * _TICKS
    cells = (
        *(str(calls), NONE, NONE, NONE),
        *(f"{plain / calls * 1e6:.0f} us", ratio(counting / plain), "<= 1.05 x processor"),
    )
    return Row("no history touches it", cells, data={"seconds": spent})


def _processor_seconds(point: DecisionPoint) -> float:
    """Return what its threads have used, to the nanosecond: a tick of `stat` is as long as seventy calls."""
    tasks = Path(f"/proc/{point.process.id.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


class _Beside(NamedTuple):
    """Seconds of calls, of what the API server does for each at least, and of calls that no history touches."""

    asked: list[float]
    bare: list[float]
    untouched: list[float]


def _least(name: str, found: _Beside) -> Row:
    """Return what a call would take that adds nothing to the plain request and to the decision around it."""
    return row(name, [one + around for one, around in zip(found.bare, found.untouched, strict=True)], found.bare, NONE)


async def _counted(clients: Clients, asking: _Asker, amount: int) -> _Beside:
    """Count calls one after the other, and write an object of the same contents by hand."""
    await asking.allowed("one", key="one")
    stored = (await clients.admin.call("GET", _HISTORIES))["items"][0]
    copy = {
        "apiVersion": API_VERSION,
        "kind": "EndpointHistory",
        "metadata": {
            "namespace": NAMESPACE,
            "name": "h-" + "0" * 40,
            "labels": stored["metadata"]["labels"],
            "managedFields": [{}],
        },
        "spec": {**stored["spec"], "key": "sha256:" + "0" * 64},
    }
    bare_object = await clients.webhook.call("POST", _HISTORIES, copy)
    found = _Beside([], [], [])
    for _ in range(amount):
        found.asked.append(await asking.allowed("one", key="one"))
        found.untouched.append(await asking.allowed("read", key="one"))
        # As large as the one that was just written.
        spec = (await clients.admin.call("GET", f"{_HISTORIES}/{stored['metadata']['name']}"))["spec"]
        metadata = {**bare_object["metadata"], "managedFields": [{}]}
        bare_object = {**bare_object, "metadata": metadata, "spec": {**spec, "key": bare_object["spec"]["key"]}}
        began = time.monotonic()
        bare_object = await clients.webhook.call("PUT", f"{_HISTORIES}/h-{'0' * 40}", bare_object)
        found.bare.append(time.monotonic() - began)
    return found


async def _grants(clients: Clients, counted: Sequence[float], uses: int) -> Row:
    """Use a grant; return how a counted call compares with that."""
    ((_, resource),) = await clients.approved(1)
    used = []
    for _ in range(uses):
        began = time.monotonic()
        if not (await clients.ask(0, "bench.export", resource))["decision"]:
            raise MissingError("the grant could not be used")
        used.append(time.monotonic() - began)
    p50 = [1e3 * median(times) for times in (counted, used)]
    cells = (str(uses), f"{p50[0]:.1f}", NONE, NONE, f"{p50[1]:.1f}", ratio(p50[0] / p50[1]), "<= 0.8 x use")
    return Row("counted, beside the use of a grant", cells, data={"used_ms": [1e3 * one for one in used]})


async def _read(clients: Clients, asking: _Asker, rounds: int) -> _Beside:
    """Decide calls that only read, of so many keys in turn that none waits for its next read."""
    keys = [f"key-{number}" for number in range(_KEYS)]
    before = {item["metadata"]["name"] for item in (await clients.admin.call("GET", _HISTORIES))["items"]}
    for key in keys:
        await asking.allowed("mark", key=key)
        await asyncio.sleep(0.02)
    names = [item["metadata"]["name"] for item in (await clients.admin.call("GET", _HISTORIES))["items"]]
    names = [name for name in names if name not in before]
    found = _Beside([], [], [])
    for _ in range(rounds):
        for key, name in zip(keys, names, strict=True):
            found.asked.append(await asking.allowed("look", key=key))
            found.untouched.append(await asking.allowed("read", key=key))
            began = time.monotonic()
            await clients.webhook.call("GET", f"{_HISTORIES}/{name}")
            found.bare.append(time.monotonic() - began)
    return found


async def _one_key(asking: _Asker, points: int, seconds: float, goal: str) -> Row:
    """Count calls of one key from many callers at once."""
    began = time.monotonic()

    async def insist(number: int) -> list[float]:
        times = []
        while time.monotonic() < began + seconds:
            times.append(await asking.allowed("all", number % points))
        return times

    taken = [one for times in await asyncio.gather(*map(insist, range(_CALLERS))) for one in times]
    found = sorted(1e3 * one for one in taken)
    p99 = quantiles(found, n=100, method="inclusive")[98]
    cells = (
        *(str(len(found)), f"{median(found):.1f}", f"{p99:.1f}", f"{found[-1]:.1f}"),
        *(f"{len(found) / seconds:.0f}/s", f"p99 {p99 / median(found):.1f} p50", goal),
    )
    return Row(f"one key, {points} of 3 decision points, {_CALLERS} callers", cells, data={"ms": found})
