"""`check -f`: policies from files, with no cluster, by the engine itself."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import commandline
from support.commandline import PROGRAM, Ran
from support.objects import gated_rule, policy, rule, settings

AGENT = "sa:agents/crm-agent"
ALLOWED = rule(conditions=[{"name": "few", "expression": "context.count < 5", "message": "only a few"}])

Check = Callable[..., Ran]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks against a policy of these rules."""

    def run(*arguments: str, rules: list[Any] | None = None, **spec: object) -> Ran:
        given: dict[str, Any] = {"rules": rules or [ALLOWED, gated_rule()], "endpointSettings": settings(), **spec}
        file = tmp_path / "policies.yaml"
        file.write_text(yaml.safe_dump(policy("crm", **given)), encoding="utf-8")
        return commandline.run("check", "--subject", AGENT, *arguments, "-f", str(file), env={"KUBECONFIG": "/nowhere"})

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "effect", "reason"),
    [
        (("customers.list", "customer/1", "--call-context", "count=3"), 0, "allow", "allowed"),
        (("customers.list", "customer/1", "--call-context", "count=9"), 1, "deny", "condition_false"),
        (("customers.list", "customer/1"), 1, "deny", "condition_error"),
        (("customers.export", "customer/1"), 3, "approvalRequired", "approval_required"),
        (("customers.unheard", "customer/1"), 1, "deny", "no_rule"),
    ],
)
def test_effect_reason_and_exit_code_go_together(
    check: Check, arguments: tuple[str, ...], code: int, effect: str, reason: str
) -> None:
    ran = check(*arguments, "-o", "json")
    said = json.loads(ran.out)
    assert (ran.code, said["effect"], said["reason"], said["kind"]) == (code, effect, reason, "Check"), ran


def test_the_nearest_miss_says_what_would_have_to_be_otherwise(check: Check) -> None:
    ran = check("customers.list", "customer/1", "--call-context", "count=9")
    assert "read: condition few does not hold; expected: context.count < 5 (only a few)" in ran.out
    assert "Then the call would be allowed." in ran.out


def test_arguments_and_properties_reach_the_conditions(check: Check) -> None:
    expression = "context.args.replicas == 3 && resource.properties.env == 'prod' && context.intent == 'support'"
    rules = [rule(conditions=[{"name": "all", "expression": expression}])]
    given = ("--arg", "replicas=3", "--property", "env=prod", "--call-context", "intent=support")
    assert check("customers.list", "customer/1", *given, rules=rules).code == 0
    assert check("customers.list", "customer/1", *given[:4], rules=rules).code == 1


@pytest.mark.parametrize(
    ("now", "code"), [("2026-11-26T10:59:59Z", 0), ("2026-11-26T11:00:00Z", 1), ("2026-11-26", 0), ("yesterday", 2)]
)
def test_a_call_is_decided_as_of_the_time_that_is_given(check: Check, now: str, code: int) -> None:
    ran = check("customers.list", "customer/1", "--now", now, rules=[rule(expireTime="2026-11-26T11:00:00Z")])
    assert ran.code == code, ran


def test_how_to_ask_for_an_approval_is_told(check: Check) -> None:
    steps = [{"name": "owner", "kind": "Human", "count": 1}]
    ran = check("customers.export", "customer/1", "-o", "yaml")
    assert yaml.safe_load(ran.out)["approval"]["steps"][0]["name"] == "crm-agent.export.owner"
    assert "The enforcer must request the approval with this exact call" in check("customers.export", "customer/1").err
    scoped = gated_rule(
        approval={"steps": steps, "binding": "Scope"},
        resources=[{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}],
    )
    given = ("customers.export", "customer/a b", "--property", "env=prod", "--property", "other=1")
    told = check(*given, rules=[scoped]).err
    asking = f"request customers.export 'customer/a b' -n crm --endpoint crm-api --subject {AGENT} --property env=prod"
    assert f"  kubectl bailiwick {asking} --reason TEXT" in told


def test_a_reader_who_has_read_enough_is_no_failure(tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text(yaml.safe_dump(policy("crm", rules=[ALLOWED], endpointSettings=settings())), encoding="utf-8")
    words = ["check", "--subject", AGENT, "customers.unheard", "customer/1", "-f", str(file), "-o", "json"]
    with subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_policy_that_does_not_compile_is_told_and_denies(check: Check) -> None:
    broken = rule(conditions=[{"name": "bad", "expression": "context.count <"}])
    ran = check("customers.list", "customer/1", rules=[broken])
    assert (ran.code, ran.out.splitlines()[0]) == (2, "deny  policy_invalid"), ran
    assert "policies.yaml:16:34: spec.rules[0].conditions[0].expression: " in ran.err
    assert ran.err.endswith("; this denies its subjects on crm/crm-api\n")


def test_an_endpoint_without_settings_is_denied(check: Check) -> None:
    ran = check("customers.export", "customer/1", endpointSettings=None)
    assert (ran.code, ran.out.splitlines()[0]) == (2, "deny  endpoint_unconfigured"), ran


def test_a_folder_is_the_policies_below_it_and_nothing_hidden(tmp_path: Path) -> None:
    other = {"apiVersion": "v1", "kind": "Namespace"}
    written = {"team/policy.yml": policy("crm", rules=[ALLOWED], endpointSettings=settings())}
    written |= {".hidden/other.yaml": other, "accounts.yaml": other}
    for name, content in written.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("spec: [", encoding="utf-8")
    call = ("customers.list", "customer/1", "--call-context", "count=3")
    ran = commandline.run("check", "--subject", AGENT, *call, "-f", str(tmp_path))
    assert (ran.code, ran.out.splitlines()[0]) == (0, "allow  allowed"), ran
    # A policy that kubectl would apply and no decision point reads is not passed over in silence.
    (tmp_path / ".hidden" / "other.yaml").write_text(yaml.safe_dump(policy("other")), encoding="utf-8")
    ran = commandline.run("check", "--subject", AGENT, *call, "-f", str(tmp_path))
    assert (ran.code, "may hold objects of bailiwick.dev" in ran.err) == (2, True), ran


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spec: [", ":1:"),
        ("a: 1\na: 2\n", ":2:1: "),
        ("kind: ConfigMap\n", ":1:1: apiVersion: "),
        ("apiVersion: v1\nkind: ConfigMap\n", "no EndpointPolicy found"),
    ],
)
def test_a_file_that_is_no_policy_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text, encoding="utf-8")
    ran = commandline.run("check", "--subject", AGENT, "customers.list", "customer/1", "-f", str(file))
    assert (ran.code, said in ran.err, "Traceback" in ran.err) == (2, True, False), ran


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("customers.list", "customer"), "write it as TYPE/ID"),
        (("customers.list", "customer/1", "--arg", "x"), "write it as NAME=VALUE"),
        (("customers.list", "customer/1", "--as", "sa:other/one"), "for the subject of the call use --subject"),
        (("customers.list", "customer/1", "--as", "carol"), "-f does not use a cluster: remove --as\n"),
        (("customers.list", "customer/1", "--as-group", "owners"), "-f does not use a cluster: remove --as-group"),
        (("customers.list", "customer/1", "--context", "prod"), "-f does not use a cluster: remove --context"),
        (("customers.list", "customer/1", "--context", "count=3"), "use --call-context NAME=VALUE"),
        (("customers.list", "customer/1", "--call-context", "tenant"), "write it as NAME=VALUE"),
        (("customers.list", "customer/1", "--call-context", "approval=x"), "approval is not part of a call"),
        (("customers.list", "customer/1", "--call-context", "args={}", "--arg", "n=1"), "say the same twice"),
        (("customers.list", "customer/1", "--subject", "carol"), "write it as sa:NAMESPACE/NAME"),
        (("customers.list", "customer/1", "--endpoint", "other"), "the endpoints are crm-api"),
    ],
)
def test_what_cannot_be_read_is_one_line(check: Check, arguments: tuple[str, ...], said: str) -> None:
    ran = check(*arguments)
    assert (ran.code, said in ran.err, ran.out) == (2, True, ""), ran


def test_a_policy_that_is_over_budget_denies_and_says_by_how_much(check: Check) -> None:
    conditions = [{"name": f"c{number}", "expression": " || ".join(["context.a == 1"] * 250)} for number in range(16)]
    conditions = [{**one, "expression": f"{one['expression']} || context.b == {n}"} for n, one in enumerate(conditions)]
    rules = [
        rule(
            f"r{place}",
            conditions=[
                {**one, "expression": one["expression"].replace("context.b", f"context.r{place}")} for one in conditions
            ],
        )
        for place in range(2)
    ]
    ran = check("customers.list", "customer/1", rules=[*rules, rule("plain")])
    assert (ran.code, ran.out.splitlines()[0].split()) == (2, ["deny", "policy_invalid"])
    assert "spec: OverBudget: the compiled policy needs" in ran.err
    assert "and the limit for one policy is 16.0 MiB (" in ran.err
