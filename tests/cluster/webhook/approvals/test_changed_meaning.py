"""An approved grant that nobody used yet, and a change of what its rule means: the call is denied, and no use is spent.

Of what no grant depends on, the last test shows that it leaves a grant usable.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_DATA
from support.installation import accepted
from support.objects import Object, gated_rule, rule, settings
from support.pdp import questions
from support.pdp.questions import Said
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant, Tenants
from support.waits import until

HOST: Final = "crm.example"
OPEN: Final = {"name": "open", "expression": "data.incident.open == true"}
INCIDENT: Final = [{"name": "incident", "from": "incident"}]
SCOPED: Final = {"steps": STEPS, "limits": PLENTY, "binding": "Scope", "maxUses": 3}
BY_DATA: Final = gated_rule("export", conditions=[OPEN], approval={"steps": STEPS, "limits": PLENTY})


def write(tenant: Tenant, name: str, data: Any) -> None:  # noqa: ANN401 - any JSON
    metadata = {"namespace": tenant.namespace, "name": name}
    body = {"apiVersion": API_VERSION, "kind": "EndpointData", "metadata": metadata, "spec": {"data": data}}
    accepted(tenant.callers.admin.create(body))


def path(tenant: Tenant, name: str = "incident") -> str:
    return f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_DATA}/{name}"


def change(tenant: Tenant, rules: list[Object], **spec: object) -> None:
    """Change the policy, and wait until every decision point decides by it."""
    marker = f"customers.marked-{len(rules)}"
    tenant.change_policy({**spec, "rules": [*rules, rule("marker", actions=[marker])]})
    tenant.await_known(lambda said: said.decision is True, marker)


def assert_dead(tenant: Tenant, grant: str, ask: Callable[[int], Said], reason: str = "approval_required") -> None:
    """Every decision point denies the call, and the grant is as it was."""
    for point in range(len(tenant.points)):
        said = ask(point)
        assert (said.decision, said.reason) == (False, reason)
    assert (tenant.phase(grant), tenant.uses(grant)) == ("Active", 0)


@pytest.fixture
def by_data(tenants: Tenants) -> Tenant:
    """A tenant whose gate stands while an incident is open, and an incident that is."""
    tenant = tenants.make("by-data", [RULES[0], BY_DATA], data=INCIDENT)
    write(tenant, "incident", {"open": True})
    tenant.await_known(lambda said: said.reason == "approval_required", "customers.export")
    return tenant


@pytest.mark.invariant(17)
class TestAnApprovedGrantIsWorthNothing:
    @pytest.mark.parametrize("was_open", [True, False])
    def test_once_the_data_of_its_condition_is_another_object(self, by_data: Tenant, was_open: bool) -> None:
        write(by_data, "elsewhere", {"open": True})
        grant = by_data.approved("customers.export", "re-pointed")
        if not was_open:
            patch = {"spec": {"data": {"open": False}}}
            accepted(by_data.callers.admin.patch(path(by_data), patch, "merge"))
            by_data.await_known(lambda said: said.decision is False, "customers.export", "re-pointed")
        change(by_data, [RULES[0], BY_DATA], data=[{"name": "incident", "from": "elsewhere"}])
        assert_dead(by_data, grant, lambda point: by_data.ask("customers.export", "re-pointed", point=point))

    @pytest.mark.parametrize("gone", ["object", "member", "readable"])
    def test_while_the_data_of_its_condition_cannot_be_read(self, by_data: Tenant, gone: str) -> None:
        grant = by_data.approved("customers.export", "unknown")
        if gone == "object":
            accepted(by_data.callers.admin.delete(path(by_data)))
        else:
            data = {"open": None, "other": 1} if gone == "member" else {"note": "a\0b"}
            accepted(by_data.callers.admin.patch(path(by_data), {"spec": {"data": data}}, "merge"))
        by_data.await_known(lambda said: said.decision is False, "customers.export", "unknown")
        assert_dead(
            by_data,
            grant,
            lambda point: by_data.ask("customers.export", "unknown", point=point),
            "condition_error",
        )
        # Nor can anybody ask for an approval of what cannot be judged.
        assert by_data.submit("customers.export", "another").reason == "condition_error"

    def test_once_its_action_is_another_route(self, tenants: Tenants) -> None:
        tenant = tenants.make("re-mapped")
        route = {"action": "customers.export", "resource": {"type": "customer", "id": "{id}"}}
        exporting = {"methods": ["POST"], "path": "/customers/{id}/export", **route}
        deleting = {"methods": ["DELETE"], "path": "/customers/{id}", **route}
        own = settings(tenant.namespace, "api")
        change(tenant, list(RULES), endpointSettings={**own, "http": {"hosts": [HOST], "routes": [exporting]}})
        grant = tenant.approved("customers.export", "r1")
        change(tenant, list(RULES[:-1]), endpointSettings={**own, "http": {"hosts": [HOST], "routes": [deleting]}})
        for point in range(len(tenant.points)):
            headers = {
                "X-Forwarded-Method": "DELETE",
                "X-Forwarded-Uri": "/customers/r1",
                "X-Forwarded-Host": HOST,
                "X-Bailiwick-Enforcer": f"Bearer {tenant.pep}",
            }
            url = f"{tenant.points[point]}/forward-auth/{tenant.namespace}/crm-api"
            said = questions.get(url, tenant.token("agent", tenant.audience), headers)
            assert (said.status, said.reason) == (403, "approval_required")
        assert_dead(tenant, grant, lambda point: tenant.ask("customers.export", "r1", point=point))

    def test_once_tokens_of_another_audience_prove_its_subject(self, tenants: Tenants) -> None:
        tenant = tenants.make("audiences")
        own = settings(tenant.namespace, "api")
        both = tenant.token("agent", tenant.audience, "elsewhere")

        def ask(point: int) -> Said:
            body = questions.evaluation(tenant.agent, "customers.export", "audience", token=both)
            return questions.post(tenant.url(point=point), body, tenant.pep)

        grant = tenant.approved("customers.export", "audience")
        change(tenant, list(RULES), endpointSettings={**own, "identity": {"audiences": ["elsewhere"]}})
        assert_dead(tenant, grant, ask)

    def test_for_arguments_of_which_its_condition_cannot_tell(self, tenants: Tenants) -> None:
        few = {"name": "few", "expression": "context.args.rows <= 100"}
        tenant = tenants.make("untold", [RULES[0], gated_rule("export", conditions=[few], approval=SCOPED)])
        grant = tenant.approved("customers.export", "rows", args={"rows": 10})
        for args in ({"rows": "9000"}, {}, {"row": 9000}):
            said = tenant.ask("customers.export", "rows", args=args)
            assert (said.decision, said.reason) == (False, "condition_error")
        assert tenant.ask("customers.export", "rows", args={"rows": 9000}).decision is False
        assert tenant.uses(grant) == 0
        assert tenant.ask("customers.export", "rows", args={"rows": 10}).decision is True


@pytest.mark.invariant(17)
def test_an_approved_grant_stays_usable_after_changes_that_leave_what_was_approved(tenants: Tenants) -> None:
    tenant = tenants.make("survives")
    tenants.account(tenant.namespace, "second-api")
    grant = tenant.approved("customers.export", "survives")
    own = settings(tenant.namespace, "api")
    enforcers = [*own["enforcers"], {"namespace": tenant.namespace, "name": "second-api"}]
    tenant.change_policy({"suspend": True})
    tenant.await_known(lambda said: said.reason == "policy_suspended", "customers.export", "survives")
    change(
        tenant,
        [*RULES, rule("others", actions=["customers.other"])],
        endpointSettings={
            "enforcers": enforcers,
            "identity": {"audiences": [tenant.audience]},
            "record": {"keep": ["context.tenant"]},
        },
        expireTime="2040-01-01T00:00:00Z",
        suspend=False,
    )
    until(lambda: tenant.ask("customers.export", "survives").decision is True, "the grant is used")
    assert tenant.uses(grant) == 1
