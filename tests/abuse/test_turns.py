"""AB-35: what takes long of one tenant, or of a stranger, is done in turns, so that an innocent tenant waits for none.

Each test is one flood, from a process of its own, on a real decision point; meanwhile another tenant's enforcement
point asks one call after the other.
"""

import json
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import requests

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from demo.stack import DecisionPoint
from localcluster import process
from support.floods import Flood, Floods
from support.objects import Object, rule
from support.pdp.fresh import Calls
from support.pdp.processes import Bailiwick
from support.pdp.tenant import RULES, Tenant, Tenants

pytestmark = pytest.mark.long

ENFORCE: Final = "/admission/enforce"
ITEMS: Final = 100
AT_ONCE: Final = 20
SECONDS: Final = 60.0
P99_SECONDS: Final = 0.1
# Names that each search tries.
NAMED: Final[list[Object]] = [
    rule(
        f"of-{number}",
        actions=["customers.list", "customers.get"],
        resources=[{"type": "customer", "ids": [f"c-{number}-{one}" for one in range(50)]}],
    )
    for number in range(20)
]


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


def flood_of(tenant: Tenant, path: str, body: dict[str, Any], connections: int = AT_ONCE) -> Flood:
    url = urlsplit(tenant.url(path))
    return Flood(
        "storm", url.port or 0, connections, path=url.path, tokens=[tenant.pep], body=json.dumps(body), tls=False
    )


def batches(tenant: Tenant, connections: int = AT_ONCE) -> Flood:
    items = [{"resource": {"type": "customer", "id": f"{number}"}} for number in range(ITEMS)]
    body = {**tenant.body("customers.list"), "evaluations": items}
    return flood_of(tenant, "evaluations", body, connections)


def searches(tenant: Tenant, connections: int = AT_ONCE) -> Flood:
    body = tenant.body("customers.list")
    return flood_of(tenant, "search/resource", {**body, "resource": {"type": "customer"}}, connections)


def nested(point: DecisionPoint, connections: int, *tokens: str) -> Flood:
    """Return who sends what takes a parser longest: a review of a million lists. Without tokens they are strangers."""
    lists = "[" + "[[[[]]]]," * 350_000 + "0]"
    body = f'{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","object":{lists}}}}}'
    return Flood("storm", point.admission_port, connections, path=ENFORCE, body=body, tokens=tokens, tls=False)


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
    alone = asked_steadily(tenant, 2)
    with Floods(floods_of(what, point, heavy), SECONDS) as flood:
        time.sleep(1.5)
        calls = asked_steadily(tenant, 6)
    print(f"\n{what}: {calls}; alone: {alone}; the flood: {flood.counts}")  # noqa: T201 - figures, for whoever reads them
    assert calls.share == 1.0
    assert calls.quantile(0.99) < P99_SECONDS
