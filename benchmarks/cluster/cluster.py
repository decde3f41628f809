"""Cluster rows: how soon a change is decided by, how soon a revocation is felt, and what a use of a grant costs.

Standing: on a real API server (`localcluster`), with the operator and three decision points as the demo starts them
(`demo.stack`); nothing is pinned, since five kinds of process share the cores as they would on a node. Each row is
beside the least that the same API server does for the same thing, in the same run: a bare watch, a bare GET and PUT.
"""

import asyncio
import hashlib
import json
import ssl
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any, Final, Self

import aiohttp

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS, ENDPOINT_POLICIES
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import MissingError, Servers
from benchmarks.targets.clusterstack import ENDPOINT, NAMESPACE, POLICY, bring_up, policy
from demo.stack import AGENT, AGENT_ACCOUNT, Stack
from localcluster.errors import LocalClusterError
from localcluster.rest import Rest

_COLUMNS: Final = ("n", "p50 ms", "p99 ms", "worst ms", "bare p50 ms", "over bare", "budget")
_POLICIES: Final = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{ENDPOINT_POLICIES}"
_GRANTS: Final = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{APPROVAL_GRANTS}"
_POLL_SECONDS: Final = 0.001
_PATIENCE_SECONDS: Final = 20.0
_USES: Final = 20
_USED_GRANTS: Final = 4


def section(plan: Plan, servers: Servers) -> Section:
    """Bring a cluster up, measure, take it down."""
    made = Section("On a real API server: operator, three decision points", _COLUMNS)
    try:
        with ExitStack() as closing:
            stack = bring_up(closing, servers.folder, plan.progress)
            asyncio.run(_measure(made, stack, amount=10 if plan.quick else 50))
    except (LocalClusterError, MissingError) as error:
        made.rows.append(Row("all", missing=str(error)))
    made.notes.append("bare: the event on a plain watch; a plain GET and PUT of the status by the same account.")
    return made


async def _measure(made: Section, stack: Stack, amount: int) -> None:
    async with Clients(stack) as clients:
        applied, seen = await _applies(clients, amount)
        made.rows.append(row("apply -> every replica decides by it", applied, seen, "p99 < 250 ms"))
        grants = await clients.approved(_USED_GRANTS + amount // 2)
        consumed, bare = await _uses(clients, grants[:_USED_GRANTS])
        plain = await _plain(clients, _USED_GRANTS * _USES)
        made.rows.append(row("evaluation without a grant", plain, [], NONE))
        made.rows.append(row("evaluation that uses a grant", consumed, bare, NONE))
        revoked, late = await _revocations(clients, grants[_USED_GRANTS:])
        made.rows.append(row("revoke -> denied by every replica", revoked, [], "p99 < 1 s"))
        made.notes.append(f"{late} calls that began after a revocation was accepted were allowed.")


@dataclass
class Clients:
    """Everybody who calls: kept-alive connections to the decision points and to the API server."""

    stack: Stack
    decisions: aiohttp.ClientSession = field(init=False)
    admin: "PlainApi" = field(init=False)
    webhook: "PlainApi" = field(init=False)
    carol: Rest = field(init=False)
    agent: str = field(init=False)

    async def __aenter__(self) -> Self:
        cluster = self.stack.cluster
        namespace, name = AGENT.split(":")[2:]
        self.agent = cluster.service_account_token(namespace, name, AGENT_ACCOUNT.audiences)
        headers = {"Authorization": f"Bearer {self._enforcer()}"}
        self.decisions = aiohttp.ClientSession(headers=headers)
        account = self.stack.installation
        self.admin = PlainApi(cluster.rest())
        self.webhook = PlainApi(cluster.rest_as_service_account(account.namespace, account.webhook_name))
        self.carol = cluster.rest("carol")
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self.decisions.close(), self.admin.close(), self.webhook.close())

    def _enforcer(self) -> str:
        return self.stack.cluster.service_account_token(NAMESPACE, ENDPOINT, ("bailiwick",))

    async def ask(self, point: int, action: str, resource: str, path: str = "evaluation") -> dict[str, Any]:
        """Ask one decision point, as the enforcer, for the agent."""
        url = self.stack.decision_points[point].evaluation().removesuffix("evaluation") + path
        body = {
            "subject": {"type": "serviceAccount", "id": AGENT},
            "action": {"name": action},
            "resource": {"type": "customer", "id": resource},
            "context": {"evidence": {"subject_token": self.agent}, "business_justification": "to be measured"},
        }
        async with self.decisions.post(url, json=body) as answer:
            said: dict[str, Any] = await answer.json(content_type=None)
            if answer.status >= 300:  # noqa: PLR2004 - not a success
                raise MissingError(f"a decision point answered {answer.status}: {said}")
            return said

    async def approved(self, amount: int) -> list[tuple[str, str]]:
        """Open grants for as many resources and have Carol approve them; return each name and resource."""
        resources = [f"r-{number}" for number in range(amount)]
        opened = [(await self.ask(0, "bench.export", one, "requests"))["task"]["id"] for one in resources]
        names = [str(task).partition(".")[0] for task in opened]
        for name in names:
            request = (await self.admin.call("GET", f"{_GRANTS}/{name}"))["spec"]["request"]
            review = {"reviewer": "carol", "step": request["steps"][0]["name"], "group": "crm-owners"}
            review |= {"decision": "Approve", "binding": request["binding"]["digest"]}
            patch = [{"op": "add", "path": "/spec/reviews/-", "value": review}]
            answer = await asyncio.to_thread(self.carol.patch, f"{_GRANTS}/{name}", patch, "json")
            if not answer.ok:
                raise MissingError(f"Carol could not approve: {answer.message}")
        for name in names:
            await self._active(name)
        return list(zip(names, resources, strict=True))

    async def _active(self, name: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found = await self.admin.call("GET", f"{_GRANTS}/{name}")
            if found.get("status", {}).get("phase") == "Active":
                return
            await asyncio.sleep(0.05)
        raise MissingError(f"{name} did not become active within {_PATIENCE_SECONDS:g} s")


class PlainApi:
    """Plain calls to the API server as one identity, with nothing in between."""

    def __init__(self, rest: Rest) -> None:
        login = rest.login
        context = ssl.create_default_context(cafile=str(login.authority) if login.authority else None)
        self._server = login.server
        self._session = aiohttp.ClientSession(
            headers=list(login.headers()), connector=aiohttp.TCPConnector(ssl=context)
        )

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = ""
    ) -> dict[str, Any]:
        """Make one call that must succeed."""
        headers = {"Content-Type": kind or "application/json"}
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, self._server + path, data=data, headers=headers) as answer:
            said: dict[str, Any] = await answer.json(content_type=None)
            if answer.status >= 300:  # noqa: PLR2004 - not a success
                raise MissingError(f"the API server answered {answer.status} to {method} {path}: {said.get('message')}")
            return said

    def stream(self, path: str) -> Any:  # noqa: ANN401 - a private type of aiohttp
        """Open a watch; an async context manager of the response."""
        return self._session.get(self._server + path, timeout=aiohttp.ClientTimeout(total=None))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


async def _applies(clients: Clients, amount: int) -> tuple[list[float], list[float]]:
    """Change a policy again and again; return when every replica decided by it, and when a bare watch told of it."""
    decided, seen = [], []
    path = f"{_POLICIES}?watch=true&fieldSelector=metadata.name%3D{POLICY}"
    async with clients.admin.stream(path) as watch:
        lines = watch.content
        for number in range(amount + 1):
            action = f"bench.read-{number}"
            began = time.monotonic()
            heard = asyncio.create_task(_heard(lines, action, began))
            waits = [asyncio.create_task(_until(clients, point, action, "1", began, wanted=True)) for point in range(3)]
            change = {"apiVersion": API_VERSION, "kind": "EndpointPolicy", **policy(action)}
            query = "?fieldManager=bench&force=true"
            await clients.admin.call("PATCH", f"{_POLICIES}/{POLICY}{query}", change, "application/apply-patch+yaml")
            times = await asyncio.gather(*waits)
            told = await heard
            if number:
                decided.append(max(times))
                seen.append(told)
    return decided, seen


async def _heard(lines: aiohttp.StreamReader, action: str, began: float) -> float:
    async for line in lines:
        if action.encode() + b'"' in line:
            return time.monotonic() - began
    raise MissingError("the bare watch ended")


async def _until(clients: Clients, point: int, action: str, resource: str, began: float, *, wanted: bool) -> float:
    """Ask one decision point until it decides so; return when it did, in seconds after `began`."""
    while time.monotonic() < began + _PATIENCE_SECONDS:
        if (await clients.ask(point, action, resource))["decision"] is wanted:
            return time.monotonic() - began
        await asyncio.sleep(_POLL_SECONDS)
    raise MissingError(f"a decision point did not decide by a change within {_PATIENCE_SECONDS:g} s")


async def _uses(clients: Clients, grants: list[tuple[str, str]]) -> tuple[list[float], list[float]]:
    """Use grants in turn, by an evaluation and by hand; return how long each took."""
    consumed, bare = [], []
    for name, resource in grants:
        for number in range(_USES):
            began = time.monotonic()
            if not (await clients.ask(0, "bench.export", resource))["decision"]:
                raise MissingError(f"{name} could not be used")
            between = time.monotonic()
            await _use_by_hand(clients.webhook, name, number)
            consumed.append(between - began)
            bare.append(time.monotonic() - between)
    return consumed, bare


async def _use_by_hand(api: PlainApi, name: str, number: int) -> None:
    """Do what a use does at the API server, and nothing else: read, and write the status with one use more."""
    stored = await api.call("GET", f"{_GRANTS}/{name}")
    status = stored["status"]
    record = {
        "key": "sha256:" + hashlib.sha256(f"{name} {number}".encode()).hexdigest(),
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "evaluationID": f"eval_{number:032x}",
    }
    status = {**status, "uses": status.get("uses", 0) + 1, "useRecords": [*status.get("useRecords", []), record]}
    await api.call("PUT", f"{_GRANTS}/{name}/status", {**stored, "status": status})


async def _plain(clients: Clients, amount: int) -> list[float]:
    times = []
    for _ in range(amount):
        began = time.monotonic()
        await clients.ask(0, "customers.get", "42")
        times.append(time.monotonic() - began)
    return times


async def _revocations(clients: Clients, grants: list[tuple[str, str]]) -> tuple[list[float], int]:
    """Revoke grants; return when every replica denied, and how many calls passed that began after it was accepted."""
    times, late = [], 0
    for name, resource in grants:
        if not (await clients.ask(0, "bench.export", resource))["decision"]:
            raise MissingError(f"{name} could not be used before it was revoked")
        began = time.monotonic()
        patch = [{"op": "add", "path": "/spec/revocation", "value": {"by": "carol"}}]
        answer = await asyncio.to_thread(clients.carol.patch, f"{_GRANTS}/{name}", patch, "json")
        if not answer.ok:
            raise MissingError(f"Carol could not revoke: {answer.message}")
        first = await asyncio.gather(*(clients.ask(point, "bench.export", resource) for point in range(3)))
        late += sum(said["decision"] for said in first)
        waits = [_until(clients, point, "bench.export", resource, began, wanted=False) for point in range(3)]
        times.append(max(await asyncio.gather(*waits)))
    return times, late


def row(name: str, times: list[float], bare: list[float], budget: str) -> Row:
    """Return a row of times in seconds, beside those of the least that the API server does for the same."""
    found = sorted(1e3 * one for one in times)
    least = [1e3 * one for one in bare]
    cells = (
        str(len(found)),
        f"{median(found):.1f}",
        f"{quantiles(found, n=100, method='inclusive')[98]:.1f}",
        f"{found[-1]:.1f}",
        f"{median(least):.1f}" if least else NONE,
        ratio(median(mine / other for mine, other in zip(times, bare, strict=True))) if least else NONE,
        budget,
    )
    return Row(name, cells, data={"ms": [1e3 * one for one in times], "bare_ms": least})
