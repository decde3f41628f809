"""`audit report` on files, as people have them: what verify says comes first, and its exit code is the exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.note import SignatureType, verifier_key
from support import commandline
from support.commandline import Ran
from support.console.markup import Markup
from support.evidence import march
from support.evidence.logs import private_key, rewritten

MARCH: Final = ("--from", "2026-03-01", "--to", "2026-04-01")
Damage = Callable[[dict[str, bytes]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The logs of one March, and what a witness says of them."""
    for name, content in march.files().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def given(folder: Path, *more: str) -> list[str]:
    logs = [str(path) for path in sorted(folder.glob("*.log"))]
    keys = ["--checkpoints", str(folder / "checkpoints.notes"), "--witness-key", str(folder / "witness.vkey")]
    return [*logs, *keys, *more]


def report(folder: Path, *more: str, period: tuple[str, ...] = MARCH) -> Ran:
    return commandline.run("audit", "report", *given(folder, *more), *period)


def test_the_page_begins_with_the_verdict_and_names_who_did_what_by_which_approval(folder: Path) -> None:
    ran = report(folder, "--policies", "ledger", "--cluster-name", "production-east")
    assert ran.code == 0, ran
    found = Markup(ran.out)
    assert "Audit report of production-east: intact" in found.text
    assert found.text.index("Nothing removed or changed up to 2026-04-01T02:00:00Z") < found.text.index("carol")
    for text in ("crm/agr-march-02", "customers.export on customer/42", "carol (crm-agent.export.owner)", "no_rule"):
        assert text in found.text
    assert found.tags.count("svg") == 2
    assert found.scripts == []
    assert "default-src 'none'; style-src 'unsafe-inline'" in ran.out
    assert ran.err == (
        "Intact: Nothing removed or changed up to 2026-04-01T02:00:00Z (last cosignature). What came later is not"
        " known.\n"
    )


def _edit(files: dict[str, bytes]) -> None:
    files["decisions.log"] = files["decisions.log"].replace(b'"customers.delete"', b'"customers.detail"')


def _cut(files: dict[str, bytes]) -> None:
    files["decisions.log"] = b"".join(files["decisions.log"].splitlines(keepends=True)[:-3])


def _take_out(files: dict[str, bytes]) -> None:
    lines = files["decisions.log"].splitlines(keepends=True)
    files["decisions.log"] = b"".join([*lines[:3], *lines[5:]])


def _hash_anew(files: dict[str, bytes]) -> None:
    _edit(files)
    files["decisions.log"] = b"".join(rewritten(files["decisions.log"].splitlines(keepends=True)))


def _drop(files: dict[str, bytes]) -> None:
    del files["decisions.log"]


def _trust_another(files: dict[str, bytes]) -> None:
    other = verifier_key("bailiwick/5a1e/witness", SignatureType.COSIGNATURE, private_key(9))
    files["witness.vkey"] = f"{other}\n".encode()


@pytest.mark.parametrize("damage", [_edit, _cut, _take_out, _hash_anew, _drop, _trust_another])
def test_a_page_never_looks_good_where_verify_does_not(folder: Path, damage: Damage) -> None:
    files = march.files()
    damage(files)
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    verified = commandline.run("audit", "verify", *given(folder))
    (said, *_) = verified.out.splitlines()
    assert verified.code == 1, verified
    for period in (MARCH, ("--from", "2020-01-01", "--to", "2020-02-01")):
        ran = report(folder, period=period)
        assert ran.code == 1, ran
        head = ran.out.partition("<h2>")[0]
        assert "<title>Audit report: not intact</title>" in head
        assert "<strong>Not intact</strong>" in head
        assert said in Markup(head).text
        assert "Do not rely on the figures" in head
        assert 'content:"Audit report: not intact"' in head
        assert "verdict intact" not in ran.out
        marked = report(folder, "-o", "markdown", period=period)
        assert (marked.code, marked.out.splitlines()[2].startswith("**Not intact.**")) == (1, True)
        body = json.loads(report(folder, "-o", "json", period=period).out)
        assert (body["verdict"], body["covered"], body["message"]) == ("changed", False, said)


def test_json_has_all_of_what_verify_says_and_the_figures(folder: Path) -> None:
    body = json.loads(report(folder, "-o", "json").out)
    verified = json.loads(commandline.run("audit", "verify", *given(folder, "-o", "json")).out)
    assert body["audit"] == {name: value for name, value in verified.items() if name not in {"apiVersion", "kind"}}
    assert (body["kind"], body["verdict"], body["upTo"], body["covered"]) == (
        "AuditReport",
        "intact",
        "2026-04-01T02:00:00Z",
        True,
    )
    totals = {name: body["totals"][name] for name in ("decisions", "allowedWithAnApproval", "approvalNeeded", "denied")}
    assert totals == {"decisions": 7, "allowedWithAnApproval": 2, "approvalNeeded": 1, "denied": 1}
    assert sum(slot["uses"] for slot in body["slots"]) == 2
    assert body["reviewers"] == [
        {"reviewer": name, "approved": 1, "denied": 0, "approvals": 1} for name in ("carol", "dave")
    ]


def test_a_table_has_as_many_rows_as_top_says_and_counts_the_rest(folder: Path) -> None:
    ran = report(folder, "--top", "1", "-o", "markdown")
    uses = ran.out.partition("## Who did what by which approval")[2].partition("## ")[0]
    assert "And 1 more row, with 1 decision together." in uses
    assert ("agr-march-02" in uses, "agr-march-17" in uses) == (True, False)


def test_logs_of_a_folder_are_read_as_files_are(folder: Path) -> None:
    (folder / "logs").mkdir()
    for path in folder.glob("*.log"):
        path.rename(folder / "logs" / path.name)
    keys = ["--checkpoints", str(folder / "checkpoints.notes"), "--witness-key", str(folder / "witness.vkey")]
    ran = commandline.run("audit", "report", f"file://{folder}/logs", *keys, *MARCH, "-o", "json")
    assert (ran.code, json.loads(ran.out)["totals"]["decisions"]) == (0, 7), ran


def test_an_empty_period_says_so_and_is_judged_all_the_same(folder: Path) -> None:
    ran = report(folder, period=("--from", "2026-05-01", "--to", "2026-06-01"))
    assert ran.code == 0, ran
    assert "No decision is on record in this period." in ran.out
    assert "may be missing or changed" in ran.out.partition("<h2>")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2026-04-01", "--to", "2026-03-01"], "is not before --to"),
        (["--from", "soon", "--to", "2026-03-01"], "--from: 'soon' is not a time"),
        ([*MARCH, "--cluster-name", "<b>"], "--cluster-name must be letters"),
        (["--from", "2026-03-01"], "--to"),
        ([*MARCH, "--top", "0"], "--top"),
    ],
)
def test_what_cannot_be_answered_prints_no_page_and_exits_with_2(folder: Path, arguments: list[str], said: str) -> None:
    ran = commandline.run("audit", "report", *given(folder), *arguments)
    assert (ran.code, ran.out, said in ran.err) == (2, "", True), ran


def test_where_there_is_no_log_there_is_no_page(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("a line\n")
    ran = commandline.run("audit", "report", str(tmp_path / "plain.txt"), *MARCH)
    assert (ran.code, ran.out, "no line of a chain" in ran.err) == (2, "", True), ran


def test_keys_of_one_named_cluster_verify_as_keys_without_a_name(folder: Path) -> None:
    plain = report(folder, "-o", "json")
    key = folder / "witness.vkey"
    named = commandline.run("audit", "report", *given(folder, "-o", "json")[:-3], f"east={key}", "-o", "json", *MARCH)
    assert (plain.code, named.code) == (0, 0), named
    assert json.loads(named.out)["message"] == json.loads(plain.out)["message"]
    assert {one["cluster"] for one in json.loads(named.out)["audit"]["chains"]} == {"east"}


def test_keys_of_several_clusters_are_refused_because_a_report_is_about_one(folder: Path) -> None:
    other = verifier_key("bailiwick/5a1e/witness", SignatureType.COSIGNATURE, private_key(9))
    keys = ["--witness-key", f"east={folder / 'witness.vkey'}", "--witness-key", f"west={other}"]
    ran = commandline.run("audit", "report", str(folder / "decisions.log"), *keys, *MARCH)
    assert (ran.code, ran.out) == (2, ""), ran
    assert "a report is about one cluster, and the keys are of east, west: write one for each" in ran.err
