"""A log that grows between two readings of one command: a process that began in between is read like the others."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_cli.main import main
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_governance.records.logfiles import LogFiles
from support.decisions import crm_calls, decided, ledger_of, written
from support.evidence.logs import ProcessLog
from support.pages import DOCS

EXAMPLE: Final = DOCS.parent / "examples" / "crm" / "policy.yaml"


@pytest.mark.parametrize(
    "words",
    [
        ("audit", "verify", "LOG", "--policies", "ledger"),
        ("replay", "LOG", "--candidate", str(EXAMPLE)),
    ],
    ids=["audit verify", "replay"],
)
def test_a_process_that_begins_between_two_readings_ends_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    policy = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    first, second = (decided([policy], crm_calls(["customers.list"] * 3), log=ProcessLog(one)) for one in (2, 3))
    log = written(tmp_path / "all.log", ledger_of([policy]), first)
    read, readings = LogFiles.lines, []

    def grow(files: LogFiles, *rest: Any) -> Iterator[ChainLine]:  # noqa: ANN401 - as it is called
        readings.append(files)
        if len(readings) == 2:
            with log.open("ab") as file:
                file.writelines(second.lines)
        yield from read(files, *rest)

    monkeypatch.setattr(LogFiles, "lines", grow)
    monkeypatch.setattr(sys, "argv", ["kubectl-bailiwick", *(str(log) if word == "LOG" else word for word in words)])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr()
    assert (len(readings) > 1, bool(shown.out), "error:" in shown.err) == (True, True, False), shown
