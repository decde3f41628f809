"""What a gate answers, by the grants that are there, and what a verdict says beside the answer."""

import dataclasses
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Action, Call, Party, Resource, ShownApproval
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.decide import MAX_TRIED_GRANTS
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import EXPLAINED, Reason
from support.objects import Object, changed, gated_rule, rule, settings, subject
from unit.engine.cases import (
    CALL,
    NOW,
    active,
    approved,
    approving,
    asked,
    at,
    carrier,
    gate_of,
    governed,
    read,
    review,
    reviewed,
    snapshot,
    stored,
    verdict_of,
    with_context,
)

GATED: Final = governed(gated_rule())
UNPROVEN_GUARD: Final = Circumstances(now=NOW, guard_proven=False)
APPROVED: Final = approved(GATED)


def variant(of: Object, name: str = "agr-other", created: float = -1800, **status: Any) -> Grant:  # noqa: ANN401 - any
    raw = changed(of, "metadata", {**of["metadata"], "name": name, "creationTimestamp": at(created), "uid": name})
    return read({**raw, "status": {**raw.get("status", {}), **status}})


def pending(**names: Any) -> Grant:  # noqa: ANN401 - as `variant`
    return variant(asked(GATED), phase="Pending", **names)


def ended(phase: str, created: float = -1800, denied: float = -1000) -> Grant:
    """Return a grant that is over; a denial was so long ago that it can be asked again."""
    since = [{"type": "Denied", "status": "True", "lastTransitionTime": at(denied), "reason": "Denied"}]
    return variant(
        APPROVED, f"agr-{phase.lower()}", created, phase=phase, conditions=since if phase == "Denied" else []
    )


class TestAGateWithoutGrant:
    def test_asks_for_an_approval_and_says_of_what(self) -> None:
        verdict = verdict_of(GATED)
        assert (verdict.outcome, verdict.reason) == (Outcome.DENY, Reason.APPROVAL_REQUIRED)
        assert verdict.gate is not None
        assert [(one.policy, one.policy_uid, one.rule) for one in verdict.gate.rules] == [
            ("crm-agent", "crm-agent-uid", "export")
        ]
        assert [step.name for step in verdict.gate.steps] == ["crm-agent.export.owner"]
        assert verdict.digest is not None
        assert verdict.rule is not None
        assert verdict.rule.place == ("crm-agent", "export")
        assert (verdict.requestable, verdict.next_action) == (True, "request")

    def test_takes_everything_else_from_its_rule(self) -> None:
        approval = {
            "steps": [{"name": "one", "kind": "Human", "groups": ["a"], "count": 2}],
            "pendingSeconds": 31,
            "windowSeconds": 11,
            "maxUses": 3,
            "reason": {"required": False, "pattern": "a+"},
        }
        gate = verdict_of(governed(gated_rule(approval=approval))).gate
        assert gate is not None
        assert (gate.pending_seconds, gate.window_seconds, gate.max_uses) == (31, 11, 3)
        assert [(reason.required, reason.pattern) for reason in gate.reasons] == [(False, "a+")]
        assert [(step.policy, step.kind, step.groups, step.count) for step in gate.steps] == [
            ("crm-agent", "Human", ["a"], 2)
        ]

    def test_asks_for_no_reason_where_its_rule_does_not(self) -> None:
        assert gate_of(governed(gated_rule())).reasons == ()

    def test_binds_the_properties_that_its_rule_names_in_any_resource(self) -> None:
        entries = [
            {"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}},
            {"type": "customer", "ids": ["*"]},
        ]
        assert gate_of(governed(gated_rule(resources=entries))).scope_properties == {"env"}


class TestAGate:
    def test_opens_for_an_approved_call(self) -> None:
        grant = read(APPROVED)
        verdict = verdict_of(GATED, grants=[grant])
        assert (verdict.outcome, verdict.reason, verdict.grants) == (Outcome.USE_GRANT, Reason.ALLOWED, (grant,))
        assert verdict.gate is not None
        assert not verdict.requestable

    @pytest.mark.invariant(15)
    def test_stays_shut_in_spite_of_a_grant_while_its_condition_cannot_be_evaluated(self) -> None:
        known = [{"name": "c", "expression": "context.nothing == 1 || resource.id == '42'"}]
        unknown = [{"name": "c", "expression": "context.nothing == 1"}]
        grant = read(approved(governed(gated_rule(conditions=known))))
        on = governed(gated_rule(conditions=unknown))
        verdict = verdict_of(on, grants=[grant])
        assert (verdict.outcome, verdict.reason, verdict.gate) == (Outcome.DENY, Reason.CONDITION_ERROR, None)

    @pytest.mark.invariant(15, 16)
    @pytest.mark.parametrize(
        ("policies", "reason"),
        [
            ([stored("no", rule(effect="Deny", actions=["*"]))], Reason.POLICY_DENIED),
            ([stored("off", gated_rule(), suspend=True)], Reason.POLICY_SUSPENDED),
            ([stored("over", gated_rule(), expireTime=at(0))], Reason.EXPIRED),
            ([stored("else", gated_rule(intents=["support"]))], Reason.INTENT_MISMATCH),
            ([stored(f"more-{number}", gated_rule()) for number in range(4)], Reason.MULTIPLE_GATES),
            ([carrier()], Reason.POLICY_INVALID),
            ([stored("unreadable")], Reason.POLICY_INVALID),
        ],
    )
    def test_stays_shut_in_spite_of_a_grant(self, policies: list[Object], reason: Reason) -> None:
        first = stored("crm-agent", gated_rule(), endpointSettings=settings())
        verdict = verdict_of(snapshot(first, *policies), grants=[read(APPROVED)])
        assert (verdict.outcome, verdict.reason, verdict.grants, verdict.gate) == (Outcome.DENY, reason, (), None)
        assert not verdict.requestable

    @pytest.mark.invariant(15)
    @pytest.mark.parametrize("extra", [{"suspend": True}, {"expireTime": at(0)}])
    def test_of_the_grant_stays_shut_once_it_is_over_or_off(self, extra: Object) -> None:
        assert verdict_of(governed(gated_rule(), **extra), grants=[read(APPROVED)]).outcome is Outcome.DENY

    @pytest.mark.invariant(26)
    def test_stays_shut_while_the_guard_is_not_proven(self) -> None:
        verdict = verdict_of(GATED, grants=[read(APPROVED)], around=UNPROVEN_GUARD)
        assert (verdict.outcome, verdict.reason, verdict.grants) == (Outcome.DENY, Reason.APPROVAL_UNVERIFIABLE, ())

    def test_says_that_the_store_is_stale_before_it_says_anything_of_the_guard(self) -> None:
        around = Circumstances(now=NOW, guard_proven=False, freshness=Freshness.STALE)
        assert verdict_of(GATED, around=around).reason is Reason.STORE_STALE

    @pytest.mark.invariant(9)
    @pytest.mark.parametrize(
        "context",
        [
            {"args_digest": "sha256:" + "a" * 64},
            {"args": {}, "args_digest": "sha256:" + "a" * 64},
            {"args": None},
            {"args": "all"},
            {"args": {"a": "x" * 1025}},
            {"a": 2**53},
            {"a": float("nan")},
            {"a": "\ud800"},
        ],
    )
    def test_stays_shut_before_what_nobody_can_be_shown_or_bound_to(self, context: Object) -> None:
        verdict = verdict_of(GATED, with_context(**context), [read(APPROVED)])
        assert (verdict.outcome, verdict.reason, verdict.requestable) == (Outcome.DENY, Reason.UNINSPECTABLE, False)

    def test_stays_shut_before_what_is_nested_too_deep_to_be_bound_to(self) -> None:
        nested: object = 1
        for _ in range(5000):
            nested = [nested]
        assert verdict_of(GATED, with_context(a=nested)).reason is Reason.UNINSPECTABLE


OTHER_CALLS: Final = {
    "another subject": replace(CALL, subject=Party("serviceAccount", "system:serviceaccount:agents:b", "agent-uid")),
    "a subject that was created again": replace(
        CALL, subject=Party("serviceAccount", "system:serviceaccount:agents:crm-agent", "new-uid")
    ),
    "properties of the subject": replace(
        CALL, subject=Party("serviceAccount", "system:serviceaccount:agents:crm-agent", "agent-uid", {}, {"a": 1})
    ),
    "another action": replace(CALL, action=Action("customers.delete")),
    "properties of the action": replace(CALL, action=Action("customers.export", {})),
    "another resource": replace(CALL, resource=Resource("customer", "43")),
    "another type of resource": replace(CALL, resource=Resource("order", "42")),
    "properties of the resource": replace(CALL, resource=Resource("customer", "42", {"env": "prod"})),
    "a purpose": with_context(intent="support"),
    "arguments": with_context(args={}),
    "context": with_context(tenant="a"),
}


FOR_ALL: Final = governed(
    gated_rule(
        subjects=["agent", "b"],
        actions=["*"],
        resources=[{"type": kind, "ids": ["*"]} for kind in ("customer", "order")],
    ),
    subjects=[subject(), subject("b", account="b")],
)


class TestAGrant:
    @pytest.mark.invariant(8)
    @pytest.mark.parametrize("call", OTHER_CALLS.values(), ids=OTHER_CALLS)
    def test_serves_no_other_call(self, call: Call) -> None:
        grant = read(approved(FOR_ALL))
        assert verdict_of(FOR_ALL, grants=[grant]).outcome is Outcome.USE_GRANT
        verdict = verdict_of(FOR_ALL, call, [grant])
        assert (verdict.outcome, verdict.reason) == (Outcome.DENY, Reason.APPROVAL_REQUIRED)

    @pytest.mark.parametrize("call", OTHER_CALLS.values(), ids=OTHER_CALLS)
    def test_of_another_call_has_another_digest_or_another_uid(self, call: Call) -> None:
        keys = set()
        for one in (CALL, call):
            assert isinstance(one.subject, Party)
            keys.add((verdict_of(FOR_ALL, one).digest, one.subject.uid))
        assert len(keys) == 2

    @pytest.mark.invariant(24)
    def test_of_another_namespace_serves_no_call_here(self) -> None:
        grant = read(changed(APPROVED, "metadata.namespace", "other"))
        assert verdict_of(GATED, grants=[grant]).reason is Reason.APPROVAL_REQUIRED

    @pytest.mark.invariant(8, 14, 24)
    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("endpoint", "other"),
            ("subject.uid", "other"),
            ("subject.uid", ...),
            ("subject.id", "system:serviceaccount:agents:other"),
            ("actors", [{"id": "somebody"}]),
            ("action.name", "customers.delete"),
            ("resource.type", "order"),
            ("resource.id", "43"),
            ("intent", "support"),
            ("binding.mode", "Scope"),
            ("binding.digest", "sha256:" + "0" * 64),
            ("binding.digest", ...),
        ],
    )
    def test_that_names_anything_else_than_the_call_serves_nobody(self, path: str, value: object) -> None:
        raw = APPROVED
        *way, last = f"spec.request.{path}".split(".")
        if last not in _node(raw, way):
            _node(raw := changed(raw, ".".join(way), _node(raw, way)), way)[last] = value
        else:
            raw = changed(raw, f"spec.request.{path}", value)
        assert verdict_of(GATED, grants=[read(raw)]).reason is Reason.APPROVAL_REQUIRED


def _node(raw: Object, way: list[str]) -> Object:
    for key in way:
        raw = raw[key]
    return raw


class TestSeveralGrants:
    def test_are_tried_from_the_earliest_end_and_then_by_name(self) -> None:
        late, soon = (variant(APPROVED, name, notAfterTime=at(end)) for name, end in (("agr-a", 300), ("agr-b", 200)))
        same = variant(APPROVED, "agr-c", notAfterTime=at(200))
        for order in ([late, soon, same], [same, soon, late]):
            assert verdict_of(GATED, grants=order).grants == (soon, same, late)

    def test_are_tried_four_times_at_most(self) -> None:
        grants = [variant(APPROVED, f"agr-{number}") for number in range(MAX_TRIED_GRANTS + 1)]
        assert verdict_of(GATED, grants=grants).grants == tuple(grants[:4])

    @pytest.mark.parametrize("others", [[pending()], [ended("Denied")], [pending(), ended("Revoked", 0)]])
    def test_open_if_one_of_them_does(self, others: list[Grant]) -> None:
        grant = read(APPROVED)
        assert verdict_of(GATED, grants=[*others, grant]).grants == (grant,)

    def test_are_pending_if_one_of_them_is(self) -> None:
        waiting = pending()
        verdict = verdict_of(GATED, grants=[ended("Denied", 0), waiting, ended("Consumed", 0)])
        assert (verdict.reason, verdict.pending, verdict.next_action) == (Reason.APPROVAL_PENDING, waiting, "retry")
        assert not verdict.requestable

    def test_name_the_pending_one_that_comes_first_by_name(self) -> None:
        first, second = pending(name="agr-a"), pending(name="agr-b")
        for order in ([first, second], [second, first]):
            assert verdict_of(GATED, grants=order).pending is first

    @pytest.mark.parametrize(
        ("phase", "reason", "requestable"),
        [
            ("Denied", Reason.APPROVAL_DENIED, True),
            ("Expired", Reason.APPROVAL_EXPIRED, True),
            ("Withdrawn", Reason.APPROVAL_REQUIRED, True),
            ("Consumed", Reason.APPROVAL_CONSUMED, True),
            ("Lapsed", Reason.APPROVAL_EXPIRED, True),
            ("Revoked", Reason.APPROVAL_REVOKED, True),
        ],
    )
    def test_that_are_over_say_what_became_of_the_latest(self, phase: str, reason: Reason, requestable: bool) -> None:
        other = "Revoked" if phase != "Revoked" else "Denied"
        latest, earlier = ended(phase, -1790), ended(other, -1800)
        for order in ([latest, earlier], [earlier, latest]):
            verdict = verdict_of(GATED, grants=order)
            assert (verdict.reason, verdict.requestable, verdict.gate is None) == (reason, requestable, False)

    def test_of_one_moment_say_what_became_of_the_last_by_name(self) -> None:
        for order in ([ended("Denied"), ended("Revoked")], [ended("Revoked"), ended("Denied")]):
            assert verdict_of(GATED, grants=order).reason is Reason.APPROVAL_REVOKED


def allowing(name: str, **fields: object) -> Object:
    return stored(name, rule(name, **{"actions": ["customers.export"], **fields}))


class TestADenial:
    @pytest.mark.parametrize(
        ("since", "cooldown", "requestable"),
        [
            (-900.0, {}, True),
            (-899.0, {}, False),
            (-5.0, {"denyCooldownSeconds": 4}, True),
            (0.0, {"denyCooldownSeconds": 0}, True),
        ],
    )
    def test_cannot_be_asked_for_again_so_soon(self, since: float, cooldown: Object, requestable: bool) -> None:
        on = approving(limits=cooldown)
        conditions = [{"type": "Denied", "status": "True", "lastTransitionTime": at(since), "reason": "Denied"}]
        grant = read(approved(on, phase="Denied", conditions=conditions))
        verdict = verdict_of(on, grants=[grant])
        assert (verdict.reason, verdict.requestable) == (Reason.APPROVAL_DENIED, requestable)
        assert verdict.next_action == ("request" if requestable else "none")

    @pytest.mark.parametrize("order", [(-800.0, -300.0), (-300.0, -800.0)])
    def test_of_several_the_latest_counts(self, order: tuple[float, float]) -> None:
        grants = []
        for number, since in enumerate(order):
            conditions = [{"type": "Denied", "status": "True", "lastTransitionTime": at(since), "reason": "Denied"}]
            raw = approved(GATED, phase="Denied", conditions=conditions)
            grants.append(
                read(changed(changed(raw, "metadata.name", f"agr-{number}"), "metadata.uid", f"uid-{number}"))
            )
        assert verdict_of(GATED, grants=grants).cools_until == NOW - 300 + 900

    @pytest.mark.parametrize(
        ("earliest", "cools"), [(None, False), (NOW, False), (NOW - 1, True), (float("-inf"), True)]
    )
    def test_is_over_only_by_the_earliest_time_that_it_can_be(self, earliest: float | None, cools: bool) -> None:
        conditions = [{"type": "Denied", "status": "True", "lastTransitionTime": at(-900), "reason": "Denied"}]
        grant = read(approved(GATED, phase="Denied", conditions=conditions))
        verdict = verdict_of(GATED, grants=[grant], around=Circumstances(now=NOW, earliest=earliest))
        assert verdict.requestable is not cools

    def test_of_nobody_knows_when_lasts(self) -> None:
        verdict = verdict_of(GATED, grants=[variant(APPROVED, phase="Denied")])
        assert (verdict.cools_until, verdict.requestable) == (float("inf"), False)

    @pytest.mark.invariant(19)
    @pytest.mark.parametrize(
        "shown", [ShownApproval("agr-another.uid"), ShownApproval("agr-another.uid", invalid=True)]
    )
    def test_holds_whatever_else_is_shown(self, shown: ShownApproval) -> None:
        verdict = verdict_of(GATED, replace(CALL, shown=shown), [ended("Denied", -20, denied=-20)])
        assert (verdict.outcome, verdict.requestable) == (Outcome.DENY, False)

    @pytest.mark.invariant(13, 19)
    def test_holds_although_it_was_taken_back_since(self) -> None:
        taken_back = dataclasses.replace(ended("Denied", -20, denied=-20), revoked=True)
        verdict = verdict_of(GATED, grants=[taken_back])
        assert (verdict.reason, verdict.requestable) == (Reason.APPROVAL_DENIED, False)

    def test_holds_although_another_grant_ended_since(self) -> None:
        denied = ended("Denied", -20, denied=-20)
        verdict = verdict_of(GATED, grants=[denied, ended("Revoked", -10)])
        assert (verdict.reason, verdict.requestable) == (Reason.APPROVAL_REVOKED, False)


class TestAVerdict:
    @pytest.mark.parametrize("effect", ["Allow", "Deny"])
    def test_names_the_first_of_equal_rules_whatever_their_order(self, effect: str) -> None:
        policies = [allowing(name, effect=effect) for name in ("b", "a", "c")]
        for order in (policies, policies[::-1]):
            deciding = verdict_of(snapshot(carrier(), *order)).rule
            assert deciding is not None
            assert deciding.place == ("a", "a")

    def test_names_the_first_of_equal_rules_however_they_spell_their_actions(self) -> None:
        on = snapshot(carrier(), allowing("b", effect="Deny"), allowing("a", effect="Deny", actions=["customers.*"]))
        deciding = verdict_of(on).rule
        assert deciding is not None
        assert deciding.place == ("a", "a")

    def test_names_the_first_of_several_gates(self) -> None:
        policies = [stored(name, gated_rule(name)) for name in ("b", "a")]
        verdict = verdict_of(snapshot(carrier(), *policies))
        assert verdict.reason is Reason.APPROVAL_REQUIRED
        assert verdict.rule is not None
        assert verdict.rule.place == ("a", "a")

    @pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
    def test_says_what_is_certain_before_what_is_not_whatever_the_names(self, names: tuple[str, str]) -> None:
        certain, unknown = names
        error = [{"name": "c", "expression": "1 / 0 == 1"}]
        false = [{"name": "c", "expression": "false"}]
        on = snapshot(carrier(), allowing(certain, effect="Deny"), allowing(unknown, effect="Deny", conditions=error))
        assert verdict_of(on).reason is Reason.POLICY_DENIED
        on = snapshot(carrier(), allowing(certain, conditions=false), allowing(unknown, conditions=error))
        assert verdict_of(on).reason is Reason.CONDITION_FALSE

    def test_says_what_the_policy_says_of_its_condition(self) -> None:
        told = [{"name": "c", "expression": "false", "message": "only in office hours"}]
        verdict = verdict_of(snapshot(carrier(), allowing("a", conditions=told)))
        assert (verdict.message, verdict.sentence) == ("only in office hours", "only in office hours")

    def test_says_what_the_policy_says_of_a_condition_that_fails(self) -> None:
        told = [{"name": "c", "expression": "context.nothing == 1", "message": "say it"}]
        verdict = verdict_of(snapshot(carrier(), allowing("a", conditions=told)))
        assert (verdict.reason, verdict.message) == (Reason.CONDITION_ERROR, "say it")

    def test_has_a_sentence_of_its_own_otherwise(self) -> None:
        verdict = verdict_of(snapshot(carrier()))
        assert (verdict.message, verdict.sentence) == (None, EXPLAINED[Reason.NO_RULE].sentence)

    def test_names_the_nearest_rule_of_a_denial(self) -> None:
        on = snapshot(carrier(), allowing("a", expireTime=at(0)))
        nearest = verdict_of(on).rule
        assert nearest is not None
        assert nearest.place == ("a", "a")
        assert verdict_of(snapshot(carrier())).rule is None

    def test_has_one_of_four_outcomes_and_keeps_it(self) -> None:
        # Their spelling stands in records.
        assert [outcome.value for outcome in Outcome] == ["allow", "deny", "use_grant", "forbidden"]
        with pytest.raises(AttributeError):
            setattr(verdict_of(GATED), "outcome", Outcome.ALLOW)  # noqa: B010 - that it fails is the point

    def test_that_is_no_denial_cannot_be_requested(self) -> None:
        gate = verdict_of(GATED).gate
        made = Verdict(outcome=Outcome.ALLOW, reason=Reason.APPROVAL_REQUIRED, gate=gate)
        assert not made.requestable
        assert replace(made, outcome=Outcome.DENY).requestable
        assert not replace(made, outcome=Outcome.DENY, gate=None).requestable
        assert not replace(made, outcome=Outcome.DENY, cools_until=NOW).requestable
        assert not replace(made, outcome=Outcome.DENY, reason=Reason.UNINSPECTABLE).requestable

    def test_lists_what_audit_policies_would_have_said(self) -> None:
        false = [{"name": "c", "expression": "false"}]
        shadow = [
            rule("z-allow", actions=["customers.export"]),
            rule("a-deny", effect="Deny", actions=["*"]),
            rule("silent", effect="Deny", actions=["customers.export"], conditions=false),
            rule("elsewhere", effect="Deny", actions=["customers.list"]),
            gated_rule("gate"),
        ]
        expected = (("shadow", "a-deny", "Deny"), ("shadow", "gate", "RequireApproval"), ("shadow", "z-allow", "Allow"))
        for real in (rule("r", actions=["customers.export"]), rule("r"), gated_rule("r")):
            on = snapshot(carrier(), stored("real", real), stored("shadow", *shadow, mode="Audit"))
            without = snapshot(carrier(), stored("real", real))
            verdict = verdict_of(on)
            assert (verdict.outcome, verdict.reason) == (verdict_of(without).outcome, verdict_of(without).reason)
            assert verdict.audit == expected

    def test_of_a_denial_lists_them_too(self) -> None:
        shadow = stored("shadow", gated_rule("gate"), mode="Audit", suspend=True)
        on = snapshot(carrier(), shadow, allowing("no", effect="Deny"))
        assert verdict_of(on).audit == (("shadow", "gate", "RequireApproval"),)

    def test_accepts_grants_that_can_be_read_but_once(self) -> None:
        assert verdict_of(GATED, grants=iter([read(APPROVED)])).outcome is Outcome.USE_GRANT


def test_a_denied_grant_is_shown_as_denied_although_the_operator_has_not_written_it() -> None:
    of = asked(GATED)
    denied = reviewed(of, review(of, "carol"), review(of, "dave", decision="Deny"))
    assert verdict_of(GATED, grants=[read(active(denied))]).reason is Reason.APPROVAL_DENIED
