"""Policy tools on files: `kubectl bailiwick test` of 1,000 cases, and `diff` of 10,000 policies of which 10 changed.

Standing: writes the files, and runs the command line as a person would. Nothing of it needs a server.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.rig.commandrun import run_command
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import Row, Section
from benchmarks.rig.servers import Servers

_COLUMNS: Final = ("of", "s", "CPU s", "of them a CPU second", "peak MB", "budget")
_AGENTS: Final = 100
_ALLOWED: Final = 5
_ACTIONS: Final = 10
_SPACES: Final = 100
_EACH: Final = 100
_CHANGED: Final = 10

Object = dict[str, Any]


def section(plan: Plan, servers: Servers) -> Section:  # noqa: ARG001 - as sections are called
    """Measure."""
    made = Section("Test and compare policies", _COLUMNS)
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-test-") as name:
        plan.progress.say(f"Testing {_AGENTS} policies ...")
        made.rows.append(_tested(Path(name)))
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-diff-") as name:
        plan.progress.say(f"Comparing {_SPACES * _EACH:,} policies ...")
        made.rows.append(_compared(Path(name)))
    return made


def _tested(folder: Path) -> Row:
    """Write a policy for each agent and a test of every agent and action, and run it."""
    policies = folder / "policies"
    policies.mkdir()
    for number in range(_AGENTS):
        _write(policies / f"{number}.yaml", _policy("shop", number, _ALLOWED))
    agents = {f"agent-{number}": {"serviceAccount": f"agents/agent-{number}"} for number in range(_AGENTS)}
    allowed = [{"action": f"orders.{action}", "is": "Allow"} for action in range(_ALLOWED)]
    test = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "PolicyTest",
        "policies": ["policies"],
        "subjects": agents,
        "resources": {"one": {"type": "order", "id": "1"}},
        "tests": [
            {
                "name": "what each agent can do",
                "subjects": list(agents),
                "resources": ["one"],
                "actions": [f"orders.{action}" for action in range(_ACTIONS)],
                "expect": allowed,
            }
        ],
    }
    _write(folder / "orders_test.yaml", test)
    name = f"test, cases on {_AGENTS} policies"
    return run_command(name, ("test", str(folder / "orders_test.yaml")), _AGENTS * _ACTIONS, "< 2 s")


def _compared(folder: Path) -> Row:
    """Write two states of all policies, of which some let more through in the second, and compare them."""
    step = _SPACES * _EACH // _CHANGED
    for side in ("base", "head"):
        (folder / side).mkdir()
        for number in range(_SPACES * _EACH):
            wider = side == "head" and number % step == 0
            policy = _policy(f"shop-{number // _EACH}", number % _EACH, _ALLOWED + wider)
            _write(folder / side / f"{number}.yaml", policy)
    words = ("diff", str(folder / "base"), str(folder / "head"))
    # They widen, so that it exits with 1; nobody compares nothing.
    return run_command(f"diff, policies of which {_CHANGED} changed", words, _SPACES * _EACH, "< 5 s", exits=1)


def _policy(namespace: str, number: int, actions: int) -> Object:
    """Return the policy of an agent; the first of a namespace has the settings of its endpoint."""
    agent = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": f"agent-{number}"}}
    rule = {
        "name": "orders",
        "effect": "Allow",
        "subjects": ["agent"],
        "actions": [f"orders.{action}" for action in range(actions)],
        "resources": [{"type": "order", "ids": ["*"]}],
    }
    spec: Object = {"endpoint": "shop", "subjects": [agent], "rules": [rule]}
    if number == 0:
        spec["endpointSettings"] = {"enforcers": [{"namespace": namespace, "name": "shop-api"}]}
    metadata = {"namespace": namespace, "name": f"agent-{number}"}
    return {"apiVersion": "bailiwick.dev/v1alpha1", "kind": "EndpointPolicy", "metadata": metadata, "spec": spec}


def _write(file: Path, content: Object) -> None:
    # JSON is YAML, and a hundred times as quick to write.
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
