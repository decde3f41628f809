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
    assert (ran.code, "1 decisions: 1 underivable:" in ran.out) == (0, True), ran
