"""The table of DESIGN "A decision" 5, cell by cell, and what more than one cell at once comes to.

Holds: below a RequireApproval and a Deny lies an Allow, so that a rule which does not match shows as an allowed call.
"""

from typing import Final, Literal

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Call, Resource
from bailiwick_engine.reasons import Reason
from bailiwick_engine.verdict import Outcome
from support.objects import Object, gated_rule, rule
from unit.engine.cases import CALL, at, carrier, compilation, snapshot, stored, verdict_of, with_context

Effect = Literal["Allow", "RequireApproval", "Deny"]
Answer = tuple[Outcome, Reason]

ALLOWED: Final[Answer] = (Outcome.ALLOW, Reason.ALLOWED)
GATED: Final[Answer] = (Outcome.DENY, Reason.APPROVAL_REQUIRED)
DENIED: Final[Answer] = (Outcome.DENY, Reason.POLICY_DENIED)

PRODUCTION: Final = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]


def no(reason: Reason) -> Answer:
    return (Outcome.DENY, reason)


def judged(effect: Effect, rule_fields: Object, policy_fields: Object, call: Call) -> Answer:
    make = gated_rule if effect == "RequireApproval" else rule
    of_interest = make("judged", **{"effect": effect, "actions": ["customers.export"], **rule_fields})
    policies = [carrier(), stored("judged", of_interest, **policy_fields)]
    if effect != "Allow":
        policies.append(stored("beneath", rule("beneath", actions=["customers.export"])))
    verdict = verdict_of(snapshot(*policies), call)
    return (verdict.outcome, verdict.reason)


def condition(*expressions: str) -> Object:
    return {"conditions": [{"name": f"c{n}", "expression": text} for n, text in enumerate(expressions)]}


def in_environment(value: object) -> Call:
    return replace(CALL, resource=Resource("customer", "42", {"env": value}))


TRUE: Final = condition("true")
FALSE: Final = condition("false")
ERROR: Final = condition("1 / 0 == 1")
UNKNOWN: Final = condition("context.nothing == 1")
OVER: Final = {"expireTime": at(0)}
NOT_YET_OVER: Final = {"expireTime": at(1)}
OFF: Final = {"suspend": True}
PURPOSE: Final = {"intents": ["support"]}
NONE: Final[Object] = {}


CELLS: Final[list[tuple[str, Object, Object, Call, Answer, Answer, Answer]]] = [
    # (column, fields of the rule, fields of the policy, call, Allow, RequireApproval, Deny)
    ("nothing special", NONE, NONE, CALL, ALLOWED, GATED, DENIED),
    ("condition true", TRUE, NONE, CALL, ALLOWED, GATED, DENIED),
    ("condition false", FALSE, NONE, CALL, no(Reason.CONDITION_FALSE), ALLOWED, ALLOWED),
    ("condition error", ERROR, NONE, CALL, no(Reason.CONDITION_ERROR), GATED, no(Reason.CONDITION_ERROR)),
    ("condition unknown", UNKNOWN, NONE, CALL, no(Reason.CONDITION_ERROR), GATED, no(Reason.CONDITION_ERROR)),
    ("one false and one error", condition("1 / 0 == 1", "false"), NONE, CALL, no(Reason.CONDITION_FALSE))
    + (ALLOWED, ALLOWED),
    ("one error and one true", condition("1 / 0 == 1", "true"), NONE, CALL, no(Reason.CONDITION_ERROR))
    + (GATED, no(Reason.CONDITION_ERROR)),
    ("property right", {"resources": PRODUCTION}, NONE, in_environment("prod"), ALLOWED, GATED, DENIED),
    ("property wrong", {"resources": PRODUCTION}, NONE, in_environment("test"), no(Reason.NO_RULE), ALLOWED, ALLOWED),
    ("property absent", {"resources": PRODUCTION}, NONE, CALL, no(Reason.NO_RULE), GATED, DENIED),
    ("property null", {"resources": PRODUCTION}, NONE, in_environment(None), no(Reason.NO_RULE), GATED, DENIED),
    ("property a number", {"resources": PRODUCTION}, NONE, in_environment(1), no(Reason.NO_RULE), GATED, DENIED),
    ("property a list", {"resources": PRODUCTION}, NONE, in_environment(["prod"]), no(Reason.NO_RULE), GATED, DENIED),
    ("property a list of others", {"resources": PRODUCTION}, NONE, in_environment(["test"]), no(Reason.NO_RULE))
    + (GATED, DENIED),
    ("policy expired", NONE, OVER, CALL, no(Reason.EXPIRED), no(Reason.EXPIRED), DENIED),
    ("policy about to expire", NONE, NOT_YET_OVER, CALL, ALLOWED, GATED, DENIED),
    ("policy suspended", NONE, OFF, CALL, no(Reason.POLICY_SUSPENDED), no(Reason.POLICY_SUSPENDED), DENIED),
    ("policy suspended and expired", NONE, OFF | OVER, CALL, no(Reason.POLICY_SUSPENDED))
    + (no(Reason.POLICY_SUSPENDED), DENIED),
    ("condition false, policy suspended", FALSE, OFF, CALL, no(Reason.CONDITION_FALSE), ALLOWED, ALLOWED),
    ("condition unknown, policy suspended", UNKNOWN, OFF, CALL, no(Reason.CONDITION_ERROR))
    + (no(Reason.POLICY_SUSPENDED), no(Reason.CONDITION_ERROR)),
    ("condition unknown, policy expired", UNKNOWN, OVER, CALL, no(Reason.CONDITION_ERROR))
    + (no(Reason.EXPIRED), no(Reason.CONDITION_ERROR)),
    ("property absent, policy expired", {"resources": PRODUCTION}, OVER, CALL, no(Reason.NO_RULE))
    + (no(Reason.EXPIRED), DENIED),
    ("policy in audit mode", NONE, {"mode": "Audit"}, CALL, no(Reason.NO_RULE), ALLOWED, ALLOWED),
]  # fmt: skip

# What a Deny rule cannot have.
PERMISSIVE: Final[list[tuple[str, Object, Object, Call, Answer, Answer]]] = [
    ("intent met", PURPOSE, NONE, with_context(intent="support"), ALLOWED, GATED),
    ("intent unmet", PURPOSE, NONE, with_context(intent="sales"), *2 * [no(Reason.INTENT_MISMATCH)]),
    ("intent absent", PURPOSE, NONE, CALL, *2 * [no(Reason.INTENT_MISMATCH)]),
    ("intent no string", PURPOSE, NONE, with_context(intent=["support"]), *2 * [no(Reason.INTENT_MISMATCH)]),
    ("intent unmet, condition false", PURPOSE | FALSE, NONE, CALL, no(Reason.CONDITION_FALSE), ALLOWED),
    ("intent unmet, condition unknown", PURPOSE | UNKNOWN, NONE, CALL, no(Reason.CONDITION_ERROR))
    + (no(Reason.INTENT_MISMATCH),),
    ("intent unmet, rule expired", PURPOSE | OVER, NONE, CALL, *2 * [no(Reason.EXPIRED)]),
    ("rule expired", OVER, NONE, CALL, *2 * [no(Reason.EXPIRED)]),
    ("rule about to expire", NOT_YET_OVER, NONE, CALL, ALLOWED, GATED),
    ("rule expired, policy not yet", OVER, {"expireTime": at(3600)}, CALL, *2 * [no(Reason.EXPIRED)]),
    ("policy expired, rule not yet", {"expireTime": at(3600)}, OVER, CALL, *2 * [no(Reason.EXPIRED)]),
    ("rule expired, policy suspended", OVER, OFF, CALL, *2 * [no(Reason.POLICY_SUSPENDED)]),
    ("rule expired, condition false", OVER | FALSE, NONE, CALL, no(Reason.CONDITION_FALSE), ALLOWED),
]


class TestAnAllow:
    @pytest.mark.parametrize(
        ("rule_fields", "policy_fields", "call", "answer"),
        [pytest.param(*cell[1:5], id=cell[0]) for cell in (*CELLS, *PERMISSIVE)],
    )
    def test_is_no_match_as_soon_as_anything_is_unknown_over_or_off(
        self, rule_fields: Object, policy_fields: Object, call: Call, answer: Answer
    ) -> None:
        assert judged("Allow", rule_fields, policy_fields, call) == answer


class TestARequireApproval:
    @pytest.mark.parametrize(
        ("rule_fields", "policy_fields", "call", "answer"),
        [pytest.param(*cell[1:4], cell[5], id=cell[0]) for cell in (*CELLS, *PERMISSIVE)],
    )
    def test_keeps_its_gate_where_something_is_unknown_and_shuts_it_where_it_is_over_or_off(
        self, rule_fields: Object, policy_fields: Object, call: Call, answer: Answer
    ) -> None:
        assert judged("RequireApproval", rule_fields, policy_fields, call) == answer


class TestADeny:
    @pytest.mark.parametrize(
        ("rule_fields", "policy_fields", "call", "answer"),
        [pytest.param(*cell[1:4], cell[6], id=cell[0]) for cell in CELLS],
    )
    def test_stands_unless_its_condition_is_false(
        self, rule_fields: Object, policy_fields: Object, call: Call, answer: Answer
    ) -> None:
        assert judged("Deny", rule_fields, policy_fields, call) == answer

    @pytest.mark.parametrize("fields", [OVER, PURPOSE], ids=["expiry", "intents"])
    def test_cannot_have_what_would_let_a_caller_wait_or_talk_it_away(self, fields: Object) -> None:
        made = compilation(stored("judged", rule("judged", effect="Deny", **fields)))
        assert made.policy is None
        assert [problem.path for problem in made.problems] == [f"spec.rules[0].{next(iter(fields))}"]


class TestTheStrictestRule:
    @pytest.mark.parametrize(
        ("effects", "answer"),
        [
            ({"Allow"}, ALLOWED),
            ({"Allow", "RequireApproval"}, GATED),
            ({"Allow", "Deny"}, DENIED),
            ({"RequireApproval"}, GATED),
            ({"RequireApproval", "Deny"}, DENIED),
            ({"Allow", "RequireApproval", "Deny"}, DENIED),
            ({"Deny"}, DENIED),
            (set(), no(Reason.NO_RULE)),
        ],
        ids=lambda value: "+".join(sorted(value)) or "none" if isinstance(value, set) else "",
    )
    def test_wins(self, effects: set[str], answer: Answer) -> None:
        rules = [
            (gated_rule if effect == "RequireApproval" else rule)(
                effect.lower(), effect=effect, actions=["customers.export"]
            )
            for effect in sorted(effects)
        ]
        verdict = verdict_of(snapshot(carrier(), *(stored(one["name"], one) for one in rules)))
        assert (verdict.outcome, verdict.reason) == answer

    def test_wins_over_a_gate_that_is_shut(self) -> None:
        shut = stored("shut", gated_rule(), suspend=True)
        deny = stored("deny", rule("no", effect="Deny", actions=["customers.export"]))
        assert verdict_of(snapshot(carrier(), shut, deny)).reason is Reason.POLICY_DENIED

    def test_a_shut_gate_wins_over_an_open_one(self) -> None:
        shut = stored("shut", gated_rule(), suspend=True)
        verdict = verdict_of(snapshot(carrier(), shut, stored("open", gated_rule())))
        assert (verdict.reason, verdict.gate) == (Reason.POLICY_SUSPENDED, None)
