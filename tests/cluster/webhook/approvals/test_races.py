"""AB-13: of two hundred calls at once over three processes exactly as many use a grant as it allows, every time.

A normal run plays two races for each number of uses; RACES=20 plays twenty, and `-s` shows the figures:

RACES=20 pytest -s tests/cluster/webhook/approvals/test_races.py
"""

import asyncio
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import pytest

from localcluster import process
from support.objects import gated_rule
from support.pdp.processes import REPLICAS, Bailiwick
from support.pdp.tenant import RULES, STEPS, Tenant, Tenants
from support.waits import until

pytestmark = pytest.mark.long

RACERS: Final = 200
RACES: Final = int(os.environ.get("RACES", "2"))
USES: Final = (1, 2, 7)
# How many grants are prepared at once: fewer than may wait for their reviews.
AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class RaceAnswer:
    """What one racer was told, and after how many seconds."""

    decision: bool
    reason: str
    use: int | None
    seconds: float


@pytest.fixture(scope="module")
def tenants(pdp: Bailiwick) -> Iterator[Tenants]:
    """On decision points with patience: what an overloaded machine does not answer in time is denied, and spent."""
    points = [pdp.start_point("--api-timeout", "60") for _ in range(REPLICAS)]
    tenants = pdp.tenants(*points)
    yield tenants
    tenants.namespaces.clean()
    process.stop([point.process.id for point in points])


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    limits = {"pendingPerSubject": 50, "requestsPerHour": 1000}
    gates = [
        gated_rule(
            f"race-{uses}",
            actions=[f"customers.race-{uses}"],
            approval={"steps": STEPS, "maxUses": uses, "windowSeconds": 3600, "limits": limits},
        )
        for uses in USES
    ]
    return tenants.make("races", [RULES[0], *gates])


@pytest.mark.invariant(10)
@pytest.mark.timeout(120 + 20 * RACES)
@pytest.mark.parametrize("uses", USES, ids=[f"AB-13-{uses}" for uses in USES])
async def test_of_two_hundred_calls_at_once_over_three_processes_exactly_as_many_pass_as_are_approved(
    tenant: Tenant, uses: int
) -> None:
    action = f"customers.race-{uses}"
    resources = [f"race-{uses}-{number}" for number in range(RACES)]
    grants = _prepared(tenant, action, resources)
    took: list[float] = []
    told: Counter[str] = Counter()
    began = time.monotonic()
    for resource in resources:
        answers = await _race(tenant, action, resource)
        assert sorted(answer.use or 0 for answer in answers if answer.decision) == list(range(1, uses + 1))
        assert {answer.reason for answer in answers if not answer.decision} == {"approval_consumed"}
        took += [answer.seconds for answer in answers if answer.decision]
        told.update(answer.reason for answer in answers)
    seconds = time.monotonic() - began
    for name in grants:
        status = tenant.grant(name)["status"]
        assert (status["uses"], len({record["evaluationID"] for record in status["useRecords"]})) == (uses, uses)
    p50, p99 = statistics.median(took), max(took) if len(took) < 100 else statistics.quantiles(took, n=100)[-1]
    print(  # noqa: T201 - figures for who asks for them
        f"\nmaxUses {uses}: {RACES} races of {RACERS} calls over {REPLICAS} processes in {seconds:.1f} s: {dict(told)};"
        f" a consuming answer p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    )


def _prepared(tenant: Tenant, action: str, resources: Sequence[str]) -> list[str]:
    """Return grants that every decision point would let these calls use."""
    names: list[str] = []
    for start in range(0, len(resources), AT_ONCE):
        some = resources[start : start + AT_ONCE]
        opened = [tenant.opened(action, resource) for resource in some]
        for name in opened:
            assert tenant.review(name).ok
        for name in opened:
            until(lambda: tenant.phase(name) == "Active", f"{name} is active")  # noqa: B023 - asked at once
        for resource in some:
            tenant.await_known(lambda said: said.decision is True, action, resource)
        names += opened
    return names


async def _race(tenant: Tenant, action: str, resource: str) -> list[RaceAnswer]:
    body, headers = tenant.body(action, resource), {"Authorization": f"Bearer {tenant.pep}"}
    urls = [tenant.url(point=point) for point in range(REPLICAS)]

    async def run(session: aiohttp.ClientSession, racer: int) -> RaceAnswer:
        began = time.monotonic()
        async with session.post(urls[racer % REPLICAS], json=body, headers=headers) as response:
            said: dict[str, Any] = await response.json()
        context = said["context"]
        use = context["approval"]["uses"] if said["decision"] else None
        return RaceAnswer(said["decision"], context["reason"], use, time.monotonic() - began)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return await asyncio.gather(*(run(session, racer) for racer in range(RACERS)))
