"""What a test file expects is held against what the engine decides."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from support.objects import Object, gated_rule, policy, rule, settings
from support.suites import run_tests, written

POLICY: Final = policy("crm", rules=[rule(), gated_rule()], endpointSettings=settings())
LIST: Final = {"subject": "agent", "resource": "one", "action": "customers.list"}
EXPORT: Final = {"subject": "agent", "resource": "one", "action": "customers.export"}


def suite(*tests: Object, **more: object) -> Object:
    return {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "PolicyTest",
        "policies": ["policy.yaml"],
        "now": "2026-11-26T10:00:00Z",
        "subjects": {"agent": {"serviceAccount": "agents/crm-agent"}},
        "resources": {"one": {"type": "customer", "id": "1"}},
        "tests": [{"name": f"test {number}", **one} for number, one in enumerate(tests)],
        **more,
    }


def calls(folder: Path, made: Object, policy: Object | list[Object] = POLICY, **flags: object) -> tuple[int, list[Any]]:
    """Return the exit code, and what each call came to."""
    written(folder, {"policy.yaml": policy, "crm_test.yaml": made})
    ran = run_tests(folder / "crm_test.yaml", output="json", **flags)
    assert ran.err == "", ran
    (file,) = json.loads(ran.out)["files"]
    return ran.code, [call for case in file["tests"] for call in case["calls"]]


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({**LIST, "is": "Allow"}, None),
        ({**LIST, "is": "Allow", "rule": "read"}, None),
        ({**LIST, "is": "Allow", "rule": "crm-agent/read"}, None),
        ({**LIST, "is": "Allow", "reason": "allowed"}, None),
        ({**LIST, "is": "Deny"}, "expected Deny, got Allow (allowed, crm-agent/read)"),
        ({**LIST, "is": "Allow", "rule": "export"}, "expected the rule export, got crm-agent/read"),
        ({**LIST, "is": "Allow", "reason": "no_rule"}, "expected the reason no_rule, got allowed"),
        ({**EXPORT, "is": "Approval", "rule": "export", "steps": ["owner"]}, None),
        ({**EXPORT, "is": "Approval", "steps": ["crm-agent.export.owner"]}, None),
        ({**EXPORT, "is": "Approval", "steps": ["owner", "legal"]}, "expected the steps owner, legal"),
        ({**EXPORT, "is": "Approval", "steps": ["legal"]}, "expected the steps legal"),
        ({**EXPORT, "is": "Allow"}, "expected Allow, got Approval (approval_required, crm-agent/export)"),
        ({**EXPORT, "is": "Deny"}, "expected Deny, got Approval"),
        ({**LIST, "action": "customers.delete", "is": "Deny", "reason": "no_rule"}, None),
        ({**LIST, "action": "customers.delete", "is": "Approval"}, "expected Approval, got Deny (no_rule)"),
    ],
)
def test_an_expectation_is_held_against_the_verdict(tmp_path: Path, row: Object, wrong: str | None) -> None:
    code, (call,) = calls(tmp_path, suite({"expect": [row]}))
    assert code == (0 if wrong is None else 1)
    assert (wrong or "") in "; ".join(call.get("wrong", [])), call
    assert ("wrong" in call) == (wrong is not None)


def test_a_pair_that_is_listed_and_not_named_must_be_denied(tmp_path: Path) -> None:
    lists = {"subjects": ["agent"], "resources": ["one"], "actions": ["customers.list", "customers.delete"]}
    code, made = calls(tmp_path, suite({**lists}))
    assert code == 1
    assert [(call["action"], call["is"], "wrong" in call) for call in made] == [
        ("customers.list", "Allow", True),
        ("customers.delete", "Deny", False),
    ]
    assert calls(tmp_path, suite({**lists, "expect": [{"action": "customers.list", "is": "Allow"}]}))[0] == 0


def test_a_coordinate_that_is_left_out_stands_for_all_that_are_listed(tmp_path: Path) -> None:
    resources = {"one": {"type": "customer", "id": "1"}, "two": {"type": "customer", "id": "2"}}
    lists = {"subjects": ["agent"], "resources": ["one", "two"], "actions": ["customers.list"]}
    code, made = calls(tmp_path, suite({**lists, "expect": [{"is": "Allow"}]}, resources=resources))
    assert (code, [call["resource"] for call in made]) == (0, ["one", "two"])


def granted(**fields: object) -> Object:
    return {"with": {"grants": [{"of": EXPORT, "approvedBy": ["carol"], **fields}]}}


@pytest.mark.parametrize(
    ("fields", "verdict", "reason"),
    [
        ({}, "Allow", "allowed"),
        ({"approvedBy": []}, "Approval", "approval_pending"),
        ({"approvedBy": [], "deniedBy": "carol"}, "Deny", "approval_denied"),
        ({"uses": 1}, "Approval", "approval_consumed"),
        ({"revoked": True}, "Approval", "approval_revoked"),
        ({"at": "2026-11-26T08:00:00Z"}, "Approval", "approval_expired"),
        ({"at": "2026-11-26T12:00:00Z"}, None, "clock_skew"),
    ],
)
def test_a_grant_is_held_as_the_operator_would(
    tmp_path: Path, fields: Object, verdict: str | None, reason: str
) -> None:
    _, (call,) = calls(tmp_path, suite({**granted(**fields), "expect": [{**EXPORT, "is": "Allow"}]}))
    assert call["reason"] == reason, call
    assert verdict in {None, call["is"]}


def test_uses_are_taken_in_order(tmp_path: Path) -> None:
    again = {"repeat": True, "is": "Approval", "reason": "approval_consumed"}
    code, made = calls(tmp_path, suite({**granted(), "expect": [{**EXPORT, "is": "Allow"}, again]}))
    assert (code, [call["is"] for call in made]) == (0, ["Allow", "Approval"])


def test_the_subject_itself_does_not_approve(tmp_path: Path) -> None:
    step = {"name": "owner", "kind": "System", "count": 1}
    made = policy("crm", rules=[gated_rule(approval={"steps": [step]})], endpointSettings=settings())
    for reviewer, reason in (("agents:crm-agent", "approval_pending"), ("ops:bot", "allowed")):
        given = granted(approvedBy=[f"system:serviceaccount:{reviewer}"])
        _, (call,) = calls(tmp_path, suite({**given, "expect": [{**EXPORT, "is": "Allow"}]}), made)
        assert call["reason"] == reason


def test_two_steps_take_two_people(tmp_path: Path) -> None:
    steps = [{"name": "owner", "kind": "Human", "count": 1}, {"name": "legal", "kind": "Human", "count": 1}]
    made = policy("crm", rules=[gated_rule(approval={"steps": steps})], endpointSettings=settings())
    for people, reason in ((["carol"], "approval_pending"), (["carol", "dave"], "allowed")):
        _, (call,) = calls(tmp_path, suite({**granted(approvedBy=people), "expect": [{**EXPORT, "is": "Allow"}]}), made)
        assert call["reason"] == reason


def test_a_token_is_shown_where_the_test_says_so(tmp_path: Path) -> None:
    approval = {"presentation": "Token", "steps": [{"name": "owner", "kind": "Human", "count": 1}]}
    made = policy("crm", rules=[gated_rule(approval=approval)], endpointSettings=settings())
    rows = [
        {**EXPORT, "is": "Approval", "reason": "approval_token_required"},
        {"repeat": True, "token": True, "is": "Allow"},
    ]
    assert calls(tmp_path, suite({**granted(), "expect": rows}), made)[0] == 0


def test_what_is_used_in_one_test_is_unused_in_the_next(tmp_path: Path) -> None:
    one = {**granted(), "expect": [{**EXPORT, "is": "Allow"}]}
    assert calls(tmp_path, suite(one, one))[0] == 0


@pytest.mark.parametrize(
    ("intent", "reason"), [("support", "allowed"), ("sales", "intent_mismatch"), (None, "intent_mismatch")]
)
def test_an_intent_is_declared(tmp_path: Path, intent: str | None, reason: str) -> None:
    made = policy("crm", rules=[rule(intents=["support"])], endpointSettings=settings())
    given = {} if intent is None else {"intent": intent}
    _, (call,) = calls(tmp_path, suite({**given, "expect": [{**LIST, "is": "Allow"}]}), made)
    assert call["reason"] == reason


def test_now_is_when_the_file_says(tmp_path: Path) -> None:
    made = policy("crm", rules=[rule(expireTime="2026-11-26T11:00:00Z")], endpointSettings=settings())
    for now, reason in (("2026-11-26T10:59:59Z", "allowed"), ("2026-11-26T11:00:00Z", "expired")):
        _, (call,) = calls(tmp_path, suite({"expect": [{**LIST, "is": "Allow"}]}, now=now), made)
        assert call["reason"] == reason


def test_claims_that_are_not_given_are_unknown(tmp_path: Path) -> None:
    condition = {"name": "c", "expression": "!has(subject.claims.team) || subject.claims.team == 'a'"}
    made = policy("crm", rules=[rule(conditions=[condition])], endpointSettings=settings())
    for more, reason in (({}, "condition_error"), ({"claims": {"team": "a"}}, "allowed")):
        subjects = {"agent": {"serviceAccount": "agents/crm-agent", **more}}
        _, (call,) = calls(tmp_path, suite({"expect": [{**LIST, "is": "Allow"}]}, subjects=subjects), made)
        assert call["reason"] == reason


@pytest.mark.parametrize(("user", "group"), [("corp/nina", "corp/staff"), ("nina@corp", "corp:staff")])
def test_an_actor_acts_under_the_ceiling_and_by_rules_of_its_own(tmp_path: Path, user: str, group: str) -> None:
    delegation = {
        "maxDepth": 1,
        "principals": ["staff"],
        "ceiling": [{"actions": ["customers.list"], "resources": [{"type": "customer", "ids": ["*"]}]}],
    }
    shared = {"identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
    staff = {"name": "staff", "group": {"issuer": "corp", "name": "staff"}}
    made = policy(
        "crm",
        subjects=[{"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}, staff],
        rules=[rule(actions=["customers.list", "customers.get"])],
        endpointSettings={**settings(), **shared},
    )
    agent = {"serviceAccount": "agents/crm-agent"}
    nina = {"user": user, "groups": [group]}
    subjects = {"agent": agent, "nina": nina, "for-nina": {**nina, "actors": [agent]}}
    expect = [
        {**LIST, "is": "Allow"},
        {**LIST, "subject": "for-nina", "is": "Allow", "rule": "read"},
        {**LIST, "subject": "for-nina", "action": "customers.get", "is": "Deny", "reason": "scope_exceeded"},
        {**LIST, "subject": "nina", "is": "Deny", "reason": "no_rule"},
    ]
    assert calls(tmp_path, suite({"expect": expect}, subjects=subjects), made)[0] == 0


def test_authzen_cases_are_run(tmp_path: Path) -> None:
    name = "system:serviceaccount:agents:crm-agent"
    request = {"subject": {"type": "serviceAccount", "id": name}, "resource": {"type": "customer", "id": "1"}}
    one = {**request, "action": {"name": "customers.list"}}
    batch = {
        **request,
        "evaluations": [{"action": {"name": "customers.list"}}, {"action": {"name": "customers.export"}}],
    }
    for expected, code in ((False, 0), (True, 1)):
        decisions = [{"decision": True}, {"decision": expected}]
        cases = {
            "evaluation": [{"request": one, "expected": True}],
            "evaluations": [{"request": batch, "expected": decisions}],
        }
        written(tmp_path, {"cases.json": json.dumps(cases)})
        ended, made = calls(tmp_path, suite(include=["cases.json"], tests=[]))
        assert (ended, [call["is"] for call in made]) == (code, ["Allow", "Allow", "Approval"])


def test_an_approval_of_a_signed_step_is_signed_by_whom_the_test_names(tmp_path: Path) -> None:
    for signature in ("Key", "Required"):
        steps = [{"name": "owner", "kind": "Human", "signature": signature}]
        signed = policy("crm", rules=[gated_rule(approval={"steps": steps})], endpointSettings=settings())
        for who, wanted in ((["carol"], "Allow"), ([], "Approval")):
            grant = {"of": EXPORT, **({"approvedBy": who} if who else {})}
            made = suite({"with": {"grants": [grant]}, "expect": [{**EXPORT, "is": wanted}]})
            code, (call,) = calls(tmp_path, made, signed)
            assert (code, call["is"]) == (0, wanted), call
