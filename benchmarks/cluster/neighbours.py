"""Neighbours: how soon a tenant's change is decided by while another tenant rewrites large policies.

Standing: one decision point in front of the stand-in, which tells of as many changes a second as are wanted. A real API
server takes eight writes a second of such policies, and two cores for that.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from statistics import median, quantiles
from typing import Any, Final

import aiohttp
import orjson

from benchmarks.rig import workload
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section
from benchmarks.rig.servers import HOST, Server, Servers
from benchmarks.rig.workload import ENDPOINT, READ, Place, Request
from benchmarks.targets import ours
from benchmarks.targets.apiserver import EVENTS

_NAME: Final = "neighbours"
_COLUMNS: Final = ("told of/s", "n", "p50 ms", "p99 ms", "worst ms", "outdated", "resident MB", "budget")
_LARGE: Final = 10
_A_SECOND: Final = 30.0
_RULES: Final = 60
_CONDITIONS: Final = 15
_FILLING: Final = f"context.b.startsWith('{'x' * 40}')"
_CHANGES: Final = 200
_QUICK_CHANGES: Final = 20
_OUTDATED: Final = "policy_outdated"
_POLL_SECONDS: Final = 0.001


def section(plan: Plan, servers: Servers) -> Section:
    """Measure without and beside the other tenant."""
    made = Section(f"A change in force beside {_LARGE} policies of 120 KB that are rewritten", _COLUMNS)
    server = ours.in_cluster(servers, workload.POLICIES_OF_AN_ENDPOINT, load_core=plan.cores.load, name=_NAME)
    asyncio.run(_measure(made, server, ours.stand_in(servers, _NAME), _QUICK_CHANGES if plan.quick else _CHANGES))
    return made


async def _measure(made: Section, server: Server, stand_in: str, amount: int) -> None:
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession() as decisions, aiohttp.ClientSession(stand_in, connector=connector) as events:
        tenant = _Tenant(decisions, events, server)
        for name, wanted in (("nobody rewrites", 0.0), ("another tenant rewrites", _A_SECOND)):
            tenant.outdated = 0
            async with _rewriting(events, wanted) as told:
                began, before = time.monotonic(), len(told)
                times = sorted([await tenant.change() for _ in range(amount)])
                rate = (len(told) - before) / (time.monotonic() - began)
            cells = (
                f"{rate:.1f}",
                str(len(times)),
                f"{1e3 * median(times):.1f}",
                f"{1e3 * quantiles(times, n=100, method='inclusive')[98]:.1f}",
                f"{1e3 * times[-1]:.1f}",
                str(tenant.outdated),
                f"{server.resident_megabytes():.0f}",
                "p99 < 1 s" if told else NONE,
            )
            made.rows.append(Row(name, cells, data={"s": times, "told": len(told), "outdated": tenant.outdated}))


class _Tenant:
    """The tenant who changes one policy, and asks until it is decided by."""

    def __init__(self, decisions: aiohttp.ClientSession, events: aiohttp.ClientSession, server: Server) -> None:
        self._decisions = decisions
        self._events = events
        self._request = workload.request(Place(0), READ[0])
        self._url = f"http://{HOST}:{server.port}{server.path(self._request)}"
        self._headers = {"Content-Type": "application/json", **server.headers(self._request)}
        self._generations: Iterator[int] = itertools.count(2)
        self.outdated = 0

    async def change(self) -> float:
        """Take the right to read away, or give it back; return the seconds until that is decided by."""
        generation = next(self._generations)
        changed = workload.policy(Place(0))
        if removed := generation % 2 == 0:
            changed["spec"]["rules"] = changed["spec"]["rules"][1:]
        changed["metadata"] |= {"generation": generation, "resourceVersion": f"{generation}"}
        began = time.monotonic()
        await _tell(self._events, "MODIFIED", changed)
        # Again and again: nothing tells of itself that it is decided by.
        while (said := await self._asked(self._request))["decision"] is removed:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        self.outdated += said["context"]["reason"] == _OUTDATED
        return time.monotonic() - began

    async def _asked(self, request: Request) -> dict[str, Any]:
        async with self._decisions.post(self._url, data=request.encoded(), headers=self._headers) as answer:
            said: dict[str, Any] = orjson.loads(await answer.read())
            return said


@asynccontextmanager
async def _rewriting(events: aiohttp.ClientSession, rate: float) -> AsyncIterator[list[int]]:
    """Tell of so many changes of large policies a second while the block runs. Yields a list of those told of."""
    told: list[int] = []
    if not rate:
        yield told
        return
    for number in range(_LARGE):
        await _tell(events, "ADDED", _large(number, 1))

    async def rewrite() -> None:
        due = time.monotonic()
        for version in itertools.count(2):
            await _tell(events, "MODIFIED", _large(version % _LARGE, version))
            told.append(version)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    task = asyncio.create_task(rewrite())
    try:
        yield told
    finally:
        task.cancel()


async def _tell(events: aiohttp.ClientSession, kind: str, changed: dict[str, Any]) -> None:
    async with events.post(EVENTS, data=orjson.dumps({"type": kind, "object": changed}) + b"\n") as answer:
        answer.raise_for_status()


def _large(number: int, version: int) -> dict[str, Any]:
    """Return a policy of an endpoint of its own, as large as the schema lets it be in this respect."""
    place = Place(1_000 + number)
    made = workload.policy(place)
    made["metadata"] |= {"namespace": "rewriting", "generation": version, "resourceVersion": f"{1_000 + version}"}
    spec = made["spec"]
    spec["endpoint"] = f"{ENDPOINT}-{number}"
    spec.setdefault("endpointSettings", {"enforcers": [{"namespace": "rewriting", "name": "gateway"}]})
    spec["rules"] = [
        {
            "name": f"r{at}",
            "effect": "Allow",
            "subjects": ["agent"],
            "actions": ["nothing.at.all"],
            "resources": [{"type": place.type, "ids": ["*"]}],
            "conditions": [
                {
                    "name": f"c{each}",
                    "expression": f"context.a{number}x{at}x{each} == 'v{version}' && {_FILLING}",
                }
                for each in range(_CONDITIONS)
            ],
        }
        for at in range(_RULES)
    ]
    return made
