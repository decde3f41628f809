"""A decision point forges an allow in its own cosigned log: no member of the record keeps that from being found."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_evidence.derive.versions import engine_versions
from support import commandline
from support.decisions import crm_calls, decided, ledger_of
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.evidence.march import POLICY
from support.objects import Object

STANDS: Final[Object] = yaml.safe_load(POLICY.read_text(encoding="utf-8"))
OPENING: Final[dict[str, Any]] = dict(engine_versions())
UNREADABLE: Final[dict[str, tuple[str, Callable[[Object], object]]]] = {
    "nothing else": ("contradicted", lambda _: None),
    "an attribute that no rule can read": ("record_unreadable", lambda record: record.update(attributes={"x": 1})),
    "an attribute below a number": (
        "record_unreadable",
        lambda record: record.update(attributes={"context.a": 1, "context.a.b": 2}),
    ),
    "a digest that the list of policies lacks": (
        "record_unreadable",
        lambda record: record["policy"].update(digest=f"sha256:{0:064}"),
    ),
    "no caller": ("record_unreadable", lambda record: record.pop("caller")),
    "a number as a hop": ("record_unreadable", lambda record: record.update(hop=1)),
    "attributes of data that is missing": (
        "record_unreadable",
        lambda record: record.update(data={"d": None}, attributes={"data.d.x": 1}),
    ),
    "a reason that no version has": ("reason_unknown", lambda record: record.update(reason="permitted")),
    "no time of the decision": ("attribute_missing", lambda record: record.pop("now")),
}


def forged(folder: Path, change: Callable[[Object], object], **opening: object) -> list[str]:
    """Write the log of a process that let a call through against its policies; return how to verify it."""
    records = decided([STANDS], crm_calls(["customers.export", "customers.list"])).lines
    denied, allowed = (json.loads(line) for line in records if b'"evaluation"' in line)
    record = copy.deepcopy(denied)
    record |= {name: allowed[name] for name in ("decision", "reason", "disposition_id", "action_id", "policy")}
    for name in ("log", "time", "grant"):
        record.pop(name, None)
    change(record)
    log = ProcessLog(3, **(OPENING | opening))
    log.add(**record)
    ledger = ledger_of([STANDS])
    ledger.add(kind="checkpoint", note=log.close().checkpoint())
    (folder / "decisions.log").write_bytes(b"".join(log.lines))
    (folder / "ledger.log").write_bytes(b"".join(ledger.lines))
    (folder / "kept.notes").write_text(f"{log.checkpoint()}\n{ledger.checkpoint()}")
    (folder / "witness.vkey").write_text(f"{WITNESS_KEY}\n")
    files = [str(folder / name) for name in ("decisions.log", "ledger.log", "kept.notes", "witness.vkey")]
    trusted = ["--checkpoints", files[2], "--witness-key", files[3]]
    return ["audit", "verify", *files[:2], *trusted, "--policies", "ledger"]


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_forged_verdict_is_found_whatever_else_the_record_says(tmp_path: Path, name: str) -> None:
    wrong, change = UNREADABLE[name]
    code, counted = ("unreadable", f"unreadable:{wrong}") if wrong != "contradicted" else (wrong, wrong)
    ran = commandline.run(*forged(tmp_path, change), "-o", "json")
    assert ran.code == 1, ran
    found = json.loads(ran.out)
    assert found["message"] == "This log is not what it was: 1 finding."
    assert found["records"][counted] == found["records"]["total"] == 1
    (line,) = found["records"]["contradictedLines"]
    assert (line["code"], line["line"].rpartition(" ")[2]) == (code, "1")


@pytest.mark.parametrize("name", ["nothing else", "a reason that no version has", "no caller"])
def test_what_another_version_wrote_is_not_known_to_be_forged(tmp_path: Path, name: str) -> None:
    ran = commandline.run(*forged(tmp_path, UNREADABLE[name][1], engine="99"))
    assert (ran.code, "1 decisions: 1 unproven:" in ran.out) == (0, True), ran


def without_texts(record: Object) -> None:
    """Name policies that no ledger has."""
    digest = f"sha256:{7:064}"
    record["policies"] = dict.fromkeys(record["policies"], digest)
    record["policy"]["digest"] = digest


EVASIONS: Final[dict[str, tuple[str, Callable[[Object], object], dict[str, Any]]]] = {
    "policies that no ledger has": ("policy_text_missing", without_texts, {}),
    "another version": ("engine_version_unknown", lambda _: None, {"engine": "99"}),
    "development": ("development", lambda _: None, {"settings": {"development": True}}),
    "a list of policies that is not there": (
        "policy_list_missing",
        lambda record: record.update(policies_digest=f"sha256:{1:064}"),
        {},
    ),
}


@pytest.mark.parametrize("name", EVASIONS)
def test_a_forged_allow_that_cannot_be_derived_is_listed_and_fails_who_asks(tmp_path: Path, name: str) -> None:
    why, change, opening = EVASIONS[name]
    command = forged(tmp_path, change, **opening)
    ran = commandline.run(*command, "-o", "json")
    strict = commandline.run(*command, "-o", "json", "--fail-on", "unproven")
    assert (ran.code, strict.code) == (0, 1), (ran, strict)
    for one in (ran, strict):
        records = json.loads(one.out)["records"]
        assert (records["total"], records[f"unproven:{why}"], records["contradictedLines"]) == (1, 1, [])
        (line,) = records["unprovenLines"]
        assert (line["code"], line["line"].rpartition(" ")[2]) == (f"unproven:{why}", "1")
        assert line["message"].startswith("the record of eval-0 says allowed by ")
    assert json.loads(strict.out)["message"].startswith("Nothing shows that policies allow")
    assert "--fail-on unproven exits with 1" in ran.err
    assert f": unproven:{why}: the record of eval-0 says allowed" in commandline.run(*command).out


@pytest.mark.parametrize("name", EVASIONS)
def test_a_denial_that_cannot_be_derived_fails_nobody(tmp_path: Path, name: str) -> None:
    why, change, opening = EVASIONS[name]

    def denied(record: Object) -> None:
        change(record)
        record.update(decision=False, reason="no_rule")

    ran = commandline.run(*forged(tmp_path, denied, **opening), "--fail-on", "unproven")
    assert (ran.code, f"1 decisions: 1 underivable:{why}" in ran.out) == (0, True), ran


@pytest.mark.parametrize("decision", ["yes", 1, None, {}])
def test_what_is_no_plain_denial_counts_as_an_allow(tmp_path: Path, decision: object) -> None:
    def said(record: Object) -> None:
        record["decision"] = decision

    ran = commandline.run(*forged(tmp_path, said, engine="99"), "--fail-on", "unproven")
    assert (ran.code, "1 decisions: 1 unproven:record_unreadable" in ran.out) == (1, True), ran


def test_an_honest_log_passes_where_all_is_derived(tmp_path: Path) -> None:
    command = forged(tmp_path, lambda _: None)
    honest = decided([STANDS], crm_calls(["customers.list"] * 3))
    (tmp_path / "decisions.log").write_bytes(b"".join(honest.close().lines))
    ledger = ledger_of([STANDS])
    ledger.add(kind="checkpoint", note=honest.checkpoint())
    (tmp_path / "ledger.log").write_bytes(b"".join(ledger.lines))
    (tmp_path / "kept.notes").write_text(f"{honest.checkpoint()}\n{ledger.checkpoint()}")
    ran = commandline.run(*command, "--fail-on", "unproven")
    assert (ran.code, "3 decisions: 3 derived" in ran.out) == (0, True), ran


def test_of_many_unproven_allows_the_first_are_listed_by_shards_too(tmp_path: Path) -> None:
    log = ProcessLog(5, **OPENING).records(30)
    others = [ProcessLog(number, **(OPENING | {"engine": "99"})).records(30) for number in (6, 7)]
    names = []
    for number, one in enumerate((log, *others)):
        names.append(str(tmp_path / f"{number}.log"))
        Path(names[-1]).write_bytes(b"".join(one.lines))
    ledger = ledger_of([STANDS])
    names.append(str(tmp_path / "ledger.log"))
    Path(names[-1]).write_bytes(b"".join(ledger.lines))
    command = ["audit", "verify", *names, "--policies", "ledger", "--fail-on", "unproven"]
    alone = commandline.run(*command)
    assert alone.out.count(": unproven:record_unreadable: the record of ") == 20
    assert "and 40 more unproven: 20 of each reason are listed" in alone.out
    shards = []
    for shard in range(3):
        ran = commandline.run(*command, "--shards", "3", "--shard", str(shard))
        assert ran.code == 0, ran
        shards.append(str(tmp_path / f"{shard}.json"))
        Path(shards[-1]).write_text(ran.out)
    merged = commandline.run("audit", "merge", *shards)
    assert (merged.code, merged.out) == (alone.code, alone.out)
