"""Somebody has a definition of ours lead to the objects of another, and writes them without the rules of the schema.

Holds: the attacker is an administrator, and changes no guard and no spec of a guarded definition. They delete the
definition of data, give its name to that of policies, and create it anew: so its names conflict, and the API server
leaves those that are written into its status.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import pytest

from bailiwick_api.kinds import cel
from bailiwick_api.manifests.guards import REVIEW
from support.guards.definitions import OwnDefinition
from support.installation import accepted
from support.namespaces import Roles
from support.objects import gated_rule, grant, rule
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenant
from support.waits import until

QUICK: Final = ("--proof-interval", "2", "--guard-settle", "0.5")
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
    with ExitStack() as closing:
        ours = Bailiwick.begin(closing, replicas=1)
        ours.stop_operator()
        ours.operator = ours.stack.start_operator(*QUICK)
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


@pytest.mark.invariant(6)
def test_what_was_asked_for_is_not_changed_through_a_definition_without_rules(ours: Bailiwick, tenant: Tenant) -> None:
    approved_by_hand(tenant, "wanted", "eu/1")
    definition = OwnDefinition(ours.callers.admin)
    definition.point_at_grants()
    path = definition.path(tenant.namespace, "wanted")
    answer = ours.callers.admin.patch(path, MORE, "merge")
    assert f"ValidatingAdmissionPolicy '{REVIEW}'" in answer.message
    assert cel.REQUEST_IMMUTABLE.message in answer.message
    assert tenant.ask("customers.export", "us/1").decision is False
    assert tenant.grant("wanted")["spec"]["request"]["maxUses"] == 1
