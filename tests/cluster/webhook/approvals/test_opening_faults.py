"""What goes wrong while a grant is opened: the caller learns it, and no second grant of the same request appears."""

import time
from typing import Final

import pytest

from demo.stack import DecisionPoint
from support import faultkinds
from support.faultproxy import FaultProxy
from support.installation import accepted
from support.pdp.processes import API_SECONDS, readiness
from support.pdp.questions import Said
from support.pdp.tenant import Tenant, Tenants
from support.waits import until

pytestmark = pytest.mark.long

GRANTS: Final = r"/approvalgrants$"
GRANT: Final = r"/approvalgrants/agr-[^/?]*$"
# Who deletes grants, but for the operator.
NAMESPACE_CONTROLLER: Final = "system:serviceaccount:kube-system:namespace-controller"


@pytest.fixture(scope="module")
def tenant(both: Tenants) -> Tenant:
    return both.make("opening-faults")


@pytest.mark.parametrize("code", [401, 429, 500, 503])
def test_an_api_server_that_cannot_makes_the_request_unavailable(tenant: Tenant, faults: FaultProxy, code: int) -> None:
    before = len(tenant.grants())
    faults.on("POST", GRANTS, faultkinds.status(code))
    answer = tenant.submit("customers.export", f"cannot-{code}")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert len(tenant.grants()) == before
    assert tenant.submit("customers.export", f"cannot-{code}").status == 202


def test_an_api_server_that_hangs_makes_the_request_unavailable_in_time(tenant: Tenant, faults: FaultProxy) -> None:
    faults.on("POST", GRANTS, faultkinds.hang)
    began = time.monotonic()
    assert tenant.submit("customers.export", "hangs").status == 503
    assert time.monotonic() - began < API_SECONDS + 5


@pytest.mark.invariant(12)
@pytest.mark.parametrize("seconds", [-600.0, -40.0, 40.0, 600.0])
def test_ab_11_a_decision_point_whose_clock_is_off_opens_nothing(
    tenant: Tenant, faults: FaultProxy, behind: DecisionPoint, seconds: float
) -> None:
    before = len(tenant.grants())
    # Writes of the process's own too: an answer that tells the right time says that the clocks agree.
    for method in ("GET", "POST", "PUT", "PATCH"):
        faults.on(method, "", faultkinds.skew(seconds), times=None)
    answer = tenant.submit("customers.export", f"skewed{seconds}")
    assert (answer.status, len(tenant.grants())) == (400, before)
    assert "clocks of the decision point and the API server" in answer.body["detail"]
    told = readiness(behind)[1]["clock"]
    # The API server is ahead of us where its answers are.
    way = "behind" if seconds > 0 else "ahead of"
    assert (told["agrees"], f"{way} the API server's clock" in told["why"]) == (False, True)
    faults.clear()
    # What is heard next is right, and nothing has to be started again.
    assert tenant.submit("customers.export", f"skewed{seconds}").status == 202
    assert readiness(behind)[1]["clock"] == {"agrees": True, "why": ""}


@pytest.mark.parametrize("code", [403, 422])
def test_a_refusal_of_the_api_server_is_told_and_opens_nothing(tenant: Tenant, faults: FaultProxy, code: int) -> None:
    faults.on("POST", GRANTS, faultkinds.status(code, "not like this"))
    answer = tenant.submit("customers.export", f"refused-{code}")
    assert (answer.status, answer.reason) == (400, "approval_required")
    assert "not like this" in answer.body["detail"]


def test_a_grant_whose_answer_was_lost_is_joined_by_the_next_request(tenant: Tenant, faults: FaultProxy) -> None:
    before = len(tenant.grants())
    faults.on("POST", GRANTS, faultkinds.lose_answer)
    assert tenant.submit("customers.export", "lost").status == 503
    assert [tenant.submit("customers.export", "lost", point=point).status for point in (0, 1)] == [202, 202]
    assert len(tenant.grants()) == before + 1


def test_a_name_that_is_taken_and_never_found_is_given_up(tenant: Tenant, faults: FaultProxy) -> None:
    creates = faults.on("POST", GRANTS, faultkinds.status(409), times=None)
    faults.on("GET", GRANT, faultkinds.status(404), times=None)
    assert tenant.submit("customers.export", "never-found").status == 400
    assert creates.seen == 50


def _submitted_unknown(
    tenant: Tenant, faults: FaultProxy, resource: str, path: str, value: object
) -> tuple[str, str, Said]:
    """Submit what the store does not know, so that it finds the grant by its name; returns resource and name too."""
    for attempt in range(5):
        faults.silent = True
        name = tenant.opened("customers.export", f"{resource}-{attempt}", point=1)
        altered = faults.on("GET", GRANT, faultkinds.altered({path: value}), times=None)
        creates = faults.on("POST", GRANTS, faultkinds.pass_on)
        answer = tenant.submit("customers.export", f"{resource}-{attempt}")
        altered.times = altered.seen
        if creates.seen:
            return f"{resource}-{attempt}", name, answer
        # It listed at that very moment, having given up a watch that an earlier test had silenced, and knows it: then
        # it reads the grant only to see whether it still waits.
        assert answer.status == 202
        faults.clear()
    pytest.fail("the store knew the grant each time")


@pytest.mark.invariant(8, 19)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.request.resource.id", "another"),
        ("spec.request.binding.digest", "sha256:" + "b" * 64),
        ("spec.request.subject.uid", "another"),
        ("spec.request.rules", []),
        ("spec.request.steps", []),
        ("spec", {}),
    ],
    ids=["resource", "digest", "subject", "rules", "steps", "unreadable"],
)
def test_a_name_that_is_taken_by_another_request_is_not_joined(
    tenant: Tenant, faults: FaultProxy, request: pytest.FixtureRequest, path: str, value: object
) -> None:
    resource, name, answer = _submitted_unknown(tenant, faults, f"taken-{request.node.callspec.id}", path, value)
    assert (answer.status, answer.reason) == (400, "approval_required")
    assert answer.body["detail"].startswith(f"approvalgrant {name} exists but ")
    # Untouched, it is the very grant.
    assert tenant.opened("customers.export", resource) == name
    faults.cut_watches()


@pytest.mark.invariant(19)
def test_a_pending_request_is_joined_though_the_grant_before_it_is_deleted(tenant: Tenant) -> None:
    first = tenant.approved("customers.export", "retention")
    assert tenant.ask("customers.export", "retention").decision is True
    second = tenant.opened("customers.export", "retention")
    assert second != first
    accepted(tenant.callers(NAMESPACE_CONTROLLER).delete(tenant.path_of(first)))
    tenant.await_known(lambda said: said.reason == "approval_pending", "customers.export", "retention")
    time.sleep(0.3)
    assert {tenant.opened("customers.export", "retention", point=point) for point in (0, 1)} == {second}


@pytest.mark.invariant(13)
def test_a_denial_that_the_store_has_not_heard_of_is_final_all_the_same(tenant: Tenant, faults: FaultProxy) -> None:
    name = tenant.opened("customers.export", "unheard")
    tenant.await_known(lambda said: said.reason == "approval_pending", "customers.export", "unheard")
    faults.silent = True
    assert tenant.review(name, decision="Deny").ok
    until(lambda: tenant.phase(name) == "Denied", "the grant is denied")
    # A dry run answers from what the store has heard of.
    assert tenant.ask_itself("customers.export", "unheard").reason == "approval_pending"
    assert tenant.ask("customers.export", "unheard").reason == "approval_denied"
    answer = tenant.submit("customers.export", "unheard")
    assert (answer.status, answer.body["detail"]) == (400, "A reviewer denied this call.")
    faults.cut_watches()


def test_ab_18_a_grant_that_the_store_still_knows_and_that_is_deleted_serves_nobody(
    tenant: Tenant, faults: FaultProxy
) -> None:
    name = tenant.approved("customers.export", "ghost")
    faults.silent = True
    accepted(tenant.callers(NAMESPACE_CONTROLLER).delete(tenant.path_of(name)))
    answer = tenant.ask("customers.export", "ghost")
    assert (answer.decision, answer.reason) == (False, "approval_required")
    faults.cut_watches()
