"""Approvals beyond one rule and one request: several gates, scopes, denials that ask, limits, keys and withdrawal."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES, GROUP
from support.installation import accepted
from support.namespaces import Roles, rule
from support.objects import Object, gated_rule, policy, subject
from support.pdp import questions
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant, Tenants
from support.waits import until

ROBOTS: Final = [{"name": "robot", "kind": "System"}]


def approval(**fields: Any) -> Object:  # noqa: ANN401 - fields of an approval
    return {"steps": STEPS, "limits": PLENTY, **fields}


def exporting(**fields: Any) -> list[Object]:  # noqa: ANN401 - likewise
    return [RULES[0], gated_rule("export", approval=approval(**fields))]


@pytest.fixture(scope="module")
def plain(tenants: Tenants) -> Tenant:
    """A tenant with the usual rules."""
    return tenants.make("approvals")


@pytest.mark.invariant(16)
def test_gates_of_two_policies_are_met_by_one_grant_with_the_steps_of_both(tenants: Tenants) -> None:
    tenant = tenants.make("two-gates")
    tenants.account(tenant.namespace, "robot")
    Roles(tenant.callers.admin, tenant.namespace).bind("bailiwick-approve", tenant.account("robot"))
    # Before there was another gate: it names one rule, and serves as long as there is one.
    alone = tenant.approved("customers.export", "both")
    second = policy(
        tenant.namespace,
        "second",
        subjects=[subject(namespace=tenant.namespace, account="agent")],
        rules=[gated_rule("export", approval=approval(steps=ROBOTS))],
    )
    accepted(tenant.callers.admin.create(second))
    tenant.await_known(lambda said: said.reason == "approval_required", "customers.export", "both")
    name = tenant.opened("customers.export", "both")
    assert name != alone
    request = tenant.grant(name)["spec"]["request"]
    assert [rule["policy"] for rule in request["rules"]] == ["crm-agent", "second"]
    assert [step["name"] for step in request["steps"]] == ["crm-agent.export.owner", "second.export.robot"]
    accepted(tenant.review(name))
    until(lambda: "counted" in tenant.grant(name).get("status", {}), "the review is counted")
    assert tenant.phase(name) == "Pending"
    assert tenant.ask("customers.export", "both").reason == "approval_pending"
    accepted(tenant.review(name, by=tenant.account("robot"), step=1))
    until(lambda: tenant.phase(name) == "Active", "both steps are met")
    tenant.await_known(lambda said: said.decision is True, "customers.export", "both")
    assert tenant.ask("customers.export", "both").decision is True
    assert tenant.uses(name) == 1


@pytest.mark.invariant(3)
def test_the_verb_is_asked_for_on_the_policy_of_the_step(tenants: Tenants) -> None:
    tenant = tenants.make("verb-of-step")
    second = policy(
        tenant.namespace,
        "second",
        subjects=[subject(namespace=tenant.namespace, account="agent")],
        rules=[gated_rule("export", approval=approval(steps=[{**STEPS[0], "groups": ["sec-oncall"]}]))],
    )
    accepted(tenant.callers.admin.create(second))
    # A name that nobody bound: the right to approve by the first policy alone.
    until(lambda: len(tenant.grant(tenant.opened("customers.export", "verb"))["spec"]["request"]["rules"]) == 2, "two")
    name = next(one["metadata"]["name"] for one in tenant.grants() if len(one["spec"]["request"]["rules"]) == 2)
    Roles(tenant.callers.admin, tenant.namespace).give(
        [rule(GROUP, ENDPOINT_POLICIES, "approve", names=["crm-agent"]), rule(GROUP, APPROVAL_GRANTS, "get", "patch")],
        "grace",
    )
    refused = tenant.review(name, by="grace", step=1)
    assert not refused.ok
    assert "grace lacks the verb approve on endpointpolicies/second" in refused.message


class TestAScope:
    @pytest.fixture(scope="class")
    @classmethod
    def scoped(cls, tenants: Tenants) -> Tenant:
        return tenants.make(
            "scoped",
            [
                RULES[0],
                gated_rule(
                    "export",
                    resources=[{"type": "customer", "ids": ["*"]}],
                    approval=approval(binding="Scope", maxUses=3),
                ),
            ],
        )

    @pytest.mark.invariant(8)
    def test_serves_calls_that_differ_in_their_arguments(self, scoped: Tenant) -> None:
        name = scoped.approved("customers.export", "eu.1", args={"page": 1})
        request = scoped.grant(name)["spec"]["request"]
        assert (set(request["binding"]), request["binding"]["mode"]) == ({"mode", "request"}, "Scope")
        assert request["display"] == []
        for page in (1, 2, 3):
            assert scoped.ask("customers.export", "eu.1", args={"page": page}).decision is True
        assert scoped.ask("customers.export", "eu.1", args={"page": 4}).reason == "approval_consumed"
        assert scoped.ask("customers.export", "eu.2", args={"page": 1}).reason == "approval_required"

    def test_is_asked_for_once_however_its_calls_differ(self, scoped: Tenant) -> None:
        names = {scoped.opened("customers.export", "eu.3", args={"page": page}) for page in range(3)}
        assert len(names) == 1

    @pytest.mark.invariant(7)
    def test_is_reviewed_by_the_uid_of_its_grant(self, scoped: Tenant) -> None:
        name = scoped.opened("customers.export", "eu.4")
        stored = scoped.grant(name)
        stored["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
        entry = {
            "reviewer": "carol",
            "step": stored["spec"]["request"]["steps"][0]["name"],
            "group": "crm-owners",
            "decision": "Approve",
            "binding": stored["metadata"]["uid"],
        }
        patch = [{"op": "add", "path": "/spec/reviews/-", "value": entry}]
        refused = scoped.callers("carol").patch(scoped.path_of(name), patch, "json")
        assert not refused.ok
        assert "the review is for another request" in refused.message


class TestADenialThatAsks:
    @pytest.fixture(scope="class")
    @classmethod
    def asking_by_itself(cls, tenants: Tenants) -> Tenant:
        return tenants.make("on-deny", exporting(open="OnDeny"))

    def test_opens_one_grant_whoever_is_asked(self, asking_by_itself: Tenant) -> None:
        tenant = asking_by_itself
        with ThreadPoolExecutor(12) as pool:
            calls = [pool.submit(tenant.ask, "customers.export", "storm", point=n % 3) for n in range(24)]
            answers = [call.result() for call in calls]
        assert {answer.reason for answer in answers} == {"approval_pending"}
        assert len({answer.context["task"]["id"] for answer in answers}) == 1
        (grant,) = [one for one in tenant.grants() if one["spec"]["request"]["resource"]["id"] == "storm"]
        assert grant["spec"]["request"]["origin"] == "OnDeny"
        assert "approval" not in answers[0].context

    @pytest.mark.invariant(11)
    def test_opens_nothing_for_a_subject_that_asks_about_itself(self, asking_by_itself: Tenant) -> None:
        assert asking_by_itself.ask_itself("customers.export", "dry").reason == "approval_required"
        assert not [one for one in asking_by_itself.grants() if one["spec"]["request"]["resource"]["id"] == "dry"]

    def test_opens_what_the_items_of_a_batch_need(self, asking_by_itself: Tenant) -> None:
        tenant = asking_by_itself
        one = tenant.body("customers.export", "a")
        items = [{"resource": {"type": "customer", "id": name}} for name in ("batch-1", "batch-2")]
        body = {"subject": one["subject"], "action": one["action"], "context": one["context"], "evaluations": items}
        answer = questions.post(tenant.url("evaluations"), body, tenant.pep)
        assert [item["context"]["reason"] for item in answer.body["evaluations"]] == ["approval_pending"] * 2

    def test_says_what_it_lacks_to_be_asked_for(self, tenants: Tenants) -> None:
        tenant = tenants.make("on-deny-reason", exporting(open="OnDeny", reason={"pattern": "INC-[0-9]+"}))
        denied = tenant.ask("customers.export", "silent")
        assert denied.reason == "approval_required"
        assert "a reason is required" in denied.context["reason_user"]["403"]
        assert tenant.grants() == []
        assert tenant.ask("customers.export", "silent", business_justification="INC-7").reason == "approval_pending"


@pytest.mark.invariant(19)
class TestAFlood:
    @pytest.mark.long
    @pytest.mark.parametrize(
        ("limits", "most"),
        [({"pendingPerSubject": 4, "requestsPerHour": 1000}, 4), ({"pendingPerSubject": 50, "requestsPerHour": 6}, 6)],
        ids=["pending", "an hour"],
    )
    @pytest.mark.parametrize("opening", ["OnRequest", "OnDeny"])
    def test_of_requests_stops_at_the_limit_over_three_processes(
        self, tenants: Tenants, limits: Object, most: int, opening: str
    ) -> None:
        tenant = tenants.make(f"flood-{most}-{opening.lower()}", exporting(limits=limits, open=opening))
        ask = tenant.submit if opening == "OnRequest" else tenant.ask
        with ThreadPoolExecutor(16) as pool:
            calls = [pool.submit(ask, "customers.export", f"n{n}", point=n % 3) for n in range(60)]
            answers = [call.result() for call in calls]
        assert most <= len(tenant.grants()) <= most + len(tenant.points)
        refused = [answer for answer in answers if answer.reason == "approval_throttled"]
        assert len(refused) >= 60 - most - len(tenant.points)
        if opening == "OnRequest":
            assert {answer.status for answer in refused} == {429}
            assert all("Retry-After" in answer.headers for answer in refused)
        # Whoever joins what is there adds nothing.
        open_now = tenant.grants()[0]["spec"]["request"]["resource"]["id"]
        assert ask("customers.export", open_now).reason in {None, "approval_pending"}


@pytest.mark.invariant(13)
def test_a_call_that_was_denied_can_be_asked_for_again_after_its_cooldown(tenants: Tenants) -> None:
    tenant = tenants.make("cooldown", exporting(limits={**PLENTY, "denyCooldownSeconds": 3}))
    first = tenant.opened("customers.export", "denied")
    accepted(tenant.review(first, decision="Deny"))
    tenant.await_known(lambda said: said.reason == "approval_denied", "customers.export", "denied")
    denied = tenant.ask("customers.export", "denied")
    assert (denied.context["next_action"], denied.context.get("access_request")) == ("none", None)
    assert 1 <= denied.context["retry_after"] <= 3
    assert tenant.submit("customers.export", "denied").status == 400
    until(lambda: tenant.submit("customers.export", "denied").status == 202, "it can be asked for again")
    assert len(tenant.grants()) == 2
    assert tenant.phase(first) == "Denied"


@pytest.mark.invariant(13, 19)
def test_a_member_that_no_rule_reads_does_not_ask_again_for_what_was_denied(tenants: Tenants) -> None:
    conditions = [{"name": "small", "expression": "context.args.amount < 100"}]
    rules = [RULES[0], gated_rule("export", conditions=conditions, approval=approval(open="OnDeny"))]
    tenant = tenants.make("cooldown-varied", rules)
    first = tenant.opened("customers.export", "varied", args={"amount": 5}, trace="1")
    accepted(tenant.review(first, decision="Deny"))
    until(lambda: tenant.phase(first) == "Denied", "it is denied")

    def denied(**context: Any) -> bool:  # noqa: ANN401 - members of the context
        answer = tenant.ask("customers.export", "varied", args={"amount": 5}, **context)
        return (answer.reason, answer.context["next_action"]) == ("approval_denied", "none")

    until(lambda: denied(trace="1"), "the decision point knows that it is denied")
    assert all(denied(trace=f"{number}", nonce=f"{number}") for number in range(3))
    assert tenant.submit("customers.export", "varied", args={"amount": 5}, trace="2").status == 400
    assert len(tenant.grants()) == 1
    assert tenant.ask("customers.export", "varied", args={"amount": 6}).reason in {
        "approval_required",
        "approval_pending",
    }


@pytest.mark.invariant(23)
def test_gates_that_no_grant_can_meet_together_open_none_and_say_so(tenants: Tenants) -> None:
    steps = [{"name": f"s{number}", "kind": "Human", "count": 5} for number in range(3)]
    gates = [gated_rule(f"gate-{number}", approval=approval(steps=steps, open="OnDeny")) for number in range(4)]
    tenant = tenants.make("gates-of-sixty", [RULES[0], *gates])
    tenant.await_known(lambda said: said.reason == "multiple_gates", "customers.export", "sixty")
    answer = tenant.submit("customers.export", "sixty")
    assert answer.status == 400
    assert tenant.grants() == []


class TestAnIdempotencyKey:
    @pytest.mark.invariant(11)
    def test_names_one_task_however_often_and_wherever_it_is_sent(self, plain: Tenant) -> None:
        first = plain.submit("customers.export", "keyed", key="k-1")
        again = [plain.submit("customers.export", "keyed", key="k-1", point=n % 3) for n in range(6)]
        assert {answer.task["id"] for answer in again} == {first.task["id"]}

    def test_names_its_task_although_that_has_ended(self, plain: Tenant) -> None:
        first = plain.submit("customers.export", "keyed-ended", key="k-2")
        plain.revoke(first.grant_name)
        until(lambda: plain.phase(first.grant_name) == "Withdrawn", "it has ended")
        again = plain.submit("customers.export", "keyed-ended", key="k-2")
        assert (again.task["id"], again.task["status"]) == (first.task["id"], "cancelled")
        assert plain.submit("customers.export", "keyed-ended", key="k-3").task["id"] != first.task["id"]

    def test_of_another_request_is_refused(self, plain: Tenant) -> None:
        plain.submit("customers.export", "keyed-a", key="k-4")
        plain.await_known(lambda said: said.reason == "approval_pending", "customers.export", "keyed-a")
        for answer in (
            plain.submit("customers.export", "keyed-b", key="k-4"),
            plain.submit("customers.export", "keyed-a", key="k-4", args={"a": 1}),
        ):
            assert answer.status == 409
            assert answer.body["type"] == "urn:openid:authzen:access-request:error:duplicate_request"

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256])
    def test_that_is_none_is_refused(self, plain: Tenant, key: str) -> None:
        answer = plain.submit("customers.export", "keyless", key=key)
        assert (answer.status, answer.body["field"]) == (400, "Idempotency-Key")


@pytest.mark.invariant(13)
class TestARequestThatIsWithdrawn:
    @pytest.fixture
    @classmethod
    def pending(cls, plain: Tenant, request: pytest.FixtureRequest) -> str:
        return str(plain.submit("customers.export", request.node.name).task["id"])

    def test_is_cancelled_at_its_requesters_word(self, plain: Tenant, pending: str) -> None:
        answer = plain.cancel(pending, {"reason": "not needed", "comment": "any more"})
        assert (answer.status, answer.task["status"]) == (200, "cancelled")
        revocation = plain.grant(pending.partition(".")[0])["spec"]["revocation"]
        assert revocation["for"] == plain.account("api")
        assert revocation["reason"] == "not needed: any more"
        until(lambda: plain.phase(pending.partition(".")[0]) == "Withdrawn", "the operator says so")
        again = plain.cancel(pending)
        assert (again.status, again.body["type"].rpartition(":")[2]) == (409, "invalid_task_state")

    def test_is_not_cancelled_once_it_is_approved(self, plain: Tenant) -> None:
        name = plain.approved("customers.export", "too-late")
        answer = plain.cancel(f"{name}.{plain.grant(name)['metadata']['uid']}")
        assert answer.status == 409
        assert "revocation" not in plain.grant(name)["spec"]

    def test_is_not_cancelled_by_another(self, tenants: Tenants) -> None:
        tenant = tenants.make("other-pep")
        tenants.account(tenant.namespace, "second")
        peps = [{"namespace": tenant.namespace, "name": name} for name in ("api", "second")]
        tenant.change_policy({"endpointSettings": {"enforcers": peps}})
        task = tenant.submit("customers.export", "mine").task["id"]
        second = tenant.token("second", ENFORCER_AUDIENCE)
        until(lambda: questions.get(tenant.url(f"requests/{task}"), second).status == 200, "the second may read it")
        assert tenant.cancel(task, token=second).status == 403
        stranger = tenant.token("stranger", ENFORCER_AUDIENCE)
        assert tenant.cancel(task, token=stranger).status == 404
        assert tenant.poll(task).task["status"] == "pending"

    @pytest.mark.parametrize("body", [{"reason": 1}, {"comment": "x" * 512}])
    def test_says_why_in_words(self, plain: Tenant, pending: str, body: Object) -> None:
        assert plain.cancel(pending, body).status == 400


@pytest.mark.parametrize(
    ("member", "field"),
    [
        ({"items": []}, "items"),
        ({"callback": {"endpoint": "https://pep.example/cb"}}, "callback"),
        ({"requested_access": {"emergency": True}}, "requested_access"),
        ({"client": {"actor": {"id": "system:serviceaccount:a:b"}}}, "client.actor"),
        ({"client": 1}, "client"),
    ],
)
def test_what_the_draft_offers_and_we_do_not_is_refused(plain: Tenant, member: Object, field: str) -> None:
    body = {**plain.body("customers.export", "more"), **member}
    answer = questions.post(plain.url("requests"), body, plain.pep)
    assert (answer.status, answer.body["field"]) == (400, field)


@pytest.mark.invariant(8)
def test_an_approval_is_refused_without_the_context_that_it_is_bound_to(tenants: Tenants) -> None:
    tenant = tenants.make("required", exporting(requiredContext=["args", "tenant"]))
    assert tenant.ask("customers.export", "blurred", args={"a": 1}).reason == "context_insufficient"
    assert tenant.submit("customers.export", "blurred", tenant="x").status == 400
    assert tenant.submit("customers.export", "blurred", args={"a": 1}, tenant="x").status == 202


@pytest.mark.invariant(9)
def test_an_approver_sees_what_the_policy_points_at_and_never_a_bare_digest(tenants: Tenants) -> None:
    tenant = tenants.make("pointing", exporting(show=["/context/args/fields"]))
    name = tenant.opened("customers.export", "some", args={"fields": ["iban\u202e"], "cursor": "x" * 3000})
    assert tenant.grant(name)["spec"]["request"]["display"] == [
        {"name": "/context/args/fields", "value": '["iban\\u202e"]'}
    ]
    hidden: dict[str, Any] = {"args_digest": "sha256:" + "a" * 64}
    assert tenant.ask("customers.export", "bare", **hidden).reason == "uninspectable"
    tenant.change_policy({"rules": exporting(allowUnseen=True)})
    tenant.await_known(lambda said: said.reason == "approval_required", "customers.export", "bare", **hidden)
    name = tenant.opened("customers.export", "bare", **hidden)
    assert {"name": "args", "value": "not shown"} in tenant.grant(name)["spec"]["request"]["display"]
