"""Somebody has a definition of ours lead to the objects of another, and writes them without the rules of the schema.

Holds: the attacker is an administrator. The guard of definitions refuses it, so it is lifted first. They delete the
definition of data, give its name to that of policies, and create it anew: so its names conflict, and the API server
leaves those that are written into its status.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from bailiwick_api.kinds import cel
from bailiwick_api.manifests.crds import ENDPOINT_DATA_CRD, ENDPOINT_POLICIES_CRD
from bailiwick_api.manifests.definitionguard import DEFINITIONS, MISLEADING
from bailiwick_api.manifests.guards import REVIEW
from support.guards.definitions import Definitions, OwnDefinition
from support.guards.sabotage import Guards
from support.installation import accepted
from support.namespaces import Roles
from support.objects import gated_rule, grant, rule
from support.pdp.oftenproven import often_proven, start_operator
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import Tenant
from support.waits import until

APPROVAL: Final = {"binding": "Scope", "steps": [{"name": "owner", "kind": "Human"}], "maxUses": 5}
RULES: Final = [
    rule("read"),
    gated_rule(
        "export",
        actions=["customers.export"],
        resources=[{"type": "customer", "ids": ["*"]}],
        approval=APPROVAL,
    ),
]
MORE: Final[dict[str, Any]] = {"spec": {"request": {"resource": {"type": "customer", "id": "*"}, "maxUses": 5}}}


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """A control plane of this module alone, whose definitions its tests bend; the operator proves often."""
    with often_proven() as ours:
        yield ours


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    tenant = ours.tenants().make("own-definitions", RULES)
    roles = Roles(ours.callers.admin, tenant.namespace)
    roles.bind("bailiwick-request", "erin")
    roles.bind("bailiwick-approve", "carol")
    return tenant


def approved_by_hand(tenant: Tenant, name: str, resource: str) -> None:
    """Have one use of one resource approved ahead of time, which lets a call through that is not made yet."""
    body = grant(tenant.namespace, name, requester="erin")
    body["spec"]["request"] |= {
        "rules": [{"policy": "crm-agent", "rule": "export"}],
        "subject": {"type": "serviceAccount", "id": tenant.agent},
        "resource": {"type": "customer", "id": resource},
        "maxUses": 1,
    }
    accepted(tenant.callers("erin").create(body))
    until(lambda: "resolved" in tenant.grant(name).get("status", {}), "its names are resolved")
    tenant.approve(name)
    until(lambda: tenant.phase(name) == "Active", "it is approved")


@pytest.fixture
def definition(ours: Bailiwick, guards: Guards) -> Iterator[OwnDefinition]:
    """The definition of data, which nobody guards; afterwards it is shipped, guarded and proven."""
    await_ready(ours.points[0])
    definition = OwnDefinition(ours.callers.admin)
    yield definition
    definition.restore()
    guards.restore()
    start_operator(ours)
    guards.await_recorded()
    await_ready(ours.points[0])


@pytest.fixture
def guards(ours: Bailiwick) -> Guards:
    return Guards(ours.callers, ours.installation)


def lift(ours: Bailiwick, guards: Guards) -> None:
    """Have nothing refuse definitions any more."""
    guards.loosen(DEFINITIONS)
    Definitions(ours.callers.admin).await_unguarded()


def why(ours: Bailiwick) -> str:
    """Return why the decision point takes the guards for unproven."""
    return str(readiness(ours.points[0])[1]["guard"]["why"])


@pytest.mark.invariant(6, 26)
def test_what_was_asked_for_is_not_changed_through_a_definition_without_rules(
    ours: Bailiwick, tenant: Tenant, definition: OwnDefinition, guards: Guards
) -> None:
    approved_by_hand(tenant, "wanted", "eu/1")
    lift(ours, guards)
    definition.point_at_grants()
    guards.tighten(DEFINITIONS)
    Definitions(ours.callers.admin).await_guarded()
    answer = ours.callers.admin.patch(definition.path(tenant.namespace, "wanted"), MORE, "merge")
    assert f"ValidatingAdmissionPolicy '{REVIEW}'" in answer.message
    assert cel.REQUEST_IMMUTABLE.message in answer.message
    assert tenant.ask("customers.export", "us/1").decision is False
    assert tenant.grant("wanted")["spec"]["request"]["maxUses"] == 1
    # It names the first that is wrong, and the operator all of them.
    until(lambda: f"{ENDPOINT_POLICIES_CRD} differs from the shipped version" in why(ours), "it is noticed", 10)
    assert ours.operator is not None
    log, misnamed = ours.operator.log, f"{ENDPOINT_DATA_CRD} is not served by the names of its spec"
    until(lambda: misnamed in log.read_text(), "the operator says so", 30)
    assert tenant.ask("customers.export", "eu/1").reason == "approval_unverifiable"
    assert MISLEADING in definition.delete().message
    assert "wanted" in [one["metadata"]["name"] for one in tenant.grants()]


@pytest.mark.invariant(26, 27)
@pytest.mark.parametrize("operator", ["running", "stopped"])
def test_a_definition_of_ours_that_led_to_grants_for_a_while_leaves_a_trace(
    ours: Bailiwick, tenant: Tenant, definition: OwnDefinition, guards: Guards, operator: str
) -> None:
    """The guard of definitions is put back as well, and its generation is not the only trace."""
    resource = f"trace/{operator}"
    approved_by_hand(tenant, f"trace-{operator}", resource)
    if operator == "stopped":
        ours.stop_operator()
    lift(ours, guards)
    definition.point_at_grants()
    path = definition.path(tenant.namespace, f"trace-{operator}")
    assert not ours.callers.admin.patch(path, MORE, "merge").ok
    definition.restore()
    guards.restore()
    assert tenant.ask("customers.export", "us/1").decision is False
    if operator == "stopped":
        start_operator(ours)
    guards.await_recorded()
    await_ready(ours.points[0])
    assert tenant.ask("customers.export", "us/1").decision is False
    assert tenant.grant(f"trace-{operator}")["spec"]["request"]["resource"]["id"] == resource
