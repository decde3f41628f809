"""`docs/tutorials/change-a-policy.md`, typed from its first line to its last, with a real Argo CD behind Git.

Only the logs are taken from the processes' files: here are no pods.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import yaml

from argocd.team import EXAMPLE
from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_kube.paths import policies_path
from localcluster.argocd import ArgoCD
from localcluster.rest import Rest
from support.gitops import Application, Applications
from support.installation import MANAGER, accepted
from support.objects import Object
from support.pages import DOCS
from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.pdp.questions import Said
from support.shell import Shell, succeeded
from support.waits import until

PAGE: Final = "tutorials/change-a-policy.md"
AGENT: Final = "system:serviceaccount:agents:crm-agent"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """The repository that Argo CD reads."""
    folder = tmp_path / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", folder], check=True)
    return folder


@pytest.fixture
def shell(bailiwick: Bailiwick, tmp_path: Path, origin: Path) -> Shell:
    who = {f"GIT_{role}_{part}": "page@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **who}
    desk = tmp_path / "desk"
    desk.mkdir()
    return Shell(bailiwick.cluster, PAGE, desk, BAILIWICK=str(DOCS.parent), ORIGIN=origin.as_uri(), **git)


@pytest.fixture
def app(bailiwick: Bailiwick, argocd: ArgoCD, applications: Applications, origin: Path) -> Iterator[Application]:
    """The example's application, of this repository, for the CRM example, which goes with what it brought."""
    crm = DOCS.parent / "examples" / "crm"
    for raw in yaml.safe_load_all((crm / "accounts.yaml").read_text(encoding="utf-8")):
        accepted(bailiwick.callers.admin.apply(raw, MANAGER, force=True))
    text = EXAMPLE.read_text(encoding="utf-8")
    written = "https://git.example.com/crm/policies.git"
    assert written in text
    yield applications.apply(*yaml.safe_load_all(text.replace(written, origin.as_uri())))
    applications.clean()
    # Argo CD refuses a policy to another application, such as the fleet's, while it names this one as its own.
    until(lambda: not _delete_policies(bailiwick.callers.admin), "no policy of the example is left")


def _delete_policies(admin: Rest) -> list[Object]:
    """Delete the policies of the example, and return those that were there."""
    found: list[Object] = accepted(admin.get(policies_path("crm")))["items"]
    for policy in found:
        accepted(admin.delete(policies_path("crm", policy["metadata"]["name"])))
    return found


@contextmanager
def refreshed(app: Application) -> Iterator[None]:
    """Let Argo CD look at Git every second or so, as a webhook of the repository would make it."""
    over = threading.Event()

    def refresh() -> None:
        while not over.wait(1):
            app.refresh()

    thread = threading.Thread(target=refresh)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def ask(bailiwick: Bailiwick, action: str) -> Said:
    """Ask the first decision point as the CRM API does, for its agent."""
    pep = bailiwick.cluster.service_account_token("crm", "crm-api", (ENFORCER_AUDIENCE,), 3600)
    agent = bailiwick.cluster.service_account_token("agents", "crm-agent", ("crm-api.crm",), 3600)
    url = f"{bailiwick.points[0].url}/endpoints/crm/crm-api/access/v1/evaluation"
    return questions.post(url, questions.evaluation(AGENT, action, "42", token=agent), pep)


def test_what_the_page_types_brings_a_change_from_a_wish_into_force(
    bailiwick: Bailiwick, shell: Shell, app: Application
) -> None:
    assert "6 passed" in succeeded(shell.run("git init"))
    inside = shell.inside("crm-policies")
    assert inside.run("cat >> tests").returncode == 1
    assert "7 passed" in succeeded(inside.run("sed -i.before 's/actions: \\[customers"))
    assert inside.run("kubectl bailiwick diff").returncode == 1
    assert inside.run("sed -i.before 's/actions: \\[\"").returncode == 1
    tried = succeeded(inside.run("sed -e"))
    assert "6 passed" in tried
    assert "0 errors" in tried
    with refreshed(app):
        succeeded(inside.run("git remote"))
        until(lambda: ask(bailiwick, "customers.list").decision is True, "the CRM's policy is known")
        assert ask(bailiwick, "customers.get").decision is True
        records, ledger = Path(bailiwick.points[0].records), bailiwick.stack.ledger()

        def differs() -> bool:
            # Again: the operator tells of a candidate, and a decision point may hear of it a moment later.
            assert ask(bailiwick, "customers.history").decision is False
            return b'"kind":"shadow"' in records.read_bytes()

        until(differs, "the difference is on record", 10)
        counted = succeeded(
            inside.run(
                "kubectl logs",
                **{
                    "kubectl logs --namespace bailiwick-system -l app.kubernetes.io/component=webhook --tail=-1": (
                        f"cat {records}"
                    ),
                    "kubectl logs --namespace bailiwick-system -l app.kubernetes.io/component=operator --tail=-1": (
                        f"cat {ledger}"
                    ),
                },
            )
        )
        assert [line.split()[1:3] for line in counted.splitlines()] == [["deny", "allow"]]
        replayed = succeeded(inside.run("git stash pop"))
        assert "deny→allow" in replayed
        assert "allow→deny" not in replayed
        live = succeeded(inside.run("git rm"))
    assert "7 passed" in live
    until(lambda: ask(bailiwick, "customers.history").decision is True, "the change is in force")
