"""The workflow of releases passes the checks that others wrote for workflows, and they do find what is wrong."""

from pathlib import Path

from localcluster import build
from release.conftest import ROOT
from releasemaker import workflows


def problems(checkout: Path) -> list[str]:
    return list(workflows.problems(checkout, build.ensure(build.actionlint()) / "actionlint"))


def test_the_workflows_pass() -> None:
    assert problems(ROOT) == []


def test_an_action_without_a_hash_and_an_unknown_key_are_found(tmp_path: Path) -> None:
    folder = tmp_path / workflows.FOLDER
    folder.mkdir(parents=True)
    text = (ROOT / workflows.FOLDER / "release.yaml").read_text()
    (folder / "release.yaml").write_text(text.replace("@11bd71901bbe5b1630ceea73d27597364c9af683", "@v4", 1))
    (found,) = problems(tmp_path)
    assert found.startswith("zizmor: ")
    assert "unpinned-uses" in found
    (folder / "release.yaml").write_text(text.replace("timeout-minutes", "timeout-hours", 1))
    assert any(one.startswith("actionlint: ") and "timeout-hours" in one for one in problems(tmp_path))
