"""`replay`: logs, candidates, what fails, and docs/how-to/replay-policies.md."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_evidence.derive.versions import engine_versions
from support import commandline
from support.commandline import Ran
from support.decisions import crm_calls, decided, ledger_of, written
from support.evidence.logs import ProcessLog
from support.objects import Object
from support.offlineshell import OfflineShell
from support.pages import DOCS

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
STANDS: Final[Object] = yaml.safe_load(EXAMPLE)
ROBOT: Final[Object] = {"name": "robot", "kind": "System"}
CHANGED: Final = EXAMPLE.replace("customers.list, customers.get", "customers.list").replace(
    "[customers.notify]", "[customers.notify, customers.archive]"
)
ACTIONS: Final = ["customers.list", "customers.get", "customers.export", "customers.archive"]
PAGE: Final = (DOCS / "how-to" / "replay-policies.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN: Final = re.search(r"^```\n(100 .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(shell: OfflineShell) -> Path:
    return shell.folder


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> OfflineShell:
    """A repository of policies that are being changed, with what the decision points and the operator wrote."""
    root = tmp_path_factory.mktemp("replay")
    for name in ("policies", "policies-before"):
        (root / name).mkdir()
        (root / name / "crm.yaml").write_text(EXAMPLE, encoding="utf-8")
    shell = OfflineShell(root)
    shell.commit()
    (root / "policies" / "crm.yaml").write_text(CHANGED, encoding="utf-8")
    written(root / "decisions.log", decided([STANDS], crm_calls(ACTIONS * 10)))
    written(root / "ledger.log", ledger_of([STANDS]))
    (root / "other.yaml").write_text(EXAMPLE.replace("crm-api", "other-api"), encoding="utf-8")
    (root / "bad.yaml").write_text(EXAMPLE.replace("[agent]", "[nobody]"), encoding="utf-8")
    (root / "empty.log").write_bytes(b"")
    (root / "foreign.log").write_bytes(b'{"kind":"evaluation","decision":true}\nsome line\n')
    return shell


def replay(folder: Path, *words: str, given: str = "") -> Ran:
    """Replay in a folder."""
    at = {"log": "decisions.log", "ledger": "ledger.log", "new": "policies", "old": "policies-before"}
    named = [str(folder / at.get(word, word)) if word in at or "." in word else word for word in words]
    return commandline.run("replay", *named, given=given)


@pytest.mark.long
@pytest.mark.parametrize("text", [line for block in BLOCKS for line in block.splitlines()])
def test_every_command_of_the_page_tells_what_would_have_changed(shell: OfflineShell, text: str) -> None:
    ran = shell.type(text)
    assert ran.code == 1, ran
    if "-o" not in text:
        assert ran.out.splitlines()[-1] == (
            "fails: 10 allow→deny" if "allow->deny" in text else "fails: 10 deny→approval"
        ), ran


def test_the_page_shows_what_is_printed(shell: OfflineShell) -> None:
    assert SHOWN is not None
    assert len(BLOCKS) == 6
    assert shell.type(BLOCKS[0]).out.startswith(SHOWN[1])


def test_a_line_that_takes_the_number_of_a_recorded_call_is_no_evidence(folder: Path) -> None:
    lines = (folder / "decisions.log").read_bytes().splitlines(keepends=True)
    archived = [line[: line.index(b"},") + 2] for line in lines if b'"customers.archive"' in line]
    (folder / "taken.log").write_bytes(b"".join(b'%b"kind":"history","event":"x"}\n' % link for link in archived))
    named = ("log", "ledger", "--candidate", "new", "--fail-on", "wider")
    ran = replay(folder, "taken.log", *named, "-o", "json")
    body = json.loads(ran.out)
    # Whichever line is true, the calls of the others are not all that may have been made.
    assert body["totals"] == {"allow→deny": 10, "unchanged": 20, "not_replayable:unreadable": 10}
    assert (body["coverage"]["decisions"], body["coverage"]["replayed"]) == (40, 30)
    ran = replay(folder, "taken.log", *named, "--fail-on", "not-replayable")
    assert (ran.code, ran.out.splitlines()[-1]) == (1, "fails: 10 of 40 not replayable"), ran
    assert ran.out.startswith("75.0 % of 40 decisions of 2 d replayed")


def test_json_says_how_much_counts_and_gives_samples_with_both_sides(folder: Path) -> None:
    ran = replay(folder, "log", "ledger", "--candidate", "new", "-o", "json")
    found = json.loads(ran.out)
    assert found["coverage"] == {
        "decisions": 40,
        "replayed": 40,
        "sealed": 0,
        "from": "2026-03-05T09:00:00Z",
        "to": "2026-03-07T00:00:00Z",
        "ofOtherEndpoints": 0,
        "ofOtherVersions": 0,
        "linesInNoChain": 0,
    }
    assert found["totals"] == {"allow→deny": 10, "deny→approval": 10, "unchanged": 20}
    (group,) = (one for one in found["groups"] if one["class"] == "allow→deny")
    assert (group["subject"], group["action"], group["count"], len(group["samples"])) == (
        "sa:agents/crm-agent",
        "customers.get",
        10,
        3,
    )
    assert group["samples"][0]["old"] == {
        "verdict": "allow",
        "reason": "allowed",
        "rule": {"policy": "crm-agent", "rule": "read"},
        "steps": [],
    }
    (new,) = group["samples"][0]["new"]
    assert (new["rule"], new["near"]) == (
        None,
        {"policy": "crm-agent", "rule": "read", "dimension": "action", "wanted": ["customers.list"]},
    )
    assert found["failures"] == ["10 deny→approval"]
    assert found["time"]["slowdown"] > 0


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [
        (("any",), 1),
        (("deny->allow",), 0),
        (("deny->allow", "allow→deny"), 1),
        (("slower:1000x",), 0),
        (("slower:0.0001x",), 1),
        (("slower:2",), 2),
        (("not-replayable",), 0),
        (("not-replayable:100%",), 2),
        (("not-replayable:5",), 2),
    ],
)
def test_the_exit_code_is_of_what_fails(folder: Path, fail_on: Iterable[str], code: int) -> None:
    words = [word for one in fail_on for word in ("--fail-on", one)]
    ran = commandline.run(
        "replay", *(str(folder / name) for name in ("decisions.log", "ledger.log")), "--candidate",
        str(folder / "policies"), *words,
    )  # fmt: skip
    assert ran.code == code, ran
    assert (code == 2) == ("is no class: write one of" in ran.err)


@pytest.mark.parametrize(
    ("approval", "kind", "said"),
    [
        ({"steps": [ROBOT], "reason": None}, "approval→weaker", "other steps, weaker reason"),
        ({"binding": "Scope"}, "approval→weaker", "weaker binding"),
        ({"windowSeconds": 60}, "approval→approval", "stronger windowSeconds"),
    ],
    ids=["reviewers removed", "a scope", "a shorter window"],
)
def test_another_approval_is_a_change(folder: Path, approval: Object, kind: str, said: str) -> None:
    changed = yaml.safe_load(EXAMPLE)
    (export,) = (one for one in changed["spec"]["rules"] if one["name"] == "export")
    export["approval"] = {name: one for name, one in (export["approval"] | approval).items() if one is not None}
    (folder / "approval.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    named = ("log", "ledger", "--candidate", "approval.yaml")
    ran = replay(folder, *named)
    assert ran.code == (kind == "approval→weaker"), ran
    assert f"30 unchanged, 10 {kind}.\n" in ran.out
    assert f"→ approval (approval_required by crm-agent/export; {said})\n" in ran.out
    ran = replay(folder, *named, "--fail-on", "any", "-o", "json")
    body = json.loads(ran.out)
    assert (ran.code, body["totals"], body["failures"]) == (1, {"unchanged": 30, kind: 10}, [f"10 {kind}"])
    (group,) = (one for one in body["groups"] if one["class"] == kind)
    sample = group["samples"][0]
    assert ("differs" in sample["old"], sample["new"][0]["differs"]) == (False, said.split(", "))
    assert replay(folder, *named, "--fail-on", kind.replace("→", "->")).code == 1
    assert replay(folder, *named, "--fail-on", "approval->deny").code == 0


def test_the_same_policies_pass_and_say_so(folder: Path) -> None:
    ran = replay(folder, "log", "ledger", "--candidate", "old", "--fail-on", "any")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "passes"), ran
    assert "40 unchanged." in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("empty.log", "--candidate", "new"), "no record of a decision"),
        (("ledger", "--candidate", "new"), "no record of a decision"),
        (("log", "--candidate", "other.yaml"), "no decision of an endpoint that the candidate names, 40 of others"),
        (("log", "--candidate", "other.yaml", "ledger"), "no decision of an endpoint that the candidate names"),
        (("foreign.log", "--candidate", "new"), "no decision could be replayed: 1 not_replayable:unreadable"),
        (("log", "--candidate", "new"), "no decision could be replayed: 40 not_replayable:policy_missing"),
        (("nowhere.log", "--candidate", "new"), "nowhere.log cannot be read"),
        (("log", "--candidate", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("log", "ledger", "--candidate", "empty.log"), "the candidate has no EndpointPolicy"),
        (("-", "--candidate", "-"), "standard input can be read only once"),
        (("log", "--candidate", "-", "--base", "HEAD"), "standard input has no revision"),
        (("log", "--candidate", "new", "--context", "prod"), "replay does not use a cluster: remove --context"),
        (("log", "--candidate", "new", "--since", "soon"), "'soon' is not a time"),
    ],
)
def test_what_tells_nothing_never_passes(folder: Path, words: tuple[str, ...], said: str) -> None:
    ran = replay(folder, *words)
    assert (ran.code, ran.out, said in ran.err.splitlines()[-1]) == (2, "", True), ran


def test_a_candidate_that_cannot_be_read_is_told_with_its_place(folder: Path) -> None:
    ran = replay(folder, "log", "ledger", "--candidate", "bad.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert re.search(r"bad\.yaml:\d+:\d+: spec\.rules\[0\]\.subjects\[0\]", ran.err), ran


def test_lines_that_cannot_be_read_count_as_decisions(folder: Path, tmp_path: Path) -> None:
    log = decided([STANDS], crm_calls(ACTIONS))
    log.add(kind="of-tomorrow", decision=True)
    log.add(kind="search", endpoint="crm/crm-api", action="customers.list")
    text = b"".join(log.lines[:-1]) + log.lines[-1]
    (tmp_path / "d.log").write_bytes(text + b'{"kind":"evaluation"}\n' + log.lines[1][:80])
    ran = commandline.run(
        "replay", str(tmp_path / "d.log"), str(folder / "ledger.log"), "--candidate", str(folder / "policies-before"),
        "-o", "json",
    )  # fmt: skip
    found = json.loads(ran.out)
    assert found["totals"] == {"not_replayable:search": 1, "not_replayable:unreadable": 3, "unchanged": 4}, ran
    assert "note: unreadable: " in ran.err


@pytest.mark.parametrize("now", [1e12, 1e300, -1e300, -1])
@pytest.mark.parametrize("form", ["table", "json", "markdown", "junit"])
def test_a_record_of_no_moment_cannot_be_read(folder: Path, tmp_path: Path, now: float, form: str) -> None:
    log, opening = decided([STANDS], crm_calls(ACTIONS)), dict[str, Any](engine_versions())
    strange = ProcessLog(99, **opening)
    for line in log.lines[1:]:
        copied = {**json.loads(line), "now": now}
        strange.add(**{name: value for name, value in copied.items() if name not in {"log", "time"}})
    strange.add(kind="search", endpoint="crm/crm-api", action="customers.list", now=now)
    # Equal records come before it and after it.
    written(tmp_path / "d.log", log, strange, decided([STANDS], crm_calls(ACTIONS), log=ProcessLog(3, **opening)))
    for since in ((), ("--since", "2026-03-01")):
        ran = commandline.run(
            "replay", str(tmp_path / "d.log"), str(folder / "ledger.log"), "--candidate", str(folder / "policies"),
            "-o", form, *since,
        )  # fmt: skip
        assert ran.code == 1, ran
        if form == "json":
            found = json.loads(ran.out)
            assert found["totals"] == {
                "allow→deny": 2,
                "deny→approval": 2,
                "unchanged": 4,
                "not_replayable:search": 1,
                "not_replayable:unreadable": 4,
            }
            assert (found["coverage"]["from"], found["coverage"]["to"]) == (
                "2026-03-05T09:00:00Z", "2026-03-05T12:00:00Z",
            )  # fmt: skip
        assert form != "table" or " decisions of 3 h replayed; " in ran.out


def test_a_decision_point_in_development_and_another_version_are_told(folder: Path, tmp_path: Path) -> None:
    opening: dict[str, Any] = {**engine_versions(), "settings": {"development": True}}
    written(tmp_path / "dev.log", decided([STANDS], crm_calls(ACTIONS), log=ProcessLog(2, **opening)))
    written(tmp_path / "old.log", decided([STANDS], crm_calls(ACTIONS), log=ProcessLog(3, engine="0")))
    words = (
        "--policies",
        str(folder / "policies-before"),
        "--candidate",
        str(folder / "policies-before"),
        "-o",
        "json",
    )
    ran = commandline.run("replay", str(tmp_path / "dev.log"), str(tmp_path / "old.log"), *words)
    found = json.loads(ran.out)
    assert found["totals"] == {"not_replayable:state": 4, "unchanged": 4}, ran
    assert found["coverage"]["ofOtherVersions"] == 4


@pytest.mark.parametrize("opening", [{**engine_versions(), "settings": {"development": True}}, dict(engine_versions())])
def test_the_line_that_opens_a_chain_counts_wherever_it_stands(
    folder: Path, tmp_path: Path, opening: dict[str, Any]
) -> None:
    lines = decided([STANDS], crm_calls(ACTIONS), log=ProcessLog(2, **opening)).lines
    (tmp_path / "first.log").write_bytes(lines[0])
    (tmp_path / "rest.log").write_bytes(b"".join(lines[1:]))
    policies = str(folder / "policies-before")
    words = ("--policies", policies, "--candidate", policies, "-o", "json")
    said = []
    for order in (("first", "rest"), ("rest", "first")):
        found = json.loads(
            commandline.run("replay", *(str(tmp_path / f"{name}.log") for name in order), *words).out or "{}"
        )
        said.append((found.get("coverage"), found.get("totals")))
    assert said[0] == said[1]


def test_a_log_comes_from_standard_input_and_only_since_then(folder: Path) -> None:
    given = (folder / "decisions.log").read_text() + (folder / "ledger.log").read_text()
    words = ("--candidate", "new", "--since", "2026-03-06", "-o", "json")
    found = json.loads(replay(folder, "-", *words, given=given).out)
    assert found["coverage"]["decisions"] == 25
    assert found["coverage"]["from"] == "2026-03-06T00:00:00Z"


def test_a_log_that_is_given_twice_counts_once(folder: Path) -> None:
    found = json.loads(replay(folder, "log", "log", "ledger", "--candidate", "new", "-o", "json").out)
    assert found["coverage"]["decisions"] == 40


def test_markdown_says_the_same(folder: Path) -> None:
    said = replay(folder, "log", "ledger", "--candidate", "new", "-o", "markdown").out
    assert said.startswith("**100 % of 40 decisions of 2 d replayed; 0 % sealed**\n")
    assert "| deny→approval | 10 | sa:agents/crm-agent | customers.archive | eval-3 " in said
    assert "| 2026-03-06 | crm-agent.notify.owner | 6 |" in said
    assert said.endswith("**fails: 10 deny→approval**\n")


def test_a_history_that_is_new_counts_the_calls_of_the_log(folder: Path) -> None:
    """Four lists pass. What was made after them is denied, and what asks for the count without being counted too."""
    counting = yaml.safe_load(EXAMPLE)
    history = {"name": "lists", "key": ["agent"], "window": "31d", "counts": {"actions": ["customers.list"]}}
    counting["spec"]["endpointSettings"]["history"] = [history]
    reading = next(one for one in counting["spec"]["rules"] if "customers.list" in one["actions"])
    reading["conditions"] = [{"name": "few", "expression": "history.lists.count <= 4"}]
    (folder / "counting.yaml").write_text(yaml.safe_dump(counting), encoding="utf-8")
    for files in (("log", "ledger"), ("ledger", "log")):
        ran = replay(folder, *files, "--candidate", "counting.yaml", "-o", "json")
        assert ran.code == 0, ran
        assert json.loads(ran.out)["totals"] == {"allow→deny": 12, "unchanged": 28}
