"""What conditions may take: bounded when they are compiled, and judged on the call before anything runs."""

import resource
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.call import Party
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.cost.estimate import LIMIT, REFERENCE
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import Inputs, inputs
from bailiwick_engine.compile.acceptance import NotAcceptedReason, PolicyContext, judge, refusal
from bailiwick_engine.compile.policies import policy_ref
from bailiwick_engine.decision.verdict import Outcome as Decided
from bailiwick_engine.reasons import Reason
from bailiwick_engine.truth import TOO_COSTLY, UNKNOWN, Truth
from support.objects import Object, gated_rule, rule
from unit.engine.cases import CALL, NOW, carrier, compilation, governed, snapshot, stored, verdict_of, with_context

SUBJECT: Final = Party("serviceAccount", "a", "uid", {"team": "x"}, {"level": 3})
EXPORT: Final = ["customers.export"]


def seen(**context: object) -> Inputs:
    return inputs(with_context(**context), SUBJECT, NOW)


def conditions(*texts: str) -> Object:
    return {"conditions": [{"name": f"c{number}", "expression": text} for number, text in enumerate(texts)]}


def problems(text: str, **variables: str) -> list[str]:
    listed = [{"name": name, "expression": expression} for name, expression in variables.items()]
    spec = {"variables": listed} if listed else {}
    return [str(problem) for problem in compilation(stored("p", rule(**conditions(text)), **spec)).problems]


def nested_bind(depth: int) -> str:
    text = f"size(v{depth}) == 0"
    for number in range(depth, 0, -1):
        before = "context.l" if number == 1 else f"v{number - 1}"
        text = f"cel.bind(v{number}, {before} + {before}, {text})"
    return text


class TestAConditionThatCouldTakeTooLong:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            (nested_bind(26), "1:"),
            ("context.a.all(a, context.b.all(b, context.c.all(c, a == b && b == c)))", "1:14"),
            ("true &&\n context.a.all(a, context.b.all(b, context.c.all(c, a == b)))", "2:"),
            ("context.s" + ".replace('a', 'aaaaaaaaaaaaaaaa')" * 8 + " == ''", "1:"),
            ("[] in context.a.map(x, context.a.map(y, context.a.map(z, z)))", "1:"),
            ("context.s.matches('(((a{0,99}){0,99}))')", "1:18"),
            ("context.a.filter(a, a.matches('(a?){60}a{60}')).size() == 0", "1:17"),
            ("[context.s, context.s, context.s].all(s, " * 9 + "true" + ")" * 9, "1:"),
        ],
        ids=[
            "doubling lists",
            "three loops",
            "its second line",
            "growing texts",
            "loops in map",
            "pattern",
            "often",
            "deep",
        ],
    )
    def test_is_told_so_with_its_place_and_what_to_do(self, text: str, place: str) -> None:
        (found,) = problems(text)
        assert found.startswith(f"spec.rules[0].conditions[0].expression:{place}"), found
        assert "the expression could take" in found
        assert "a condition must process members of 64 elements, 256 values and 1,024 characters within 5 ms" in found
        assert "avoid nested loops over lists" in found

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("context.a.matches(context.b)", "the pattern of matches() must be a string literal in the condition"),
            ("now.getHours(context.zone) == 1", "a time zone must be a string literal in the condition"),
            ("context.a.format([1]) == ''", "the template of format() must be a string literal in the condition"),
            ("'%.9999f'.format([1.0]) == ''", "without numbers of four or more digits"),
            ("google.protobuf.Any{} == context.a", "its cost cannot be bounded"),
            ("context.?a" + "".join(f".optMap(v{n}, v{n})" for n in range(13)) + ".hasValue()", "at most 6 times"),
        ],
    )
    def test_for_what_a_caller_sends_is_not_offered(self, text: str, says: str) -> None:
        (found,) = problems(text)
        assert says in found

    def test_by_its_variables_is_told_where_they_stand(self) -> None:
        doubled = {f"v{n}": f"variables.v{n - 1} + variables.v{n - 1}" for n in range(1, 24)}
        found = problems("size(variables.v23) == 0", v0="context.l + context.l", **doubled)
        assert found
        assert all("spec.variables[" in one and "the expression could take" in one for one in found)

    def test_is_found_out_at_once_however_often_its_variables_name_each_other(self) -> None:
        eightfold = {f"v{n}": " || ".join([f"variables.v{n - 1}"] * 8) for n in range(1, 14)}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        assert problems("variables.v13", v0="context.a == 1", **eightfold) == []
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 2.0

    def test_is_refused_under_a_name_of_its_own(self) -> None:
        raw = stored("p", rule(**conditions(nested_bind(26))))
        refused = refusal(judge(policy_ref(raw), raw["spec"]), "crm-api", PolicyContext(), carries=False)
        assert refused is not None
        assert refused.why is NotAcceptedReason.TOO_COSTLY

    def test_beside_what_does_not_compile_is_no_more_than_invalid(self) -> None:
        raw = stored("p", rule(**conditions(nested_bind(26), "nothing")))
        refused = refusal(judge(policy_ref(raw), raw["spec"]), "crm-api", PolicyContext(), carries=False)
        assert refused is not None
        assert refused.why is NotAcceptedReason.INVALID

    @pytest.mark.parametrize("pattern", ["(a{0,99}){0,99}", "\\\\pL{200}", "(.{1,200}x){1,5}"])
    def test_as_a_pattern_of_reasons_is_refused_too(self, pattern: str) -> None:
        gated = gated_rule()
        gated["approval"]["reason"] = {"pattern": pattern.replace("\\\\", "\\")}
        (problem,) = compilation(stored("p", gated)).problems
        assert problem.costly
        assert "use fewer repetitions" in problem.message


class TestWhatPeopleWrite:
    @pytest.mark.parametrize(
        "text",
        [
            "context.items.all(i, i.kind == 'public')",
            "context.items.filter(i, i.kind == 'internal').size() == 0",
            "context.items.map(i, i.owner).all(o, o == subject.id)",
            "context.items.all(i, i.tags.exists(t, t == 'public'))",
            "context.groups.exists(g, g in context.allowed)",
            "context.a.all(a, context.b.exists(b, a == b))",
            "context.path.split('/').size() < 5 && context.path.startsWith('/a')",
            "context.text.contains(subject.id) && context.text.lowerAscii().contains('secret')",
            "context.ticket.matches('INC-[0-9]+')",
            "context.day.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}$')",
            "context.mail.matches('[a-z.]{1,64}@corp[.]example')",
            "now.getHours('Europe/Berlin') in [8, 9, 10] && now.getDayOfWeek('Europe/Berlin') < 6",
            "timestamp(context.until) > now && duration(context.for) < duration('1h')",
            "cel.bind(n, context.amount, n > 10.0 && n < 100.0)",
            "context.?a.?b.orValue('') in ['x', 'y'] && context.?c.optMap(c, c + 1).orValue(0) > 1",
            "'%s-%d'.format([subject.id, 3]) == context.name",
            "context.ids.join(',') != '' && context.a.replace('-', '') == 'b'",
            "has(context.count) ? context.count < 100 : true",
        ],
    )
    def test_is_accepted(self, text: str) -> None:
        assert problems(text) == []


def outcome(text: str, values: Inputs, **variables: str) -> Truth:
    scope = Scope([Variable(name=name, expression=expression) for name, expression in variables.items()])
    expression = scope.condition(text, "here")
    assert isinstance(expression, Expression), expression
    return scope.evaluate(expression, values)


class TestACallThatIsTooLargeForACondition:
    @pytest.mark.parametrize(
        ("text", "context"),
        [
            ("context.items.filter(i, i.kind == 'internal').size() == 0", {"items": [{"kind": "x"}] * 6_000}),
            ("context.a.all(a, context.b.exists(b, a == b))", {"a": [1] * 400, "b": [1] * 400}),
            ("context.s.contains(context.t)", {"s": "a" * 400_000, "t": "a" * 200_000}),
            ("context.s.split(',').size() == 1", {"s": "a" * 400_000}),
            ("'a' in context.a + context.a", {"a": ["a"] * 30_000}),
        ],
        ids=["filter", "nested", "contains", "split", "joined"],
    )
    def test_leaves_it_unevaluated(self, text: str, context: dict[str, Any]) -> None:
        assert outcome(text, seen(**context)) == TOO_COSTLY

    def test_changes_nothing_for_a_condition_that_looks_at_another_member(self) -> None:
        large = {"items": [{"kind": "internal"}] * 6_000}
        assert outcome(
            "context.tenant.lowerAscii() == 'a' && size(context.tags) == 1", seen(tenant="A", tags=[1], args=large)
        )

    def test_is_told_by_what_its_variables_look_at(self) -> None:
        large = seen(l=[0] * 1_000)
        assert outcome("variables.found", large, found="context.l.map(i, i) == []") == TOO_COSTLY

    @pytest.mark.parametrize(
        ("raw", "decided"),
        [
            (rule(actions=EXPORT), Decided.DENY),
            (rule(actions=EXPORT, effect="Deny"), Decided.DENY),
            (gated_rule(), Decided.DENY),
        ],
        ids=["Allow", "Deny", "RequireApproval"],
    )
    def test_never_widens(self, raw: Object, decided: Decided) -> None:
        listed = {**raw, **conditions("context.l.map(i, i) == []")}
        others = [rule("other", actions=EXPORT)] if raw.get("effect") in {"Deny", "RequireApproval"} else []
        verdict = verdict_of(governed(listed, *others), with_context(l=[0] * 1_000))
        assert verdict.outcome is decided
        assert (verdict.reason, verdict.gate) == (Reason.TOO_COSTLY, None)

    def test_that_is_beyond_all_measure_is_not_measured_for_long(self) -> None:
        odd = inputs(replace(CALL, context={"l": [{0}] * 50_000}), SUBJECT, NOW)
        assert outcome("context.l.exists(i, i == 1)", odd) == TOO_COSTLY
        assert (
            outcome("context.l.exists(i, i == 1)", inputs(replace(CALL, context={"l": [{0}]}), SUBJECT, NOW)) == UNKNOWN
        )


class TestTheConditionsOfOneCall:
    """Fifty that are affordable one by one."""

    HEAVY: Final = tuple(f"context.l.filter(i, i == {number}).size() == 0" for number in range(50))

    def call(self, size: int) -> Any:  # noqa: ANN401 - a Call
        return with_context(l=[-1] * size)

    def test_share_what_they_may_take(self) -> None:
        rules = [rule(f"r{n}", actions=EXPORT, **conditions(text)) for n, text in enumerate(self.HEAVY)]
        assert verdict_of(governed(*rules), self.call(20)).outcome is Decided.ALLOW
        verdict = verdict_of(governed(*rules), self.call(200))
        assert verdict.reason is Reason.TOO_COSTLY
        assert verdict_of(governed(rules[0]), self.call(200)).outcome is Decided.ALLOW

    def test_are_evaluated_from_the_cheapest_on_in_whatever_order_they_stand(self) -> None:
        cheap = rule("cheap", actions=EXPORT, **conditions("size(context.l) == 200"))
        rules = [rule(f"r{n}", actions=EXPORT, **conditions(text)) for n, text in enumerate(self.HEAVY)]
        for listed in ([cheap, *rules], [*rules, cheap], [*rules[:25], cheap, *rules[25:]]):
            verdict = verdict_of(governed(*listed), self.call(200))
            assert verdict.outcome is Decided.ALLOW
            assert verdict.rule is not None
            assert verdict.rule.name == "cheap"

    def test_are_no_more_for_a_call_that_is_small(self) -> None:
        rules = [rule(f"r{n}", actions=EXPORT, **conditions(f"context.n == {n}")) for n in range(60)]
        assert verdict_of(governed(*rules), with_context(n=59)).outcome is Decided.ALLOW


class TestRulesThatSpeakOfOneSubject:
    def test_are_not_looked_at_where_they_are_more_than_a_decision_can(self) -> None:
        many = [stored(f"p{n}", *(rule(f"r{m}", actions=["*"]) for m in range(64))) for n in range(80)]
        few = governed(rule(actions=["*"]))
        assert verdict_of(few).outcome is Decided.ALLOW
        verdict = verdict_of(snapshot(carrier(), *many))
        assert verdict.reason is Reason.TOO_COSTLY


@pytest.mark.parametrize(
    ("text", "many"), [("exists(i, i.kind == 'x')", 2_500), ("filter(i, i.kind == 'x') != []", 350)]
)
def test_the_page_of_conditions_says_how_many_items_two_of_them_manage(text: str, many: int) -> None:
    items = [{"kind": "internal"}] * many
    assert outcome(f"context.items.{text}", seen(items=items)) is False
    assert outcome(f"context.items.{text}", seen(items=items * 2)) == TOO_COSTLY
    assert f"some {many:,}" in (Path(__file__).parents[4] / "docs" / "reference" / "cel.md").read_text()


def test_what_every_condition_must_manage_is_within_what_a_call_may_take() -> None:
    assert REFERENCE.length <= REFERENCE.nodes <= REFERENCE.characters
    assert LIMIT == 5_000_000_000
