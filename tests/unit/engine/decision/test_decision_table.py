"""The table "What a rule does" of docs/reference/policy.md, cell by cell, and what more than one cell at once comes to.

Holds: below a RequireApproval and a Deny lies an Allow, so that a rule which does not match shows as an allowed call.
"""

from typing import Final, Literal, NamedTuple

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Call, Resource
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.reasons import Reason
from support.objects import Object, gated_rule, rule
from unit.engine.cases import CALL, at, carrier, compilation, snapshot, stored, verdict_of, with_context

Effect = Literal["Allow", "RequireApproval", "Deny"]
Answer = tuple[Outcome, Reason]

ALLOWED: Final = (Outcome.ALLOW, Reason.ALLOWED)
GATED: Final = (Outcome.DENY, Reason.APPROVAL_REQUIRED)
DENIED: Final = (Outcome.DENY, Reason.POLICY_DENIED)
NO_RULE: Final = (Outcome.DENY, Reason.NO_RULE)
HELD_FALSE: Final = (Outcome.DENY, Reason.CONDITION_FALSE)
UNKNOWN: Final = (Outcome.DENY, Reason.CONDITION_ERROR)
MISMATCH: Final = (Outcome.DENY, Reason.INTENT_MISMATCH)
EXPIRED: Final = (Outcome.DENY, Reason.EXPIRED)
SUSPENDED: Final = (Outcome.DENY, Reason.POLICY_SUSPENDED)


class Cell(NamedTuple):
    """A line: a rule, its policy and a call, and what each effect comes to. `deny` is None: not allowed."""

    column: str
    allow: Answer
    require: Answer
    deny: Answer | None
    rule: Object = {}  # noqa: RUF012 - never changed
    policy: Object = {}  # noqa: RUF012 - likewise
    call: Call = CALL


def conditions(*expressions: str) -> Object:
    return {"conditions": [{"name": f"c{n}", "expression": text} for n, text in enumerate(expressions)]}


def in_environment(value: object) -> Call:
    return replace(CALL, resource=Resource("customer", "42", {"env": value}))


FALSE: Final = conditions("false")
MISSING: Final = conditions("context.nothing == 1")
OVER: Final[Object] = {"expireTime": at(0)}
A_SECOND_LEFT: Final[Object] = {"expireTime": at(1)}
AN_HOUR_LEFT: Final[Object] = {"expireTime": at(3600)}
OFF: Final[Object] = {"suspend": True}
PURPOSE: Final[Object] = {"intents": ["support"]}
PROD: Final[Object] = {"resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]}

CELLS: Final = [
    Cell("nothing special", ALLOWED, GATED, DENIED),
    Cell("condition true", ALLOWED, GATED, DENIED, conditions("true")),
    Cell("condition false", HELD_FALSE, ALLOWED, ALLOWED, FALSE),
    Cell("condition error", UNKNOWN, UNKNOWN, UNKNOWN, conditions("1 / 0 == 1")),
    Cell("condition unknown", UNKNOWN, UNKNOWN, UNKNOWN, MISSING),
    Cell("error, then false", HELD_FALSE, ALLOWED, ALLOWED, conditions("1 / 0 == 1", "false")),
    Cell("false, then error", HELD_FALSE, ALLOWED, ALLOWED, conditions("false", "1 / 0 == 1")),
    Cell("error, then true", UNKNOWN, UNKNOWN, UNKNOWN, conditions("1 / 0 == 1", "true")),
    Cell("true, then error", UNKNOWN, UNKNOWN, UNKNOWN, conditions("true", "1 / 0 == 1")),
    Cell("property right", ALLOWED, GATED, DENIED, PROD, call=in_environment("prod")),
    Cell("property wrong", NO_RULE, ALLOWED, ALLOWED, PROD, call=in_environment("test")),
    Cell("properties absent", NO_RULE, GATED, DENIED, PROD),
    Cell("property absent", NO_RULE, GATED, DENIED, PROD, call=replace(CALL, resource=Resource("customer", "42", {}))),
    Cell("property null", NO_RULE, GATED, DENIED, PROD, call=in_environment(None)),
    Cell("property a number", NO_RULE, GATED, DENIED, PROD, call=in_environment(1)),
    Cell("property a list", NO_RULE, GATED, DENIED, PROD, call=in_environment(["prod"])),
    Cell("property a list of others", NO_RULE, GATED, DENIED, PROD, call=in_environment(["test"])),
    Cell("policy expired", EXPIRED, EXPIRED, DENIED, policy=OVER),
    Cell("policy about to expire", ALLOWED, GATED, DENIED, policy=A_SECOND_LEFT),
    Cell("policy suspended", SUSPENDED, SUSPENDED, DENIED, policy=OFF),
    Cell("policy suspended and expired", SUSPENDED, SUSPENDED, DENIED, policy=OFF | OVER),
    Cell("policy suspended, condition false", HELD_FALSE, ALLOWED, ALLOWED, FALSE, OFF),
    Cell("policy suspended, condition unknown", UNKNOWN, SUSPENDED, UNKNOWN, MISSING, OFF),
    Cell("policy expired, condition unknown", UNKNOWN, EXPIRED, UNKNOWN, MISSING, OVER),
    Cell("policy expired, property absent", NO_RULE, EXPIRED, DENIED, PROD, OVER),
    Cell("policy in audit mode", NO_RULE, ALLOWED, ALLOWED, policy={"mode": "Audit"}),
    Cell("policy in audit mode, suspended", NO_RULE, ALLOWED, ALLOWED, policy={"mode": "Audit", **OFF}),
    # What a Deny cannot have.
    Cell("rule expired", EXPIRED, EXPIRED, None, OVER),
    Cell("rule about to expire", ALLOWED, GATED, None, A_SECOND_LEFT),
    Cell("rule expired, policy not yet", EXPIRED, EXPIRED, None, OVER, AN_HOUR_LEFT),
    Cell("policy expired, rule not yet", EXPIRED, EXPIRED, None, AN_HOUR_LEFT, OVER),
    Cell("rule expired, policy suspended", SUSPENDED, SUSPENDED, None, OVER, OFF),
    Cell("rule expired, condition false", HELD_FALSE, ALLOWED, None, OVER | FALSE),
    Cell("rule expired, intent unmet", EXPIRED, EXPIRED, None, OVER | PURPOSE),
    Cell("intent met", ALLOWED, GATED, None, PURPOSE, call=with_context(intent="support")),
    Cell("intent unmet", MISMATCH, MISMATCH, None, PURPOSE, call=with_context(intent="sales")),
    Cell("intent absent", MISMATCH, MISMATCH, None, PURPOSE),
    Cell("intent empty", MISMATCH, MISMATCH, None, PURPOSE, call=with_context(intent="")),
    Cell("intent no string", MISMATCH, MISMATCH, None, PURPOSE, call=with_context(intent=["support"])),
    Cell("intent unmet, condition false", HELD_FALSE, ALLOWED, None, PURPOSE | FALSE),
    Cell("intent unmet, condition unknown", UNKNOWN, MISMATCH, None, PURPOSE | MISSING),
]


def judged(effect: Effect, cell: Cell) -> Answer:
    make = gated_rule if effect == "RequireApproval" else rule
    fields = {"effect": effect, "actions": ["customers.export"], **cell.rule}
    policies = [carrier(), stored("judged", make("judged", **fields), **cell.policy)]
    if effect != "Allow":
        policies.append(stored("beneath", rule("beneath", actions=["customers.export"])))
    verdict = verdict_of(snapshot(*policies), cell.call)
    return (verdict.outcome, verdict.reason)


each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.column)


@pytest.mark.invariant(16)
class TestAnAllow:
    @each_cell
    def test_is_no_match_as_soon_as_anything_is_unknown_over_or_off(self, cell: Cell) -> None:
        assert judged("Allow", cell) == cell.allow


@pytest.mark.invariant(16)
class TestARequireApproval:
    @each_cell
    def test_keeps_its_gate_where_a_property_is_unknown_and_shuts_it_where_a_condition_is(self, cell: Cell) -> None:
        assert judged("RequireApproval", cell) == cell.require


@pytest.mark.invariant(16)
class TestADeny:
    @pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.deny], ids=lambda cell: cell.column)
    def test_stands_unless_its_condition_is_false(self, cell: Cell) -> None:
        assert judged("Deny", cell) == cell.deny

    @pytest.mark.parametrize("fields", [OVER, PURPOSE], ids=["expiry", "intents"])
    def test_cannot_have_what_would_let_a_caller_wait_or_talk_it_away(self, fields: Object) -> None:
        made = compilation(stored("judged", rule("judged", **{"effect": "Deny", **fields})))
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
            (set(), NO_RULE),
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

    def test_of_two_shut_gates_the_first_by_what_is_to_be_said_is_named(self) -> None:
        shut = [stored(name, gated_rule(), suspend=True) for name in ("b", "a", "c")]
        verdict = verdict_of(snapshot(carrier(), *shut))
        assert verdict.rule is not None
        assert (verdict.reason, verdict.rule.policy.name) == (Reason.POLICY_SUSPENDED, "a")


class TestADenyThatIsNotDecided:
    """One whose condition reads what the call lacks: it denies, and says so only where another rule speaks."""

    @pytest.mark.parametrize(
        ("beside", "answer"),
        [
            ((), NO_RULE),
            (("false",), HELD_FALSE),
            (("1 / 0 == 1",), UNKNOWN),
            (("true",), UNKNOWN),
            (("false", "true"), UNKNOWN),
        ],
        ids=["nothing", "an Allow that is silent", "one not decided either", "an Allow that applies", "two Allows"],
    )
    def test_is_named_only_beside_a_rule_that_lets_through(self, beside: tuple[str, ...], answer: Answer) -> None:
        allows = [
            stored(f"allow-{n}", rule("give", actions=["customers.export"], **conditions(text)))
            for n, text in enumerate(beside)
        ]
        assert self.judged(*allows) == answer

    def test_is_named_beside_a_gate_that_is_open_or_shut(self) -> None:
        assert self.judged(stored("gate", gated_rule())) == UNKNOWN
        assert self.judged(stored("gate", gated_rule(), suspend=True)) == UNKNOWN

    def test_does_not_hide_a_deny_that_is_decided(self) -> None:
        decided = stored("decided", rule("never", effect="Deny", actions=["customers.export"]))
        assert self.judged(decided) == DENIED

    @staticmethod
    def judged(*others: Object) -> Answer:
        undecided = rule("no", effect="Deny", actions=["customers.export"], **MISSING)
        verdict = verdict_of(snapshot(carrier(), stored("undecided", undecided), *others))
        return (verdict.outcome, verdict.reason)


def test_what_came_nearest_to_an_allow_is_an_allow_rule() -> None:
    no = {"actions": ["customers.export"], "conditions": [{"name": "c", "expression": "subject.id == 'nobody'"}]}
    others = [stored("a", rule("no", effect="Deny", **no)), stored("b", gated_rule("ask", **no))]
    verdict = verdict_of(snapshot(carrier(), *others, stored("z", rule("give", **no))))
    assert verdict.rule is not None
    assert (verdict.reason, verdict.rule.policy.name) == (Reason.CONDITION_FALSE, "z")
    assert verdict_of(snapshot(carrier(), *others)).rule is None
