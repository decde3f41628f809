"""`docs/reference/policy.md` has every field, and says what the engine does."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import generate_policy_reference
from bailiwick_api.kinds.approvalgrant import ApprovalGrant
from bailiwick_engine.names import NameSet
from bailiwick_engine.reasons import Reason
from policypage import bounds, fields
from support.objects import Object, gated_rule, policy, rule, settings
from support.pages import blocks, objects
from support.suites import run_tests, run_validate, written
from unit.engine.cases import at, carrier, compilation, snapshot, stored, verdict_of

PAGE: Final = "reference/policy.md"
TEXT: Final = generate_policy_reference.PATH.read_text(encoding="utf-8")
# Written by the operator, and by nobody else.
PARTS: Final = [name for name in generate_policy_reference.PARTS if name != "status"]
FRAGMENTS: Final = [
    found for found in (yaml.safe_load(block) for block in blocks(PAGE, "yaml")) if [*found] == ["spec"]
]
INCIDENT: Final[Object] = {
    "apiVersion": "bailiwick.dev/v1alpha1",
    "kind": "EndpointData",
    "metadata": {"namespace": "crm", "name": "incident-state"},
    "spec": {"data": {"open": True}},
}


def section(name: str, level: str = "###") -> str:
    return TEXT.partition(f"\n{level} {name}\n")[2].partition("\n## ")[0].partition("\n### ")[0]


class TestThePage:
    def test_is_up_to_date(self) -> None:
        assert generate_policy_reference.rendered() == TEXT

    def test_is_checked(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert generate_policy_reference.main(["--check"]) == 0
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("kind", generate_policy_reference.KINDS)
    def test_has_each_field_of_a_kind_once(self, kind: str) -> None:
        told = TEXT.partition("\n## Fields\n" if kind == "EndpointPolicy" else f"\n## {kind}\n")[2]
        listed = re.findall(r"^\| `([^`]+)` \|.*\| .* \|.* \|$", told.partition("\n## ")[0], re.MULTILINE)
        named = [row.path.removeprefix("spec.") for row in fields.rows(generate_policy_reference.KINDS[kind])]
        shown = [name for name in listed if "[]" in name or "." in name or name in named]
        assert sorted(shown) == sorted(
            name for name in named if name != "spec" and (kind == "EndpointPolicy" or name != "status")
        )

    @pytest.mark.parametrize("kind", generate_policy_reference.KINDS)
    def test_has_no_words_for_a_field_that_is_none(self, kind: str) -> None:
        used = {fields.told(kind, row)[0] for row in fields.rows(generate_policy_reference.KINDS[kind])} - {""}
        own = {path for path in fields.words(kind) if path not in fields.words("EndpointData")}
        assert own <= used

    def test_says_of_each_field_that_can_be_left_out_what_then_holds(self) -> None:
        row = fields.FieldRow("spec.new", "string", "", "New.", optional=True)
        with pytest.raises(KeyError, match=r"spec\.new needs absent"):
            fields.told("EndpointPolicy", row)
        with pytest.raises(KeyError, match=r"spec\.new needs what"):
            fields.told("EndpointPolicy", fields.FieldRow("spec.new", "string", "required", "", optional=False))

    def test_has_words_for_each_pattern_or_is_not_made(self) -> None:
        with pytest.raises(KeyError):
            bounds.told({"type": "string", "pattern": "^new$"})

    def test_tells_types_defaults_and_checks(self) -> None:
        assert "| `rules[].approval.steps[].count` | integer, 1 to 5 | `1` | Number of distinct" in TEXT
        assert "| `rules` | list of 1 to 64 objects, unique by `name` | required |" in TEXT
        assert "- a Deny rule cannot have an expireTime: remove the rule instead\n" in section("rules")


class TestTheExamples:
    def test_are_there_for_each_part_of_a_policy(self) -> None:
        assert len(FRAGMENTS) == len(PARTS) == 16
        for part, found in zip(PARTS, FRAGMENTS, strict=True):
            held: Any = found["spec"]
            for name in part.split("."):
                held = next(one for one in held if name in one)[name] if isinstance(held, list) else held[name]
            assert held

    @pytest.mark.parametrize("number", range(len(FRAGMENTS)), ids=PARTS)
    def test_are_valid_without_a_warning(self, number: int, tmp_path: Path) -> None:
        spec = FRAGMENTS[number]["spec"]
        files: list[Object] = [policy("crm", "crm-agent", **{"endpointSettings": settings()} | spec), INCIDENT]
        if "replaces" in spec:
            # A candidate stands beside the policy that it is to replace, which has the settings.
            live = policy("crm", spec["replaces"], endpointSettings=settings())
            files = [policy("crm", "crm-agent", **spec), live]
        ran = run_validate(written(tmp_path, {"policy.yaml": files}))
        assert ran.code == 0, ran

    def test_of_data_are_valid(self, tmp_path: Path) -> None:
        (data,) = (found for found in objects(PAGE) if found.get("kind") == "EndpointData")
        assert run_validate(written(tmp_path, {"data.yaml": data})).code == 0

    def test_of_grants_are_as_the_schema_asks(self) -> None:
        (grant,) = (found for found in objects(PAGE) if found.get("kind") == "ApprovalGrant")
        assert ApprovalGrant.model_validate({"spec": grant["spec"]}).spec.request.origin == "PreApproved"

    def test_of_tests_pass_on_the_first_policy_of_the_page(self, tmp_path: Path) -> None:
        first, *_ = (found for found in objects(PAGE) if found.get("kind") == "EndpointPolicy")
        (test,) = (found for found in objects(PAGE) if found.get("kind") == "PolicyTest")
        ran = run_tests(written(tmp_path, {"policy.yaml": first, "page_test.yaml": test}) / "page_test.yaml")
        assert (ran.code, "1 passed, 0 failed" in ran.out) == (0, True), ran


class TestTheTableOfNames:
    ROWS: Final = [
        [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:-1]]
        for line in section("Names and wildcards", "##").splitlines()
        if line.startswith("| `")
    ]

    def test_says_what_a_pattern_matches(self) -> None:
        assert len(self.ROWS) == 5
        for (pattern,), held, left in self.ROWS:
            names = NameSet.of([pattern])
            assert [name for name in held if name not in names] == []
            assert [name for name in left if name in names] == []

    @pytest.mark.parametrize("pattern", ["a*", "*.list", "a.*.b", "**"])
    def test_is_right_that_a_star_stands_at_the_end_alone(self, pattern: str, tmp_path: Path) -> None:
        made = policy("crm", endpointSettings=settings(), rules=[rule(actions=[pattern])])
        assert run_validate(written(tmp_path, {"policy.yaml": made})).code == 1


def _with(effect: str, **changed: object) -> Object:
    made = gated_rule("tried") if effect == "RequireApproval" else rule("tried", effect=effect)
    return {**made, "actions": ["customers.export"], **changed}


def _conditioned(expression: str) -> dict[str, object]:
    return {"conditions": [{"name": "c", "expression": expression}]}


PROPERTY: Final[dict[str, object]] = {
    "resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
}
CIRCUMSTANCES: Final[dict[str, tuple[dict[str, object], dict[str, object]]]] = {
    "everything holds": ({}, {}),
    "a condition is false": (_conditioned("resource.id == 'none'"), {}),
    "a condition cannot be evaluated": (_conditioned("context.none == 'x'"), {}),
    "a property that `resources` names is absent": (PROPERTY, {}),
    "the purpose is none of `intents`": ({"intents": ["support"]}, {}),
    "the rule or its policy has expired": ({}, {"expireTime": at(-1)}),
    "the policy is suspended": ({}, {"suspend": True}),
}
"""Of each row of the table: what is changed of the rule, and of its policy."""
EFFECTS: Final = ("Allow", "RequireApproval", "Deny")


class TestTheTableOfEffects:
    ROWS: Final = {
        cells[0]: dict(zip(EFFECTS, cells[1:], strict=True))
        for line in section("What a rule does").splitlines()
        if line.startswith("| ") and "---" not in line and not line.startswith("| Circumstance")
        for cells in [[cell.strip() for cell in line.split("|")[1:-1]]]
    }

    def test_has_these_rows(self) -> None:
        assert [*self.ROWS] == [*CIRCUMSTANCES]

    @pytest.mark.parametrize("effect", EFFECTS)
    @pytest.mark.parametrize("circumstance", CIRCUMSTANCES)
    def test_says_what_the_engine_does(self, circumstance: str, effect: str) -> None:
        said = self.ROWS[circumstance][effect]
        changed, spec = CIRCUMSTANCES[circumstance]
        if said == "not allowed":
            (problem,) = compilation(stored("tried", _with(effect, **changed), **spec)).problems
            assert problem.path == "spec.rules[0].intents"
            return
        alone, beside = (_decided(_with(effect, **changed), spec, beside=other) for other in (False, True))
        assert _meaning(alone, beside) == said


def _meaning(alone: Reason, beside: Reason) -> str:
    """Return what a rule does, in the table's words, by what is decided with it alone and beside an Allow."""
    if alone is Reason.ALLOWED:
        return "allow"
    return {Reason.ALLOWED: "does not apply", Reason.APPROVAL_REQUIRED: "approval needed"}.get(beside, "deny")


def _decided(tried: Object, spec: dict[str, object], *, beside: bool) -> Reason:
    others = [stored("others", rule("other", actions=["customers.export"]))] if beside else []
    return verdict_of(snapshot(carrier(), stored("tried", tried, **spec), *others)).reason
