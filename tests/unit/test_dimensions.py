"""Every field of a rule belongs to one dimension, and each dimension has its part in all that is asked of a rule.

A field that is new has no case here, which turns these tests red; so does a dimension that leaves out a part.
"""

import dataclasses
import inspect
import json
from dataclasses import dataclass, replace as replace_rule
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec, Rule
from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.digestfields import EXCEPTIONS, STAND_INS
from bailiwick_engine.compile.policies import parse_spec, policy_ref
from bailiwick_engine.decision.clauses import fixed_clauses, of_rule
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.decision.match import disabled_reason
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.dimensions.clause import CallView
from bailiwick_engine.policy.dimensions.dimension import Dimension, RuleSource
from bailiwick_engine.policy.dimensions.intent import INTENT
from bailiwick_engine.policy.dimensions.table import DIMENSIONS, RuleParts
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.choices import Choices, Unknowns, standing_in
from bailiwick_evidence.derive.texts import KnownEndpoint
from bailiwick_evidence.replay.pairs import EndpointPair
from bailiwick_evidence.replay.projections import Projection
from bailiwick_regions.change import ChangeClass
from bailiwick_regions.compare import compare, worst
from bailiwick_regions.rights.circumstances import CallPlace
from bailiwick_regions.rights.questions import who_can
from bailiwick_webhook.record.line import RecordLines
from support.objects import Object, gated_rule, rule, settings, subject
from support.records import lines_of
from unit.engine.cases import CALL, NAMESPACE, NOW, at, snapshot, sound, stored

KEY: Final = (NAMESPACE, CALL.endpoint)
GOOD, BAD = ("sha256:" + letter * 64 for letter in "ab")
OTHER: Final = subject("other", account="other")
STRANGER: Final = Party("serviceAccount", "system:serviceaccount:agents:other", "other-uid")
EVERY: Final = [{"type": "customer", "ids": ["*"]}]
# What a record has of its verdict, and not of the call.
VERDICT: Final = ("decision", "reason", "disposition_id", "action_id", "policy")


def policy(fields: Object | None = None, **spec: object) -> Object:
    """Return a policy with one rule that speaks of the call, and which has these fields."""
    plain = {"actions": ["customers.export"], "resources": EVERY}
    return stored("a", rule(**{**plain, **(fields or {})}), **{"endpointSettings": settings(), **spec})


def calling_from(image: str) -> Call:
    assert isinstance(CALL.subject, Party)
    return replace(CALL, subject=replace(CALL.subject, workload=PodWorkload(frozenset({image}))))


@dataclass(frozen=True)
class Case:
    """A field that decides: without it, or with it wider, `outside` is allowed, and with it is not.

    `inside` is what both allow; None: nothing. `asks`: it is a clause of an explanation.
    """

    without: Object
    with_it: Object
    outside: Call = CALL
    inside: Call | None = None
    outside_at: float = NOW
    asks: bool = True


CASES: Final[tuple[tuple[str, Case], ...]] = (
    ("effect", Case(policy(), policy({"effect": "Deny"}), asks=False)),
    ("audit", Case(policy(), policy(mode="Audit"), asks=False)),
    (
        "subjects",
        Case(
            policy({"subjects": ["agent", "other"]}, subjects=[subject(), OTHER]),
            policy({"subjects": ["agent"]}, subjects=[subject(), OTHER]),
            replace(CALL, subject=STRANGER),
            CALL,
        ),
    ),
    (
        "workloads",
        Case(
            policy(),
            policy(subjects=[{**subject(), "workload": {"imageDigests": [GOOD]}}]),
            calling_from(BAD),
            calling_from(GOOD),
        ),
    ),
    ("actions", Case(policy({"actions": ["*"]}), policy(), replace(CALL, action=Action("customers.delete")), CALL)),
    (
        "resources",
        Case(
            policy(),
            policy({"resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["test"]}}]}),
            replace(CALL, resource=Resource("customer", "42", {"env": "prod"})),
            replace(CALL, resource=Resource("customer", "42", {"env": "test"})),
        ),
    ),
    (
        "intents",
        Case(
            policy(),
            policy({"intents": ["audit"]}),
            replace(CALL, context={"intent": "sales"}),
            replace(CALL, context={"intent": "audit"}),
        ),
    ),
    ("expires", Case(policy(), policy({"expireTime": at(5)}), CALL, CALL, NOW + 9)),
    ("suspended", Case(policy(), policy(suspend=True))),
    (
        "conditions",
        Case(
            policy(),
            policy({"conditions": [{"name": "few", "expression": "context.n < 5"}]}),
            replace(CALL, context={"n": 9}),
            replace(CALL, context={"n": 1}),
        ),
    ),
    ("gate", Case(policy(), stored("a", gated_rule(), endpointSettings=settings()), asks=False)),
    (
        "resources",
        Case(
            policy(),
            policy({"resources": [{"type": "customer", "ids": ["eu/*"]}]}),
            replace(CALL, resource=Resource("customer", "us/1")),
            replace(CALL, resource=Resource("customer", "eu/1")),
        ),
    ),
    (
        "conditions",
        Case(
            policy(),
            policy({"conditions": [{"name": "soon", "expression": f"now < timestamp('{at(5)}')"}]}),
            CALL,
            CALL,
            NOW + 9,
        ),
    ),
)


NOTHING: Final = policy({"actions": ["unrelated"]})
NO_CASES: Final[dict[str, str]] = {
    "policy": "It is whose rule it is.",
    "policy_digest": "It is of the whole policy.",
    "name": "It is for people.",
    "scope": "It is in each condition.",
    "sensitive": "It says what records hold.",
}


def own_fields(part: type) -> set[str]:
    """Return the fields that a part declares, without those that it inherits."""
    return set(inspect.get_annotations(part))


def source_of(raw: Object) -> RuleSource:
    """Return what a rule without conditions is compiled from."""
    stored_policy = stored("a", raw)
    spec = parse_spec(stored_policy["spec"])
    assert isinstance(spec, EndpointPolicySpec)
    nothing: frozenset[Any] = frozenset()
    ref, scope = policy_ref(stored_policy), Scope.of(())
    return RuleSource(ref, spec, spec.rules[0], "", scope, nothing, {}, (), nothing, suspended=False, rule_digest=str)


def dimension_of(field: str) -> Dimension[Any]:
    (found,) = (one for one in DIMENSIONS if field in own_fields(one.part))
    return found


def endpoint(raw: Object) -> CompiledEndpoint:
    return snapshot(raw).endpoints[KEY]


def is_allowed(raw: Object, call: Call, now: float) -> bool:
    return evaluate_hops(snapshot(raw), call, (), Circumstances(now=now))[0].outcome is Outcome.ALLOW


def record(raw: Object, call: Call, now: float) -> dict[str, Any]:
    on = snapshot(raw)
    verdict, passed = evaluate_hops(on, call, (), Circumstances(now=now))
    (line,) = lines_of(RecordLines(b"key"), on, call, verdict, now=now, weighed=passed)
    made: dict[str, Any] = json.loads(line)
    return made


class TestEveryField:
    def test_of_a_compiled_rule_belongs_to_one_dimension(self) -> None:
        listed = [field for one in DIMENSIONS for field in own_fields(one.part)]
        assert sorted(listed) == sorted(one.name for one in dataclasses.fields(CompiledRule) if one.init)

    def test_of_a_rule_as_it_is_written_belongs_to_one_dimension(self) -> None:
        assert sorted(field for one in DIMENSIONS for field in one.written) == sorted(Rule.model_fields)

    @pytest.mark.parametrize("raw", [rule(), gated_rule()], ids=["allow", "gate"])
    def test_of_a_compiled_rule_is_compiled_by_its_dimension(self, raw: Object) -> None:
        source = source_of(raw)
        for one in DIMENSIONS:
            assert one.compile(source).keys() == own_fields(one.part)

    def test_that_decides_has_a_case_here(self) -> None:
        fields = {one.name for one in dataclasses.fields(CompiledRule) if one.init}
        decided = {field for field, _ in CASES}
        assert decided | NO_CASES.keys() == fields
        assert not decided & NO_CASES.keys()


def test_every_part_is_one_of_which_a_rule_is_made() -> None:
    assert {one.part for one in DIMENSIONS} == set(RuleParts.__mro__) - {RuleParts, object}


def test_a_part_has_no_room_of_its_own() -> None:
    assert all(one.part.__slots__ == () for one in DIMENSIONS)
    assert not hasattr(sound(policy()).rules[0], "__dict__")


def test_what_a_digest_leaves_out_is_what_dimensions_name() -> None:
    rules = {field for field in EXCEPTIONS.keys() | STAND_INS.keys() if field[0] in {"Rule", "ConditionExpression"}}
    named = {field for one in DIMENSIONS for field in (*one.uncounted, *one.counted_otherwise)}
    assert rules <= named
    assert not {one for one in rules if one[0] == "Rule"} - {
        ("Rule", field) for one in DIMENSIONS for field in one.written
    }


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda one: one.name)
def test_a_dimension_that_leaves_out_a_part_cannot_be_made(dimension: Dimension[Any]) -> None:
    required = [
        one.name
        for one in dataclasses.fields(Dimension)
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    given = {name: getattr(dimension, name) for name in required}
    for name in required:
        with pytest.raises(TypeError, match=name):
            Dimension(**{one: value for one, value in given.items() if one != name})


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda one: one.name)
def test_a_limit_gives_no_reason_but_those_that_its_dimension_names(dimension: Dimension[Any]) -> None:
    found = {
        limit(compiled, case.outside, case.outside_at)
        for field, case in CASES
        if field in own_fields(dimension.part)
        for compiled in sound(case.with_it).rules
        for limit in [dimension.limit(compiled)]
        if limit is not None
    }
    assert found == set(dimension.limits_with)


@pytest.mark.parametrize(("field", "case"), CASES, ids=[f"{field}-{number}" for number, (field, _) in enumerate(CASES)])
class TestAFieldThatDecides:
    def test_decides(self, field: str, case: Case) -> None:
        assert is_allowed(case.without, case.outside, case.outside_at)
        assert not is_allowed(case.with_it, case.outside, case.outside_at)
        if case.inside is not None:
            assert is_allowed(case.without, case.inside, NOW)
            assert is_allowed(case.with_it, case.inside, NOW)

    def test_is_explained_by_a_clause_of_its_dimension(self, field: str, case: Case) -> None:
        dimension = dimension_of(field)
        call, party = case.outside, case.outside.subject
        assert isinstance(party, Party)
        for raw, met in ((case.without, True), (case.with_it, not case.asks)):
            (compiled,) = sound(raw).rules
            values = seen(endpoint(raw), call, party, case.outside_at)
            own = list(dimension.clauses(compiled, CallView(compiled.effect, call, party, case.outside_at, values)))
            cheap = fixed_clauses(compiled, call, party, case.outside_at)
            every = of_rule(compiled, cheap, call, party, case.outside_at, values)
            assert all(clause.met for clause in own) is met
            assert all(clause.met for clause in every if clause not in own)
            assert set(own) <= set(every)

    def test_is_compared(self, field: str, case: Case) -> None:
        assert worst(compare(snapshot(case.with_it), snapshot(case.without), NOW)) is ChangeClass.WIDER
        if case.inside is not None:
            # What lets a call through is found wherever it is.
            assert worst(compare(snapshot(NOTHING), snapshot(case.with_it), NOW)) is ChangeClass.WIDER


# Of these cases, the ones in which the rule with the field lets a call through.
INSIDE: Final = [(field, case, case.inside) for field, case in CASES if case.inside is not None]


@pytest.mark.parametrize(
    ("case", "inside_call"),
    [pytest.param(case, call, id=f"{field}-{number}") for number, (field, case, call) in enumerate(INSIDE)],
)
class TestAFieldThatLetsACallThrough:
    def test_is_answered_by_who_can(self, case: Case, inside_call: Call) -> None:
        place = CallPlace(KEY, inside_call.action.name, inside_call.resource.type, inside_call.resource.id)
        assert who_can(place, endpoint(case.with_it), NOW).rows

    def test_distinguishes_records_that_are_replayed(self, case: Case, inside_call: Call) -> None:
        sides = [KnownEndpoint((sound(raw),)) for raw in (case.with_it, case.without)]
        projection = Projection(EndpointPair(*sides))
        inside, outside = record(case.with_it, inside_call, NOW), record(case.with_it, case.outside, case.outside_at)
        outside |= {member: inside[member] for member in VERDICT}
        assert projection.key(inside) == projection.key({**inside, "evaluation_id": "eval_2"})
        assert projection.key(inside) != projection.key(outside)


def test_a_rule_that_says_nothing_more_has_no_limit() -> None:
    (compiled,) = Snapshot.of([sound(policy())]).endpoints[KEY].rules
    assert compiled.limits == ()


def test_a_limit_on_what_is_not_known_gives_each_of_its_reasons_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = ("context", "intent")
    reading = dataclasses.replace(INTENT, reads=lambda one: frozenset({hidden} if one.intents else ()))
    listed = tuple(reading if one is INTENT else one for one in DIMENSIONS)
    monkeypatch.setattr("bailiwick_evidence.derive.choices.DIMENSIONS", listed)
    choices, unknown = Choices(), Unknowns(frozenset({hidden}))
    (other,) = standing_in(sound(policy()), unknown, choices, {}).rules
    assert type(other) is CompiledRule
    (limited,) = standing_in(sound(policy({"intents": ["audit"]})), unknown, choices, {}).rules
    found = set()
    choices.reset()
    while True:
        found.add(disabled_reason(limited, CALL, NOW))
        # The same in one run, however often it is asked.
        assert disabled_reason(replace_rule(limited, suspended=False), CALL, NOW) in found
        if not choices.more():
            break
    assert found == {None, Reason.INTENT_MISMATCH}
    assert disabled_reason(replace_rule(limited, suspended=True), CALL, NOW) is Reason.POLICY_SUSPENDED
