"""What conditions see and say: true, false, or unknown for everything else."""

import gc
import sys
import weakref
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.call import Action, Party, Resource
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.expressions import Expression, matches_whole
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.problem import Problem
from bailiwick_engine.truth import UNKNOWN, Truth
from unit.engine.cases import CALL, NOW, with_context

SUBJECT: Final = Party("serviceAccount", "a", "uid", {"team": "x"}, {"level": 3})


def evaluated(text: str, context: Any = None, **variables: str) -> Truth:  # noqa: ANN401 - any JSON
    scope = Scope([Variable(name=name, expression=expression) for name, expression in variables.items()])
    assert scope.problems == ()
    expression = scope.condition(text, "here")
    assert isinstance(expression, Expression), expression
    call = replace(
        with_context(**(context or {})),
        action=Action("customers.export", {"format": "csv"}),
        resource=Resource("customer", "42", {"owner": "a"}),
    )
    return scope.evaluate(expression, inputs(call, SUBJECT, NOW))


class TestACondition:
    @pytest.mark.parametrize(
        "text",
        [
            "subject.type == 'serviceAccount' && subject.id == 'a'",
            "subject.claims.team == 'x' && subject.properties.level == 3",
            "!has(subject.uid)",
            "actor == {}",
            "!has(actor.id) && actor.?id.orValue('nobody') == 'nobody'",
            "action.name == 'customers.export' && action.properties.format == 'csv'",
            "resource.type == 'customer' && resource.id == '42' && resource.properties.owner == subject.id",
            "context.tenant == 'b'",
            "now == timestamp('2030-03-17T17:46:40Z')",
            "now.getHours('Europe/Berlin') == 18",
            "context.count > 5 && context.count < 6.5",
            "context.tags.exists(t, t == 'b')",
            "'B'.lowerAscii() == context.tenant",
            "cel.bind(n, context.count, n * n == 36)",
        ],
    )
    def test_sees_the_verified_call(self, text: str) -> None:
        assert evaluated(text, {"tenant": "b", "count": 6, "tags": ["a", "b"]}) is True

    def test_sees_empty_properties_where_a_call_has_none(self) -> None:
        scope = Scope(())
        text = "subject.properties == {} && action.properties == {} && resource.properties == {} && context == {}"
        expression = scope.condition(text, "here")
        assert isinstance(expression, Expression)
        assert scope.evaluate(expression, inputs(CALL, Party("t", "a", "uid"), NOW)) is True

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("true", True),
            ("false", False),
            ("dyn(1) == 1.0", True),
            ("context.nothing == 1", UNKNOWN),
            ("has(context.nothing)", False),
            ("has(context.a.b)", UNKNOWN),
            ("context.?nothing.orValue(1) == 1", True),
            ("1 / 0 == 1", UNKNOWN),
            ("9223372036854775807 + 1 > 0", UNKNOWN),
            ("[1][1] == 1", UNKNOWN),
            ("timestamp('never') == now", UNKNOWN),
            ("'a'.matches('(') ", UNKNOWN),
            ("context.s + 1 == 2", UNKNOWN),
            ("context.s && true", UNKNOWN),
            ("context.s == true", False),
            ("context.yes ? true : false", True),
            # An error beside what decides alone is absorbed, as CEL has it, in either order.
            ("context.nothing == 1 || true", True),
            ("true || context.nothing == 1", True),
            ("context.nothing == 1 && false", False),
            ("false && context.nothing == 1", False),
            ("context.nothing == 1 || false", UNKNOWN),
            ("context.nothing == 1 && true", UNKNOWN),
            ("!(context.nothing == 1)", UNKNOWN),
            ("context.nothing == 1 ? true : true", UNKNOWN),
            ("[1, 2].all(x, x / 0 == 1 || x < 3)", True),
            ("[1, 2].all(x, x / 0 == 1)", UNKNOWN),
        ],
    )
    def test_is_true_or_false_or_unknown(self, text: str, *, expected: Truth) -> None:
        assert evaluated(text, {"s": "a", "yes": True}) == expected

    @pytest.mark.parametrize(
        "context",
        [{"a": "\ud800"}, {"a": ["\udfff"]}, {"\ud800": 1}, {"a": 10**400}, {"a": object()}, {"a": {1: object()}}],
        ids=["half a character", "half a character inside", "half a name", "too large", "no value", "no name"],
    )
    def test_is_unknown_where_the_call_cannot_be_handed_over(self, context: dict[str, Any]) -> None:
        assert evaluated("context.a == context.a && size(context) == 1", context) in {UNKNOWN, True}
        assert evaluated("string(context.a) == 'a' && false", context) in {UNKNOWN, False}

    @pytest.mark.parametrize(
        "context",
        [{"a": "b\0c"}, {"x": "\0"}, {"b\0": 1}, {"x": [{"y": ["\0"]}]}, {"a": "b\0", "x": "\ud800"}, {"x": ("\0",)}],
        ids=["at its end", "elsewhere", "in a name", "deep inside", "beside half a character", "in a tuple"],
    )
    @pytest.mark.parametrize("text", ["context.a == 'b'", "context.b == 1", "true", "size(context) == 1"])
    def test_is_unknown_where_a_text_holds_a_nul_for_the_library_would_cut_it_there(
        self, text: str, context: dict[str, Any]
    ) -> None:
        assert evaluated(text, {"a": "b", **context}) == UNKNOWN

    def test_knows_a_nul_from_its_escape(self) -> None:
        assert (
            evaluated("context.a == r'\\u0000' && context.b == '\\\\u0000'", {"a": "\\u0000", "b": "\\u0000"}) is True
        )


class TestAVariable:
    @pytest.mark.parametrize(
        ("expression", "condition"),
        [
            ("true", "variables.v"),
            ("!true", "!variables.v"),
            ("context.n", "variables.v == 6"),
            ("1.5", "variables.v == 1.5"),
            ("6u", "variables.v == 6u"),
            ("'a'", "variables.v == 'a'"),
            ("b'a'", "variables.v == b'a'"),
            ("null", "variables.v == null"),
            ("now", "variables.v == now"),
            ("duration('5s')", "variables.v == duration('5s')"),
            ("[1, 2]", "variables.v == [1, 2] && 2 in variables.v && variables.v.size() == 2"),
            ("['a', 'b']", "subject.id in variables.v"),
            ("18446744073709551615u", "variables.v == 18446744073709551615u && type(variables.v) == uint"),
            ("[[1], [2]]", "variables.v[1][0] == 2"),
            ("{'a': {'b': [true]}}", "variables.v.a.b[0]"),
            ("context", "variables.v.n == 6"),
            ("context.deep", "variables.v.a[1].b == 'c'"),
            ("[context.n, 'x']", "variables.v == [6, 'x']"),
        ],
    )
    def test_is_what_its_expression_yields(self, expression: str, condition: str) -> None:
        context = {"n": 6, "deep": {"a": [1, {"b": "c"}]}}
        assert evaluated(condition, context, v=expression) is True

    def test_may_use_earlier_ones(self) -> None:
        assert evaluated("variables.c == 3", a="1", b="variables.a + 1", c="variables.a + variables.b") is True

    def test_may_be_spelled_with_spaces(self) -> None:
        assert evaluated("variables . a && variables\n.\nb", a="true", b="variables\t.a") is True

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("variables.bad", UNKNOWN),
            ("!variables.bad", UNKNOWN),
            ("has(variables.bad)", UNKNOWN),
            ("variables.uses", UNKNOWN),
            ("variables.good", True),
            ("variables.bad || true", True),
            ("variables.bad && false", False),
            ("variables.bad || false", UNKNOWN),
            ("variables.uses || variables.good", True),
        ],
    )
    def test_that_fails_is_an_error_where_it_is_used(self, condition: str, *, expected: Truth) -> None:
        bad = "context.nothing == 1"
        assert evaluated(condition, bad=bad, uses="variables.bad", good="true") == expected

    @pytest.mark.parametrize(
        "expression",
        [
            "context.?nothing",
            "optional.of(1)",
            "[context.?nothing]",
            # These two have ended the process.
            "{'a': context.?nothing}",
            "dyn({'a': {'b': optional.of(1)}})",
            "type(1)",
            "[type(1)]",
            "[1u]",
            "dyn(1u)",
            "{1: 2}",
            "{1: 2, 'a': 3}",
            "{true: 1, 1: 2}",
            "timestamp('9999-12-31T23:59:59.999999999Z')",
            "'a\\x00b'",
            "['a\\x00b']",
            "{'a\\x00b': 1}",
        ],
    )
    def test_that_cannot_be_handed_on_as_it_is_is_an_error_too(self, expression: str) -> None:
        assert evaluated("variables.odd == variables.odd", odd=expression) == UNKNOWN
        assert evaluated("'variables.odd' == ''", odd=expression) is False

    @pytest.mark.parametrize("text", ["variables.//\nv", "variables.`v`"])
    def test_that_is_spelled_so_that_it_is_not_seen_is_not_declared(self, text: str) -> None:
        # Its text would be in no rule digest either.
        found = scope_of(v="true").condition(text, "here")
        assert isinstance(found, tuple)
        assert found[0].message == "unknown variable v; write variables.v without spaces"

    @pytest.mark.parametrize("text", ["'variables.nothing' == ''", "'variables.v' == ''"])
    def test_that_only_a_string_names_changes_nothing(self, text: str) -> None:
        assert evaluated(text, v="'variables.v' == '' || 'variables.nothing' == ''") is False

    def test_does_not_stand_for_a_name_of_the_expressions_own(self) -> None:
        assert evaluated("[{'v': true}].all(variables, variables.v)", v="false") is True


class TestAScope:
    def test_says_which_variables_an_expression_reaches(self) -> None:
        texts = {"a": "1", "b": "variables.a == 1", "c": "variables.b", "d": "true"}
        scope = Scope([Variable(name=name, expression=text) for name, text in texts.items()])
        for text, expected in (("variables.c", "abc"), ("variables.d", "d"), ("true", ""), ("variables.d", "d")):
            expression = scope.condition(text, "here")
            assert isinstance(expression, Expression)
            assert scope.used_by([expression]) == tuple((name, texts[name]) for name in expected)

    def test_says_so_of_several_expressions_at_once(self) -> None:
        scope = Scope([Variable(name=name, expression="true") for name in "zab"])
        made = [scope.condition(f"variables.{name}", "here") for name in "zb"]
        assert scope.used_by([one for one in made if isinstance(one, Expression)]) == (("b", "true"), ("z", "true"))


@pytest.mark.parametrize(
    ("text", "timed"),
    [
        ("now > timestamp('2026-01-01T00:00:00Z')", True),
        ("variables.late", True),
        ("variables.through", True),
        ("variables.plain", False),
        ("context.known == true", False),
    ],
)
def test_a_condition_reads_the_clock_itself_or_by_a_variable(text: str, timed: bool) -> None:
    late = "now > timestamp('2026-01-01T00:00:00Z')"
    scope = scope_of(late=late, through="!variables.late", plain="context.known == true")
    expression = scope.condition(text, "here")
    assert isinstance(expression, Expression)
    assert scope.timed(expression) is timed


def scope_of(**variables: str) -> Scope:
    return Scope.of([Variable(name=name, expression=expression) for name, expression in variables.items()])


class TestWhatPoliciesShare:
    """An environment of CEL takes a millisecond and 130 KB; thousands of policies say the same things."""

    def test_is_a_scope_of_the_same_variables_in_the_same_order(self) -> None:
        held = scope_of(a="1", b="2")
        assert scope_of(a="1", b="2") is held
        others = (scope_of(b="2", a="1"), scope_of(a="1", b="3"), scope_of(a="1"), scope_of())
        assert held not in others

    def test_is_an_expression_of_the_same_text_that_sees_the_same_types(self) -> None:
        one, other = scope_of(v="1"), scope_of(v="2")
        assert one is not other
        assert one.condition("variables.v == 2", "a") is other.condition("variables.v == 2", "b")
        # The value is the scope's all the same.
        for scope, expected in ((one, False), (other, True)):
            expression = scope.condition("variables.v == 2", "here")
            assert isinstance(expression, Expression)
            assert scope.evaluate(expression, inputs(CALL, SUBJECT, NOW)) is expected

    @pytest.mark.parametrize(
        ("one", "other"), [("1", "'a'"), ("1", "1u"), ("[1]", "['a']"), ("{'a': 1}", "{1: 1}"), ("1", "dyn(1)")]
    )
    def test_is_none_where_the_types_differ(self, one: str, other: str) -> None:
        scopes = (scope_of(v=one), scope_of(v=other))
        first, second = (scope.condition("variables.v == variables.v", "here") for scope in scopes)
        assert isinstance(first, Expression)
        assert isinstance(second, Expression)
        assert first is not second
        assert first.program is not second.program

    def test_is_no_problem_of_another_policy(self) -> None:
        for path in ("first", "second"):
            found = scope_of(v="1").condition("variables.v == 'a'", path)
            assert isinstance(found, tuple)
            assert [(problem.path, problem.line, problem.column) for problem in found] == [(path, 1, 13)]

    def test_goes_with_the_last_that_holds_it(self) -> None:
        scope = scope_of(v="'of this test only'")
        seen = weakref.ref(scope)
        del scope
        gc.collect()
        assert seen() is None


class TestAPattern:
    @pytest.mark.parametrize(
        ("pattern", "text", "matches"),
        [
            ("INC-[0-9]+", "INC-12", True),
            ("INC-[0-9]+", "xINC-12", False),
            ("INC-[0-9]+", "INC-12x", False),
            ("INC-[0-9]+", "INC-12\n", False),
            ("INC-[0-9]+", "", False),
            ("INC-[0-9]+ .*", "INC-1 because", True),
            ("INC-[0-9]+ .*", "INC-1 because\nof", False),
            ("(?s)INC-[0-9]+ .*", "INC-1 because\nof", True),
            ("a|b", "a", True),
            ("a|b", "ab", False),
            ("^a$", "a", True),
            ("(?m)^a$", "a\nb", False),
            ("(?m)a$.*", "a\nb", False),
            (".*", "", True),
            ("(?i)inc", "INC", True),
            # The library sees nothing of what follows a NUL.
            ("INC-[0-9]+", "INC-1\0 or not", False),
            (".*", "\0", False),
        ],
    )
    def test_must_match_the_whole_text(self, pattern: str, text: str, *, matches: bool) -> None:
        assert matches_whole(pattern, text) is matches

    @pytest.mark.parametrize("pattern", ["(", "a)(b", "a)|(b", "(?=a)", "x\\Q"])
    @pytest.mark.parametrize("text", ["", "a", "b", "ab", "x"])
    def test_that_is_none_is_a_problem_whatever_the_text(self, pattern: str, text: str) -> None:
        assert isinstance(matches_whole(pattern, text), Problem)


class TestANull:
    @pytest.mark.parametrize("made", ["context.nulls", "{'a': context.nulls}", "[context.nulls[0]]"])
    def test_in_a_variable_takes_no_reference_of_none_along_since_the_process_ends_with_the_last(
        self, made: str
    ) -> None:
        gc.collect()
        before = sys.getrefcount(None)
        # One would be missing for each, at least; other threads of the tests take and give some of their own.
        for _ in range(300):
            assert evaluated("variables.v == variables.v", {"nulls": [None] * 100}, v=made) is True
        assert sys.getrefcount(None) > before - 200


class TestAVariableThatHoldsATime:
    @pytest.mark.parametrize(
        ("made", "text"),
        [
            ("dyn(now)", "!(variables.v in context.none)"),
            ("dyn([now])", "size(variables.v) == 1"),
            ("dyn([now])", "variables.v != 'a'"),
            ("dyn({'a': now})", "!has(variables.v.b)"),
            ("{'a': now, 'b': 1}", "variables.v.b == 1"),
        ],
    )
    def test_under_no_certain_type_cannot_be_bound_and_whatever_reads_it_is_unknown(self, made: str, text: str) -> None:
        assert evaluated(text, {"none": []}, v=made) == UNKNOWN

    @pytest.mark.parametrize(
        ("made", "text"),
        [("now", "variables.v == now"), ("[now]", "variables.v[0] == now"), ("{'a': now}", "has(variables.v.a)")],
    )
    def test_under_its_own_type_is_bound(self, made: str, text: str) -> None:
        assert evaluated(text, v=made) is True
