"""What is told of an object that does not fit its schema: the field, what is allowed there, and what may be meant."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from bailiwick_api.issuers import IssuersError, load
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.compile import manifests, schemaerrors
from bailiwick_engine.compile.acceptance import PolicyContext, judge, refusal
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_engine.steps import whole
from bailiwick_operator.reconcile.approvalgrant import UnreadableGrantError, reconcile as reconcile_grant
from bailiwick_webhook.admission.review import PolicyFinding, examine
from support.admission.reviews import sent
from support.full_objects import full_policy
from support.objects import changed, grant

STEP: Final = {"name": "owner", "kind": "Human"}
RULE: Final = "spec.rules[0]"
ENDING: Final = "or *, or end in * after one of . : /"
TIME: Final = "must be a time with a time zone, for example 2027-03-31T00:00:00Z"
APPROVAL: Final = f"{RULE}.approval"


def approval(**fields: object) -> Any:  # noqa: ANN401 - as the spec has it
    return {"steps": [STEP], **fields}


# What is written where, and what is told.
CASES: Final[dict[str, tuple[str, object, str]]] = {
    "a word that is none of them": (
        "spec.rules.0.effect",
        "Alow",
        f"{RULE}.effect: 'Alow' is not one of Allow, RequireApproval, Deny; did you mean Allow?",
    ),
    "an entry that stands there twice": (
        "spec.rules.0.actions",
        ["a", "b", "c", "b"],
        f"{RULE}.actions: has the same entry twice, at [1] and at [3]: remove one",
    ),
    "a word in other letters": (
        "spec.rules.0.approval",
        approval(steps=[{**STEP, "kind": "human"}]),
        f"{APPROVAL}.steps[0].kind: 'human' is not one of Human, System; did you mean Human?",
    ),
    "a word like none of them": ("spec.mode", "x", "spec.mode: 'x' is not one of Enforce, Audit"),
    "no word": ("spec.mode", 1, "spec.mode: 1 is not one of Enforce, Audit"),
    "a field that is misspelled": (
        "spec.rules.0.efect",
        "Allow",
        f"{RULE}.efect: unknown field; did you mean effect?",
    ),
    "a field as Python spells it": (
        "spec.endpoint_settings",
        {},
        "spec.endpoint_settings: unknown field; did you mean endpointSettings?",
    ),
    "a field below a list of a mapping": (
        "spec.rules.0.resources.0.idz",
        [],
        f"{RULE}.resources[0].idz: unknown field; did you mean ids?",
    ),
    "a field like none": (
        "spec.rules.0.approval",
        approval(steps=[{**STEP, "xyz": 1}]),
        f"{APPROVAL}.steps[0].xyz: unknown field; the fields here are count, groups, kind, name, signature",
    ),
    "a field that is missing": ("spec.endpoint", ..., "spec.endpoint: is required"),
    "null": ("spec.endpoint", None, "spec.endpoint: must be a string"),
    "a number for a string": ("spec.endpoint", 5, "spec.endpoint: must be a string: write it in quotes"),
    "a string for a boolean": ("spec.suspend", "no", "spec.suspend: must be true or false, without quotes"),
    "a string for a number": (
        "spec.rules.0.approval",
        approval(maxUses="2"),
        f"{APPROVAL}.maxUses: must be an integer, without quotes",
    ),
    "a fraction": ("spec.rules.0.approval", approval(maxUses=1.5), f"{APPROVAL}.maxUses: must be an integer"),
    "too many": ("spec.rules.0.approval", approval(maxUses=51), f"{APPROVAL}.maxUses: must be at most 50"),
    "too few": ("spec.rules.0.approval", approval(windowSeconds=9), f"{APPROVAL}.windowSeconds: must be at least 10"),
    "a text for a list": ("spec.rules", "x", "spec.rules: must be a list"),
    "an entry for a list": (
        "spec.rules.0.resources.0.properties",
        {"env": "prod"},
        f"{RULE}.resources[0].properties.env: must be a list",
    ),
    "a text for an object": ("spec.subjects.0", "x", "spec.subjects[0]: must be an object"),
    "an empty list": ("spec.rules", [], "spec.rules: needs at least 1 entry"),
    "a long list": ("spec.rules.0.actions", ["a"] * 65, f"{RULE}.actions: has 65 entries, but at most 64 are allowed"),
    "an empty text": ("spec.endpoint", "", "spec.endpoint: must have at least 1 character"),
    "a long text": ("spec.endpoint", "a" * 64, "spec.endpoint: must have at most 63 characters"),
    "a name in capitals": (
        "spec.rules.0.name",
        "Read",
        (
            f"{RULE}.name: 'Read' must consist of lower-case letters, digits and hyphens, and start and end with a"
            " letter or digit"
        ),
    ),
    "an action with a space": (
        "spec.rules.0.actions",
        ["customers list"],
        f"{RULE}.actions[0]: 'customers list' must be a name without spaces, {ENDING}",
    ),
    "a time that is none": (
        "spec.expireTime",
        "tomorrow",
        f"spec.expireTime: {TIME}",
    ),
    "a day that is none": (
        "spec.expireTime",
        "2026-02-30T00:00:00Z",
        f"spec.expireTime: {TIME} (day value is outside expected range)",
    ),
    "a time without a zone": (
        "spec.expireTime",
        "2026-01-01T00:00:00",
        f"spec.expireTime: {TIME}",
    ),
    "characters that a terminal obeys": (
        "spec.mode",
        "\x1b[31m",
        "spec.mode: '\\u001b[31m' is not one of Enforce, Audit",
    ),
}


def told(spec: object) -> list[str]:
    try:
        EndpointPolicy.model_validate_json(json.dumps({"spec": spec}), strict=True)
    except ValidationError as error:
        return [str(problem) for problem in schemaerrors.problems(error, EndpointPolicy)]
    return []


@pytest.mark.parametrize(("path", "value", "says"), CASES.values(), ids=CASES)
def test_each_is_told_what_is_allowed(path: str, value: object, says: str) -> None:
    assert told(changed(full_policy("crm"), path, value)["spec"]) == [says]


@pytest.mark.parametrize("spec", [None, "x", []])
def test_what_is_no_object_at_all(spec: object) -> None:
    assert told(spec) == ["spec: must be an object"]


def test_no_word_of_the_library_is_left() -> None:
    found = [
        text for path, value, _ in CASES.values() for text in told(changed(full_policy("crm"), path, value)["spec"])
    ]
    for word in ("Input", "input", "Field", "Extra", "valid", "instance", "pydantic", "pattern"):
        assert not [text for text in found if word in text], word


def test_looking_for_what_was_meant_takes_no_time_however_much_is_wrong() -> None:
    spec = changed(full_policy("crm"), "spec", {f"effct{number}": 1 for number in range(5_000)})["spec"]
    found = told(spec)
    assert len(found) == 5_003
    assert "did you mean" not in found[-1]


# ---------------------------------------------------------------- who tells it: each in the same words


WRONG: Final = changed(full_policy("crm"), "spec.rules.0.effect", "Alow")
SAYS: Final = "'Alow' is not one of Allow, RequireApproval, Deny; did you mean Allow?"


def test_the_operator_and_the_command_line_tell_it() -> None:
    refused = refusal(judge(PolicyRef("crm", "p", "", 0), WRONG["spec"]), "crm-api", PolicyContext(), carries=True)
    assert refused is not None
    assert refused.message == f"{RULE}.effect: {SAYS}"


def test_admission_tells_it() -> None:
    found = examine(sent(WRONG)).finding
    assert isinstance(found, PolicyFinding)
    assert found.causes == ((f"{RULE}.effect", SAYS),)


def test_files_tell_it() -> None:
    (document,) = manifests.parse(json.dumps(WRONG).encode())
    (entry,) = whole(manifests.contents("p.yaml", document, BudgetLedger(Budget()))).entries
    assert [problem.partition(": ")[2] for problem in entry.problems] == [f"{RULE}.effect: {SAYS}"]


def test_files_tell_what_kind_is_meant() -> None:
    (document,) = manifests.parse(json.dumps({**WRONG, "kind": "EndpointPolcy", "spek": {}}).encode())
    (entry,) = whole(manifests.contents("p.yaml", document, BudgetLedger(Budget()))).entries
    assert {problem.partition(": ")[2] for problem in entry.problems} == {
        "kind: must be EndpointPolicy, not 'EndpointPolcy'",
        "spek: unknown field; did you mean spec?",
    }


def test_the_file_of_issuers_tells_it(tmp_path: Path) -> None:
    file = tmp_path / "issuers.yaml"
    file.write_text("issuers: [{name: corp, issuer: 'https://corp.example', algorthms: [RS256]}]")
    with pytest.raises(IssuersError) as raised:
        load(file, schemaerrors.problems)
    assert str(raised.value).endswith("issuers[0].algorthms: unknown field; did you mean algorithms?")


def test_the_operator_tells_it_of_a_grant_too() -> None:
    raw = changed(grant("crm"), "spec.request.origin", "Preapproved")
    with pytest.raises(UnreadableGrantError) as raised:
        reconcile_grant({**raw, "metadata": {"generation": 1}}, None, None)  # type: ignore[arg-type]  # not looked at
    said = "'Preapproved' is not one of Requested, OnDeny, PreApproved; did you mean PreApproved?"
    assert str(raised.value) == f"spec.request.origin: {said}"
