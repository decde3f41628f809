"""The API server is away, hangs, or runs without our guards: grants are refused, the rest goes on, and it recovers."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.manifests import generate, guards
from demo.stack import DecisionPoint
from localcluster.controlplane import ControlPlane
from support.installation import accepted, apply
from support.pdp import questions
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import Tenant
from support.waits import until, until_ok

pytestmark = pytest.mark.long

STALE_AFTER: Final = 13.0
API_SECONDS: Final = 1.0
# For so long an answer about a token is taken as just given.
FRESH_SECONDS: Final = 10.0
AT: Final = "2026-01-01T00:00:00Z"
BINDINGS: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """A control plane of this module alone: its tests break it."""
    with ExitStack() as closing:
        yield Bailiwick.begin(closing, replicas=1)


@pytest.fixture(scope="module")
def plane(ours: Bailiwick) -> ControlPlane:
    assert ours.plane is not None
    return ours.plane


@pytest.fixture(scope="module")
def point(ours: Bailiwick) -> DecisionPoint:
    """A decision point that notices an outage within seconds."""
    return ours.start_point(
        *("--max-staleness", f"{STALE_AFTER}", "--relist-interval", "3", "--api-timeout", f"{API_SECONDS}")
    )


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick, point: DecisionPoint) -> Tenant:
    return ours.tenants(point).make("outages")


@pytest.mark.invariant(26)
def test_without_an_api_server_grants_are_refused_and_the_rest_goes_on_until_it_is_back(
    ours: Bailiwick, plane: ControlPlane, point: DecisionPoint, tenant: Tenant
) -> None:
    await_ready(point)
    name = tenant.approved("customers.notify", "stopped")
    fresh = tenant.cluster.service_account_token(tenant.namespace, "api", [ENFORCER_AUDIENCE], 3000)
    evidence = tenant.cluster.service_account_token(tenant.namespace, "agent", [tenant.audience], 3000)
    ours.stop_operator()
    # New tokens, confirmed just now: the last word about them is as old as the outage.
    tenant.tokens.clear()
    assert tenant.ask("customers.list").decision is True
    began = time.monotonic()
    plane.stop_apiserver(grace=0)
    try:
        # The store knows a grant that would serve, and nobody says that it still does.
        answer = tenant.ask("customers.notify", "stopped")
        assert (answer.decision, answer.reason) == (False, "approval_unverifiable")
        assert tenant.ask("customers.list").decision is True
        # Tokens that nobody has confirmed yet prove nothing, of the caller as of the subject.
        body = questions.evaluation(tenant.agent, "customers.list", token=evidence)
        assert questions.post(tenant.url(), body, tenant.pep).reason == "identity_unverifiable"
        unknown = questions.post(tenant.url(), body, fresh)
        assert (unknown.status, unknown.headers["Retry-After"]) == (503, "5")
        assert tenant.submit("customers.export", "stopped").status == 503
        # Now the answers about known tokens are old, too: good enough for a rule, not for a grant.
        time.sleep(max(0.0, began + FRESH_SECONDS + 0.5 - time.monotonic()))
        assert tenant.ask("customers.list").decision is True
        assert tenant.ask("customers.notify", "stopped").reason == "store_stale"
        until(lambda: readiness(point)[0] == 503, "the decision point says that it is stale", STALE_AFTER)
        assert readiness(point)[1]["checks"] == {"synced": True, "fresh": False, "serving": True}
        # And now the last word about the caller itself is too old.
        until(lambda: tenant.ask("customers.list").status == 503, "nobody is known any more", STALE_AFTER)
    finally:
        plane.start_apiserver()
        ours.start_operator()
    await_ready(point)
    until(lambda: tenant.ask("customers.notify", "stopped").decision, "grants are used again", 20)
    assert tenant.uses(name) == 1


@pytest.mark.invariant(26)
def test_with_an_api_server_that_hangs_a_grant_is_refused_in_time_and_serves_once_it_goes_on(
    ours: Bailiwick, plane: ControlPlane, point: DecisionPoint, tenant: Tenant
) -> None:
    await_ready(point)
    name = tenant.approved("customers.notify", "paused")
    ours.stop_operator()
    tenant.tokens.clear()
    assert tenant.ask("customers.list").decision is True
    plane.pause()
    try:
        began = time.monotonic()
        answer = tenant.ask("customers.notify", "paused")
        assert (answer.decision, answer.reason) == (False, "approval_unverifiable")
        assert time.monotonic() - began < API_SECONDS + 2
        assert tenant.ask("customers.list").decision is True
        until(lambda: readiness(point)[0] == 503, "the decision point says that it is stale", STALE_AFTER + 2)
    finally:
        plane.resume()
        ours.start_operator()
    await_ready(point)
    until(lambda: tenant.ask("customers.notify", "paused").decision, "grants are used again", 20)
    assert tenant.uses(name) == 1


@pytest.mark.invariant(26, 27)
def test_without_its_guards_nothing_becomes_active_and_no_grant_is_accepted(
    ours: Bailiwick, point: DecisionPoint, tenant: Tenant
) -> None:
    await_ready(point)
    before = tenant.approved("customers.notify", "before-the-guards-went")
    waiting = tenant.opened("customers.export", "while-they-are-gone")
    binding = accepted(ours.callers.admin.get(f"{BINDINGS}/{guards.STATUS}"))
    accepted(ours.callers.admin.delete(f"{BINDINGS}/{guards.STATUS}"))
    until(lambda: not readiness(point)[1]["guard"]["proven"], "the guard is missed", 5)
    try:
        answer = tenant.ask("customers.notify", "before-the-guards-went")
        assert (answer.decision, answer.reason) == (False, "approval_unverifiable")
        assert tenant.ask("customers.list").decision is True
        assert readiness(point)[0] == 200
        assert f"{guards.STATUS} is missing" in readiness(point)[1]["guard"]["why"]
        # A proof may have come since it became active, and covered it. What is written now, no proof covers.
        touched = {"type": "Touched", "status": "True", "reason": "Touched", "message": "", "lastTransitionTime": AT}
        added = [{"op": "add", "path": "/status/conditions/-", "value": touched}]
        admin = ours.callers.admin
        # The API server still enforces the binding for a moment.
        until_ok(lambda: admin.patch(tenant.grant(before), added, "json", "status"), "the guard is gone", 10)
        # A review is written while anybody could have forged it: it never counts.
        accepted(tenant.review(waiting))
        # Nor does what anybody may now write: an active grant that nobody approved.
        forged = tenant.submit("customers.export", "forged")
        assert forged.status == 400
        time.sleep(2)
        assert tenant.phase(waiting) != "Active"
        assert tenant.uses(before) == 0
    finally:
        documents = [document for file in generate.manifests(ours.installation).values() for document in file]
        apply(ours.callers.admin, [document for document in documents if document["kind"] == binding["kind"]])
    until(lambda: readiness(point)[1]["guard"]["proven"], "the guard is proven anew", 30)
    # What nobody can vouch for is void for good; what is asked for from now on is not.
    until(lambda: {tenant.phase(before), tenant.phase(waiting)} == {"Lapsed", "Expired"}, "both grants are void", 10)
    assert tenant.ask("customers.notify", "before-the-guards-went").decision is False
    assert tenant.ask("customers.export", "while-they-are-gone").decision is False
    tenant.approved("customers.notify", "after")
    assert tenant.ask("customers.notify", "after").decision is True
