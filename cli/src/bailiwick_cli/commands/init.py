"""`init`: a first policy and its test, from flags.

Holds: no file is overwritten; what is written is valid, and its test passes, or nothing is written.
"""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from bailiwick_api.meta import API_VERSION
from bailiwick_api.policyfiles import taken
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_cli import arguments, policies
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.policyflags import InitFlags
from bailiwick_cli.policytest.model import API_VERSION as TEST_VERSION, KIND

POLICY: Final = "policy.yaml"
TEST: Final = "tests/policy_test.yaml"
_OTHER: Final = "not-in-the-policy"


def run(options: InitFlags) -> int:
    """Write both files."""
    if options.namespace is None:
        raise CliError("set -n: the namespace of the endpoint")
    if not (options.allow or options.approve):
        raise CliError("set --allow or --approve: a policy needs a rule")
    if options.approve and options.reviewers is None:
        raise CliError("--approve needs --reviewers: the group whose people approve")
    subject = arguments.service_account(options.subject, "--subject")
    enforcer = arguments.service_account(options.enforcer, "--enforcer")
    files = {
        POLICY: ("What the subject can do. Every other call is denied.", _policy(options, subject, enforcer)),
        TEST: (f"bailiwick test {options.folder}", _test(options, subject)),
    }
    texts = {name: f"# {said}\n{yaml.safe_dump(made, sort_keys=False)}" for name, (said, made) in files.items()}
    _, reports = policies.policy_set([(POLICY, taken(texts[POLICY].encode()))]).assembled()
    if reports:
        raise CliError("; ".join(report.problem.partition(": ")[2] for report in reports))
    folder = Path(options.folder)
    for name in texts:
        if (folder / name).exists():
            raise CliError(f"{folder / name} is there already, and is not overwritten")
    try:
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
            sys.stdout.write(f"{folder / name}\n")
    except OSError as error:
        raise CliError(f"{folder} cannot be written: {error.strerror or error}") from error
    return Exit.OK


def _policy(options: InitFlags, subject: ServiceAccountName, enforcer: ServiceAccountName) -> dict[str, Any]:
    shared = {"subjects": ["subject"], "resources": [{"type": options.resource, "ids": ["*"]}]}
    rules: list[dict[str, Any]] = []
    if options.allow:
        rules.append({"name": "allow", "effect": "Allow", "actions": options.allow, **shared})
    if options.approve:
        approval = {"steps": [{"name": "owner", "kind": "Human", "groups": [options.reviewers]}]}
        rules.append(
            {
                "name": "ask",
                "effect": "RequireApproval",
                "actions": options.approve,
                **shared,
                "approval": approval,
            }
        )
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointPolicy",
        "metadata": {"namespace": options.namespace, "name": subject.name},
        "spec": {
            "endpoint": options.endpoint,
            "endpointSettings": {"enforcers": [{"namespace": enforcer.namespace, "name": enforcer.name}]},
            "subjects": [{"name": "subject", "serviceAccount": {"namespace": subject.namespace, "name": subject.name}}],
            "rules": rules,
        },
    }


def _test(options: InitFlags, subject: ServiceAccountName) -> dict[str, Any]:
    allow, approve = options.allow or [], options.approve or []
    expect: list[dict[str, Any]] = [{"action": action, "is": "Allow", "rule": "allow"} for action in allow]
    expect += [{"action": action, "is": "Approval", "steps": ["owner"]} for action in approve]
    return {
        "apiVersion": TEST_VERSION,
        "kind": KIND,
        "policies": [f"../{POLICY}"],
        "subjects": {"subject": {"serviceAccount": f"{subject.namespace}/{subject.name}"}},
        "resources": {"one": {"type": options.resource, "id": "1"}},
        "tests": [
            {
                "name": "what it can do, and nothing else",
                "subjects": ["subject"],
                "resources": ["one"],
                "actions": [*allow, *approve, _OTHER],
                "expect": expect,
            }
        ],
    }
