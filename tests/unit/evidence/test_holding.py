"""The judge of the logs of every stack: it passes what an honest process leaves, and nothing else."""

from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.derive.versions import engine_versions
from support.derivations import texts_of
from support.evidence.invariants import verify
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.objects import rule, settings
from unit.webhook.record.everymember import lines, stored

POLICY: Final = stored("crm-agent", endpointSettings=settings(), rules=[rule(actions=["*"])])
OPENING: Final[dict[str, Any]] = dict(engine_versions())


def texts() -> PolicyTexts:
    return texts_of([POLICY["spec"]])


def process(*, opening: dict[str, Any] = OPENING, **changes: object) -> ProcessLog:
    """Return the log of a process with a record, of which some members are others."""
    made = ProcessLog(2, **opening)
    for record in lines(POLICY):
        made.lines.append(made.writer.append(orjson.dumps(record | changes, option=orjson.OPT_APPEND_NEWLINE)))
    return made.close()


def files(folder: Path, *logs: bytes) -> list[Path]:
    for number, log in enumerate(logs):
        (folder / f"{number}").write_bytes(log)
    return [folder / f"{number}" for number in range(len(logs))]


def ledger_of(seen: ProcessLog) -> bytes:
    """Return the ledger of an operator that saw all of a log."""
    ledger = ProcessLog(4, component="operator")
    ledger.add(kind="keys", witness=[str(WITNESS_KEY)])
    ledger.add(kind="checkpoint", note=seen.checkpoint())
    return b"".join(ledger.close().lines)


def test_what_is_honest_holds(tmp_path: Path) -> None:
    honest = process()
    counts = verify(files(tmp_path, b"".join(honest.lines), ledger_of(honest)), texts())
    assert counts == {"derived": 1}


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (process(decision=False, action_id=2, disposition_id=2), "CONTRADICTED"),
        (process(reason="of_no_engine"), "REASON_UNKNOWN"),
        (process(opening={**OPENING, "engine": "0"}, decision=False), "ENGINE_VERSION_UNKNOWN"),
        (process(policies={"crm-agent": "sha256:of-none"}, policy=None), "POLICY_TEXT_MISSING"),
    ],
    ids=["another verdict", "a reason of nobody", "another engine", "a policy of nobody"],
)
def test_a_record_that_does_not_follow_does_not(tmp_path: Path, log: ProcessLog, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        verify(files(tmp_path, b"".join(log.lines)), texts())


def test_a_line_that_was_edited_cut_or_taken_out_of_the_chain_does_not(tmp_path: Path) -> None:
    honest = process()
    edited = honest.lines[1].replace(b'"request_id":"r"', b'"request_id":"s"')
    whole = ledger_of(honest)
    for left, said in (
        ([honest.lines[0], edited, honest.lines[2]], "altered at 1"),
        (honest.lines[:2], "truncated at 2"),
        ([honest.lines[0], honest.lines[2]], "gap at 1"),
    ):
        with pytest.raises(AssertionError, match=said):
            verify(files(tmp_path, b"".join(left), whole), texts())
    with pytest.raises(AssertionError, match="in no chain"):
        verify(files(tmp_path, b"{" + honest.lines[1].partition(b"},")[2]), texts())
