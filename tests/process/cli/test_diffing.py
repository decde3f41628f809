"""`diff`: files, folders, standard input and Git revisions, and docs/how-to/diff-policies.md."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import yaml

from support import commandline
from support.commandline import Ran
from support.objects import Object, gated_rule, policy, rule, settings
from support.offlineshell import OfflineShell
from support.pages import DOCS

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
WIDER: Final = EXAMPLE.replace("maxUses: 3", "maxUses: 5")
PAGE: Final = (DOCS / "how-to" / "diff-policies.md").read_text(encoding="utf-8")
# Without those that ask a cluster, which tests/cluster/cli/test_pages_asked.py types.
BLOCKS: Final = re.findall(r"(?<!cluster -->\n)^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

Diff = Callable[..., Ran]


@pytest.fixture
def diff(tmp_path: Path) -> Diff:
    """Compares two states of one policy."""

    def run(base: object, head: object, *arguments: str) -> Ran:
        for name, content in (("base.yaml", base), ("head.yaml", head)):
            text = content if isinstance(content, str) else yaml.safe_dump(content)
            (tmp_path / name).write_text(text, encoding="utf-8")
        words = ("diff", str(tmp_path / "base.yaml"), str(tmp_path / "head.yaml"), *arguments)
        return commandline.run(*words, env={"KUBECONFIG": "/nowhere"})

    return run


def of(*rules: object) -> Object:
    """Return a policy of these rules."""
    return policy("crm", rules=list(rules), endpointSettings=settings())


READ: Final = rule()
NARROW: Final = rule(resources=[{"type": "customer", "ids": ["a/*"]}])
ASKED: Final = {"steps": [{"name": "owner", "kind": "Human"}]}
MIXED: Final = {**ASKED, "pendingSeconds": 60, "limits": {"requestsPerHour": 50}}


@pytest.mark.parametrize(
    ("base", "head", "said", "codes"),
    [
        (of(READ), of(READ), "same", (0, 0, 0)),
        (of(NARROW), of(READ), "wider", (1, 1, 1)),
        (of(READ), of(NARROW), "narrower", (0, 0, 1)),
        (of(gated_rule(approval=ASKED)), of(gated_rule(approval=MIXED)), "changed", (0, 1, 1)),
        (
            of(rule(conditions=[{"name": "c", "expression": "size(context.a) > 1"}])),
            of(rule(conditions=[{"name": "c", "expression": "size(context.a) > 2"}])),
            "may widen",
            (1, 1, 1),
        ),
    ],
    ids=["same", "wider", "narrower", "changed", "may widen"],
)
def test_class_and_exit_code_go_together(
    diff: Diff, base: object, head: object, said: str, codes: tuple[int, int, int]
) -> None:
    for fail_on, code in zip(("wider", "changed", "any"), codes, strict=True):
        ran = diff(base, head, "--fail-on", fail_on, "-o", "json")
        assert (ran.code, json.loads(ran.out)["class"]) == (code, said), ran


def test_a_difference_names_region_rule_file_and_line(diff: Diff) -> None:
    ran = diff(EXAMPLE, WIDER)
    told, last = ran.out.splitlines()
    wanted = (
        "WIDER  Approval → Approval (weaker maxUses)  crm/crm-api · sa:agents/crm-agent · customers.notify"
        " · customer/*  because rule crm-agent/notify (changed) at "
    )
    assert told.startswith(wanted), ran
    assert told.endswith("/head.yaml:33:11")
    assert (last, ran.code, ran.err) == ("wider: 1 wider", 1, "")


def test_a_rule_that_is_gone_stands_where_it_stood(diff: Diff) -> None:
    deny = rule("never", effect="Deny", actions=["customers.*"])
    ran = diff(of(deny, READ), of(READ), "-o", "json")
    (found,) = json.loads(ran.out)["changes"]
    assert (found["verdict"], found["rule"]["is"]) == ("Deny → Allow", "removed")
    assert found["place"]["file"].endswith("/base.yaml")


def test_names_that_are_not_meant_are_excepted(diff: Diff) -> None:
    ran = diff(of(READ), of(rule(actions=["customers.*"])), "-o", "json")
    (found,) = json.loads(ran.out)["changes"]
    assert found["region"]["action"] == "customers.* except customers.list"


def test_sarif_and_markdown_say_the_same(diff: Diff) -> None:
    log = json.loads(diff(EXAMPLE, WIDER, "-o", "sarif").out)
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (log["version"], result["ruleId"], result["level"]) == ("2.1.0", "wider", "error")
    assert place["region"] == {"startLine": 33, "startColumn": 11}
    assert "| wider | Approval → Approval (weaker maxUses) |" in diff(EXAMPLE, WIDER, "-o", "markdown").out


@pytest.mark.parametrize("name", ["extra.json", ".extra.yaml", "drafts/.extra.yml", ".drafts/extra.yaml"])
def test_a_file_of_a_folder_that_kubectl_alone_would_apply_is_refused(tmp_path: Path, name: str) -> None:
    for side in ("base", "head"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "crm.yaml").write_text(yaml.safe_dump(of(READ)), encoding="utf-8")
        # Nothing of ours, and what a mounted ConfigMap is made of.
        (tmp_path / side / "package.json").write_text("{}", encoding="utf-8")
        (tmp_path / side / "..data").mkdir()
        (tmp_path / side / "..data" / "crm.yaml").write_text(yaml.safe_dump(of(READ)), encoding="utf-8")
    folders = [str(tmp_path / side) for side in ("base", "head")]
    ran = commandline.run("diff", *folders, env={"KUBECONFIG": "/nowhere"})
    assert (ran.code, ran.err) == (0, ""), ran
    extra = tmp_path / "head" / name
    extra.parent.mkdir(exist_ok=True)
    extra.write_text(json.dumps(of(rule("all", actions=["*"]))), encoding="utf-8")
    ran = commandline.run("diff", *folders, env={"KUBECONFIG": "/nowhere"})
    assert (ran.code, ran.out) == (2, ""), ran
    assert ran.err.startswith(f"error: {extra} may hold objects of bailiwick.dev"), ran
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path / "head", check=True)
    (extra).unlink()
    ran = commandline.run("diff", folders[1], "--base", "HEAD", env={"KUBECONFIG": "/nowhere"})
    assert (ran.code, ran.out) == (2, ""), ran
    assert "may hold objects of bailiwick.dev" in ran.err


@pytest.mark.parametrize("broken_at", ["base", "head"])
def test_a_policy_that_cannot_be_read_is_never_the_same(diff: Diff, broken_at: str) -> None:
    bad = of(rule(conditions=[{"name": "bad", "expression": "context.count <"}]))
    ran = diff(*((bad, of(READ)) if broken_at == "base" else (of(READ), bad)))
    assert (ran.code, ran.out) == (2, "")
    assert re.search(rf"{broken_at}\.yaml:\d+:\d+: spec\.rules\[0\]\.conditions\[0\]\.expression: ", ran.err), ran
    assert ran.err.endswith(f"error: the policies of the {broken_at} cannot be compared: fix the problems above\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("one.yaml",), "name two states, BASE and HEAD"),
        (("one.yaml", "two.yaml", "three.yaml"), "name two states, BASE and HEAD"),
        (("nowhere.yaml", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("-", "-"), "standard input can be read only once"),
        (("-", "--base", "HEAD"), "standard input has no revision"),
        (("p", "--base", "HEAD", "--against", "c"), "set one"),
        (("a", "b", "--context", "prod"), "without --live, diff does not use a cluster: remove --context"),
    ],
)
def test_what_cannot_be_compared_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    ran = commandline.run("diff", *arguments)
    assert (ran.code, said in ran.err, ran.out, ran.err.count("\n")) == (2, True, "", 1), ran


def test_a_head_without_policies_is_no_narrower_one(tmp_path: Path, diff: Diff) -> None:
    (tmp_path / "none").mkdir()
    diff(of(READ), of(READ))
    ran = commandline.run("diff", str(tmp_path / "base.yaml"), str(tmp_path / "none"))
    assert (ran.code, "the head has no EndpointPolicy" in ran.err) == (2, True), ran


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> OfflineShell:
    """A repository in which the shipped policy was committed, and then let further."""
    root = tmp_path_factory.mktemp("repository")
    for folder in ("policies", "policies-before"):
        (root / folder).mkdir()
        (root / folder / "crm.yaml").write_text(EXAMPLE, encoding="utf-8")
    (root / "ceiling.yaml").write_text(EXAMPLE, encoding="utf-8")
    shell = OfflineShell(root)
    shell.commit()
    (root / "policies" / "crm.yaml").write_text(WIDER, encoding="utf-8")
    return shell


@pytest.mark.long
@pytest.mark.parametrize("text", BLOCKS, ids=[block.split("\n")[0][-40:] for block in BLOCKS])
def test_every_command_of_the_page_finds_what_widens(repository: OfflineShell, text: str) -> None:
    ran = repository.type(text, to_the_end=True)
    assert (ran.code, ran.err) == (1, ""), ran
    if "-o" not in text:
        assert ran.out.splitlines()[-1] == "wider: 1 wider"


def test_the_page_shows_what_is_printed(repository: OfflineShell) -> None:
    shown = PAGE.partition("Without a terminal, the same lines have no colour:\n\n```\n")[2].partition("```\n")[0]
    assert repository.type(BLOCKS[0]).out == shown


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD:policies"])
def test_what_is_no_revision_is_told(repository: OfflineShell, revision: str) -> None:
    ran = repository.type(f"kubectl bailiwick diff policies --base={revision}")
    assert (ran.code, ran.err.startswith(f"error: git cannot read '{revision}'"), ran.out) == (2, True, ""), ran


def test_a_rule_of_a_revision_stands_at_its_line_there(repository: OfflineShell) -> None:
    ran = repository.type("kubectl bailiwick diff policies/crm.yaml --base HEAD -o json")
    (found,) = json.loads(ran.out)["changes"]
    assert found["place"] == {"file": "policies/crm.yaml", "line": 33, "column": 11}


def test_a_file_that_is_the_same_on_both_sides_still_counts(tmp_path: Path) -> None:
    gate = policy("crm", "gate", rules=[gated_rule(actions=["customers.*"])], endpointSettings=settings())
    for side, rules in (("base", [READ]), ("head", [rule(actions=["customers.*"])])):
        folder = tmp_path / side
        folder.mkdir()
        (folder / "gate.yaml").write_text(yaml.safe_dump(gate), encoding="utf-8")
        (folder / "agent.yaml").write_text(yaml.safe_dump(policy("crm", rules=rules)), encoding="utf-8")
    ran = commandline.run("diff", str(tmp_path / "base"), str(tmp_path / "head"))
    # Before all of it stands the gate, which is in the file that is the same.
    assert (ran.code, ran.out) == (0, "same: no call is decided in another way\n"), ran


def committed(folder: Path, *more: str) -> str:
    """Commit what stands in a folder, which becomes a repository; return the commit."""
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    for words in (("init", "-q"), ("add", "-A"), more, ("commit", "-q", "-m", "state")):
        if words:
            subprocess.run([*git, *words], cwd=folder, check=True, capture_output=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return head.stdout.strip()


@pytest.mark.parametrize("kind", ["link", "submodule"])
def test_a_folder_that_a_revision_only_refers_to_is_not_passed_over(tmp_path: Path, kind: str) -> None:
    shared, policies = tmp_path / "shared", tmp_path / "policies"
    shared.mkdir()
    policies.mkdir()
    (policies / "crm.yaml").write_text(EXAMPLE, encoding="utf-8")
    (shared / "more.yaml").write_text(yaml.safe_dump(policy("crm", "more")), encoding="utf-8")
    if kind == "link":
        (policies / "more").symlink_to("../shared")
        committed(tmp_path)
    else:
        there = committed(shared)
        committed(tmp_path, "update-index", "--add", "--cacheinfo", f"160000,{there},policies/more")
    words = ("diff", str(policies), "--base", "HEAD", "--fail-on", "any")
    ran = commandline.run(*words, env={"KUBECONFIG": "/nowhere"})
    assert ran.code == 2, ran
    assert f"HEAD:{policies / 'more'} is a {kind}, which is not" in ran.err
