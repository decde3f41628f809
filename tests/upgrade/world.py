"""What there is when an upgrade begins: a tenant with policies, data and counts, and a grant in every phase.

Holds: all of it was made by the processes of the release that is installed, through its own paths.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_api.accounts import GUARD_CONFIG_MAP
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_DATA, ENDPOINT_POLICIES
from support.installation import accepted
from support.objects import POLICY, Object, gated_rule, rule, subject
from support.pdp import questions
from support.pdp.questions import Said
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant, Tenants
from support.waits import until
from upgrade.ways import NAMESPACE

DATA: Final = "incident-state"
MAILS: Final = 3
"""As many calls are let through in an hour."""
STRANGER: Final = "stranger"
_GATE: Final[Object] = {"steps": STEPS, "limits": PLENTY}
_MORE_RULES: Final = (
    gated_rule("brief", actions=["customers.brief"], approval={**_GATE, "pendingSeconds": 30}),
    gated_rule("shown", actions=["customers.show"], approval={**_GATE, "presentation": "Token"}),
    rule(
        "alert", actions=["customers.alert"], conditions=[{"name": "open", "expression": "data.incident.open == true"}]
    ),
    rule(
        "mail",
        actions=["customers.mail"],
        conditions=[{"name": "few", "expression": f"history.mails.count <= {MAILS}"}],
    ),
)
_SECOND_RULE: Final = rule("second", subjects=[STRANGER], actions=["customers.list"])
_MAILS: Final = {"name": "mails", "key": ["agent"], "window": "1h", "counts": {"actions": ["customers.mail"]}}
# By the name of the case, which is the id of the resource too.
ACTIONS: Final = {
    "waiting": "customers.export",
    "approved": "customers.export",
    "kept": "customers.export",
    "used": "customers.notify",
    "consumed": "customers.export",
    "expired": "customers.brief",
    "denied": "customers.export",
    "revoked": "customers.notify",
    "withdrawn": "customers.export",
    "shown": "customers.show",
}
PHASES: Final = {
    "waiting": "Pending",
    "approved": "Active",
    "kept": "Active",
    "used": "Active",
    "consumed": "Consumed",
    "expired": "Expired",
    "denied": "Denied",
    "revoked": "Revoked",
    "withdrawn": "Withdrawn",
    "shown": "Active",
}


@dataclass
class World:
    """One tenant, its grants by case, and the approval that a caller holds."""

    tenant: Tenant
    names: dict[str, str] = field(default_factory=dict)
    approval: Mapping[str, Any] = field(default_factory=dict)

    def ask(self, case: str, **more: Any) -> Said:  # noqa: ANN401 - members of the context
        """Make the call that the grant of a case is for."""
        return self.tenant.ask(ACTIONS[case], case, **more)

    def grants(self) -> dict[str, Object]:
        """Return every grant as it stands, by case."""
        return {case: self.tenant.grant(name) for case, name in self.names.items()}

    def phases(self) -> dict[str, str]:
        """Return the phase of every grant."""
        return {case: self.tenant.phase(name) for case, name in self.names.items()}

    def stranger(self) -> str | None:
        """Return why the second subject is refused a list, or None if it is not."""
        tenant = self.tenant
        token = tenant.token(STRANGER, tenant.audience)
        body = questions.evaluation(tenant.account(STRANGER), "customers.list", token=token)
        said = questions.post(tenant.url(), body, tenant.pep)
        return None if said.decision else said.reason

    def mail(self) -> bool | None:
        """Make a call that is counted."""
        return self.tenant.ask("customers.mail").decision

    def alert(self) -> bool | None:
        """Make a call that is decided by data."""
        return self.tenant.ask("customers.alert").decision

    def write_data(self, *, is_open: bool) -> None:
        """Write what the condition of the alert reads."""
        metadata = {"name": DATA, "namespace": self.tenant.namespace}
        spec = {"data": {"open": is_open}}
        body = {"apiVersion": API_VERSION, "kind": "EndpointData", "metadata": metadata, "spec": spec}
        accepted(self.tenant.callers.admin.apply(body, "tests", force=True))

    def policy(self) -> Object:
        """Return the policy as it stands."""
        path = f"/apis/{API_VERSION}/namespaces/{self.tenant.namespace}/{ENDPOINT_POLICIES}/{POLICY}"
        return accepted(self.tenant.callers.admin.get(path))

    def data(self) -> Object:
        """Return the data as they stand."""
        path = f"/apis/{API_VERSION}/namespaces/{self.tenant.namespace}/{ENDPOINT_DATA}/{DATA}"
        return accepted(self.tenant.callers.admin.get(path))


def make(tenants: Tenants) -> World:
    """Make all of it; returns once the operator has proven the guards after the last write."""
    rules = [_lasting(one) for one in (*RULES, *_MORE_RULES)]
    tenant = tenants.make("upgrade", rules, [_MAILS], data=[{"name": "incident", "from": DATA}])
    subjects = [subject(name, tenant.namespace, name) for name in ("agent", STRANGER)]
    tenant.change_policy({"subjects": subjects, "rules": [*rules, _SECOND_RULE]})
    world = World(tenant)
    world.names["expired"] = tenant.opened("customers.brief", "expired")
    world.write_data(is_open=True)
    tenant.await_known(lambda said: said.decision is True, "customers.alert")
    assert [world.mail() for _ in range(MAILS - 1)] == [True] * (MAILS - 1)
    for case in ("approved", "kept", "used", "consumed"):
        world.names[case] = tenant.approved(ACTIONS[case], case)
    assert [world.ask(case).decision for case in ("used", "consumed")] == [True, True]
    for case in ("waiting", "denied", "revoked", "withdrawn", "shown"):
        world.names[case] = tenant.opened(ACTIONS[case], case)
    accepted(tenant.review(world.names["denied"], decision="Deny"))
    for case in ("revoked", "shown"):
        tenant.approve(world.names[case])
    for case in ("revoked", "withdrawn"):
        tenant.revoke(world.names[case])
    world.approval = approval_of(world, "shown")
    until(lambda: world.phases() == PHASES, f"the grants are {PHASES}", 60)
    await_proof(tenant)
    return world


def _lasting(one: Object) -> Object:
    # On a machine with other things to do, all of it takes longer than an approval usually lasts.
    return {**one, "approval": {**one["approval"], "windowSeconds": 7200}} if "approval" in one else one


def approval_of(world: World, case: str) -> Mapping[str, Any]:
    """Return what the task of an approved grant says that a caller may show."""
    grant = world.tenant.grant(world.names[case])
    found: Mapping[str, Any] = world.tenant.poll(f"{world.names[case]}.{grant['metadata']['uid']}").task["result"]
    shown: Mapping[str, Any] = found["approval"]
    return shown


def await_proof(tenant: Tenant) -> None:
    """Wait until the operator has proven the guards once more."""
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{GUARD_CONFIG_MAP}"
    now = datetime.now(UTC)

    def proven() -> bool:
        data = accepted(tenant.callers.admin.get(path))["data"]
        return datetime.fromisoformat(data["provenTime"]) > now

    until(proven, "the guards are proven again", 90)
