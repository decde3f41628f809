"""The law of files: the policies that are read of a file are those that kubectl finds in it, or the file is refused.

The oracle is `kubectl kustomize`, which reads files as `kubectl apply` does, without a cluster.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import HealthCheck, event, example, given, settings, strategies as st

from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.compile import manifests
from bailiwick_engine.steps import whole
from demo.ground import KUBECTL
from support.objects import policy, rule

FOREIGN: Final = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "crm"}}
DEEP: Final = json.loads('{"a": ' * 40 + "1" + "}" * 40)
SEPARATORS: Final = (
    *("---\n", "---\n", "--- # a comment\n", "# why\n---\n", "---\r\n", "...\n---\n"),
    *("---#x\n", "---x\n", "----\n", "--- {a: b}\n", "--- |\n", "---\u00a0#x\n", "...\n", "\n", "", "\r---\r"),
)
KINDS: Final = ("List", "ConfigMapList", "DeploymentList", "Status")


def allowing(number: int) -> dict[str, Any]:
    return policy("crm", f"policy-{number}", rules=[rule()])


def other(number: int) -> dict[str, Any]:
    return {**FOREIGN, "metadata": {**FOREIGN["metadata"], "name": f"other-{number}"}}  # type: ignore[dict-item]  # a map


def listed(kind: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "items": [*items]}


def spoilt(made: dict[str, Any], how: str) -> str:
    """Return a document as text, with something behind it that some readers stop at."""
    text = yaml.safe_dump(made, sort_keys=False)
    match how:
        case "json":
            return json.dumps(made) + "\n"
        case "merge key":
            return f"{text}data: {{<<: {{a: b}}}}\n"
        case "deep":
            return f"{text}data: {json.dumps(DEEP)}\n"
        case "twice":
            return f"{text}data: {{<<: {{a: b}}}}\n{yaml.safe_dump(allowing(9), sort_keys=False)}"
    return text


@st.composite
def files(draw: st.DrawFn) -> str:
    parts: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        made = draw(
            st.sampled_from([allowing(number), other(number)])
            | st.sampled_from(KINDS).map(lambda kind: listed(kind, other(number), allowing(number)))  # noqa: B023 - at once
        )
        if parts:
            parts.append(draw(st.sampled_from(SEPARATORS)))
        parts.append(spoilt(made, draw(st.sampled_from(["", "", "json", "merge key", "deep", "twice"]))))
    return "".join(parts)


def read(text: str) -> list[str] | None:
    """Return the names of the policies that are read of a file; None where it is refused."""
    contents = [
        whole(manifests.contents("p.yaml", document, BudgetLedger(Budget())))
        for document in manifests.parse(text.encode())
    ]
    entries = [entry for one in contents for entry in one.entries]
    return None if any(entry.reports for entry in entries) else sorted(entry.ref.name for entry in entries)


def found_by_kubectl(folder: Path, text: str) -> list[str] | None:
    """Return the names of the policies that kubectl finds in a file; None where it takes none of the file."""
    (folder / "file.yaml").write_bytes(text.encode())
    (folder / "kustomization.yaml").write_text("resources: [file.yaml]\n")
    done = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    documents: Sequence[Any] = [*yaml.safe_load_all(done.stdout)]
    return sorted(one["metadata"]["name"] for one in documents if one and one["kind"] == "EndpointPolicy")


HONEST: Final = "---\n".join(
    (spoilt(other(0), "merge key"), f"# the next\n{spoilt(allowing(1), '')}", spoilt(other(2), "deep"))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=files())
@example(text=HONEST)
@example(text=f"{spoilt(allowing(0), '')}...\n{spoilt(allowing(1), '')}")
@example(text=f"{spoilt(other(0), '')}---#x:\n{spoilt(allowing(1), '')}")
@example(text=f"{spoilt(allowing(0), '')}--- {{a: b}}\n{spoilt(allowing(1), '')}")
def test_the_policies_that_are_read_are_those_that_kubectl_finds(folder: Path, text: str) -> None:
    ours, theirs = read(text), found_by_kubectl(folder, text)
    event(f"we {'refuse' if ours is None else 'read'}, kubectl {'refuses' if theirs is None else 'reads'}")
    if ours is not None and theirs is not None:
        assert ours == theirs


def test_a_file_of_everything_that_both_read_alike_is_read(folder: Path) -> None:
    # Else nothing above would show anything.
    assert read(HONEST) == found_by_kubectl(folder, HONEST) == ["policy-1"]
