"""A grant that cannot be written, or that never stands still, while a guard is changed: it alone is void, by name.

Holds: whoever makes such a grant has no more than a tenant has, but for the moment in which a guard is loose; nobody
else's approval waits for it, and it lets nobody through, whatever its own status says.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

import pytest
import requests

from abuse.approvals.test_guard import COUNTED, forge_review, forge_status
from bailiwick_api.manifests.guards import REVIEW, STATUS
from bailiwick_api.voidgrants import VoidGrant, VoidGrants
from localcluster.ports import free_ports
from localcluster.rest import Rest
from support.events import await_event
from support.guards.sabotage import Guards, record_path
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, gated_rule, grant
from support.pdp.processes import Bailiwick, await_ready
from support.pdp.tenant import RULES, STEPS, Tenant
from support.waits import until, until_ok

pytestmark = pytest.mark.long

MANY: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}
# Of one grant, so that it hardly ever stands still between a list and a write.
WRITERS: Final = 6


@pytest.fixture(scope="module")
def health_port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="module")
def ours(health_port: int) -> Iterator[Bailiwick]:
    """A control plane of this module alone; the operator proves often."""
    with ExitStack() as closing:
        ours = Bailiwick.begin(closing, replicas=1)
        ours.stop_operator()
        ours.operator = ours.stack.start_operator(
            "--proof-interval", "2", "--guard-settle", "0.5", f"--health-port={health_port}"
        )
        yield ours


def tenant_of(ours: Bailiwick, name: str) -> Tenant:
    approval = {"steps": STEPS, "maxUses": 5, "limits": MANY}
    return ours.tenants().make(name, [RULES[0], gated_rule("notify", actions=["customers.notify"], approval=approval)])


@pytest.fixture
def attacker(ours: Bailiwick, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    """A tenant of one test; what is void by name goes with it, since the next test counts."""
    tenant = tenant_of(ours, request.node.name)
    yield tenant
    ours.callers.admin.delete(f"/api/v1/namespaces/{tenant.namespace}")
    until(lambda: len(recorded(ours)) == 0, "nothing is void by name", 90)


@pytest.fixture(scope="module")
def honest(ours: Bailiwick) -> Tenant:
    return tenant_of(ours, "honest")


@pytest.fixture
def guards(ours: Bailiwick) -> Iterator[Guards]:
    await_ready(ours.points[0])
    guards = Guards(ours.callers, ours.installation)
    yield guards
    guards.restore()


def recorded(ours: Bailiwick) -> VoidGrants:
    """Return which grants are void by name."""
    data = accepted(ours.callers.admin.get(record_path(ours.installation)))["data"]
    found = VoidGrants.parse(data["void"])
    assert found is not None
    return found


def too_large(admin: Rest, body: Object) -> None:
    """Fill a grant with labels until the store takes no more of it."""
    count = 0
    for size in (1000, 100, 10, 1):
        while True:
            keys = [f"{'p' * 60}.x/{'k' * 50}{number:06}" for number in range(count, count + size)]
            labels = dict.fromkeys(keys, "v" * (63 if size > 1 else 1))
            answer = admin.patch(body, {"metadata": {"labels": labels}}, "merge")
            if not answer.ok:
                assert "too large" in answer.message, answer
                break
            count += size


def not_valid(ours: Bailiwick, guards: Guards, body: Object) -> None:
    """Let a grant have what its definition does not know, and take that back from the definition."""
    admin = ours.callers.admin
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/approvalgrants.bailiwick.dev"
    definition = accepted(admin.get(path))
    status = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    status["properties"]["counted"] = {"x-kubernetes-preserve-unknown-fields": True}
    status.pop("x-kubernetes-validations", None)
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].pop("x-kubernetes-validations", None)
    accepted(admin.replace(definition))
    change = {"status": {"counted": {"reviewer": "dave"}}}
    until_ok(lambda: admin.patch(body, change, "merge", "status"), "the definition lets it be stored")


def served(tenant: Tenant, resource: str) -> None:
    """Hold that an approval comes about and serves."""
    tenant.approved("customers.notify", resource)
    assert tenant.ask("customers.notify", resource).decision is True


def metric(port: int, name: str) -> float:
    lines = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


@pytest.mark.invariant(26, 27)
def test_one_that_is_too_large_to_be_written_is_void_by_name_and_serves_nobody(
    ours: Bailiwick, attacker: Tenant, honest: Tenant, guards: Guards, health_port: int
) -> None:
    name = attacker.opened("customers.notify", "forged")
    until(lambda: "status" in attacker.grant(name), "the operator has seen it")
    guards.loosen(REVIEW, STATUS)
    until(lambda: forge_review(attacker, name), "the guard lets a forged review through", 20)
    until(lambda: forge_status(attacker, name), "the guard lets a forged status through", 20)
    too_large(ours.callers.admin, attacker.grant(name))
    uid = attacker.grant(name)["metadata"]["uid"]
    guards.restore()
    guards.await_recorded()
    assert recorded(ours).grants == {uid: VoidGrant(attacker.namespace, name)}
    await_ready(ours.points[0])
    # Its status says that it is active, and nobody can take that back.
    assert (attacker.phase(name), attacker.grant(name)["status"]["counted"]) == ("Active", COUNTED)
    answer = attacker.ask("customers.notify", "forged")
    assert (answer.decision, answer.reason, attacker.uses(name)) == (False, "approval_unverifiable", 0)
    served(honest, "beside one that is too large")
    served(attacker, "of the same tenant")
    assert metric(health_port, "bailiwick_operator_grants_void_by_name") == 1
    await_event(
        ours.callers.admin, attacker.namespace, "GuardUnproven", lambda event: event["regarding"].get("uid") == uid
    )
    # Whoever makes room for its status, or removes it, is rid of it.
    accepted(ours.callers.admin.delete(f"/api/v1/namespaces/{attacker.namespace}"))
    until(lambda: ours.callers.admin.get(attacker.path_of(name)).status == 404, "it is gone", 60)
    until(lambda: len(recorded(ours)) == 0, "nothing is void by name", 90)


@pytest.mark.invariant(26, 27)
def test_one_that_is_no_longer_valid_is_void_by_name(
    ours: Bailiwick, attacker: Tenant, honest: Tenant, guards: Guards
) -> None:
    name = attacker.opened("customers.notify", "invalid")
    until(lambda: "status" in attacker.grant(name), "the operator has seen it")
    guards.loosen(STATUS)
    not_valid(ours, guards, attacker.grant(name))
    guards.restore()
    guards.await_recorded()
    await_ready(ours.points[0])
    assert attacker.ask("customers.notify", "invalid").decision is False
    served(honest, "beside one that is no longer valid")


@pytest.mark.invariant(26, 27)
def test_one_that_never_stands_still_holds_nobody_up(
    ours: Bailiwick, attacker: Tenant, honest: Tenant, guards: Guards
) -> None:
    Roles(ours.callers.admin, attacker.namespace).bind("bailiwick-request", "mallory")
    mallory = ours.callers("mallory")
    written = [accepted(mallory.create(by_hand(attacker, f"moving-{number}"))) for number in range(2)]
    stop = threading.Event()

    def move(body: Object) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            number = threading.get_ident()
            mallory.patch(body, {"metadata": {"annotations": {"count": f"{number} {count}"}}}, "merge")

    threads = [threading.Thread(target=partial(move, body)) for body in written for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        guards.loosen(REVIEW)
        guards.restore()
        guards.await_recorded()
        await_ready(ours.points[0])
        served(honest, "beside some that move")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    names = {body["metadata"]["name"] for body in written}
    until(lambda: all(attacker.phase(name) == "Expired" for name in names), "they are void", 90)


def by_hand(tenant: Tenant, name: str) -> Object:
    return grant(
        tenant.namespace,
        name,
        requester="mallory",
        rules=[{"policy": "crm-agent", "rule": "notify"}],
        subject={"type": "serviceAccount", "id": tenant.agent},
    )
