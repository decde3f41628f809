"""The JSON Schemas for editors: what stands in every example passes, and what is wrong in a field does not."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

import generate_schemas
from bailiwick_api.documents import positions
from bailiwick_api.manifests.editorschema import DIALECT
from bailiwick_cli.commands import schema
from support.objects import Object, gated_rule, grant, policy, rule, settings, subject
from support.pages import DOCS, objects
from support.suites import run_validate, written

ROOT: Final = DOCS.parent
TEST: Final[Object] = {
    "apiVersion": "cli.bailiwick.dev/v1alpha1",
    "kind": "PolicyTest",
    "policies": ["policy.yaml"],
    "subjects": {"agent": {"serviceAccount": "agents/crm-agent"}},
    "resources": {"one": {"type": "customer", "id": "1"}},
    "tests": [{"name": "t", "expect": [{"subject": "agent", "resource": "one", "action": "a", "is": "Allow"}]}],
}


VALIDATORS: Final = {kind: jsonschema.Draft7Validator(schema.json_schema(kind)) for kind in schema.KINDS}


def problems(found: Mapping[str, Any]) -> list[str]:
    """Return what the schema of its kind has against an object, each with the path."""
    return sorted(f"{error.json_path}: {error.message}" for error in VALIDATORS[found["kind"]].iter_errors(found))


def shown() -> Iterator[tuple[str, Object]]:
    """Yield place and value of every object of our kinds in examples and pages, times as the texts that they are."""
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        for number, document in enumerate(positions.documents(path.read_bytes())):
            if isinstance(document.data, dict) and document.data.get("kind") in schema.KINDS:
                yield f"{path.relative_to(ROOT)}-{number}", document.data
    for page in sorted(DOCS.rglob("*.md")):
        for number, found in enumerate(objects(str(page.relative_to(DOCS)))):
            if found.get("kind") in schema.KINDS:
                yield f"{page.name}-{number}", json.loads(json.dumps(found, default=_stamp))


def _stamp(time: Any) -> str:  # noqa: ANN401 - what YAML makes of a time
    return str(time.isoformat()).replace("+00:00", "Z")


class TestTheFiles:
    @pytest.mark.parametrize("kind", schema.KINDS)
    def test_are_up_to_date_and_schemas(self, kind: str) -> None:
        stored = generate_schemas.path_of(kind).read_text(encoding="utf-8")
        assert stored == generate_schemas.rendered(kind)
        assert json.loads(stored)["$schema"] == DIALECT
        jsonschema.Draft7Validator.check_schema(json.loads(stored))

    def test_are_checked(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert generate_schemas.main(["--check"]) == 0
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("kind", schema.KINDS)
    def test_stand_alone_and_know_nothing_of_kubernetes(self, kind: str) -> None:
        text = generate_schemas.rendered(kind)
        assert "$ref" not in text
        assert "x-kubernetes" not in text
        # Null is a value only where a test says that there is no such object, or that a history cannot be read.
        assert text.count('"null"') == (2 if kind == "PolicyTest" else 0)


def test_what_stands_in_examples_and_pages_passes() -> None:
    found = dict(shown())
    assert {one["kind"] for one in found.values()} == {*schema.KINDS}
    assert len(found) > 100
    assert {where: told for where, one in found.items() if (told := problems(one))} == {}


def _policy(**spec: object) -> Object:
    return policy("crm", "crm-agent", **{"endpointSettings": settings(), **spec})


def _approval(**fields: object) -> Object:
    made = gated_rule()
    return _policy(rules=[{**made, "approval": {**made["approval"], **fields}}])


def _test(**fields: object) -> Object:
    return {**TEST, **fields}


WRONG: Final[dict[str, tuple[Object, str]]] = {
    "a field with a typo": (_policy(rule=[]), "$.spec: Additional properties"),
    "another version": ({**_policy(), "apiVersion": "bailiwick.dev/v1"}, "$.apiVersion"),
    "no name": ({**_policy(), "metadata": {"namespace": "crm"}}, "$.metadata"),
    "no rules": (_policy(rules=[]), "$.spec.rules"),
    "an effect that is none": (_policy(rules=[rule(effect="Permit")]), "$.spec.rules[0].effect"),
    "a star in the middle": (_policy(rules=[rule(actions=["a.*.b"])]), "$.spec.rules[0].actions[0]"),
    "a pattern of nothing": (_policy(rules=[rule(actions=[])]), "$.spec.rules[0].actions"),
    "an action twice": (_policy(rules=[rule(actions=["a", "a"])]), "$.spec.rules[0].actions"),
    "a text for a list": (_policy(rules=[rule(subjects="agent")]), "$.spec.rules[0].subjects"),
    "a name with capitals": (_policy(subjects=[subject("Agent")]), "$.spec.subjects[0].name"),
    "a subject without a name": (_policy(subjects=[{}]), "$.spec.subjects[0]"),
    "six reviewers": (_approval(steps=[{"name": "s", "kind": "Human", "count": 6}]), "steps[0].count"),
    "a step of machines": (_approval(steps=[{"name": "s", "kind": "Machine"}]), "steps[0].kind"),
    "a window of no time": (_approval(windowSeconds=1), "windowSeconds"),
    "a time without a zone": (_policy(expireTime="2027-03-31T00:00:00"), "$.spec.expireTime"),
    "a digest that is none": (
        _policy(subjects=[{**subject(), "workload": {"imageDigests": ["sha256:1"]}}]),
        "workload.imageDigests[0]",
    ),
    "null": (_policy(expireTime=None), "$.spec.expireTime"),
    "data that is a list": (
        {
            "apiVersion": "bailiwick.dev/v1alpha1",
            "kind": "EndpointData",
            "metadata": {"name": "d"},
            "spec": {"data": []},
        },
        "$.spec.data",
    ),
    "a grant with too many uses": (grant("crm", maxUses=51), "$.spec.request.maxUses"),
    "a verdict that is none": (_test(tests=[{"name": "t", "expect": [{"is": "Yes"}]}]), "$.tests[0].expect[0].is"),
    "a subject with a typo": (_test(subjects={"a": {"servicaccount": "b/c"}}), "$.subjects.a"),
    "a pattern without a verdict": (_test(tests=[{"name": "t", "never": [{"action": "*"}]}]), "$.tests[0].never[0]"),
}


class TestWhatIsWrong:
    @pytest.mark.parametrize("name", WRONG)
    def test_is_told_with_its_place(self, name: str) -> None:
        found, place = WRONG[name]
        told = problems(found)
        assert any(place in problem for problem in told), told

    @pytest.mark.parametrize("name", [name for name, (found, _) in WRONG.items() if found["kind"] == "EndpointPolicy"])
    def test_in_a_policy_is_refused_by_validate_too(self, name: str, tmp_path: Path) -> None:
        # Null is taken for absence, by the API server too.
        expected = 0 if name == "null" else 1
        assert run_validate(written(tmp_path, {"policy.yaml": yaml.safe_dump(WRONG[name][0])})).code == expected

    def test_is_wrong_by_its_change_alone(self) -> None:
        assert [*map(problems, (_policy(), _approval(), grant("crm"), TEST))] == [[], [], [], []]
