"""What never and what always is the verdict: over every call of a pattern, whatever else is in the call."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from support.objects import Object, gated_rule, policy, rule, settings
from support.suites import run_tests, written
from unit.cli.policytest.test_verdicts import suite

STAFF: Final = [{"name": "staff", "group": {"issuer": "corp", "name": "staff"}}]
CONDITION: Final = [{"name": "small", "expression": "context.amount < 10"}]
EXPIRING: Final = rule(expireTime="2027-01-01T00:00:00Z")


def tried(folder: Path, case: Object, *rules: Object, **spec: Any) -> tuple[int, list[Any], str]:  # noqa: ANN401 - members of a policy
    """Return the exit code, what each pattern came to, and what is printed."""
    made = policy("crm", rules=list(rules) or [rule(), gated_rule()], endpointSettings=settings(), **spec)
    written(folder, {"policy.yaml": made, "crm_test.yaml": suite(case)})
    ran = run_tests(folder / "crm_test.yaml", output="json")
    assert ran.err == "", ran
    (file,) = json.loads(ran.out)["files"]
    table = run_tests(folder / "crm_test.yaml")
    return ran.code, [region for one in file["tests"] for region in one["regions"]], table.out


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ({"action": "customers.delete", "is": "Allow"}, None),
        ({"action": "customers.list", "is": "Deny", "subject": "agent", "resource": {"type": "customer"}}, None),
        ({"action": "customers.list", "is": "Allow"}, "Allow: subject sa:agents/crm-agent · action customers.list"),
        ({"action": "customers.l*", "is": "Allow"}, "by crm-agent/read"),
        ({"is": "Allow"}, "by crm-agent/read"),
        ({"action": "customers.export", "is": "Allow"}, None),
        ({"action": "customers.export", "is": "Approval"}, "by crm-agent/export"),
        ({"action": "customers.export", "resource": "one", "is": "Approval"}, "customer/1"),
        ({"subject": "agent", "action": "customers.*", "is": "Deny"}, "Deny: subject sa:agents/crm-agent"),
    ],
)
def test_a_verdict_that_must_never_be_is_looked_for_in_all_calls(
    tmp_path: Path, pattern: Object, wrong: str | None
) -> None:
    code, (region,), printed = tried(tmp_path, {"never": [pattern]})
    assert (code, region["holds"]) == ((0, True) if wrong is None else (1, False)), region
    assert (wrong or "") in "; ".join(region.get("wrong", [])), region
    if wrong is not None:
        assert f"crm_test.yaml:{region['place'].partition(':')[2]}: test 0: never {pattern['is']}" in printed


@pytest.mark.parametrize(
    ("rules", "pattern", "wrong"),
    [
        ([rule()], {"action": "customers.list", "is": "Allow"}, None),
        ([rule()], {"action": "customers.*", "is": "Allow"}, "Deny: "),
        ([rule(), gated_rule()], {"action": "customers.export", "is": "Approval"}, None),
        ([rule(), gated_rule()], {"action": "customers.export", "is": "Allow"}, "Approval: "),
        ([rule()], {"action": "customers.delete", "is": "Deny"}, None),
        ([rule(conditions=CONDITION)], {"action": "customers.list", "is": "Allow"}, "when "),
        ([EXPIRING], {"action": "customers.list", "is": "Allow"}, "from 2027-01-01T00:00:00Z"),
        ([rule(intents=["support"])], {"action": "customers.list", "is": "Allow"}, "intent other"),
        ([rule(), rule("no", effect="Deny", conditions=CONDITION)], {"action": "customers.list", "is": "Allow"}, "by "),
    ],
)
def test_a_verdict_that_must_always_be_is_that_of_each_call(
    tmp_path: Path, rules: list[Object], pattern: Object, wrong: str | None
) -> None:
    where = {"subject": "agent", "resource": {"type": "customer"}}
    code, (region,), _ = tried(tmp_path, {"always": [where | pattern]}, *rules)
    assert (code, region["holds"]) == ((0, True) if wrong is None else (1, False)), region
    assert (wrong or "") in "; ".join(region.get("wrong", [])), region


def test_a_condition_that_may_hold_is_enough_for_what_must_never_be(tmp_path: Path) -> None:
    never = {"never": [{"action": "customers.list", "is": "Allow"}]}
    code, (region,), _ = tried(tmp_path, never, rule(conditions=CONDITION))
    assert code == 1
    assert "context.amount" in region["wrong"][0]


def test_a_group_is_everybody_in_it_whatever_other_groups_they_are_in(tmp_path: Path) -> None:
    other = [*STAFF, {"name": "leavers", "group": {"issuer": "corp", "name": "leavers"}}]
    allowed = rule(subjects=["agent", "staff"])
    always = {"always": [{"subject": {"group": "corp:staff"}, "action": "customers.list", "is": "Allow"}]}
    settled = {"subjects": [*_agent(), *other]}
    assert tried(tmp_path, always, allowed, **settled)[0] == 0
    shut = rule("gone", effect="Deny", subjects=["leavers"])
    code, (region,), _ = tried(tmp_path, always, allowed, shut, **settled)
    assert code == 1
    assert "leavers" in region["wrong"][0]


def _agent() -> list[Object]:
    found: list[Object] = policy("crm")["spec"]["subjects"]
    return found
