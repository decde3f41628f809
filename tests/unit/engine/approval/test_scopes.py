"""A grant that is bound to a scope: what falls under it, and what does not."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval.grants import answers, excluded_reviewers, order_grants, scope_digest, scope_of
from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from support.objects import Object, changed, gated_rule, settings
from unit.engine.cases import (
    AGENT_UID,
    CALL,
    OPENED_AGO,
    active,
    asked,
    at,
    gate_of,
    governed,
    read,
    review,
    reviewed,
    verdict_of,
)

SCOPE: Final = {"binding": "Scope", "steps": [{"name": "owner", "kind": "Human", "count": 1}]}
ON: Final = governed(gated_rule(approval=SCOPE))
PRODUCTION: Final = governed(
    gated_rule(approval=SCOPE, resources=[{"type": "customer", "ids": ["*"], "properties": {"env": ["prod", "test"]}}])
)
IN_PROD: Final = replace(CALL, resource=Resource("customer", "42", {"env": "prod"}))
RULE: Final = gate_of(ON).rules[0]
RESOLVED: Final[Object] = {
    "subjectUID": AGENT_UID,
    "rules": [
        {"policy": RULE.policy, "uid": RULE.policy_uid, "rule": RULE.rule, "ruleDigest": RULE.rule_digest},
    ],
}


def opened(call: Call = CALL, **request: Any) -> Object:  # noqa: ANN401 - fields of a request
    """Return the approved grant that the decision point opened for this call."""
    of = asked(ON if call.resource.properties is None else PRODUCTION, call, binding={"mode": "Scope"}, **request)
    return active(reviewed(of, review(of, "carol", binding="grant-uid")))


def by_hand(resolved: Object | None = RESOLVED, **request: Any) -> Object:  # noqa: ANN401 - fields of a request
    """Return the approved grant that dave wrote ahead of time."""
    of = asked(ON, binding={"mode": "Scope"}, origin="PreApproved", requester={"username": "dave"}, **request)
    of["metadata"]["name"] = "ahead"
    names = of["spec"]["request"]
    names["rules"] = request.get("rules", [{"policy": RULE.policy, "rule": RULE.rule}])
    names["subject"] = request.get("subject", {"type": "serviceAccount", "id": names["subject"]["id"]})
    made = active(reviewed(of, review(of, "carol", binding="grant-uid")))
    return {**made, "status": {**made["status"], **({"resolved": resolved} if resolved else {})}}


def on(raw: Object, call: Call = CALL) -> Verdict:
    return verdict_of(ON if call.resource.properties is None else PRODUCTION, call, grants=[read(raw)])


@pytest.mark.invariant(8)
class TestOfTheDecisionPoint:
    @pytest.mark.parametrize("context", [{}, {"args": {"a": 1}}, {"tenant": "x"}])
    def test_it_serves_calls_that_differ_in_what_it_does_not_bind(self, context: Object) -> None:
        assert on(opened(), replace(CALL, context=context)).outcome is Outcome.USE_GRANT

    @pytest.mark.parametrize(
        "call",
        [
            replace(CALL, action=Action("customers.export.all")),
            replace(CALL, resource=Resource("customer", "43")),
            replace(CALL, context={"intent": "support"}),
        ],
    )
    def test_it_serves_no_other_action_resource_or_purpose(self, call: Call) -> None:
        wide = governed(gated_rule(approval=SCOPE, actions=["*"]))
        grant = asked(wide, binding={"mode": "Scope"})
        grant = active(reviewed(grant, review(grant, "carol", binding="grant-uid")))
        assert verdict_of(wide, grants=[read(grant)]).outcome is Outcome.USE_GRANT
        assert verdict_of(wide, call, grants=[read(grant)]).reason is Reason.APPROVAL_REQUIRED

    def test_it_serves_one_resource_although_its_id_reads_as_a_pattern(self) -> None:
        everything = replace(CALL, resource=Resource("customer", "*"))
        raw = opened(everything)
        assert on(raw, everything).outcome is Outcome.USE_GRANT
        assert on(raw).reason is Reason.APPROVAL_REQUIRED

    def test_it_serves_nobody_of_the_same_name_and_another_kind(self) -> None:
        # On the enforcer's word a uid is made of the name alone.
        user, robot = (Party(kind, "r2", "asserted#r2", issuer=None) for kind in ("user", "robot"))
        both = [{"name": kind, "entity": {"type": kind, "ids": ["r2"]}} for kind in ("user", "robot")]
        on = governed(
            gated_rule(
                approval={**SCOPE, "steps": [{"name": "bot", "kind": "System", "count": 1}]}, subjects=["user", "robot"]
            ),
            subjects=both,
            endpointSettings={**settings(), "identity": {"verification": "Asserted"}},
        )
        call = replace(CALL, subject=user)
        grant = asked(on, call, binding={"mode": "Scope"})
        bot = review(grant, "system:serviceaccount:ci:bot", binding="grant-uid")
        grant = active(reviewed(grant, bot))
        assert verdict_of(on, call, [read(grant)]).outcome is Outcome.USE_GRANT
        assert verdict_of(on, replace(CALL, subject=robot), [read(grant)]).reason is Reason.APPROVAL_REQUIRED
        assert scope_digest(call, user, {}) != scope_digest(call, robot, {})

    def test_it_binds_the_properties_that_the_rule_names(self) -> None:
        raw = opened(IN_PROD, resource={"type": "customer", "id": "42", "properties": {"env": "prod"}})
        assert on(raw, IN_PROD).outcome is Outcome.USE_GRANT
        in_test = replace(CALL, resource=Resource("customer", "42", {"env": "test"}))
        assert on(raw, in_test).reason is Reason.APPROVAL_REQUIRED

    @pytest.mark.parametrize("properties", [None, {}, {"env": 1}, {"other": "prod"}])
    def test_a_property_that_is_left_out_never_widens(self, properties: Object | None) -> None:
        call = replace(CALL, resource=Resource("customer", "42", properties))
        verdict = verdict_of(PRODUCTION, call)
        assert (verdict.reason, verdict.requestable) == (Reason.CONTEXT_INSUFFICIENT, False)

    def test_it_serves_no_rule_that_binds_the_whole_call(self) -> None:
        exact = governed(gated_rule())
        of = asked(exact, binding={"mode": "Scope"})
        raw = active(reviewed(of, review(of, "carol", binding="grant-uid")))
        assert verdict_of(exact, grants=[read(raw)]).reason is Reason.APPROVAL_REQUIRED

    def test_it_needs_no_arguments_that_can_be_shown(self) -> None:
        hidden = replace(CALL, context={"args": {"a": "x" * 5000}})
        assert on(opened(), hidden).outcome is Outcome.USE_GRANT

    def test_a_review_of_it_repeats_the_uid_of_the_grant(self) -> None:
        of = asked(ON, binding={"mode": "Scope"})
        raw = active(reviewed(of, review(of, "carol", binding="another-uid")))
        assert on(raw).reason is Reason.APPROVAL_UNVERIFIABLE


@pytest.mark.invariant(14)
class TestByHand:
    def test_it_serves_once_it_is_resolved(self) -> None:
        assert on(by_hand()).outcome is Outcome.USE_GRANT

    def test_it_serves_nothing_where_its_author_displays_something_of_their_own(self) -> None:
        # Only the decision point sets that: a guard let it through, and its reviewers may have believed it.
        assert on(by_hand(display=[{"name": "args.amount", "value": "1"}])).reason is Reason.APPROVAL_REQUIRED

    @pytest.mark.parametrize(
        ("scope", "held"),
        [
            ("42", True),
            ("43", False),
            ("*", True),
            ("4*", False),
            ("42.*", False),
            ("a.*", False),
        ],
    )
    def test_its_id_is_exact_or_ends_in_a_star_after_a_separator(self, scope: str, held: bool) -> None:
        raw = by_hand(resource={"type": "customer", "id": scope})
        assert (on(raw).outcome is Outcome.USE_GRANT) is held

    def test_a_star_covers_what_follows_and_nothing_else(self) -> None:
        raw = by_hand(resource={"type": "customer", "id": "eu.*"})
        for name, held in (("eu.1", True), ("eu.1.2", True), ("eu.", False), ("eu", False), ("us.1", False)):
            assert (on(raw, replace(CALL, resource=Resource("customer", name))).outcome is Outcome.USE_GRANT) is held

    @pytest.mark.parametrize(
        "resolved",
        [
            None,
            {**RESOLVED, "subjectUID": "another"},
            {**RESOLVED, "rules": [{**RESOLVED["rules"][0], "uid": "re-created"}]},
            {**RESOLVED, "rules": [{**RESOLVED["rules"][0], "ruleDigest": "v1:" + "0" * 64}]},
            {**RESOLVED, "rules": [{**RESOLVED["rules"][0], "rule": "another"}]},
            {**RESOLVED, "rules": [*RESOLVED["rules"], {**RESOLVED["rules"][0], "rule": "more"}]},
        ],
    )
    def test_it_serves_only_for_what_it_was_resolved_to(self, resolved: Object | None) -> None:
        assert on(by_hand(resolved)).reason is Reason.APPROVAL_REQUIRED

    @pytest.mark.parametrize(
        "request_fields",
        [
            {"rules": [{"policy": RULE.policy, "rule": RULE.rule, "uid": "another"}]},
            {"rules": [{"policy": RULE.policy, "rule": RULE.rule, "ruleDigest": "v1:" + "0" * 64}]},
            {"subject": {"type": "serviceAccount", "id": "system:serviceaccount:agents:crm-agent", "uid": "another"}},
        ],
    )
    def test_what_its_author_says_otherwise_ends_it(self, request_fields: Object) -> None:
        assert on(by_hand(**request_fields)).reason is Reason.APPROVAL_REQUIRED

    def test_it_is_never_exact(self) -> None:
        digest = verdict_of(ON).digest
        raw = by_hand()
        raw["spec"]["request"]["binding"] = {"mode": "Exact", "digest": digest}
        raw["spec"]["reviews"][0]["binding"] = digest
        assert on(raw).reason is Reason.APPROVAL_REQUIRED

    def test_a_purpose_that_it_names_is_bound_and_one_that_it_does_not_is_not(self) -> None:
        supporting = replace(CALL, context={"intent": "support"})
        assert on(by_hand(), supporting).outcome is Outcome.USE_GRANT
        assert on(by_hand(intent="audit"), supporting).reason is Reason.APPROVAL_REQUIRED

    def test_its_author_is_no_reviewer_of_it(self) -> None:
        of = by_hand()
        for reviewer, outcome in (("carol", Outcome.USE_GRANT), ("dave", Outcome.DENY)):
            assert on(reviewed(of, review(of, reviewer))).outcome is outcome

    def test_it_is_for_its_subject_alone(self) -> None:
        other = replace(CALL, subject=Party("serviceAccount", "system:serviceaccount:agents:other", AGENT_UID))
        assert on(by_hand(), other).reason is not Reason.ALLOWED


def test_what_is_exact_is_tried_before_a_scope() -> None:
    exact = read(active(asked(ON)))
    scope = read(opened())
    assert order_grants([scope, exact]) == order_grants([exact, scope]) == [exact, scope]


class TestTheDigestOfAScope:
    SUBJECT: Final = Party("serviceAccount", "a", "a-uid")

    def test_is_the_same_for_what_a_scope_does_not_bind(self) -> None:
        other = replace(CALL, context={"args": {"a": 1}})
        assert scope_digest(other, self.SUBJECT, {}) == scope_digest(CALL, self.SUBJECT, {})

    @pytest.mark.parametrize(
        ("call", "subject", "scope"),
        [
            (replace(CALL, action=Action("customers.purge")), SUBJECT, {}),
            (replace(CALL, resource=Resource("order", "42")), SUBJECT, {}),
            (replace(CALL, resource=Resource("customer", "43")), SUBJECT, {}),
            (replace(CALL, context={"intent": "audit"}), SUBJECT, {}),
            (CALL, Party("user", "a", "a-uid"), {}),
            (CALL, SUBJECT, {"env": "prod"}),
        ],
        ids=["action", "type", "id", "intent", "type of the subject", "properties"],
    )
    def test_differs_by_each_that_it_binds(self, call: Call, subject: Party, scope: dict[str, str]) -> None:
        assert scope_digest(call, subject, scope) != scope_digest(CALL, self.SUBJECT, {})


class TestWhatAScopeBinds:
    GATE: Final = gate_of(PRODUCTION, IN_PROD)

    def test_is_the_properties_that_the_rules_name(self) -> None:
        assert scope_of(Resource("customer", "42", {"env": "prod", "tier": "gold"}), self.GATE) == {"env": "prod"}

    @pytest.mark.parametrize("properties", [None, {}, {"tier": "gold"}, {"env": 1}, {"env": ["prod"]}, {"env": None}])
    def test_is_not_known_where_one_is_missing_or_no_text(self, properties: Any) -> None:  # noqa: ANN401 - any JSON value
        assert scope_of(Resource("customer", "42", properties), self.GATE) is None

    @pytest.mark.parametrize("properties", [None, {}, {"env": "test"}])
    def test_is_not_met_by_a_call_without_it(self, properties: Object | None) -> None:
        bound = {"type": "customer", "id": "42", "properties": {"env": "prod"}}
        grant = read(opened(IN_PROD, resource=bound))
        subject = CALL.subject
        assert isinstance(subject, Party)
        assert answers(grant, IN_PROD, subject, "")
        assert not answers(grant, replace(CALL, resource=Resource("customer", "42", properties)), subject, "")


def test_nobody_reviews_who_asks_or_who_it_is_for_or_who_acts() -> None:
    person = Party("user", "alice", "corp#alice", issuer="corp", username="oidc:alice")
    unknown = Party("user", "bob", "corp#bob", issuer="corp")
    actor = Party("serviceAccount", "system:serviceaccount:agents:broker", "broker-uid")
    call = replace(CALL, subject=person, actors=(actor,))
    assert excluded_reviewers(call, person) == {CALL.caller.username, "alice", "oidc:alice", actor.id}
    assert excluded_reviewers(replace(CALL, subject=unknown), unknown) == {CALL.caller.username, "bob"}


def test_one_by_hand_may_wait_for_longer_than_one_that_is_asked_for() -> None:
    on_short = governed(gated_rule(approval={**SCOPE, "pendingSeconds": 60}))
    written = by_hand(pendingUntilTime=at(86_000 - OPENED_AGO))
    rule = gate_of(on_short).rules[0]
    resolved = [{"policy": rule.policy, "uid": rule.policy_uid, "rule": rule.rule, "ruleDigest": rule.rule_digest}]
    grant = read(changed(written, "status.resolved.rules", resolved))
    assert verdict_of(on_short, CALL, grants=[grant]).outcome is Outcome.USE_GRANT
