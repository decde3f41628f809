"""A decision point that has not heard of an approval yet looks once before it denies, and no more often than it may."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from demo.stack import DecisionPoint
from support import faultkinds
from support.faultproxy import FaultProxy
from support.installation import accepted
from support.objects import gated_rule
from support.pdp import questions
from support.pdp.tenant import RULES, STEPS, Tenant, Tenants
from support.waits import until

pytestmark = pytest.mark.long

GRANT: Final = r"/approvalgrants/agr-[^/?]*$"
MANY: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}


@pytest.fixture(scope="module")
def tenant(both: Tenants) -> Tenant:
    shown = {"steps": STEPS, "limits": MANY, "presentation": "Token"}
    return both.make("lagging", [*RULES, gated_rule("token", actions=["customers.token"], approval=shown)])


@pytest.fixture
def lagging(faults: FaultProxy, behind: DecisionPoint) -> Iterator[FaultProxy]:
    """The first decision point hears nothing of what changes, while this is `silent`."""
    yield faults
    # What it missed it hears by a list.
    faults.silent = False
    faults.cut_watches()


def waiting(tenant: Tenant, action: str, resource: str) -> str:
    """Return a grant that every decision point knows as pending."""
    name = tenant.opened(action, resource)
    tenant.await_known(lambda said: said.reason == "approval_pending", action, resource)
    return name


def approved_unheard(tenant: Tenant, lagging: FaultProxy, action: str, resource: str) -> str:
    """Return a grant that is active, and that the first decision point knows as pending."""
    name = waiting(tenant, action, resource)
    lagging.silent = True
    tenant.approve(name)
    return name


@pytest.mark.parametrize("action", ["customers.export", "customers.notify"])
def test_a_call_right_after_the_approval_is_let_through(tenant: Tenant, lagging: FaultProxy, action: str) -> None:
    name = approved_unheard(tenant, lagging, action, "at-once")
    answer = tenant.ask(action, "at-once")
    assert (answer.decision, answer.reason, tenant.uses(name)) == (True, "allowed", 1)


def test_one_that_shows_an_approval_which_is_not_known_yet_is_let_through(tenant: Tenant, lagging: FaultProxy) -> None:
    # Known everywhere: the list that follows the watch cut before is over, and the next news would come by a watch.
    waiting(tenant, "customers.export", "heard")
    lagging.silent = True
    name = tenant.opened("customers.export", "unheard", point=1)
    tenant.approve(name)
    assert tenant.ask("customers.export", "unheard").reason == "approval_required"
    shown = {"id": f"{name}.{tenant.grant(name)['metadata']['uid']}"}
    answer = tenant.ask("customers.export", "unheard", approval=shown)
    assert (answer.decision, answer.reason, tenant.uses(name)) == (True, "allowed", 1)


def test_one_of_a_rule_that_wants_the_token_is_told_to_show_it(tenant: Tenant, lagging: FaultProxy) -> None:
    approved_unheard(tenant, lagging, "customers.token", "token")
    assert tenant.ask("customers.token", "token").reason == "approval_token_required"


def test_a_denial_is_told_as_one(tenant: Tenant, lagging: FaultProxy) -> None:
    name = waiting(tenant, "customers.export", "denied")
    lagging.silent = True
    accepted(tenant.review(name, decision="Deny"))
    until(lambda: tenant.phase(name) == "Denied", "it is denied")
    assert tenant.ask("customers.export", "denied").reason == "approval_denied"


def test_the_items_of_a_batch_are_let_through_and_each_grant_is_looked_at_once(
    tenant: Tenant, lagging: FaultProxy
) -> None:
    names = [waiting(tenant, "customers.notify", "batch-1"), waiting(tenant, "customers.export", "batch-2")]
    lagging.silent = True
    for name in names:
        tenant.approve(name)
    looks = lagging.on("GET", GRANT, faultkinds.pass_on, times=None)
    items = [
        {"action": {"name": action}, "resource": {"type": "customer", "id": resource}}
        for action, resource in [*[("customers.notify", "batch-1")] * 3, ("customers.export", "batch-2")]
    ]
    body = {**tenant.body("customers.list"), "evaluations": items}
    said = questions.post(tenant.url("evaluations"), body, tenant.pep)
    assert [one["decision"] for one in said.body["evaluations"]] == [True] * 4
    assert [tenant.uses(name) for name in names] == [3, 1]
    # One look at each, and one for each use.
    assert looks.seen == 2 + 4


def test_a_dry_run_never_looks(tenant: Tenant, lagging: FaultProxy) -> None:
    approved_unheard(tenant, lagging, "customers.export", "dry")
    looks = lagging.on("GET", GRANT, faultkinds.pass_on, times=None)
    for _ in range(5):
        assert tenant.ask_itself("customers.export", "dry").reason == "approval_pending"
    assert looks.seen == 0


def test_who_polls_a_pending_grant_reads_it_four_times_a_second_at_most(tenant: Tenant, lagging: FaultProxy) -> None:
    waiting(tenant, "customers.export", "polled")
    looks = lagging.on("GET", GRANT, faultkinds.pass_on, times=None)
    began = time.monotonic()

    def poll(_: int) -> int:
        count = 0
        while time.monotonic() < began + 2.0:
            assert tenant.ask("customers.export", "polled").reason == "approval_pending"
            count += 1
        return count

    with ThreadPoolExecutor(16) as pool:
        asked = sum(pool.map(poll, range(16)))
    took = time.monotonic() - began
    assert asked > looks.seen > 0
    assert looks.seen <= took / 0.25 + 2


def test_behind_an_api_server_that_hangs_a_pending_call_is_denied_in_time(tenant: Tenant, lagging: FaultProxy) -> None:
    name = waiting(tenant, "customers.export", "hangs")
    lagging.on("GET", GRANT, faultkinds.hang, times=None)
    for calls in (1, 5):
        began = time.monotonic()
        answers = [tenant.ask("customers.export", "hangs").reason for _ in range(calls)]
        assert answers == ["approval_pending"] * calls
        assert time.monotonic() - began < 2.5
    lagging.clear()
    lagging.silent = True
    tenant.approve(name)
    until(lambda: tenant.ask("customers.export", "hangs").reason == "allowed", "it looks again once it may", 5)
