"""Records that are too long for an entry of a log: a caller who names a long resource hides no call by that."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from msgspec.structs import replace

from bailiwick_engine.call import Resource
from bailiwick_evidence.derive.versions import engine_versions
from support import commandline
from support.commandline import Ran
from support.decisions import CRM_CALL, decided, ledger_of, written
from support.evidence.logs import BEGAN, WITNESS_KEY, ProcessLog
from support.objects import Object
from support.pages import DOCS

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
STANDS: Final[Object] = yaml.safe_load(EXAMPLE)
CHANGED: Final = EXAMPLE.replace("customers.list, customers.get", "customers.get")
LONG: Final = "4" * 70_000
CALLS: Final = [replace(CRM_CALL, resource=Resource("customer", name)) for name in ("42", LONG, "43")]


def stored(folder: Path, log: ProcessLog) -> Path:
    """Write a log that a witness saw, the ledger, and what each command takes beside."""
    ledger = ledger_of([STANDS])
    ledger.add(kind="checkpoint", note=log.checkpoint())
    written(folder / "decisions.log", log)
    written(folder / "ledger.log", ledger)
    (folder / "notes").write_text(f"{log.checkpoint()}\n{ledger.checkpoint()}", encoding="utf-8")
    (folder / "witness.vkey").write_text(f"{WITNESS_KEY}\n", encoding="utf-8")
    (folder / "policy.yaml").write_text(EXAMPLE, encoding="utf-8")
    (folder / "changed.yaml").write_text(CHANGED, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three calls that were let through; the record of the second one is long."""
    log = decided([STANDS], CALLS, began=BEGAN, every=1.0).close()
    assert [*log.long] == [2]
    return stored(tmp_path, log)


def run(folder: Path, *words: str, witness: bool = True) -> Ran:
    logs = [str(folder / name) for name in ("decisions.log", "ledger.log")]
    seen = ["--witness-key", str(folder / "witness.vkey"), "--checkpoints", str(folder / "notes")] if witness else []
    return commandline.run(*words, *logs, *seen)


def lose_long_lines(folder: Path) -> None:
    lines = (folder / "decisions.log").read_bytes().splitlines(keepends=True)
    (folder / "decisions.log").write_bytes(b"".join(line for line in lines if len(line) < len(LONG)))


def test_verify_derives_it(folder: Path) -> None:
    ran = run(folder, "audit", "verify", "--policies", "ledger")
    assert (ran.code, "3 decisions: 3 derived" in ran.out, "in no chain: 0." in ran.out) == (0, True, True), ran


def test_verify_finds_it_where_only_its_hash_is_left(folder: Path) -> None:
    lose_long_lines(folder)
    ran = run(folder, "audit", "verify")
    assert (ran.code, "altered at 2" in ran.out) == (1, True), ran


def forged(*, long: bool) -> ProcessLog:
    """Return the log of a decision point that lets a call through against its policies, and says so."""
    call = replace(CALLS[1 if long else 0], action=replace(CRM_CALL.action, name="customers.archive"))
    (denied,) = [json.loads(line) for line in decided([STANDS], [call]).stream[-1].splitlines()[-1:]]
    opening: dict[str, Any] = {**engine_versions()}
    log = ProcessLog(2, **opening)
    members = {name: value for name, value in denied.items() if name not in {"log", "time"}}
    log.add(**(members | {"decision": True, "reason": "allowed", "action_id": 1, "disposition_id": 1}))
    return log.close()


@pytest.mark.parametrize("long", [False, True])
def test_a_forged_verdict_is_contradicted_however_long_its_record_is(tmp_path: Path, *, long: bool) -> None:
    ran = run(stored(tmp_path, forged(long=long)), "audit", "verify", "--policies", "ledger")
    assert (ran.code, "1 contradicted" in ran.out) == (1, True), ran


def test_the_report_counts_it(folder: Path) -> None:
    ran = run(folder, "audit", "report", "-o", "json", "--from", "2023-11-14", "--to", "2023-11-15")
    assert (ran.code, json.loads(ran.out)["totals"]["decisions"]) == (0, 3), ran
    ran = run(folder, "audit", "report", "-o", "markdown", "--from", "2023-11-14", "--to", "2023-11-15")
    assert "In no chain" not in ran.out, ran


def test_its_rule_is_used(folder: Path) -> None:
    log = decided([STANDS], CALLS[1:2], began=BEGAN, every=1.0).close()
    written(folder / "decisions.log", log)
    ran = run(folder, "unused", "-f", str(folder / "policy.yaml"), "--window", "1s", "-o", "json", witness=False)
    uses = {one["rule"]: one["uses"] for one in json.loads(ran.out)["scopes"]}
    assert (uses["read"], "cannot be read" in ran.err) == (1, False), ran


def test_it_is_replayed_and_is_not_passed_over_where_only_its_hash_is_left(folder: Path) -> None:
    words = ("replay", "--candidate", str(folder / "changed.yaml"), "--fail-on", "not-replayable", "-o", "json")
    ran = run(folder, *words, witness=False)
    assert (ran.code, json.loads(ran.out)["coverage"]["replayed"]) == (0, 3), ran
    lose_long_lines(folder)
    ran = run(folder, *words, witness=False)
    coverage = json.loads(ran.out)["coverage"]
    assert (ran.code, coverage["decisions"], coverage["replayed"]) == (1, 3, 2), ran


def test_its_values_can_be_checked_and_it_cannot_be_proven_by_itself(folder: Path) -> None:
    ran = run(folder, "audit", "prove", "eval-1")
    assert (ran.code, ran.out) == (1, ""), ran
    assert "line 2 of chain" in ran.err
    assert "too long for an entry of a log" in ran.err
    assert run(folder, "audit", "prove", "eval-2").code == 0
