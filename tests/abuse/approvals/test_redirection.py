"""Somebody sends the API group of grants to a server of theirs, forges a grant there, and puts everything back.

Holds: the attacker is the administrator, and changes no guard and no definition. From the change on the decision point
lets no call through by a grant (`approval_unverifiable`), whatever the other server answers; what was put back counts
again only after an operator has proven it anew.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.accounts import GUARD_CONFIG_MAP
from demo.stack import DecisionPoint
from localcluster.process import stop
from support.faultproxy import FaultProxy
from support.guards.redirection import OtherServer, Routes
from support.installation import accepted
from support.objects import Object, active_status
from support.pdp.oftenproven import often_proven, start_operator
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import OWNERS, RULES, Tenant
from support.waits import until

# By these are read the guards, what they are the guards of, who asks, and which API servers there are.
DECIDING: Final = (
    "v1.admissionregistration.k8s.io",
    "v1.apiextensions.k8s.io",
    "v1.authentication.k8s.io",
    "v1.discovery.k8s.io",
)


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """A control plane of this module alone, whose groups its tests redirect; the operator proves often."""
    with often_proven() as ours:
        yield ours


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    return ours.tenants().make("redirected", list(RULES))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[OtherServer]:
    with OtherServer(tmp_path) as server:
        yield server


@pytest.fixture
def routes(ours: Bailiwick, tenant: Tenant) -> Iterator[Routes]:
    """The APIServices; afterwards they are the API server's own, and proven."""
    await_ready(point_of(ours))
    routes = Routes(ours.callers.admin)
    yield routes
    routes.make_anew()
    routes.make_anew("v1beta1.bailiwick.dev")
    await_ready(point_of(ours))


def point_of(ours: Bailiwick) -> DecisionPoint:
    return ours.points[0]


def proven(ours: Bailiwick) -> bool:
    found: bool = readiness(point_of(ours))[1]["guard"]["proven"]
    return found


def phase_answered(ours: Bailiwick, path: str) -> object:
    """Return the phase of a grant as the API server answers it now, if it answers with a grant.

    While it turns to another server it answers for a moment with an error, which has no phase, or with its own grant,
    to which no operator has come yet.
    """
    status = ours.callers.admin.get(path).body.get("status")
    return status.get("phase") if isinstance(status, dict) else None


def forged(tenant: Tenant, name: str) -> Object:
    """Return a grant as it is stored, but reviewed and active."""
    grant = copy.deepcopy(tenant.grant(name))
    request = grant["spec"]["request"]
    entry = {"reviewer": "dave", "step": request["steps"][0]["name"], "group": OWNERS, "decision": "Approve"}
    grant["spec"]["reviews"] = [{**entry, "binding": request["binding"]["digest"]}]
    grant["metadata"]["resourceVersion"] = str(int(grant["metadata"]["resourceVersion"]) + 1)
    grant["metadata"]["generation"] = 2
    return {**grant, "status": active_status(phase="Active", counted=[{"reviewer": "dave"}])}


@pytest.mark.invariant(26, 27)
def test_a_grant_that_another_server_answers_for_lets_nobody_through(
    ours: Bailiwick, tenant: Tenant, routes: Routes, elsewhere: OtherServer
) -> None:
    tenant.approved("customers.notify", "honest")
    name = tenant.opened("customers.export", "forged")
    path = tenant.path_of(name)
    elsewhere.objects[path] = forged(tenant, name)
    routes.redirect(elsewhere.port)
    until(lambda: phase_answered(ours, path) == "Active", "the group is answered elsewhere")
    answer = tenant.ask("customers.export", "forged")
    assert (answer.decision, answer.reason) == (False, "approval_unverifiable")
    assert tenant.ask("customers.notify", "honest").reason == "approval_unverifiable"
    assert tenant.ask("customers.list").decision is True
    why = readiness(point_of(ours))[1]["guard"]
    assert (why["proven"], "v1alpha1.bailiwick.dev sends the group to another server" in why["why"]) == (False, True)
    routes.put_back()
    until(lambda: tenant.phase(name) != "Active", "the group is served here again")
    until(lambda: proven(ours), "the operator has proven it anew", 30)
    assert tenant.ask("customers.export", "forged").decision is False
    assert tenant.uses(name) == 0


@pytest.mark.invariant(26)
def test_a_decision_point_that_has_not_yet_heard_of_it_uses_no_grant_of_another_server(
    ours: Bailiwick, tenant: Tenant, routes: Routes, elsewhere: OtherServer, tmp_path: Path
) -> None:
    with FaultProxy(ours.cluster, tmp_path) as proxy:
        point = ours.start_point(proxy=proxy)
        try:
            late = Tenant(tenant.cluster, tenant.callers, tenant.namespace, [point.url])
            name = tenant.opened("customers.export", "late")
            late.await_known(lambda said: said.reason == "approval_pending", "customers.export", "late")
            elsewhere.objects[tenant.path_of(name)] = forged(tenant, name)
            # Nothing that the API server says of the change comes through.
            proxy.silent = True
            routes.redirect(elsewhere.port)
            until(lambda: phase_answered(ours, tenant.path_of(name)) == "Active", "it is answered there")
            answer = late.ask("customers.export", "late")
            assert (answer.decision, answer.reason) == (False, "approval_unverifiable")
            assert readiness(point)[1]["guard"]["proven"] is True
        finally:
            stop([point.process.id])


@pytest.mark.invariant(27)
def test_a_group_that_was_redirected_and_put_back_while_no_operator_looked_is_not_proven_by_the_old_record(
    ours: Bailiwick, tenant: Tenant, routes: Routes, elsewhere: OtherServer
) -> None:
    tenant.approved("customers.notify", "before")
    ours.stop_operator()
    routes.redirect(elsewhere.port)
    until(lambda: not proven(ours), "the decision point misses the group", 5)
    routes.put_back()
    until(lambda: "changed since" in readiness(point_of(ours))[1]["guard"]["why"], "it is another one now", 5)
    until(lambda: ours.callers.admin.get(tenant.path_of("x")).reason == "NotFound", "the group is served here again")
    assert tenant.ask("customers.notify", "before").reason == "approval_unverifiable"
    start_operator(ours)
    until(lambda: proven(ours), "the operator has proven it anew", 30)
    tenant.approved("customers.notify", "after")


@pytest.mark.invariant(26)
def test_another_version_of_the_group_that_is_answered_elsewhere_lets_no_grant_be_used(
    ours: Bailiwick, tenant: Tenant, routes: Routes, elsewhere: OtherServer
) -> None:
    """People read grants in the version that the group prefers, and approve what they read."""
    tenant.approved("customers.notify", "version")
    routes.redirect(elsewhere.port, "v1beta1.bailiwick.dev")
    until(lambda: not proven(ours), "the decision point misses the group", 5)
    assert tenant.ask("customers.notify", "version").reason == "approval_unverifiable"
    routes.make_anew("v1beta1.bailiwick.dev")
    until(lambda: proven(ours), "it is proven as before", 10)
    assert tenant.ask("customers.notify", "version").decision is True


@pytest.mark.invariant(26)
@pytest.mark.parametrize("name", DECIDING)
def test_a_group_by_which_grants_are_judged_and_that_is_answered_elsewhere_lets_no_grant_be_used(
    ours: Bailiwick, tenant: Tenant, routes: Routes, elsewhere: OtherServer, name: str
) -> None:
    tenant.approved("customers.notify", name)
    routes.redirect(elsewhere.port, name)
    try:
        until(lambda: not proven(ours), "the decision point misses the group", 5)
        assert f"{name} sends the group to another server" in readiness(point_of(ours))[1]["guard"]["why"]
        assert tenant.ask("customers.notify", name).decision is False
    finally:
        routes.put_back(name)
    until(lambda: proven(ours), "the operator has proven it anew", 30)
    tenant.approved("customers.notify", f"{name}-again")


@pytest.mark.invariant(26)
def test_apiservices_that_cannot_be_read_prove_nothing(ours: Bailiwick, tenant: Tenant, routes: Routes) -> None:
    admin, role = (
        ours.callers.admin,
        f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{ours.installation.operator_name}",
    )
    stored = accepted(admin.get(role))
    without = [rule for rule in stored["rules"] if rule.get("apiGroups") != ["apiregistration.k8s.io"]]
    record = f"/api/v1/namespaces/{ours.installation.namespace}/configmaps/{GUARD_CONFIG_MAP}"
    accepted(admin.patch(role, {"rules": without}, "merge"))
    try:
        until(lambda: "APIServices cannot be read" in ours.operator.log.read_text(), "the operator says so", 20)  # type: ignore[union-attr]  # it runs
        before = accepted(admin.get(record))["metadata"]["resourceVersion"]
        name = tenant.opened("customers.export", "unread")
        accepted(tenant.review(name))
        assert accepted(admin.get(record))["metadata"]["resourceVersion"] == before
        assert tenant.phase(name) == "Pending"
    finally:
        accepted(admin.patch(role, {"rules": stored["rules"]}, "merge"))
    until(lambda: tenant.phase(name) == "Active", "the review counts once it can be proven", 30)
