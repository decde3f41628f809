"""A log that gzip packed, as programs leave it: in members, and with zeros up to the end of a block."""

import gzip
from pathlib import Path

import pytest

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.records import logfiles
from bailiwick_governance.records.logfiles import LogFiles
from support.evidence.logs import ProcessLog


@pytest.mark.parametrize("zeros", [0, 1, 99, 100, 101, 250])
def test_members_are_read_whatever_zeros_are_between_them(
    zeros: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logfiles, "_PIECE", 100)
    lines, path = ProcessLog().records(20).lines, tmp_path / "a.log.gz"
    path.write_bytes(b"".join(gzip.compress(line) + bytes(zeros) for line in lines))
    read = [*LogFiles([str(path)]).lines(LogAudit(WitnessBook(())), "Reading lines")]
    assert [line.text + b"\n" for line in read] == lines
    assert not capsys.readouterr().err
