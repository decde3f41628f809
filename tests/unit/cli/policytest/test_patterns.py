"""What never and what always is the verdict: over every call of a pattern, whatever else is in the call."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from support.objects import Object, gated_rule, policy, rule, settings
from support.suites import run_tests, written
from unit.cli.policytest.test_verdicts import suite

STAFF: Final = [{"name": "staff", "group": {"issuer": "corp", "name": "staff"}}]
CORP: Final = settings() | {"identity": {"issuers": ["cluster", "corp"]}}
ASSERTED: Final = settings() | {"identity": {"verification": "Asserted"}}
LISTING: Final = {"subject": "agent", "action": "customers.list", "is": "Allow"}
CONDITION: Final = [{"name": "small", "expression": "context.amount < 10"}]
EXPIRING: Final = rule(expireTime="2027-01-01T00:00:00Z")


def tried(folder: Path, case: Object, *rules: Object, **spec: Any) -> tuple[int, list[Any], str]:  # noqa: ANN401 - members of a policy
    """Return the exit code, what each pattern came to, and what is printed."""
    made = policy("crm", **{"rules": list(rules) or [rule(), gated_rule()], "endpointSettings": settings(), **spec})
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


@pytest.mark.parametrize("group", ["corp/staff", "corp:staff"])
def test_a_group_is_everybody_in_it_whatever_other_groups_they_are_in(tmp_path: Path, group: str) -> None:
    other = [*STAFF, {"name": "leavers", "group": {"issuer": "corp", "name": "leavers"}}]
    allowed = rule(subjects=["agent", "staff"])
    always = {"always": [{"subject": {"group": group}, "action": "customers.list", "is": "Allow"}]}
    settled = {"subjects": [*_agent(), *other], "endpointSettings": CORP}
    assert tried(tmp_path, always, allowed, **settled)[0] == 0
    shut = rule("gone", effect="Deny", subjects=["leavers"])
    code, (region,), _ = tried(tmp_path, always, allowed, shut, **settled)
    assert code == 1
    assert "leavers" in region["wrong"][0]


def test_what_people_may_do_is_not_always_allowed_where_whoever_acts_for_them_needs_an_approval(tmp_path: Path) -> None:
    ceiling = [{"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}]
    delegation = {"maxDepth": 1, "principals": ["staff"], "ceiling": ceiling}
    settled = {"subjects": [*_agent(), *STAFF], "endpointSettings": CORP | {"delegation": delegation}}
    always = {"always": [{"subject": {"group": "corp/staff"}, "action": "customers.export", "is": "Allow"}]}
    theirs = rule(subjects=["staff"], actions=["customers.export"])
    assert tried(tmp_path, always, rule("agents", actions=["customers.export"]), theirs, **settled)[0] == 0
    code, (region,), _ = tried(tmp_path, always, gated_rule(), theirs, **settled)
    assert code == 1
    assert "Approval: subject on behalf of " in region["wrong"][0]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (settings(), "subject.group: the endpoint does not accept the issuer corp: it accepts cluster"),
        (settings() | {"identity": {"issuers": ["cluster"]}}, "it accepts cluster"),
        (ASSERTED, "the endpoint takes subjects on the enforcer's word"),
    ],
)
@pytest.mark.parametrize("word", ["always", "never"])
def test_nothing_is_said_of_a_group_that_the_endpoint_can_never_prove(
    tmp_path: Path, made: Object, said: str, word: str
) -> None:
    one = {word: [{"subject": {"group": "corp:staff"}, "action": "customers.list", "is": "Allow"}]}
    code, told = refused(tmp_path, one, rule(subjects=["agent", "staff"]), endpointSettings=made)
    assert (code, said in told) == (2, True), told


def test_nothing_is_said_of_an_account_where_only_other_issuers_are_accepted(tmp_path: Path) -> None:
    only = settings() | {"identity": {"issuers": ["corp"]}}
    code, told = refused(tmp_path, {"always": [LISTING]}, rule(), endpointSettings=only)
    assert (code, "does not accept the issuer cluster: it accepts corp" in told) == (2, True), told


def test_whom_the_endpoint_can_never_prove_is_not_among_all_whom_policies_name(tmp_path: Path) -> None:
    never = {"never": [{"action": "customers.list", "is": "Allow"}]}
    shut = rule("shut", effect="Deny", subjects=["agent"])
    people = {"subjects": [*_agent(), *STAFF]}
    code, (region,), _ = tried(tmp_path, never, rule(subjects=["agent", "staff"]), shut, **people)
    assert (code, region["holds"]) == (0, True), region


def test_what_is_always_so_is_so_of_some_call(tmp_path: Path) -> None:
    code, told = refused(tmp_path, {"always": [LISTING | {"is": "Deny"}]}, mode="Audit")
    assert (code, "it would always hold" in told) == (2, True), told


@pytest.mark.parametrize(
    ("action", "hint"),
    [
        ("customers.exprot", "did you mean customers.export?"),
        ("customer.list", "did you mean customers.list?"),
        ("customers.delete", None),
        ("invoices.list", None),
        ("customers.exprot*", None),
        ("Customers.export", "did you mean customers.export?"),
    ],
)
def test_an_action_that_is_only_like_one_of_a_policy_is_a_slip(tmp_path: Path, action: str, hint: str | None) -> None:
    never = {"never": [{"action": action, "is": "Allow"}]}
    if hint is None:
        assert tried(tmp_path, never)[0] == 0
        return
    code, told = refused(tmp_path, never)
    assert (code, f"never[0].action: no policy names the action {action}; {hint}" in told) == (2, True), told


def refused(folder: Path, case: Object, *rules: Object, **spec: Any) -> tuple[int, str]:  # noqa: ANN401 - members of a policy
    """Return the exit code, and what is told of a file that cannot be run."""
    given = {"rules": list(rules) or [rule(), gated_rule()], "endpointSettings": settings(), **spec}
    made = policy("crm", **{"subjects": [*_agent(), *STAFF], **given})
    written(folder, {"policy.yaml": made, "crm_test.yaml": suite(case)})
    ran = run_tests(folder / "crm_test.yaml")
    return ran.code, ran.err


def _agent() -> list[Object]:
    found: list[Object] = policy("crm")["spec"]["subjects"]
    return found
