"""`init` writes a policy that is valid and a test that passes, or nothing at all."""

from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_cli.commands import init
from bailiwick_cli.errors import CliError
from bailiwick_cli.verbs.policyverbs import InitFlags
from bailiwick_governance.errors import UserError
from support.suites import run_tests, run_validate

FLAGS: Final[dict[str, Any]] = {
    **dict.fromkeys(("context", "kubeconfig", "as_user", "as_group", "request_timeout")),
    "namespace": "crm",
    "endpoint": "crm-api",
    "enforcer": "sa:crm/crm-api",
    "subject": "sa:agents/crm-agent",
    "resource": "customer",
    "allow": ["customers.list"],
    "approve": ["customers.export"],
    "reviewers": "crm-owners",
}


def begun(folder: Path, **changed: object) -> None:
    init.run(InitFlags(folder=str(folder), **{**FLAGS, **changed}))


@pytest.mark.parametrize("changed", [{}, {"approve": None, "reviewers": None}, {"allow": None}], ids=str)
def test_what_is_written_is_valid_and_passes(tmp_path: Path, changed: dict[str, Any]) -> None:
    begun(tmp_path / "new", **changed)
    assert run_validate(tmp_path).code == 0
    ran = run_tests(tmp_path, coverage=True)
    assert (ran.code, "Everything is covered." in ran.out) == (0, True), ran


def test_what_is_written_has_no_anchors(tmp_path: Path) -> None:
    begun(tmp_path / "new")
    written = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.yaml")]
    assert [text for text in written if "&" in text or "*id" in text] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"namespace": None}, "without a terminal, also set --namespace"),
        ({"allow": None, "approve": None}, "also set --allow or --approve"),
        ({"reviewers": None}, "also set --reviewers"),
        (
            {"subject": None, "enforcer": None, "approve": None, "allow": None, "reviewers": None},
            "set --enforcer, --subject, --allow or --approve",
        ),
        ({"endpoint": None, "resource": None}, "set --endpoint, --resource"),
        ({"subject": "crm-agent"}, "--subject: 'crm-agent' is not a service account"),
        ({"allow": ["a b"]}, "spec.rules[0].actions[0]"),
        ({"reviewers": "system:nodes"}, "no person is in system:nodes"),
    ],
)
def test_what_would_be_no_policy_is_not_written(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        begun(tmp_path / "new", **changed)
    assert said in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "policy.yaml").write_text("mine")
    with pytest.raises(CliError, match="exists already"):
        begun(tmp_path)
    assert (tmp_path / "policy.yaml").read_text() == "mine"
