"""Several rules ask for an approval of one call: one grant meets them all, by the strictest of everything."""

from typing import Any, Final

import pytest

from bailiwick_engine.approval.gates import in_place_of, join_gates
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from support.objects import Object, gated_rule
from unit.engine.cases import (
    active,
    asked,
    carrier,
    gate_of,
    read,
    review,
    reviewed,
    snapshot,
    stored,
    verdict_of,
    with_context,
)

OWNER: Final = {"name": "owner", "kind": "Human", "groups": ["crm-owners"], "count": 1}
ROBOT: Final = {"name": "robot", "kind": "System", "count": 1}


def both(one: Object, other: Object) -> Snapshot:
    """Return an endpoint where two policies gate the call, each by its own terms."""
    return snapshot(
        carrier(),
        stored("one", gated_rule(approval={"steps": [OWNER], **one})),
        stored("two", gated_rule(approval={"steps": [ROBOT], **other})),
    )


def granted(on: Snapshot, *names: str) -> Grant:
    """Return a grant that these people and robots approved, a step each."""
    of = asked(on)
    return read(active(reviewed(of, *(review(of, name, step) for step, name in enumerate(names)))))


BOTH: Final = both({}, {})
BOT: Final = "system:serviceaccount:ci:bot"


class TestOneGrant:
    def test_names_every_rule_and_unites_their_steps(self) -> None:
        gate = gate_of(BOTH)
        assert [(one.policy, one.rule) for one in gate.rules] == [("one", "export"), ("two", "export")]
        assert [step.name for step in gate.steps] == ["one.export.owner", "two.export.robot"]
        assert [step.policy for step in gate.steps] == ["one", "two"]

    def test_lets_the_call_through_once_every_step_is_met(self) -> None:
        assert verdict_of(BOTH, grants=[granted(BOTH, "carol", BOT)]).outcome is Outcome.USE_GRANT

    def test_does_not_while_one_step_is_not(self) -> None:
        assert verdict_of(BOTH, grants=[granted(BOTH, "carol")]).reason is Reason.APPROVAL_UNVERIFIABLE

    def test_of_one_of_the_rules_alone_is_none(self) -> None:
        alone = snapshot(carrier(), stored("one", gated_rule(approval={"steps": [OWNER]})))
        assert verdict_of(BOTH, grants=[granted(alone, "carol")]).reason is Reason.APPROVAL_REQUIRED

    def test_of_more_rules_than_there_are_now_is_none(self) -> None:
        alone = snapshot(carrier(), stored("one", gated_rule(approval={"steps": [OWNER]})))
        assert verdict_of(alone, grants=[granted(BOTH, "carol", BOT)]).reason is Reason.APPROVAL_REQUIRED

    def test_serves_four_rules_and_no_more(self) -> None:
        for count, reason in ((4, Reason.APPROVAL_REQUIRED), (5, Reason.MULTIPLE_GATES)):
            on = snapshot(carrier(), *(stored(f"p{number}", gated_rule()) for number in range(count)))
            assert verdict_of(on).reason is reason

    @pytest.mark.invariant(23)
    def test_that_more_reviews_than_a_grant_holds_would_have_to_meet_is_never_asked_for(self) -> None:
        for counts, reason in (([15, 5], Reason.APPROVAL_REQUIRED), ([15, 6], Reason.MULTIPLE_GATES)):
            gates = []
            for number, count in enumerate(counts):
                whole, rest = divmod(count, 5)
                steps = [{**OWNER, "name": f"s{place}", "count": 5} for place in range(whole)]
                steps += [{**OWNER, "name": "rest", "count": rest}] if rest else []
                gates.append(stored(f"p{number}", gated_rule(approval={"steps": steps, "open": "OnDeny"})))
            verdict = verdict_of(snapshot(carrier(), *gates))
            assert (verdict.reason, verdict.requestable) == (reason, reason is Reason.APPROVAL_REQUIRED)

    def test_is_of_each_rule_even_where_two_mean_the_same(self) -> None:
        on = snapshot(carrier(), stored("one", gated_rule("a"), gated_rule("b")))
        assert len(gate_of(on).rules) == 2
        assert [step.name for step in gate_of(on).steps] == ["one.a.owner", "one.b.owner"]
        single = snapshot(carrier(), stored("one", gated_rule("a")))
        assert verdict_of(on, grants=[granted(single, "carol")]).reason is Reason.APPROVAL_REQUIRED


class TestOfEverythingElse:
    @pytest.mark.parametrize(
        ("one", "other", "field", "expected"),
        [
            ({"windowSeconds": 20}, {"windowSeconds": 30}, "window_seconds", 20),
            ({"pendingSeconds": 60}, {"pendingSeconds": 50}, "pending_seconds", 50),
            ({"maxUses": 3}, {"maxUses": 2}, "max_uses", 2),
            ({"binding": "Scope"}, {}, "scope", False),
            ({"binding": "Scope"}, {"binding": "Scope"}, "scope", True),
            ({"requiredContext": ["a"]}, {"requiredContext": ["b"]}, "required_context", frozenset("ab")),
            ({"show": ["/context/a"]}, {"show": ["/context/b"]}, "show", ("/context/a", "/context/b")),
            ({"show": ["/context/a"]}, {}, "show", None),
            ({"allowUnseen": True}, {}, "unseen", False),
            ({"allowUnseen": True}, {"allowUnseen": True}, "unseen", True),
            ({"presentation": "Token"}, {}, "by_token", True),
            ({"open": "OnDeny"}, {}, "on_deny", False),
            ({"open": "OnDeny"}, {"open": "OnDeny"}, "on_deny", True),
        ],
    )
    def test_the_strictest_counts(self, one: Object, other: Object, field: str, expected: Any) -> None:  # noqa: ANN401
        for first, second in ((one, other), (other, one)):
            assert getattr(gate_of(both(first, second)), field) == expected

    def test_the_strictest_limits_count(self) -> None:
        limits = gate_of(
            both(
                {"limits": {"pendingPerSubject": 1, "requestsPerHour": 9, "denyCooldownSeconds": 5}},
                {"limits": {"pendingPerSubject": 2, "requestsPerHour": 8, "denyCooldownSeconds": 7}},
            )
        ).limits
        assert (limits.pending_per_subject, limits.requests_per_hour, limits.deny_cooldown_seconds) == (1, 8, 7)

    def test_every_reason_that_is_asked_for_counts(self) -> None:
        gate = gate_of(both({"reason": {"pattern": "INC-.*"}}, {"reason": {"required": False}}))
        assert [reason.pattern for reason in gate.reasons] == ["INC-.*", None]

    def test_the_purpose_counts_where_one_rule_lists_any(self) -> None:
        listing = gated_rule(approval={"steps": [OWNER]}, intents=["support"])
        for listed in ((True, False), (False, True), (True, True), (False, False)):
            made = [
                stored(name, listing if lists else gated_rule(approval={"steps": [OWNER]}))
                for name, lists in zip(("one", "two"), listed, strict=True)
            ]
            assert gate_of(snapshot(carrier(), *made), with_context(intent="support")).intents is any(listed)


def test_one_gate_joined_is_itself() -> None:
    gate = gate_of(BOTH)
    assert join_gates([gate]) is gate


def test_a_gate_in_the_place_of_another_policy_is_known_as_that_one_and_asks_the_same() -> None:
    gate = gate_of(snapshot(carrier(), stored("next", gated_rule(approval={"steps": [OWNER], "maxUses": 2}))))
    found = in_place_of(gate, "live", "live-uid")
    (was,), (rule,) = gate.rules, found.rules
    assert (rule.policy, rule.policy_uid) == ("live", "live-uid")
    assert (rule.rule, rule.rule_digest) == (was.rule, was.rule_digest)
    assert [(step.name, step.policy) for step in found.steps] == [("live.export.owner", "live")]
    assert [step.groups for step in found.steps] == [step.groups for step in gate.steps]
    assert found.max_uses == gate.max_uses == 2
