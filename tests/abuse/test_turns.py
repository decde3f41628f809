"""AB-35: what takes long of one tenant, or of a stranger, is done in turns, so that an innocent tenant waits for none.

Each test is one flood, from a process of its own, on a real decision point; meanwhile another tenant's enforcement
point asks one call after the other.
"""

import time
from collections.abc import Iterator
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from demo.stack import DecisionPoint
from localcluster import process
from localcluster.machineload import stretch
from support.floods import Flood, Floods
from support.longwork import NAMED, batches, nested, searches
from support.pdp.fresh import Calls
from support.pdp.processes import Bailiwick
from support.pdp.tenant import RULES, Tenant, Tenants

pytestmark = pytest.mark.long

SECONDS: Final = 60.0
P99_SECONDS: Final = 0.1
"""Where each program has a processor. Without turns it was 0.56 to 1.8 s."""


@pytest.fixture(scope="module")
def point(pdp: Bailiwick) -> Iterator[DecisionPoint]:
    point = pdp.start_point()
    yield point
    process.stop([point.process.id])


@pytest.fixture(scope="module")
def tenants(pdp: Bailiwick, point: DecisionPoint) -> Iterator[Tenants]:
    tenants = pdp.tenants(point)
    yield tenants
    tenants.namespaces.clean()


@pytest.fixture(scope="module")
def heavy(tenants: Tenants) -> Tenant:
    """The tenant of the floods."""
    return tenants.make("heavy", rules=[*RULES, *NAMED])


def asked_steadily(tenant: Tenant, seconds: float) -> Calls:
    """Ask one call after the other, on one connection, and return how long each took."""
    calls, ends, body = Calls(), time.monotonic() + seconds, tenant.body("customers.list")
    with requests.Session() as session:
        while time.monotonic() < ends:
            began = time.monotonic()
            answer = session.post(
                tenant.url(), json=body, headers={"Authorization": f"Bearer {tenant.pep}"}, timeout=30
            )
            if answer.status_code == requests.codes.ok:
                assert answer.json()["decision"] is True
                calls.seconds.append(time.monotonic() - began)
            else:
                calls.failed[f"{answer.status_code}"] += 1
            time.sleep(0.005)
    return calls


def floods_of(what: str, point: DecisionPoint, heavy: Tenant) -> list[Flood]:
    """Return the floods of one case."""
    return {
        "batches": [batches(heavy)],
        "a hundred batches": [batches(heavy, 100)],
        "searches": [searches(heavy)],
        "a hundred searches": [searches(heavy, 100)],
        "nested bodies": [nested(point, 4)],
        "nested bodies of an account": [nested(point, 4, heavy.token("stranger", ENFORCER_AUDIENCE))],
        "all of it": [batches(heavy), searches(heavy), nested(point, 2)],
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "batches",
        "a hundred batches",
        "searches",
        "a hundred searches",
        "nested bodies",
        "nested bodies of an account",
        "all of it",
    ],
)
def test_ab_35_an_innocent_tenant_waits_for_no_flood_of_long_work(
    what: str, point: DecisionPoint, tenant: Tenant, heavy: Tenant
) -> None:
    # Before the flood: what that adds to the load is what must not delay anybody.
    shared = stretch()
    alone = asked_steadily(tenant, 2)
    with Floods(floods_of(what, point, heavy), SECONDS) as flood:
        time.sleep(1.5)
        calls = asked_steadily(tenant, 6)
    print(f"\n{what}: {calls}; alone: {alone}; the flood: {flood.counts}")  # noqa: T201 - figures, for whoever reads them
    assert calls.share == 1.0
    assert calls.quantile(0.99) < P99_SECONDS * shared
