"""Somebody reaches grants past their guards through CustomResourceDefinitions, and puts everything back.

Holds: the attacker is an administrator, and changes no spec of a definition of ours. The guard of definitions refuses
each first step, so it is lifted; where the tests do not say otherwise, it is back before anything is written. From the
change on the decision point lets no call through by a grant; what was written meanwhile is void once the operator has
proven the guards anew. On an API server that keeps the guards, no step of it is taken at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from bailiwick_api.manifests.definitionguard import DEFINITIONS
from bailiwick_api.manifests.guards import REVIEW, STATUS_UNCHANGED
from demo.stack import DecisionPoint
from support.guards.definitions import Definitions
from support.guards.sabotage import Guards
from support.installation import accepted
from support.objects import Object, active_status, later
from support.pdp.oftenproven import often_proven, start_operator
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import RULES, Tenant
from support.waits import until


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """A control plane of this module alone, whose definitions its tests bend; the operator proves often."""
    with often_proven() as ours:
        yield ours


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    return ours.tenants().make("definitions", list(RULES))


@pytest.fixture
def guards(ours: Bailiwick) -> Guards:
    return Guards(ours.callers, ours.installation)


@pytest.fixture
def definitions(ours: Bailiwick, tenant: Tenant, guards: Guards) -> Iterator[Definitions]:
    """The definitions; afterwards they are ours alone, guarded and proven."""
    await_ready(point_of(ours))
    definitions = Definitions(ours.callers.admin)
    yield definitions
    definitions.remove_others()
    guards.restore()
    start_operator(ours)
    guards.await_recorded()
    await_ready(point_of(ours))


@contextmanager
def unguarded(guards: Guards, definitions: Definitions) -> Iterator[None]:
    """Lift the guard of definitions for a while."""
    guards.loosen(DEFINITIONS)
    definitions.await_unguarded()
    yield
    # In force a moment later. None can be asked for its refusal while grants have another name.
    guards.put_back()


def point_of(ours: Bailiwick) -> DecisionPoint:
    return ours.points[0]


def proven(ours: Bailiwick) -> bool:
    found: bool = readiness(point_of(ours))[1]["guard"]["proven"]
    return found


def doubt(point: DecisionPoint) -> str:
    """Return why a decision point takes the guards for unproven; empty while it starts."""
    try:
        return str(readiness(point)[1]["guard"]["why"])
    except requests.ConnectionError:
        return ""


def used_up(tenant: Tenant, resource: str) -> str:
    """Return a grant that has allowed its one call."""
    name = tenant.approved("customers.export", resource)
    assert tenant.ask("customers.export", resource).decision is True
    until(lambda: tenant.phase(name) == "Consumed", "it is used up")
    return name


def unused() -> Object:
    """Return a merge patch that makes a used grant as good as new."""
    times = {"notAfterTime": later(minutes=5)}
    return {"status": {**active_status(phase="Active"), **times, "uses": None, "useRecords": None}}


@pytest.mark.invariant(18)
def test_a_second_definition_makes_no_used_grant_active_again(
    ours: Bailiwick, tenant: Tenant, definitions: Definitions, guards: Guards
) -> None:
    name = used_up(tenant, "again")
    with unguarded(guards, definitions):
        definitions.reach_grants()
    path = definitions.second_path(tenant.namespace, name)
    answer = ours.callers.admin.patch(path, unused(), "merge")
    assert f"ValidatingAdmissionPolicy '{REVIEW}'" in answer.message
    assert STATUS_UNCHANGED in answer.message
    assert tenant.ask("customers.export", "again").decision is False
    assert tenant.phase(name) == "Consumed"


@pytest.mark.invariant(6)
def test_a_second_definition_writes_no_number_of_a_grant_by_its_scale(
    ours: Bailiwick, tenant: Tenant, definitions: Definitions, guards: Guards
) -> None:
    name = tenant.approved("customers.export", "scaled")
    replicas = {"specReplicasPath": ".spec.request.maxUses", "statusReplicasPath": ".status.uses"}
    with unguarded(guards, definitions):
        definitions.reach_grants(subresources={"scale": replicas})
    path = definitions.second_path(tenant.namespace, name)
    answer = ours.callers.admin.patch(f"{path}/scale", {"spec": {"replicas": 9}}, "merge")
    assert "only Bailiwick can write the status" in answer.message
    assert tenant.grant(name)["spec"]["request"]["maxUses"] == 1


@pytest.mark.invariant(26, 27)
def test_a_second_definition_lets_no_grant_be_used_and_what_came_meanwhile_is_void(
    ours: Bailiwick, tenant: Tenant, definitions: Definitions, guards: Guards
) -> None:
    tenant.approved("customers.notify", "before")
    until(lambda: tenant.ask("customers.notify", "before").decision, "it serves")
    meanwhile = tenant.opened("customers.export", "meanwhile")
    with unguarded(guards, definitions):
        definitions.reach_grants()
    until(lambda: not proven(ours), "the decision point misses the guard", 5)
    assert tenant.ask("customers.notify", "before").decision is False
    assert "evils.bailiwick.dev is not Bailiwick's" in readiness(point_of(ours))[1]["guard"]["why"]
    assert ours.operator is not None
    log = ours.operator.log
    until(lambda: "Delete each CustomResourceDefinition that is named here" in log.read_text(), "the operator says so")
    accepted(tenant.review(meanwhile))
    definitions.remove_others()
    until(lambda: tenant.phase(meanwhile) == "Expired", "what came meanwhile is void", 30)
    until(lambda: proven(ours), "the guards are proven anew", 30)


@pytest.mark.invariant(26, 27)
@pytest.mark.parametrize("operator", ["running", "stopped"])
def test_a_grant_that_is_forged_while_grants_have_another_name_lets_nobody_through(
    ours: Bailiwick, tenant: Tenant, definitions: Definitions, guards: Guards, operator: str
) -> None:
    admin = ours.callers.admin
    name = tenant.opened("customers.export", f"renamed, {operator}")
    template = tenant.grant(name)
    if operator == "stopped":
        ours.stop_operator()
    with unguarded(guards, definitions):
        definitions.keep_grants_renamed()
    until(lambda: not proven(ours), "the decision point misses the guard", 5)
    forged = {
        **{key: template[key] for key in ("apiVersion", "kind", "spec")},
        "metadata": {"namespace": tenant.namespace, "name": f"{name}-forged", "labels": template["metadata"]["labels"]},
    }
    until(lambda: admin.create(forged).status in {201, 409}, "no guard looks at it", 30)
    change = {"status": active_status(phase="Active", counted=[{"reviewer": "dave"}])}
    accepted(admin.patch(tenant.path_of(f"{name}-forged"), change, "merge", "status"))
    assert tenant.ask("customers.export", f"renamed, {operator}").decision is False
    definitions.remove_others()
    assert tenant.ask("customers.export", f"renamed, {operator}").decision is False
    if operator == "stopped":
        start_operator(ours)
    Guards(ours.callers, ours.installation).await_recorded()
    await_ready(point_of(ours))
    assert tenant.ask("customers.export", f"renamed, {operator}").decision is False


@pytest.mark.invariant(27)
@pytest.mark.parametrize("how", ["other names", "a second definition"])
def test_what_came_and_went_while_nobody_looked_leaves_a_trace(
    ours: Bailiwick, tenant: Tenant, definitions: Definitions, guards: Guards, how: str
) -> None:
    """Neither the operator nor the decision point was there to see it, and everything is as it was."""
    tenant.approved("customers.notify", f"unseen, {how}")
    ours.stop_operator()
    with unguarded(guards, definitions):
        if how == "other names":
            definitions.rename_grants()
        else:
            definitions.reach_grants()
            definitions.remove_others()
    point = ours.stack.start_decision_point(await_ready=False)
    until(lambda: "changed since" in doubt(point), "it is another one now", 30)
    assert tenant.ask("customers.notify", f"unseen, {how}").reason == "approval_unverifiable"
