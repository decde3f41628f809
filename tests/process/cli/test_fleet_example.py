"""`examples/fleet/render.sh`: what it writes for each cluster, and what it refuses."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from demo.ground import KUBECTL
from support.pages import DOCS

EXAMPLES: Final = DOCS.parent / "examples"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES / "fleet", tmp_path / "fleet")
    shutil.copytree(EXAMPLES / "gates", tmp_path / "gates")
    return tmp_path / "fleet"


def render(example: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{KUBECTL.parent}:{os.environ['PATH']}"}
    return subprocess.run([example / "render.sh"], env=environment, capture_output=True, text=True, check=False)


def policy(example: Path, cluster: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((example / "rendered" / cluster / "policies.yaml").read_text("utf-8"))
    return found


def test_each_cluster_has_its_policies_and_the_gate_beside_them(example: Path) -> None:
    done = render(example)
    assert done.returncode == 0, done.stdout + done.stderr
    east, west = policy(example, "east"), policy(example, "west")
    (step,) = west["spec"]["rules"][1]["approval"]["steps"]
    assert step["groups"] == ["crm-owners-west"]
    step["groups"] = ["crm-owners"]
    assert east == west
    for cluster in ("east", "west"):
        folder = example / "rendered" / cluster
        built = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=True).stdout
        documents = {one["kind"]: one for one in yaml.safe_load_all(built)}
        assert sorted(documents) == ["ConfigMap", "EndpointPolicy", "Job"]
        assert documents["ConfigMap"]["data"]["policies.yaml"] == (folder / "policies.yaml").read_text("utf-8")


def test_what_was_accepted_stays(example: Path) -> None:
    render(example)
    accepted = example / "rendered" / "east" / "accepted"
    accepted.write_text("digest\n")
    assert render(example).returncode == 0
    assert accepted.read_text() == "digest\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: export", "name: other"),  # the patch of west tests that it has the rule that is meant
        ("effect: Allow", "effect: Maybe"),
        ("[customers.list, customers.get]", "[customers.list]"),
    ],
    ids=["another rule", "invalid", "a test fails"],
)
def test_it_stops_at_what_is_wrong(example: Path, old: str, new: str) -> None:
    base = example / "base" / "policy.yaml"
    assert old in base.read_text()
    base.write_text(base.read_text().replace(old, new))
    assert render(example).returncode != 0
