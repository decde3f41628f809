"""What a policy that does not compile is told, with the place of what is wrong."""

import hashlib
from typing import Any, Final

import pytest

from bailiwick_engine.compile.policies import compile_object, compile_policy, compile_steps, parse_spec, policy_ref
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, PolicyRef
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import whole
from support.full_objects import full_policy
from support.objects import AGENT, Object, changed, gated_rule, rule, settings, subject
from unit.engine.cases import broken, compilation, sound, stored


def problems(*rules: Object, **spec: object) -> list[str]:
    made = compilation(stored("p", *rules, **spec))
    assert (made.policy is None) is bool(made.problems)
    return [str(problem) for problem in made.problems]


def condition(*expressions: str) -> Object:
    return rule(conditions=[{"name": f"c{n}", "expression": text} for n, text in enumerate(expressions)])


def variables(**expressions: str) -> list[Object]:
    return [{"name": name, "expression": text} for name, text in expressions.items()]


CONDITION: Final = "spec.rules[0].conditions[0].expression"
NAMED: Final = " (policy crm/p, rule read, condition c0)"


class TestAnExpression:
    @pytest.mark.parametrize(
        ("text", "place", "says"),
        [
            ("tru", f"{CONDITION}:1:1", "unknown name tru; a condition can use"),
            ("context.a == 1 &&\n  subjct == 'x'", f"{CONDITION}:2:3", "unknown name subjct; did you mean subject?"),
            ("true &&", f"{CONDITION}:1:8", "syntax error: the expression is incomplete"),
            ("true = 1", f"{CONDITION}:1:6", "syntax error: '=' has no meaning here; use == to compare"),
            ("subject.id.matches(1)", f"{CONDITION}:1:19", "matches does not accept these arguments"),
            ("1 + 'a' == 2", f"{CONDITION}:1:3", "'+' does not accept an integer and a string"),
            ("variables.nothing", f"{CONDITION}:1:10", "unknown variable nothing"),
            ("context.a", f"{CONDITION}:1:1", "the expression returns dyn, not bool: compare the result"),
            ("1 + 1", f"{CONDITION}:1:1", "the expression returns int, not bool: a condition must be true or false"),
            ("'true'", f"{CONDITION}:1:1", "the expression returns string, not bool"),
            ("null", f"{CONDITION}:1:1", "the expression returns null, not bool"),
            ("[true]", f"{CONDITION}:1:1", "the expression returns list"),
            ("{1.0: true}", f"{CONDITION}:1:1", "Unsupported map key type"),
            ("[" * 300 + "]" * 300 + " == []", f"{CONDITION}:1:1", "recursion limit"),
            ("context" + ".a" * 2000 + " == 1", f"{CONDITION}:1:1", "recursion depth"),
        ],
    )
    def test_is_told_line_and_column(self, text: str, place: str, says: str) -> None:
        first = problems(condition(text))[0]
        assert first.startswith(f"{place}: ")
        assert says in first

    def test_is_told_each_of_its_problems(self) -> None:
        found = problems(condition("a && b"))
        assert [text.split(": ")[0] for text in found] == [f"{CONDITION}:1:1", f"{CONDITION}:1:6"]

    def test_is_told_apart_from_the_others(self) -> None:
        found = problems(condition("true", "b", "c"), {**condition("d"), "name": "second"})
        assert [text.split(":")[0] for text in found] == [
            "spec.rules[0].conditions[1].expression",
            "spec.rules[0].conditions[2].expression",
            "spec.rules[1].conditions[0].expression",
        ]

    def test_is_told_the_names_of_its_policy_its_rule_and_itself(self) -> None:
        found = problems(condition("true", "b"), {**condition("a &&\nc", "true"), "name": "second"})
        assert [(text.split(": ")[0], text[text.rindex("(") :]) for text in found] == [
            ("spec.rules[0].conditions[1].expression:1:1", "(policy crm/p, rule read, condition c1)"),
            ("spec.rules[1].conditions[0].expression:1:1", "(policy crm/p, rule second, condition c0)"),
            ("spec.rules[1].conditions[0].expression:2:1", "(policy crm/p, rule second, condition c0)"),
        ]

    @pytest.mark.parametrize(
        ("text", "instead"),
        [
            ("context.a", "`== true`: context.a == true (policy"),
            (" context['a b'].c ", "`== true`: (context['a b'].c) == true (policy"),
            (
                "context.?hold.orValue(false)",
                "`== true`: context.?hold.orValue(false) == true (the type of the orValue() result is known only",
            ),
            ("context.a ? context.b : context.c", "`== true`: (context.a ? context.b : context.c) == true"),
            ("context.a ?\ncontext.b : context.c", "`== true`: (...) == true"),
            ("context." + "a" * 90, "`== true`: (...) == true"),
            ("subjct.id == 'a'", "did you mean subject?"),
            (
                "prod == 'a'",
                "a condition can use subject, actor, action, resource, context, now, history and variables;",
            ),
            ("variables.bg", "did you mean variables.big?"),
            ("variables.nothing.at.all", "declare variables in spec.variables, before you use them"),
            ("1 == 'a'", "an integer and a string: both sides must have the same type"),
            ("1 < 1.5", "write the integer with a decimal point, for example 1.0"),
            ("subject.id.startWith('a')", "unknown function startWith; did you mean startsWith?"),
            ("foo(1)", "unknown function foo (policy"),
            ("contains(subject.id, 'a')", "call contains on a value, for example context.a.contains(...)"),
            ("[1].exist(x, x == 1)", "unknown function exist; did you mean exists?"),
            ("context.a.exists(x)", "exists is used incorrectly: write it like"),
            ("exists(context.a)", "exists is used incorrectly: write it like context.list.exists(x, x == 1)"),
            ("action == 'x'", "action is an object, so compare one of its members, for example action.name"),
            ("null == context", "'==' does not accept null and an object"),
            ("now > '2027-01-01'", "write a time as timestamp('2027-03-31T00:00:00Z')"),
            ("context.a in 'x'", "the right side of in must be a list or an object, not a string"),
            ("has(subject)", "has() takes a member, for example has(context.a)"),
            ("size(context.a", ") is missing at the end"),
            ('context.a == "x', "a string that starts here has no closing quote"),
            ("if (true) 1", "if is a reserved word in CEL"),
            ("context.a ?: true", "':' is not expected here"),
            ("subject.id = 'a'", "use == to compare"),
            ("context.a == 1 and not context.b == 2", "use && instead of and, use ! instead of not"),
            ("context.a == ' = ' or true", "; use || instead of or"),
        ],
    )
    def test_is_told_what_to_write_instead(self, text: str, instead: str) -> None:
        found = problems(condition(text), variables=variables(big="true"))
        assert instead in found[0]

    def test_is_told_nothing_in_the_words_of_the_library(self) -> None:
        for text in (
            "tru",
            "f(1)",
            "variables.x",
            "1 + 'a'",
            "action == 1",
            "context.a in 'x'",
            "context.a ==",
            "x -> y",
        ):
            for told in problems(condition(text)):
                words = ("undeclared", "container", "overload", "Syntax", "mismatched", "EOF", "map(", "IDENTIFIER")
                assert not [word for word in words if word in told], told

    def test_is_told_no_more_than_twenty_of_its_problems(self) -> None:
        assert len(problems(condition(" && ".join(f"unheard{number}" for number in range(200))))) == 20

    @pytest.mark.parametrize("text", ["context.a ==", "'=' ==", "1 + 'a' == 2"])
    def test_is_told_nothing_instead_where_that_is_not_clear(self, text: str) -> None:
        assert "; " not in problems(condition(text))[0]

    @pytest.mark.parametrize(
        "text", ["context.a", "context.?hold.orValue(false)", "context.a ? context.b : context.c", "context['a b'].c"]
    )
    def test_compiles_as_it_is_told_to_be_written(self, text: str) -> None:
        told = problems(condition(text))[0]
        instead = told.split("`== true`: ")[1].split(" (the type")[0].split(" (policy")[0]
        assert problems(condition(instead)) == []

    @pytest.mark.parametrize(
        "text", ["true", "context.a == true", "subject.id == actor.?id.orValue('')", "!has(context.a)"]
    )
    def test_that_yields_bool_compiles(self, text: str) -> None:
        assert problems(condition(text)) == []


class TestAVariable:
    def test_is_told_line_and_column(self) -> None:
        assert problems(rule(), variables=variables(a="1", b="1 +\nx"))[0].startswith(
            "spec.variables[1].expression:2:1: unknown name x"
        )

    def test_is_told_its_name(self) -> None:
        assert problems(rule(), variables=variables(a="1", b="x"))[0].endswith("(policy crm/p, variable b)")

    @pytest.mark.parametrize("text", ["variables.later", "variables.own"])
    def test_sees_only_earlier_ones(self, text: str) -> None:
        found = problems(rule(), variables=variables(own=text, later="true"))
        name = text.partition(".")[2]
        assert found[0].startswith(f"spec.variables[0].expression:1:10: unknown variable {name}; declare variables")

    @pytest.mark.parametrize(
        "text", ["variables.bad", "variables.bad == 1", "variables.bad.a.b == 1", "!variables.bad"]
    )
    def test_that_does_not_compile_is_no_problem_of_whoever_uses_it(self, text: str) -> None:
        found = problems(condition(text), variables=variables(bad="x", uses="variables.bad"))
        assert [text.split(":")[0] for text in found] == ["spec.variables[0].expression"]

    def test_that_does_not_compile_hides_no_other_problem(self) -> None:
        found = problems(condition("variables.bad", "1 + 1"), variables=variables(bad="x"))
        assert [text.split(":")[0] for text in found] == [
            "spec.variables[0].expression",
            "spec.rules[0].conditions[1].expression",
        ]

    def test_has_a_type_that_can_be_declared(self) -> None:
        found = problems(rule(), variables=variables(v="{1.0: true}"))
        assert found[0].startswith("spec.variables[0].expression:1:1: INVALID_ARGUMENT: Unsupported map key type")

    def test_has_the_type_of_its_expression(self) -> None:
        assert problems(condition("variables.n"), variables=variables(n="1")) == [
            f"{CONDITION}:1:1: the expression returns int, not bool: a condition must be true or false{NAMED}"
        ]
        assert (
            "does not accept an integer and a string"
            in problems(condition("variables.n == 'a'"), variables=variables(n="1"))[0]
        )


TWO_STEPS: Final = [{"name": "a", "kind": "Human"}, {"name": "a", "kind": "System"}]


class TestWhatTheSchemaWouldKeepOut:
    """Standalone files have no API server before them."""

    @pytest.mark.parametrize(
        ("raw", "path"),
        [
            (stored("p", rule(subjects=["agent", "nobody"])), "spec.rules[0].subjects[1]"),
            (stored("p", rule(effect="RequireApproval")), "spec.rules[0].approval"),
            (stored("p", gated_rule(effect="Allow")), "spec.rules[0].approval"),
            (stored("p", gated_rule(effect="Deny")), "spec.rules[0].approval"),
            (stored("p", rule(effect="Deny", expireTime="2030-01-01T00:00:00Z")), "spec.rules[0].expireTime"),
            (stored("p", rule(effect="Deny", intents=["a"])), "spec.rules[0].intents"),
            (stored("p", rule(), subjects=[subject(), subject(account="other")]), "spec.subjects[1].name"),
            (stored("p", rule(), rule(effect="Deny")), "spec.rules[1].name"),
            (stored("p", rule(), variables=[*variables(a="1"), *variables(a="2")]), "spec.variables[1].name"),
            (stored("p", gated_rule(approval={"steps": TWO_STEPS})), "spec.rules[0].approval.steps[1].name"),
            (
                stored("p", rule(conditions=[{"name": "c", "expression": "true"}] * 2)),
                "spec.rules[0].conditions[1].name",
            ),
        ],
    )
    def test_is_a_problem_of_the_policy(self, raw: Object, path: str) -> None:
        made = compilation(raw)
        assert made.policy is None
        assert [problem.path for problem in made.problems] == [path]

    def test_names_each_name_once_too_often(self) -> None:
        found = problems(rule(), rule(), rule())
        assert [text.split(":")[0] for text in found] == ["spec.rules[1].name", "spec.rules[2].name"]

    @pytest.mark.parametrize(
        ("path", "value", "expected"),
        [
            ("spec.rules.0.effect", "Permit", "spec.rules[0].effect"),
            ("spec.rules.0.actions", [], "spec.rules[0].actions"),
            ("spec.rules.0.actions", ["a*"], "spec.rules[0].actions[0]"),
            ("spec.rules.0.actions", ["a.*.b"], "spec.rules[0].actions[0]"),
            ("spec.rules.0.actions", ["a b"], "spec.rules[0].actions[0]"),
            ("spec.rules.0.actions", ["a\n"], "spec.rules[0].actions[0]"),
            ("spec.rules.0.resources.0.ids", ["a\x00"], "spec.rules[0].resources[0].ids[0]"),
            ("spec.rules.0.resources.0.ids", ["1*"], "spec.rules[0].resources[0].ids[0]"),
            ("spec.rules.0.resources.0.ids", ["\ud800"], "spec.rules[0].resources[0].ids[0]"),
            ("spec.rules.0.resources", [], "spec.rules[0].resources"),
            ("spec.rules.0.subjects", [], "spec.rules[0].subjects"),
            ("spec.rules.0.conditions", [{"name": "c", "expression": "x" * 4097}], CONDITION),
            ("spec.rules.0.unheard", 1, "spec.rules[0].unheard"),
            ("spec.rules", [], "spec.rules"),
            ("spec.subjects", [], "spec.subjects"),
            ("spec.endpoint", "Not A Label", "spec.endpoint"),
            ("spec.endpoint", "a\n", "spec.endpoint"),
            ("spec.endpoint", ..., "spec.endpoint"),
            ("spec.mode", "audit", "spec.mode"),
            ("spec.expireTime", "2030-01-01T00:00:00", "spec.expireTime"),
            ("spec.variables", [{"name": "a-b", "expression": "1"}], "spec.variables[0].name"),
            ("spec", None, "spec"),
            ("spec", [], "spec"),
        ],
    )  # fmt: skip
    def test_is_told_with_its_path(self, path: str, value: Any, expected: str) -> None:  # noqa: ANN401 - any value
        raw = stored("p", rule(), mode="Enforce", expireTime="2030-01-01T00:00:00Z", variables=[])
        if path.endswith(("conditions", "unheard")):
            raw = changed(raw, "spec.rules.0", {**raw["spec"]["rules"][0], path.rsplit(".", maxsplit=1)[-1]: value})
        else:
            raw = changed(raw, path, value)
        found = parse_spec(raw.get("spec"))
        assert isinstance(found, tuple)
        assert [problem.path for problem in found] == [expected]
        assert str(found[0]).startswith(f"{expected}: ")
        assert isinstance(compile_object(raw), BrokenPolicy)


class TestThePatternOfAReason:
    @pytest.mark.parametrize("pattern", ["INC-[0-9]+ .*", "a|b", "(?i)inc", "^a$", "\\Qa.b\\E", "(a)(b)"])
    def test_is_re2(self, pattern: str) -> None:
        approval = {"steps": [{"name": "a", "kind": "Human"}], "reason": {"pattern": pattern}}
        assert problems(gated_rule(approval=approval)) == []

    def test_may_be_absent(self) -> None:
        approval = {"steps": [{"name": "a", "kind": "Human"}], "reason": {"required": True}}
        assert problems(gated_rule(approval=approval)) == []

    @pytest.mark.parametrize("pattern", ["(", "a)(b", "[a", "a{2,1}", "(?=a)", "\\1", "*", "\\", "x\\Q", "x\\Qa"])
    def test_is_a_problem_where_it_is_not_or_not_once_it_must_match_the_whole(self, pattern: str) -> None:
        approval = {"steps": [{"name": "a", "kind": "Human"}], "reason": {"pattern": pattern}}
        assert problems(gated_rule(approval=approval)) == [
            f"spec.rules[0].approval.reason.pattern: not a valid regular expression (RE2): {pattern!r}"
        ]


class TestACompiledPolicy:
    def test_says_what_it_is_of(self) -> None:
        policy = sound(stored("p", rule(), gated_rule(), endpointSettings=settings()))
        assert (policy.ref, policy.endpoint) == (PolicyRef("crm", "p", "p-uid", 1), "crm-api")
        assert [rule.name for rule in policy.rules] == ["read", "export"]
        assert {rule.policy_digest for rule in policy.rules} == {policy.digest}
        assert policy.settings is not None
        assert policy.settings.carrier == policy.ref

    def test_with_every_field_compiles(self) -> None:
        raw = full_policy("crm")
        raw["metadata"]["uid"] = "uid"
        made = compile_object(raw)
        assert isinstance(made, CompiledPolicy)
        assert made.ref.generation == 0

    def test_has_a_digest_of_all_that_it_says_and_of_no_written_out_default(self) -> None:
        digest = sound(stored("p", rule())).digest
        assert digest.startswith("sha256:")
        assert sound(stored("q", rule())).digest == digest
        assert sound(stored("p", rule(), mode="Enforce", suspend=False)).digest == digest
        assert sound(stored("p", rule(), suspend=True)).digest != digest
        assert sound(stored("p", rule("other"))).digest != digest

    def test_has_the_same_digest_in_every_release(self) -> None:
        # A known answer: decision records name it, and are checked against the policy's text years later.
        text = (
            '{"endpoint":"crm-api","mode":"Enforce","rules":[{"actions":["customers.list"],"effect":"Allow",'
            '"name":"read","resources":[{"ids":["*"],"type":"customer"}],"subjects":["agent"]}],'
            '"subjects":[{"name":"agent","serviceAccount":{"name":"crm-agent","namespace":"agents"}}],"suspend":false}'
        )
        assert sound(stored("p", rule())).digest == "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    @pytest.mark.parametrize("extra", [{"suspend": True}, {"expireTime": "2020-01-01T00:00:00Z"}])
    def test_has_deny_rules_that_know_neither_end_nor_suspension(self, extra: Object) -> None:
        deny, allow = sound(stored("p", rule("no", effect="Deny"), rule(), **extra)).rules
        assert (deny.expires, deny.suspended) == (None, False)
        assert (allow.expires is not None, allow.suspended) == ("expireTime" in extra, "suspend" in extra)

    def test_has_rules_that_end_with_the_earlier_of_their_own_end_and_the_policys(self) -> None:
        early, late = "2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"
        ends = [
            sound(stored("p", rule(**({"expireTime": own} if own else {})), **({"expireTime": whole} if whole else {})))
            .rules[0]
            .expires
            for own, whole in ((early, late), (late, early), (early, None), (None, early), (None, None))
        ]
        assert ends == [1893456000.0] * 4 + [None]

    def test_has_no_settings_where_it_carries_none(self) -> None:
        assert sound(stored("p", rule())).settings is None

    def test_compiles_the_same_from_its_parsed_spec(self) -> None:
        raw = stored("p", rule())
        spec = parse_spec(raw["spec"])
        assert not isinstance(spec, tuple)
        made = compile_policy(policy_ref(raw), spec)
        assert made.policy is not None
        assert made.policy.digest == sound(raw).digest


class TestABrokenPolicy:
    def test_says_what_could_be_read_of_it(self) -> None:
        raw = stored(
            "p", rule(conditions=[{"name": "c", "expression": "x"}]), mode="Audit", endpointSettings=settings()
        )
        made = broken(raw)
        assert (made.ref, made.endpoint) == (PolicyRef("crm", "p", "p-uid", 1), "crm-api")
        assert made.subjects == frozenset({AGENT})
        assert (made.audit, made.carries_settings) == (True, True)
        assert made.settings is not None
        assert made.settings.enforcers == {"system:serviceaccount:crm:crm-api"}

    @pytest.mark.parametrize("rules", [[rule(conditions=[{"name": "c", "expression": "x"}])], []])
    def test_carries_no_settings_where_it_has_none(self, rules: list[Object]) -> None:
        made = broken(stored("p", *rules))
        assert (made.settings, made.carries_settings, made.audit) == (None, False, False)

    def test_that_cannot_be_read_at_all_denies_everybody_everywhere(self) -> None:
        made = compile_object({"metadata": {"namespace": "crm", "name": "p", "uid": "u"}})
        assert made == BrokenPolicy(PolicyRef("crm", "p", "u", 0), None, None, audit=False)


class TestAProblem:
    def test_is_written_with_its_position_where_it_has_one(self) -> None:
        assert str(Problem("spec.a", "is wrong", 2, 3)) == "spec.a:2:3: is wrong"
        assert str(Problem("spec.a", "is wrong")) == "spec.a: is wrong"
        assert Problem("spec.a", "is wrong") == Problem("spec.a", "is wrong", 0, 0)


class TestAPolicyThatIsBeingDeleted:
    """AB-20: a finalizer may hold it for ever."""

    RULES: Final = (rule("read"), gated_rule(), rule("never", effect="Deny", actions=["customers.delete"]))

    def deleting(self, *rules: Object, **spec: object) -> Object:
        raw = stored("p", *(rules or self.RULES), **spec)
        raw["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:00Z"
        return raw

    def test_gives_nothing_and_denies_as_before(self) -> None:
        compiled = compile_object(self.deleting())
        assert isinstance(compiled, CompiledPolicy)
        assert {rule.name: rule.suspended for rule in compiled.rules} == {"read": True, "export": True, "never": False}

    def test_keeps_its_digest_its_rule_digests_and_its_settings(self) -> None:
        was, now = (compile_object(raw) for raw in (stored("p", *self.RULES), self.deleting()))
        assert isinstance(was, CompiledPolicy)
        assert isinstance(now, CompiledPolicy)
        assert (now.digest, now.settings) == (was.digest, was.settings)
        assert [rule.gate for rule in now.rules] == [rule.gate for rule in was.rules]

    def test_that_does_not_compile_denies_as_before(self) -> None:
        broken = rule("read", conditions=[{"name": "c", "expression": "1 +"}])
        assert isinstance(compile_object(self.deleting(broken)), BrokenPolicy)


def test_an_expression_is_a_step_so_that_nobody_waits_for_a_whole_policy() -> None:
    conditions = [{"name": f"c{number}", "expression": f"context.a == {number}"} for number in range(4)]
    ceiling = {
        "actions": ["customers.list"],
        "resources": [{"type": "customer", "ids": ["*"]}],
        "conditions": conditions,
    }
    raw = stored(
        "p",
        *(rule(f"r{number}", conditions=conditions) for number in range(3)),
        endpointSettings=settings() | {"delegation": {"maxDepth": 1, "principals": ["agent"], "ceiling": [ceiling]}},
    )
    assert len(list(compile_steps(raw))) >= 4 * (3 + 1)
    compiled = whole(compile_steps(raw))
    assert isinstance(compiled, CompiledPolicy)
    assert compiled.digest == sound(raw).digest


class TestACeilingOfABrokenPolicy:
    def test_is_never_without_a_condition_that_does_not_compile(self) -> None:
        """Its settings may hold for the subjects of other policies, and with a condition less it allows more."""
        costly = "context.i.all(a, context.i.all(b, context.i.all(c, context.i.all(d, a == b && c == d))))"
        ceiling = {
            "actions": ["customers.list"],
            "resources": [{"type": "customer", "ids": ["*"]}],
            "conditions": [{"name": "c", "expression": f"variables.wrong && {costly}"}],
        }
        delegation = {"maxDepth": 1, "principals": ["agent"], "ceiling": [ceiling]}
        raw = stored(
            "p", rule(), variables=variables(wrong="1 +"), endpointSettings=settings() | {"delegation": delegation}
        )
        assert broken(raw).settings is None
