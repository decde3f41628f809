"""docs/how-to/gate-changes.md: the gate, typed as it stands in a Git repository, for changes that are fine and not."""

import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.offlineshell import OfflineShell
from support.pages import DOCS
from unit.test_how_to_pages import shown

ROOT: Final = DOCS.parent
GATES: Final = ROOT / "examples" / "gates"
PAGE: Final = DOCS / "how-to" / "gate-changes.md"
SCRIPTS: Final = [text for _, language, text in shown(PAGE) if language == "sh"]
NAME: Final = "examples/gates/check-policies.sh"


class Repository(OfflineShell):
    """A repository with the CRM example's policy and tests on its branch `main`, and the gate."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.policy: Final = folder / "policies" / "policy.yaml"
        for name, source in (
            ("policies/policy.yaml", ROOT / "examples" / "crm" / "policy.yaml"),
            ("policies/tests/policy_test.yaml", ROOT / "examples" / "crm" / "tests" / "policy_test.yaml"),
            (NAME, GATES / "check-policies.sh"),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
        self.commit()

    def change(self, old: str, new: str) -> None:
        """Change the policy."""
        text = self.policy.read_text(encoding="utf-8")
        assert old in text
        self.policy.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("maxUses: 3", "maxUses: 3\n      windowSeconds: 60", 0, "narrower"),
        ("maxUses: 3", "maxUses: 5", 1, "WIDER"),
        ("groups: [crm-owners]", "groups: [interns]", 1, "WIDER"),
        ("[customers.list, customers.get]", "[customers.list]", 1, "expected Allow, got Deny"),
        ("effect: RequireApproval", "effect: Allow", 2, "not allowed with any other effect"),
    ],
    ids=["narrower", "wider", "another group that approves", "a test that fails", "a policy that is invalid"],
)
def test_the_gate_opens_for_what_lets_no_call_further(
    repository: Repository, old: str, new: str, code: int, said: str
) -> None:
    repository.change(old, new)
    ran = repository.type(SCRIPTS[0])
    assert ran.code == code, ran
    assert said in ran.out + ran.err


@pytest.mark.long
def test_git_itself_refuses_a_commit_that_widens(repository: Repository) -> None:
    assert repository.type(SCRIPTS[1]).code == 0
    repository.change("maxUses: 3", "maxUses: 5")
    ran = repository.type("git commit --quiet --all --message wider")
    assert ran.code == 1
    assert "WIDER" in ran.out + ran.err
    repository.change("maxUses: 5", "maxUses: 3\n      windowSeconds: 60")
    assert repository.type("git commit --quiet --all --message narrower").code == 0


@pytest.mark.long
def test_reports_are_kept_of_a_change_that_is_refused(repository: Repository) -> None:
    repository.change("maxUses: 3", "maxUses: 5")
    assert repository.type(SCRIPTS[2]).code == 1
    reports = repository.folder / "reports"
    assert "wider" in (reports / "diff.md").read_text(encoding="utf-8")
    assert '"bailiwick validate"' in (reports / "validate.sarif").read_text(encoding="utf-8")
    assert '"ruleId"' in (reports / "diff.sarif").read_text(encoding="utf-8")
    assert "<testsuites" in (reports / "junit.xml").read_text(encoding="utf-8")


def test_what_cannot_be_run_is_no_pass(repository: Repository) -> None:
    assert repository.type(f"{NAME} policies no-such-revision").code == 2
    assert repository.type(f"BAILIWICK=no-such-program {NAME} policies HEAD").code == 2


@pytest.mark.parametrize("name", ["pre-commit-config.yaml", "github-actions.yaml", "gitlab-ci.yaml"])
def test_each_file_to_copy_calls_the_gate(name: str) -> None:
    found = list(_texts(yaml.safe_load((GATES / name).read_text(encoding="utf-8"))))
    assert any(text.startswith(f"{NAME} policies ") for text in found), found


def _texts(value: Any) -> Any:  # noqa: ANN401 - any YAML
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)
