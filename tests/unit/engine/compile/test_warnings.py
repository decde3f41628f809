"""What a policy that compiles is warned of: what is likely not what its author meant."""

from typing import Final

import pytest

from bailiwick_engine.cel.absence import silent_without
from bailiwick_engine.cel.tree import Other
from support.objects import Object, gated_rule, rule, subject
from unit.engine.cases import compilation, stored

DENY: Final = {"effect": "Deny"}


def warnings(*rules: Object, **spec: object) -> list[str]:
    made = compilation(stored("p", *rules, **spec))
    assert made.problems == ()
    return [str(warning) for warning in made.warnings]


def conditions(*texts: str) -> Object:
    return {"conditions": [{"name": f"c{number}", "expression": text} for number, text in enumerate(texts)]}


def escaped(text: str, **variables: str) -> list[str]:
    """Return the warnings of a Deny with this one condition."""
    listed = [{"name": name, "expression": expression} for name, expression in variables.items()]
    return warnings(rule(**DENY, **conditions(text)), **({"variables": listed} if listed else {}))


class TestAConditionOfADeny:
    @pytest.mark.parametrize(
        ("text", "without"),
        [
            ("context.?hold.orValue(false) == true", "context.hold"),
            ("context.?env.orValue('dev') == 'prod'", "context.env"),
            ("context.?count.orValue(0) > 100", "context.count"),
            ("context[?'count'].orValue(0) > 100", "context.count"),
            ("100 < context.?count.orValue(0)", "context.count"),
            ("context.?a.?b.orValue('') in ['x', 'y']", "context.a.b"),
            ("has(context.count) && context.count > 100", "context.count"),
            ("has(resource.properties.hold) && resource.properties.hold", "resource.properties.hold"),
            ("context.count > 100 && has(context.count)", "context.count"),
            ("!(!has(context.count) || context.count <= 100)", "context.count"),
            ("has(action.properties.format) ? action.properties.format == 'csv' : false", "action.properties.format"),
            ("subject.?properties.?level.orValue(9) < 3", "subject.properties.level"),
            ("context.?a.hasValue()", "context.a"),
            ("resource.type == 'customer' && context.?hold.orValue(false) == true", "context.hold"),
            ("context.?env.orValue(resource.id) == 'x' && has(context.env)", "context.env"),
        ],
    )
    def test_that_is_false_once_the_caller_leaves_something_out_is_warned_of(self, text: str, without: str) -> None:
        (found,) = escaped(text)
        assert found.startswith("spec.rules[0].conditions[0].expression:1:1: condition c0 of rule read is false")
        assert f"without {without}, so a caller can bypass the Deny" in found

    @pytest.mark.parametrize(
        "text",
        [
            "true",
            "false",
            "context.hold == true",
            "!has(context.count) || context.count > 100",
            "context.?hold.orValue(true) == true",
            "context.?env.orValue('prod') == 'prod'",
            "context.?env.orValue('prod') != 'dev'",
            "context.?count.orValue(101) > 100",
            "context.?env.orValue(resource.id) == 'x'",
            "context.?env.orValue('x') == resource.id",
            "has(context.a) || resource.type == 'customer'",
            "context.tags.exists(t, t == 'a')",
            # Claims are the issuer's word, and every call has a type: neither is the caller's to leave out.
            "subject.claims.?team.orValue('') == 'x'",
            "has(resource.type) && resource.type == 'x'",
            "has(actor.id)",
            "context.?a.orValue('b') < 1",
        ],
    )
    def test_that_holds_or_fails_without_it_is_not(self, text: str) -> None:
        assert escaped(text) == []

    def test_is_warned_of_what_only_together_makes_it_false(self) -> None:
        (found,) = escaped("context.?a.orValue(false) == true || context.?b.orValue(false) == true")
        assert "without context.a, context.b, so" in found

    def test_is_warned_of_what_a_variable_makes_allowance_for(self) -> None:
        (found,) = escaped("variables.held && true", hold="context.?hold.orValue(false)", held="variables.hold == true")
        assert "without context.hold, so" in found
        assert escaped("variables.big", big="!has(context.count) || context.count > 100") == []

    def test_is_looked_at_in_no_time_however_variables_are_nested(self) -> None:
        nested = {"v0": "has(context.a)"}
        nested |= {f"v{n}": f"variables.v{n - 1} && variables.v{n - 1}" for n in range(1, 32)}
        (found,) = escaped("variables.v31", **nested)
        assert "without context.a, so" in found

    @pytest.mark.parametrize("text", ["!" * 200 + "has(context.a)", "(" * 90 + "has(context.a)" + ")" * 90])
    def test_is_looked_at_however_deep_it_is(self, text: str) -> None:
        made = compilation(stored("p", rule(**DENY, **conditions(text))))
        assert len(made.problems) + len(made.warnings) == 1

    def test_is_named_by_its_place(self) -> None:
        first, second = warnings(
            rule("a", **conditions("context.?a.orValue(false) == true")),
            rule("b", **DENY, **conditions("true", "context.?a.orValue(false) == true")),
            gated_rule("c", **conditions("has(context.x) && context.x == 1")),
        )
        assert first.startswith("spec.rules[1].conditions[1].expression:1:1: condition c1 of rule b")
        assert second.startswith("spec.rules[2].conditions[0].expression:1:1: condition c0 of rule c")
        assert "can bypass the gate" in second

    def test_of_a_kind_that_is_not_known_is_not_warned_of(self) -> None:
        assert silent_without(Other(), {}) == ()


class TestTwoGates:
    @staticmethod
    def of(first: Object, second: Object) -> list[str]:
        both = [subject(), subject("other", account="other")]
        gates = (
            gated_rule("one", **{"intents": ["support"], **first}),
            gated_rule("two", **{"intents": ["audit"], **second}),
        )
        return warnings(*gates, subjects=both)

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({}, {}),
            ({"subjects": ["agent", "other"]}, {"subjects": ["other"]}),
            ({"actions": ["customers.*"]}, {"actions": ["customers.export"]}),
            ({"actions": ["customers.export"]}, {"actions": ["*"]}),
            ({"actions": ["customers.*"]}, {"actions": ["customers.a.*"]}),
            (
                {"resources": [{"type": "customer", "ids": ["a/*"]}]},
                {"resources": [{"type": "customer", "ids": ["a/1"]}]},
            ),
            ({"resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]}, {}),
        ],
    )
    def test_before_one_call_without_a_common_intent_are_warned_of(self, first: Object, second: Object) -> None:
        (found,) = self.of(first, second)
        assert found.startswith("spec.rules[1].intents: rules one and two can gate the same call")

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({}, {"intents": ["audit", "support"]}),
            ({}, {"subjects": ["other"]}),
            ({}, {"actions": ["customers.delete"]}),
            ({"actions": ["customers.*"]}, {"actions": ["orders.*"]}),
            ({}, {"resources": [{"type": "order", "ids": ["*"]}]}),
            ({"resources": [{"type": "customer", "ids": ["1"]}]}, {"resources": [{"type": "customer", "ids": ["2"]}]}),
            (
                {"resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]},
                {"resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["test"]}}]},
            ),
        ],
    )
    def test_that_part_somewhere_are_not(self, first: Object, second: Object) -> None:
        assert self.of(first, second) == []

    def test_of_which_one_takes_any_intent_are_not(self) -> None:
        assert warnings(gated_rule("one", intents=["support"]), gated_rule("two")) == []


class TestAWorkload:
    def test_that_is_known_by_its_labels_alone_is_warned_of(self) -> None:
        labels = {"podSelector": {"matchLabels": {"app": "crm"}}}
        (found,) = warnings(rule(), subjects=[{**subject(), "workload": labels}])
        assert found.startswith("spec.subjects[0].workload: a podSelector alone is advisory")

    def test_that_is_known_by_its_images_is_not(self) -> None:
        images = {"imageDigests": ["sha256:" + "a" * 64]}
        both = images | {"podSelector": {"matchLabels": {"app": "crm"}}}
        for workload in (images, both):
            assert warnings(rule(), subjects=[{**subject(), "workload": workload}]) == []


class TestANameOfTheApiServerThatIsNeverAskedAbout:
    def warned(self, kind: str, *ids: str, endpoint: str = "kubernetes") -> list[str]:
        denied = rule("no", effect="Deny", actions=["*"], resources=[{"type": kind, "ids": list(ids or ("*",))}])
        return warnings(denied, endpoint=endpoint)

    @pytest.mark.parametrize(
        ("kind", "ids", "member", "instead"),
        [
            ("pods/eviction", ("*",), "type", "name the type pods, action delete"),
            ("events.k8s.io/events", ("*",), "type", "name the type events"),
            ("bindings", ("*",), "type", "name the type pods/binding"),
            ("services/proxy", ("web", "web:80"), "ids", "scheme and port by the properties"),
            ("pods/proxy", ("https:web:*",), "ids", "scheme and port by the properties"),
        ],
    )
    def test_is_told_of_with_what_to_name_in_its_place(
        self, kind: str, ids: tuple[str, ...], member: str, instead: str
    ) -> None:
        (found,) = self.warned(kind, *ids)
        assert found.startswith(f"spec.rules[0].resources[0].{member}: ")
        assert "rule no (Deny) never matches" in found
        assert instead in found

    def subjected(self, kind: str, name: str, endpoint: str = "kubernetes") -> list[str]:
        named = {"name": "ci", "entity": {"type": kind, "ids": ["dave", name]}}
        return warnings(rule(subjects=["ci"]), subjects=[named], endpoint=endpoint)

    def test_is_told_of_where_a_service_account_is_named_as_a_user(self) -> None:
        (found,) = self.subjected("user", "system:serviceaccount:shop:ci")
        assert found.startswith("spec.subjects[0].entity.ids: ")
        assert "system:serviceaccount:shop:ci of subject ci never matches" in found
        assert "by serviceAccount" in found

    @pytest.mark.parametrize(
        ("kind", "name", "endpoint"),
        [
            ("user", "system:serviceaccount:shop:ci", "crm-api"),
            ("serviceAccount", "system:serviceaccount:shop:ci", "kubernetes"),
            ("user", "system:kube-scheduler", "kubernetes"),
        ],
    )
    def test_is_no_matter_where_a_subject_can_match(self, kind: str, name: str, endpoint: str) -> None:
        assert self.subjected(kind, name, endpoint) == []

    def test_is_no_matter_elsewhere(self) -> None:
        assert self.warned("bindings", endpoint="crm-api") == []
        assert self.warned("services/proxy", "web") == []
        assert self.warned("pods", "a:b") == []
