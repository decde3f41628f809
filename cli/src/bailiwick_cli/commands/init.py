"""`init`: a first policy and its test, from flags or from answers.

Holds: no file is overwritten; what is written is valid, and its test passes, or nothing is written.
"""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from bailiwick_api.documents.policyfiles import policy_file
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.interview import FirstPolicy, first_policy
from bailiwick_cli.offline import refuse_cluster
from bailiwick_cli.policytest.model import API_VERSION as TEST_VERSION, KIND
from bailiwick_cli.verbs.policyverbs import InitFlags
from bailiwick_governance.sources import policies

POLICY: Final = "policy.yaml"
TEST: Final = "tests/policy_test.yaml"
_OTHER: Final = "not-in-the-policy"


def run(options: InitFlags) -> int:
    """Write both files."""
    refuse_cluster(options, "init")
    folder = Path(options.folder)
    # Before anybody answers questions.
    for name in (POLICY, TEST):
        if (folder / name).exists():
            raise CliError(f"{folder / name} exists already, and is not overwritten")
    first = first_policy(options)
    files = {
        POLICY: ("What the subject can do. Every other call is denied.", _policy(first)),
        TEST: (f"bailiwick test {options.folder}", _test(first)),
    }
    texts = {name: f"# {said}\n{yaml.safe_dump(made, sort_keys=False)}" for name, (said, made) in files.items()}
    _, reports = policies.policy_set([(POLICY, policy_file(texts[POLICY].encode()))]).assembled()
    if reports:
        raise CliError("; ".join(report.problem.partition(": ")[2] for report in reports))
    try:
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
            sys.stdout.write(f"{folder / name}\n")
    except OSError as error:
        raise CliError(f"{folder} cannot be written: {error.strerror or error}") from error
    return Exit.OK


def _policy(first: FirstPolicy) -> dict[str, Any]:
    subject, enforcer = first.subject, first.enforcer

    def shared() -> dict[str, Any]:
        # Each rule its own lists: YAML would write one list twice as an anchor and an alias.
        return {"subjects": ["subject"], "resources": [{"type": first.resource, "ids": ["*"]}]}

    rules: list[dict[str, Any]] = []
    if first.allow:
        rules.append({"name": "allow", "effect": "Allow", "actions": list(first.allow), **shared()})
    if first.approve:
        approval = {"steps": [{"name": "owner", "kind": "Human", "groups": [first.reviewers]}]}
        rules.append(
            {
                "name": "ask",
                "effect": "RequireApproval",
                "actions": list(first.approve),
                **shared(),
                "approval": approval,
            }
        )
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointPolicy",
        "metadata": {"namespace": first.namespace, "name": subject.name},
        "spec": {
            "endpoint": first.endpoint,
            "endpointSettings": {"enforcers": [{"namespace": enforcer.namespace, "name": enforcer.name}]},
            "subjects": [{"name": "subject", "serviceAccount": {"namespace": subject.namespace, "name": subject.name}}],
            "rules": rules,
        },
    }


def _test(first: FirstPolicy) -> dict[str, Any]:
    subject, allow, approve = first.subject, first.allow, first.approve
    expect: list[dict[str, Any]] = [{"action": action, "is": "Allow", "rule": "allow"} for action in allow]
    expect += [{"action": action, "is": "Approval", "steps": ["owner"]} for action in approve]
    return {
        "apiVersion": TEST_VERSION,
        "kind": KIND,
        "policies": [f"../{POLICY}"],
        "subjects": {"subject": {"serviceAccount": f"{subject.namespace}/{subject.name}"}},
        "resources": {"one": {"type": first.resource, "id": "1"}},
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
