"""What was asked for, and of whom: nobody edits it, brings it along, makes it anew or takes it elsewhere.

Holds: each attack is made on a grant that really serves its call, so that what is shown is that it serves nothing else.
"""

import itertools
from collections.abc import Callable
from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.approvalgrant import Request
from localcluster.people import ADMIN
from localcluster.rest import Answer, Rest
from support.installation import accepted
from support.namespaces import Roles, rule as allowed
from support.objects import (
    AGENT,
    OTHER_DIGEST,
    RULE_DIGEST,
    Object,
    active_status,
    gated_rule,
    grant,
    later,
    policy,
    rule,
    rule_reference,
    settings,
    step,
    subject,
)
from support.pdp import questions
from support.pdp.tenant import RULES, STEPS, Tenant, Tenants
from support.waits import until

IMMUTABLE: Final = "the request is immutable: request a new grant"
# Another value of each field of a request, as the schema would take it.
OTHER: Final[dict[str, object]] = {
    "endpoint": "other-api",
    "rules": [rule_reference("crm-agent", "other")],
    "requester": {"username": "mallory"},
    "subject": {"type": "serviceAccount", "id": AGENT, "uid": "another"},
    "actors": [{"id": AGENT}],
    "excludedReviewers": ["mallory"],
    "action": {"name": "customers.delete"},
    "resource": {"type": "customer", "id": "*"},
    "intent": "sales",
    "binding": {"mode": "Exact", "digest": OTHER_DIGEST},
    "display": [{"name": "args.format", "value": "harmless"}],
    "reason": "INC-2 something else",
    "idempotency": {"key": OTHER_DIGEST, "request": OTHER_DIGEST},
    "steps": [step(name="export.mine")],
    "origin": "OnDeny",
    "pendingUntilTime": later(hours=9),
    "windowSeconds": 86400,
    "maxUses": 50,
}
MANY: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}
WRITERS: Final = ("carol", ADMIN, Installation().webhook, Installation().operator)


def replaced(client: Rest, stored: Object, field: str, value: object) -> Answer:
    return client.patch(stored, [{"op": "add", "path": f"/spec/request/{field}", "value": value}], "json")


def removed(client: Rest, stored: Object, field: str, value: object) -> Answer:
    return client.patch(stored, [{"op": "remove", "path": f"/spec/request/{field}"}], "json")


def removed_and_added(client: Rest, stored: Object, field: str, value: object) -> Answer:
    path = f"/spec/request/{field}"
    took = [{"op": "remove", "path": path}] if field in stored["spec"]["request"] else []
    return client.patch(stored, [*took, {"op": "add", "path": path, "value": value}], "json")


def merged(client: Rest, stored: Object, field: str, value: object) -> Answer:
    return client.patch(stored, {"spec": {"request": {field: value}}})


def applied(client: Rest, stored: Object, field: str, value: object) -> Answer:
    request = {**stored["spec"]["request"], field: value}
    body = {key: stored[key] for key in ("apiVersion", "kind")}
    metadata = {key: stored["metadata"][key] for key in ("namespace", "name")}
    return client.apply({**body, "metadata": metadata, "spec": {"request": request}}, "editor", force=True)


def put(client: Rest, stored: Object, field: str, value: object) -> Answer:
    spec = {**stored["spec"], "request": {**stored["spec"]["request"], field: value}}
    return client.replace({**stored, "spec": spec})


WAYS: Final = (replaced, removed, removed_and_added, merged, applied, put)


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    """A tenant in which the four writers may write grants, for all that RBAC says."""
    notify = gated_rule("notify", actions=["customers.notify"], approval={"steps": STEPS, "maxUses": 3, "limits": MANY})
    made = tenants.make("requests", [RULES[0], notify])
    writers = [who for who in WRITERS if who != ADMIN]
    right = allowed("bailiwick.dev", "approvalgrants", "create", "patch", "update")
    Roles(made.callers.admin, made.namespace).give([right], *writers)
    return made


@pytest.fixture(scope="module")
def stored(tenant: Tenant) -> Object:
    """A grant that is active, and would be worth widening."""
    name = tenant.approved("customers.notify", "edited", args={"format": "csv"}, intent="support")
    return tenant.grant(name)


class TestAb04EditAfterApproval:
    def test_the_table_has_every_field_of_a_request(self) -> None:
        assert {field.alias or name for name, field in Request.model_fields.items()} == set(OTHER)

    @pytest.mark.invariant(6)
    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
    def test_no_field_is_changed_added_or_taken_away(
        self, tenant: Tenant, stored: Object, way: Callable[..., Answer]
    ) -> None:
        for writer, field in itertools.product(WRITERS, OTHER):
            answer = way(tenant.callers(writer), stored, field, OTHER[field])
            assert answer.status in {409, 422}, (writer, field, answer)
            # Of what may not be missing the schema says so first; an absent field cannot be removed at all.
            if way is not removed:
                assert IMMUTABLE in answer.message, (writer, field, answer)
        assert tenant.grant(stored["metadata"]["name"])["spec"] == stored["spec"]

    @pytest.mark.invariant(6, 8)
    def test_after_all_of_it_the_grant_serves_its_call_and_no_other(self, tenant: Tenant) -> None:
        name = tenant.approved("customers.notify", "after-edits", args={"format": "csv"})
        before = tenant.grant(name)
        for field, value in OTHER.items():
            assert not merged(tenant.callers("carol"), before, field, value).ok
        assert tenant.ask("customers.notify", "after-edits", args={"format": "all"}).reason == "approval_required"
        assert tenant.ask("customers.notify", "*", args={"format": "csv"}).reason == "approval_required"
        assert tenant.ask("customers.notify", "after-edits", args={"format": "csv"}).decision is True

    @pytest.mark.invariant(6)
    @pytest.mark.parametrize("field", ["name", "namespace", "uid", "creationTimestamp", "generation"])
    def test_a_grant_keeps_its_identity(self, tenant: Tenant, stored: Object, field: str) -> None:
        answer = tenant.callers.admin.patch(stored, {"metadata": {field: "another" if field != "generation" else 99}})
        now = tenant.grant(stored["metadata"]["name"])
        assert not answer.ok or now["metadata"][field] == stored["metadata"][field]
        assert now["spec"] == stored["spec"]


class TestAb06MadeAnew:
    @pytest.mark.invariant(14)
    def test_a_grant_dies_with_the_policy_though_an_equal_one_takes_its_place(self, tenants: Tenants) -> None:
        made = tenants.make("policy-anew", [RULES[0]])
        gates = policy(
            made.namespace,
            "gates",
            subjects=[subject(namespace=made.namespace, account="agent")],
            rules=[gated_rule("export", approval={"steps": STEPS, "maxUses": 3})],
        )
        first = accepted(made.callers.admin.create(gates))
        made.await_known(lambda said: said.reason == "approval_required", "customers.export", "anew")
        name = made.approved("customers.export", "anew")
        assert made.ask("customers.export", "anew").decision is True
        accepted(made.callers.admin.delete(first))
        made.await_known(lambda said: said.reason == "no_rule", "customers.export", "anew")
        assert made.ask("customers.export", "anew").reason == "no_rule"
        second = accepted(made.callers.admin.create(gates))
        assert second["spec"] == first["spec"]
        made.await_known(lambda said: said.reason == "approval_required", "customers.export", "anew")
        answers = [made.ask("customers.export", "anew", point=point) for point in range(3)]
        assert {(answer.decision, answer.reason) for answer in answers} == {(False, "approval_required")}
        assert (made.phase(name), made.uses(name)) == ("Active", 1)

    @pytest.mark.invariant(7, 14, 18)
    def test_a_grant_that_is_written_again_as_it_was_is_nothing(self, tenant: Tenant) -> None:
        """As by a backup: reviews and status do not come back with it, and its name is the decision point's."""
        name = tenant.approved("customers.notify", "restored")
        stored = tenant.grant(name)
        metadata = {"namespace": tenant.namespace, "name": f"{name}-x"}
        whole = {**stored, "metadata": metadata}
        for who in WRITERS:
            answer = tenant.callers(who).create(whole)
            assert "a new grant cannot have reviews or a revocation" in answer.message
        bare = {**whole, "spec": {**stored["spec"], "reviews": []}}
        assert (
            "names that begin with agr- are reserved for the decision point"
            in tenant.callers.admin.create(bare).message
        )


class TestAb07FromElsewhere:
    @pytest.mark.invariant(24)
    def test_an_approval_of_one_endpoint_is_none_of_another_of_the_same_name(self, tenants: Tenants) -> None:
        ours, theirs = tenants.make("ours"), tenants.make("theirs")
        # Their policy lets our agent do the same thing to their endpoint, once their owners say so.
        accepted(
            theirs.callers.admin.patch(
                policy(theirs.namespace), {"spec": {"subjects": [subject(namespace=ours.namespace, account="agent")]}}
            )
        )
        body = {**ours.body("customers.export", "moved"), "context": {}}
        token = ours.token("agent", theirs.audience)
        body["context"] = {"evidence": {"subject_token": token}}

        def asked() -> questions.Said:
            return questions.post(theirs.url(), body, theirs.pep)

        until(lambda: asked().reason == "approval_required", "their policy speaks of our agent")
        opened = questions.post(theirs.url("requests"), body, theirs.pep)
        theirs.approve(opened.grant_name)
        until(lambda: asked().decision is True, "it serves there")
        assert ours.ask("customers.export", "moved").reason == "approval_required"
        assert ours.grants() == []

    @pytest.mark.invariant(24)
    def test_a_grant_elsewhere_that_names_our_policy_serves_nobody_here(self, tenants: Tenants) -> None:
        ours, theirs = tenants.make("named"), tenants.make("naming")
        Roles(theirs.callers.admin, theirs.namespace).bind("bailiwick-request", "eve")
        stored = accepted(ours.callers.admin.get(policy(ours.namespace)))
        account = accepted(ours.callers.admin.get(f"/api/v1/namespaces/{ours.namespace}/serviceaccounts/agent"))[
            "metadata"
        ]["uid"]
        named = [{**rule_reference(), "uid": stored["metadata"]["uid"], "ruleDigest": RULE_DIGEST}]
        body = grant(
            theirs.namespace,
            "naming-ours",
            requester="eve",
            rules=named,
            subject={"type": "serviceAccount", "id": ours.agent, "uid": account},
            resource={"type": "customer", "id": "*"},
        )
        accepted(theirs.callers("eve").create(body))
        here = {**body, "metadata": {**body["metadata"], "namespace": ours.namespace}}
        Roles(ours.callers.admin, ours.namespace).give([allowed("bailiwick.dev", "approvalgrants", "create")], "eve")
        assert "you need the verb request" in ours.callers("eve").create(here).message
        answer = ours.ask("customers.export", "named")
        assert (answer.decision, answer.reason) == (False, "approval_required")


class TestAb08Status:
    @pytest.mark.invariant(18)
    @pytest.mark.parametrize("who", [ADMIN, "carol", "mallory", "agent", "api"])
    def test_whoever_may_write_status_by_rbac_does_not_by_the_guard(self, tenant: Tenant, who: str) -> None:
        caller = tenant.account(who) if who in {"agent", "api"} else who
        right = allowed("bailiwick.dev", "approvalgrants/status", "*")
        if who != ADMIN:
            Roles(tenant.callers.admin, tenant.namespace).give([right], caller)
        name = tenant.opened("customers.notify", f"status-{who}")
        until(lambda: "status" in tenant.grant(name), "the operator has seen it")
        stored, client = tenant.grant(name), tenant.callers(caller)
        status = {**stored["status"], **active_status(counted=[{"reviewer": "carol"}])}
        body = {key: stored[key] for key in ("apiVersion", "kind")}
        metadata = {key: stored["metadata"][key] for key in ("namespace", "name")}
        for answer in (
            client.patch(stored, {"status": status}, "merge", "status"),
            client.patch(stored, [{"op": "add", "path": "/status", "value": status}], "json", "status"),
            client.replace({**stored, "status": status}, "status"),
            client.apply({**body, "metadata": metadata, "status": status}, "bailiwick-operator", "status", force=True),
        ):
            assert answer.message.endswith("only Bailiwick can write the status")
        assert tenant.phase(name) == "Pending"
        assert tenant.ask("customers.notify", f"status-{who}").reason == "approval_pending"

    @pytest.mark.invariant(18)
    def test_the_decision_point_makes_nothing_active(self, tenant: Tenant) -> None:
        name = tenant.opened("customers.notify", "by-the-pdp")
        until(lambda: "status" in tenant.grant(name), "the operator has seen it")
        stored = tenant.grant(name)
        webhook = tenant.callers(Installation().webhook)
        answer = webhook.replace({**stored, "status": {**stored["status"], **active_status()}}, "status")
        assert "the decision point can only add exactly one use" in answer.message


@pytest.fixture(scope="module")
def shared(tenants: Tenants) -> Tenant:
    """A tenant with two agents of the same rights and two enforcers."""
    made = tenants.make("two-agents")
    for name in ("second", "other-api"):
        tenants.account(made.namespace, name)
    subjects = [subject(name, made.namespace, account) for name, account in (("agent", "agent"), ("second", "second"))]
    rules = [{**one, "subjects": ["agent", "second"]} for one in RULES]
    made.change_policy({"subjects": subjects, "rules": rules})
    return made


class TestWhoeverKnowsTheApproval:
    @pytest.mark.invariant(24)
    def test_another_agent_does_not_use_it_by_its_id(self, shared: Tenant) -> None:
        second = shared.account("second")
        token = shared.token("second", shared.audience)

        def asked(**context: Any) -> questions.Said:  # noqa: ANN401 - members of the context
            body = questions.evaluation(second, "customers.notify", "shared", token=token, **context)
            return questions.post(shared.url(), body, shared.pep)

        until(lambda: asked().reason == "approval_required", "the policy speaks of both")
        name = shared.approved("customers.notify", "shared")
        task = f"{name}.{shared.grant(name)['metadata']['uid']}"
        for shown in ({"id": task}, {"id": name}, {"id": task, "state": task}):
            answer = asked(approval=shown)
            assert (answer.status, answer.decision) in {(200, False), (400, None)}, answer
        assert shared.uses(name) == 0
        assert shared.ask("customers.notify", "shared").decision is True

    @pytest.mark.invariant(24)
    def test_another_endpoints_enforcer_does_not_use_it(self, shared: Tenant) -> None:
        name = shared.approved("customers.notify", "enforced")
        second = policy(
            shared.namespace,
            "other",
            endpoint="other-api",
            endpointSettings={**settings(shared.namespace, "other-api"), "identity": {"audiences": [shared.audience]}},
            subjects=[subject(namespace=shared.namespace, account="agent")],
            rules=[rule("read"), gated_rule("notify", actions=["customers.notify"], approval={"steps": STEPS})],
        )
        accepted(shared.callers.admin.create(second))
        pep = shared.token("other-api", "bailiwick")
        url = shared.url(endpoint="other-api")
        body = shared.body("customers.notify", "enforced")
        until(lambda: questions.post(url, body, pep).reason == "approval_required", "the other endpoint is served")
        assert questions.post(shared.url(), body, pep).status == 403
        assert shared.uses(name) == 0
