"""The page `how-to/coverage.md`, typed at a cluster; who may read; how the command ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from localcluster.access import Cluster
from support import commandline
from support.callers import Callers
from support.commandline import Ran
from support.coverageworld import CoverageWorld
from support.installation import accepted
from support.namespaces import Namespaces
from support.pages import DOCS
from support.shell import Shell, succeeded
from support.waits import until_ok

pytestmark = pytest.mark.usefixtures("installed")

PAGE: Final = "how-to/coverage.md"
TEXT: Final = (DOCS / PAGE).read_text(encoding="utf-8")
OPENAPI: Final = {
    "openapi": "3.1.0",
    "info": {"title": "crm", "version": "1"},
    "paths": {"/customers": {"get": {"operationId": "customers.list"}, "delete": {"operationId": "customers.clear"}}},
}


@pytest.fixture(scope="module")
def world(callers: Callers, installed: object) -> Iterator[CoverageWorld]:
    namespaces = Namespaces(callers.admin)
    made = CoverageWorld.make(callers.admin, namespaces, "page")
    made.serve(made.crm, "reports")
    yield made
    namespaces.clean()


@pytest.fixture
def shell(world: CoverageWorld, cluster: Cluster, tmp_path: Path) -> Shell:
    """Types blocks of the page in a folder with a description of an API."""
    (tmp_path / "openapi.yaml").write_text(yaml.safe_dump(OPENAPI))
    return Shell(cluster, PAGE, tmp_path)


def test_the_page_finds_what_it_says(shell: Shell, world: CoverageWorld) -> None:
    done = shell.run("kubectl bailiwick coverage -n crm\n", crm=world.crm)
    last = "1 unprotected; 1 of 2 Services have an enforcement point"
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, last), done
    assert f"unprotected   Service {world.crm}/reports" in done.stdout


def test_the_page_chooses_what_fails(shell: Shell, world: CoverageWorld) -> None:
    assert shell.run("kubectl bailiwick coverage -n crm --fail-on unprotected", crm=world.crm).returncode == 1


def test_the_page_writes_a_report_with_a_picture(shell: Shell, world: CoverageWorld, tmp_path: Path) -> None:
    succeeded(shell.run("kubectl bailiwick coverage -n crm -o markdown", crm=world.crm))
    markdown = (tmp_path / "coverage.md").read_text()
    assert "```mermaid\nflowchart LR\n" in markdown
    assert "| unprotected |" in markdown
    page = (tmp_path / "coverage.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<svg" in page
    assert "<script" not in page


def test_the_page_prints_fixes_that_kubectl_reads(shell: Shell, world: CoverageWorld) -> None:
    succeeded(shell.run("kubectl bailiwick coverage -n crm --fixes", crm=world.crm))
    said = succeeded(shell.type("kubectl apply --dry-run=server -f fixes.yaml"))
    assert [line.split()[0] for line in said.splitlines()] == ["endpointpolicy.bailiwick.dev/reports"]


def test_the_page_writes_policies_that_are_valid_and_in_mode_audit(
    shell: Shell, world: CoverageWorld, tmp_path: Path
) -> None:
    block = "kubectl bailiwick coverage -n crm --write"
    succeeded(shell.run(block, crm=world.crm))
    (written,) = (tmp_path / "policies").iterdir()
    assert written.name == f"{world.crm}.reports.yaml"
    assert yaml.safe_load(written.read_text())["spec"]["mode"] == "Audit"
    ran = commandline.run("validate", str(tmp_path / "policies"))
    assert ran.code == 0, ran
    again = shell.run(block, crm=world.crm)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


def test_the_page_compares_rules_with_an_api(shell: Shell, world: CoverageWorld) -> None:
    done = shell.run("kubectl bailiwick coverage -n crm --openapi", crm=world.crm)
    assert done.returncode == 1, done.stderr
    assert "openapi DELETE /customers: no rule names customers.clear" in done.stdout
    assert "GET /customers" not in done.stdout


def test_the_page_takes_other_words(shell: Shell, world: CoverageWorld) -> None:
    done = shell.run("printf", crm=world.crm)
    assert (done.returncode, "ungated" in done.stdout) == (1, False), done


def run(cluster: Cluster, person: str, *arguments: str) -> Ran:
    return commandline.run("coverage", *arguments, kubeconfig=cluster.kubeconfig(person))


def findings(ran: Ran) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ran.out)["clusters"][0]["findings"]
    return found


def test_a_stranger_learns_what_is_unknown_and_nothing_counts_as_protected(
    cluster: Cluster, world: CoverageWorld
) -> None:
    ran = run(cluster, "mallory", "-n", world.crm, "-o", "json")
    assert (ran.code, {one["code"] for one in findings(ran)}) == (1, {"unknown"}), ran
    lists = {one["object"]["name"] for one in findings(ran)}
    assert lists >= {"services", "pods", "endpointpolicies", "networkpolicies", "rolebindings", "serviceaccounts"}
    assert json.loads(ran.out)["clusters"][0]["services"] == []
    assert run(cluster, "mallory", "-n", world.crm, "--fail-on", "around").code == 0


def test_the_role_of_the_page_reads_everything(
    cluster: Cluster, world: CoverageWorld, callers: Callers, namespaces: Namespaces
) -> None:
    (role,) = (
        raw
        for raw in (yaml.safe_load(block) for block in TEXT.split("```yaml\n")[1:] for block in [block.split("```")[0]])
        if raw.get("kind") == "ClusterRole"
    )
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role["metadata"]["name"]},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "grace"}],
    }
    accepted(callers.admin.apply(role, "coverage-tests", force=True))
    accepted(callers.admin.apply(binding, "coverage-tests", force=True))
    try:
        until_ok(lambda: callers("grace").get("/api/v1/pods"), "grace may read pods")
        ran = run(cluster, "grace", "-n", world.crm, "-o", "json")
        assert [one["code"] for one in findings(ran)] == ["unprotected"], ran
    finally:
        for kind in ("clusterrolebindings", "clusterroles"):
            callers.admin.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/{role['metadata']['name']}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-n", "not-there"), "there is no namespace not-there"),
        (("-n", "crm", "-A"), "-n and -A each say which namespaces"),
        (("--words", "/dev/null"), "has no word"),
        (("--fail-on", "none", "--fail-on", "stale"), "--fail-on none stands alone"),
        (("--endpoint", "x"), "--endpoint says whose operations"),
        (("--openapi", "/not/there"), "--openapi and --mcp are about one endpoint"),
        (("--context", "not-there"), "no context 'not-there'"),
    ],
    ids=["namespace", "both", "words", "none", "endpoint", "which", "context"],
)
def test_what_cannot_be_answered_ends_with_two(cluster: Cluster, arguments: tuple[str, ...], message: str) -> None:
    ran = run(cluster, "admin", *arguments)
    assert (ran.code, message in ran.err) == (2, True), ran


def test_several_clusters_have_a_report_each(cluster: Cluster, world: CoverageWorld, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig("admin").read_text())
    (context,) = config["contexts"]
    config["contexts"] = [{**context, "name": "east"}, {**context, "name": "west"}]
    (tmp_path / "config").write_text(yaml.safe_dump(config | {"current-context": "east"}))
    arguments = ("coverage", "--context", "east", "--context", "west", "-n", world.crm)
    ran = commandline.run(*arguments, "-o", "json", kubeconfig=tmp_path / "config")
    assert [one["context"] for one in json.loads(ran.out)["clusters"]] == ["east", "west"]
    assert json.loads(ran.out)["totals"]["unprotected"] == 2
    before = commandline.run(
        "--context", "west", *arguments[:1], "-n", world.crm, "-o", "json", kubeconfig=tmp_path / "config"
    )
    assert [one["context"] for one in json.loads(before.out)["clusters"]] == ["west"]


def test_all_namespaces_leave_out_the_platform_and_say_so(cluster: Cluster, world: CoverageWorld) -> None:
    ran = run(cluster, "admin", "-A", "-o", "json", "--fail-on", "none")
    (found,) = json.loads(ran.out)["clusters"]
    assert ran.code == 0, ran
    assert {"kube-system", "kube-public", "bailiwick-system"} <= set(found["leftOut"])
    assert world.crm in found["namespaces"]
    assert "note: left out unless you name them with -n: " in ran.err
