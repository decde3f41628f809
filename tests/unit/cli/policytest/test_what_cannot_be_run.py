"""What is wrong with a test file is told with its place, and ends with 2: it is never a pass."""

from pathlib import Path
from typing import Any, Final

import pytest

from support.objects import Object, gated_rule, policy, rule, settings
from support.suites import run_tests, written

POLICY: Final = policy("crm", rules=[rule(), gated_rule()], endpointSettings=settings())
HEAD: Final = """apiVersion: cli.bailiwick.dev/v1alpha1
kind: PolicyTest
policies: [policy.yaml]
subjects:
  agent: {serviceAccount: agents/crm-agent}
resources:
  one: {type: customer, id: "1"}
"""
TESTS: Final = """tests:
- name: a test
  subjects: [agent]
  resources: [one]
  actions: [customers.delete]
"""
EXPECT: Final = HEAD + "tests:\n- name: a test\n  expect:\n"
ROW: Final = "subject: agent, resource: one, action: customers.list"
GRANT: Final = (
    HEAD
    + "tests:\n- name: a test\n  with:\n    grants:\n    - {of: {%s}, %s}\n  expect:\n"
    + f"  - {{{ROW}, is: Allow}}\n"
)
GATED: Final = "subject: agent, resource: one, action: customers.export"

# The text of a file, and what is told of it.
FAULTS: Final[dict[str, tuple[str, str]]] = {
    "a typo in a key": (
        HEAD + TESTS.replace("actions", "acitons"),
        "12:3: tests[0].acitons: unknown field; did you mean actions?",
    ),
    "a typo in a verdict": (
        EXPECT + f"  - {{{ROW}, is: Alow}}",
        "expect[0].is: 'Alow' is not one of Allow, Approval, Deny",
    ),
    "a typo in a reason": (
        EXPECT + f"  - {{{ROW}, is: Deny, reason: no_rul}}",
        "expect[0].reason: no_rul is no reason code; did you mean no_rule?",
    ),
    "a typo in a rule": (
        EXPECT + f"  - {{{ROW}, is: Allow, rule: raed}}",
        "expect[0].rule: there is no rule raed; did you mean read?",
    ),
    "a typo in a subject's name": (
        EXPECT + "  - {subject: agnt, resource: one, action: a, is: Deny}",
        "subjects has no entry agnt; did you mean agent?",
    ),
    "a typo in a resource's name": (
        EXPECT + "  - {subject: agent, resource: onne, action: a, is: Deny}",
        "resources has no entry onne; did you mean one?",
    ),
    "a subject that no policy names": (
        HEAD.replace("crm-agent", "crm-agnet") + TESTS,
        "5:3: subjects.agent: no policy of crm/crm-api names this subject",
    ),
    "a stranger whom a policy names": (
        HEAD.replace("crm-agent}", "crm-agent, stranger: true}") + TESTS,
        "a policy of crm/crm-api names this subject: remove stranger",
    ),
    "an account that is none": (
        HEAD.replace("agents/", "agents:x:") + TESTS,
        "subjects.agent.serviceAccount: must be NAMESPACE/NAME",
    ),
    "an issuer that is not accepted": (
        HEAD.replace("serviceAccount: agents/crm-agent", "user: a@corp") + TESTS,
        "the endpoint does not accept the issuer corp: it accepts cluster",
    ),
    "an entity without the enforcer's word": (
        HEAD.replace("serviceAccount: agents/crm-agent", "entity: user/a") + TESTS,
        "subjects.agent.entity: the endpoint takes subjects by their tokens",
    ),
    "two kinds of a subject": (
        HEAD.replace("crm-agent}", "crm-agent, entity: user/a}") + TESTS,
        "subjects.agent: needs exactly one of serviceAccount, user, entity",
    ),
    "groups of a service account": (
        HEAD.replace("crm-agent}", "crm-agent, groups: [a:b]}") + TESTS,
        "subjects.agent.groups: only a user has groups",
    ),
    "two tests of one name": (HEAD + TESTS + TESTS.partition("\n")[2], "tests[1].name: tests[0] already has this name"),
    "a pair that is named twice": (
        EXPECT + f"  - {{{ROW}, is: Allow}}\n  - {{{ROW}, is: Deny}}",
        "is also expected at",
    ),
    "a test that tests nothing": (HEAD + "tests:\n- name: nothing", "tests[0]: tests nothing"),
    "a file without tests": (HEAD, "there is no test in it"),
    "a coordinate that nobody gives": (
        EXPECT + "  - {subject: agent, action: a, is: Deny}",
        "expect[0]: resource is required, because the test does not list resources",
    ),
    "a coordinate that is not listed": (
        HEAD + TESTS + "  expect:\n  - {action: customers.delte, is: Deny}",
        "actions of this test has no customers.delte; did you mean customers.delete?",
    ),
    "a list with an entry twice": (
        HEAD + TESTS.replace("[agent]", "[agent, agent]"),
        "tests[0].subjects[1]: agent is listed twice",
    ),
    "a repeat of nothing": (
        EXPECT + "  - {repeat: true, is: Deny}",
        "expect[0].repeat: there is no entry before this one",
    ),
    "a repeat of another call": (
        EXPECT + f"  - {{{ROW}, is: Allow}}\n  - {{{ROW}, repeat: true, is: Deny}}",
        "expect[1].repeat: repeats the call of the entry before",
    ),
    "steps of a Deny": (EXPECT + f"  - {{{ROW}, is: Deny, steps: [owner]}}", "only an Approval has steps"),
    "an intent twice": (HEAD + TESTS + "  intent: a\n  context: {intent: b}", "tests[0].intent: is also in context"),
    "context that is none of the call's": (
        HEAD + TESTS + "  context: {evidence: {}}",
        "context.evidence: is not part of a call",
    ),
    "what must always hold of everybody": (
        HEAD + TESTS + "  always: [{is: Allow}]",
        "tests[0].always[0].subject: is required: no policy speaks of everybody",
    ),
    "a pattern of a type that no policy names": (
        HEAD + TESTS + "  never: [{resource: {type: custmer}, is: Allow}]",
        "tests[0].never[0].resource: no policy names the type custmer; did you mean customer?",
    ),
    "a pattern of a group that no policy names": (
        HEAD + TESTS + "  never: [{subject: {group: 'cluster:staff'}, is: Allow}]",
        "tests[0].never[0].subject.group: no policy names the group cluster:staff",
    ),
    "a pattern of a group without its issuer": (
        HEAD + TESTS + "  never: [{subject: {group: staff}, is: Allow}]",
        "tests[0].never[0].subject.group: must be ISSUER/NAME",
    ),
    "a pattern of a subject that the file does not have": (
        HEAD + TESTS + "  never: [{subject: agnt, is: Allow}]",
        "tests[0].never[0].subject: subjects has no entry agnt; did you mean agent?",
    ),
    "a pattern with a verdict that there is not": (
        HEAD + TESTS + "  never: [{is: Maybe}]",
        "tests[0].never[0].is: 'Maybe' is not one of Allow, Approval, Deny",
    ),
    "a pattern with a typo": (HEAD + TESTS + "  never: [{acton: x, is: Allow}]", "tests[0].never[0].acton: "),
    "a time without a zone": (HEAD + "now: 2026-11-26T10:00:00\n" + TESTS, "now: must be a time with a time zone"),
    "a number for a text": (HEAD.replace('"1"', "1") + TESTS, "resources.one.id: must be a string: write it in quotes"),
    "another version": (
        HEAD.replace("v1alpha1", "v1") + TESTS,
        "1:13: apiVersion: must be cli.bailiwick.dev/v1alpha1, not 'cli.bailiwick.dev/v1'",
    ),
    "another kind": (HEAD.replace("PolicyTest", "PolicyTset") + TESTS, "kind: must be PolicyTest, not 'PolicyTset'"),
    "a file that is cut off": (HEAD + "tests: [", "8:9: expected the node content"),
    "a key twice": (HEAD + TESTS + "tests: []", "tests: duplicate key"),
    "an empty file": ("", "1:1: the file is empty"),
    "no policies": (
        HEAD.replace("policies: [policy.yaml]\n", "") + TESTS,
        "policies: is required, or run the test with -f",
    ),
    "policies that are not there": (
        HEAD.replace("policy.yaml", "p*.yml") + TESTS,
        "3:12: policies[0]: there is no file p*.yml",
    ),
    "policies that are none": (
        HEAD.replace("policy.yaml", "none.yaml") + TESTS,
        "policies: there is no EndpointPolicy in",
    ),
    "an endpoint that is not there": (
        HEAD + "endpoint: other\n" + TESTS,
        "endpoint: no policy in crm is for the endpoint 'other'",
    ),
    "data that no policy reads": (
        HEAD + TESTS + "  with: {data: {state: {}}}",
        "with.data.state: no policy reads this EndpointData",
    ),
    "an approval of an Allow": (
        GRANT % (ROW, "approvedBy: [carol]"),
        "with.grants[0].of: no approval of this call can be requested: allowed",
    ),
    "a machine for a person": (
        GRANT % (GATED, "approvedBy: ['system:serviceaccount:a:b']"),
        "approvedBy[0]: system:serviceaccount:a:b: no step takes a reviewer of this kind",
    ),
    "one reviewer too many": (
        GRANT % (GATED, "approvedBy: [carol, dave]"),
        "approvedBy[1]: dave: no step needs one more reviewer of this kind",
    ),
    "one reviewer twice": (GRANT % (GATED, "approvedBy: [carol, carol]"), "approvedBy[1]: carol reviews twice"),
    "uses before the approval": (GRANT % (GATED, "uses: 1"), "grants[0].uses: the grant is Pending"),
    "more uses than there are": (
        GRANT % (GATED, "approvedBy: [carol], uses: 2"),
        "grants[0].uses: the approval can be used 1 times",
    ),
    "a token without an approval": (
        EXPECT + f"  - {{{ROW}, token: true, is: Allow}}",
        "token: with.grants has no approval of this call",
    ),
    "a file that includes itself": (
        HEAD + TESTS + "include: [a_test.yaml]",
        "include[0]: the files include each other: a_test.yaml includes a_test.yaml",
    ),
    "a circle of files": (
        HEAD + TESTS + "include: [circle.yaml]",
        "the files include each other: a_test.yaml includes circle.yaml includes a_test.yaml",
    ),
    "an include that is not there": (HEAD + TESTS + "include: [gone.yaml]", "gone.yaml cannot be read: No such file"),
    "a name of two files": (HEAD + TESTS + "include: [names.yaml]", "subjects.agent: is also defined at"),
    "cases with a typo": (HEAD + "include: [typo.json]", "typo.json:1:2: evaluatoin: unknown field"),
    "cases with too few decisions": (
        HEAD + "include: [few.json]",
        "expected: has 1 decisions, but the request has 2 evaluations",
    ),
    "a case without a subject": (HEAD + "include: [partial.json]", "subject, action and resource are required"),
}
BESIDE: Final[dict[str, Any]] = {
    "policy.yaml": POLICY,
    "none.yaml": {"apiVersion": "v1", "kind": "ConfigMap"},
    "circle.yaml": HEAD.replace("agent:", "other:").replace("one:", "two:") + "include: [a_test.yaml]",
    "names.yaml": HEAD,
    "typo.json": '{"evaluatoin": []}',
    "few.json": '{"evaluations": [{"request": {"evaluations": [{}, {}]}, "expected": [{"decision": true}]}]}',
    "partial.json": '{"evaluation": [{"request": {"action": {"name": "a"}}, "expected": true}]}',
}


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_told_with_its_place(tmp_path: Path, name: str) -> None:
    text, said = FAULTS[name]
    written(tmp_path, {**BESIDE, "a_test.yaml": text})
    ran = run_tests(tmp_path / "a_test.yaml")
    assert ran.code == 2, ran
    assert said in ran.err, ran.err
    assert ".yaml:" in ran.err or ".json:" in ran.err


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([policy("crm", rules=[rule(effect="Alow")], endpointSettings=settings())], "spec.rules[0].effect: 'Alow'"),
        (
            [policy("crm", rules=[rule(conditions=[{"name": "c", "expression": "1 +"}])], endpointSettings=settings())],
            "expression",
        ),
        ([POLICY, POLICY], "metadata.name: crm/crm-agent is also defined at"),
        ([policy("crm")], "no policy of crm-api has spec.endpointSettings"),
        (
            [POLICY, policy("ops", endpointSettings=settings())],
            "namespace: is required, because the policies are of crm, ops",
        ),
        (
            [POLICY, policy("crm", "b", endpoint="b", endpointSettings=settings())],
            "endpoint: is required: the endpoints in crm are b, crm-api",
        ),
        ([policy("crm", data=[{"name": "state"}], endpointSettings=settings())], "there is no EndpointData crm/state"),
    ],
)
def test_policies_that_are_broken_are_no_denial_that_passes(tmp_path: Path, made: list[Object], said: str) -> None:
    written(tmp_path, {"policy.yaml": made, "a_test.yaml": HEAD + TESTS})
    ran = run_tests(tmp_path / "a_test.yaml")
    assert ran.code == 2, ran
    assert said in ran.err


def test_a_folder_without_tests_is_told(tmp_path: Path) -> None:
    ran = run_tests(tmp_path)
    assert (ran.code, "the names of test files end in _test.yaml" in ran.err) == (2, True)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    ran = run_tests(tmp_path / "gone_test.yaml")
    assert (ran.code, "gone_test.yaml cannot be read" in ran.err) == (2, True)


def test_a_repeat_of_several_calls_is_told(tmp_path: Path) -> None:
    text = HEAD + TESTS.replace("[customers.delete]", "[a, b]") + "  expect: [{is: Deny}, {repeat: true, is: Deny}]"
    written(tmp_path, {**BESIDE, "a_test.yaml": text})
    ran = run_tests(tmp_path / "a_test.yaml")
    assert (ran.code, "expect[1].repeat: the entry before stands for 2 calls" in ran.err) == (2, True), ran


def test_a_call_that_no_grant_can_hold_is_told(tmp_path: Path) -> None:
    text = (GRANT % (GATED, "approvedBy: [carol]")).replace('"1"', "x" * 300)
    written(tmp_path, {**BESIDE, "a_test.yaml": text})
    ran = run_tests(tmp_path / "a_test.yaml")
    assert (ran.code, "with.grants[0].of: no grant can hold this call" in ran.err) == (2, True), ran


def test_data_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    state = {
        "apiVersion": "bailiwick.dev/v1alpha1",
        "kind": "EndpointData",
        "metadata": {"namespace": "crm", "name": "state"},
    }
    made = [policy("crm", data=[{"name": "state"}], endpointSettings=settings()), {**state, "spec": {"data": {}}}]
    text = HEAD + TESTS + '  with: {data: {state: {name: "a\\0b"}}}'
    written(tmp_path, {"policy.yaml": made, "a_test.yaml": text})
    ran = run_tests(tmp_path / "a_test.yaml")
    assert (ran.code, "tests[0].with.data.state: spec.data" in ran.err) == (2, True), ran


def test_policies_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    written(tmp_path, {"a_test.yaml": HEAD + TESTS})
    (tmp_path / "policy.yaml").symlink_to(tmp_path / "nowhere")
    ran = run_tests(tmp_path / "a_test.yaml")
    assert (ran.code, "a_test.yaml:3:1: policies: " in ran.err) == (2, True), ran
    assert "cannot be read" in ran.err


def test_a_filter_that_fits_no_test_is_told(tmp_path: Path) -> None:
    written(tmp_path, {"policy.yaml": POLICY, "a_test.yaml": HEAD + TESTS})
    ran = run_tests(tmp_path, filter="other")
    assert (ran.code, "--filter: no test has a name like other" in ran.err) == (2, True)


def test_a_file_that_cannot_be_run_leaves_the_others_running(tmp_path: Path) -> None:
    written(tmp_path, {"policy.yaml": POLICY, "a_test.yaml": HEAD, "b_test.yaml": HEAD + TESTS})
    ran = run_tests(tmp_path)
    assert ran.code == 2
    assert "1 passed, 0 failed, 1 of 2 files could not be run (1 calls)" in ran.out
