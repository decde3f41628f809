"""Progress on long log files: at a terminal, on stderr, up to the end of the last file; otherwise nothing of it."""

import gzip
import io
import re
import sys
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.records import logfiles
from bailiwick_governance.records.logfiles import LogFiles
from support.evidence.logs import ProcessLog

_PIECE: Final = 1024


class Terminal(io.StringIO):
    """What looks like a terminal, and keeps what is written to it."""

    def isatty(self) -> bool:
        """Tell that it is one."""
        return True


class Pipe(io.TextIOWrapper):
    """Standard input of which nobody knows how long it is."""

    def __init__(self, held: bytes) -> None:
        super().__init__(io.BytesIO(held))


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two logs, of which one is compressed, read in many pieces."""
    plain, packed = ProcessLog(2).records(100), ProcessLog(3).records(200)
    (tmp_path / "a.log").write_bytes(b"".join(plain.lines))
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(b"".join(packed.lines)))
    monkeypatch.setattr(logfiles, "_PIECE", _PIECE)
    monkeypatch.setenv("TERM", "xterm")
    return [str(tmp_path / name) for name in ("a.log", "b.log.gz")]


def told(names: list[str], terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read them, and return what is then on stderr, without what only moves the cursor."""
    monkeypatch.setattr(sys, "stderr", terminal)
    found = list(LogFiles(names).lines(LogAudit(WitnessBook(())), "Reading lines"))
    assert len(found) >= 101
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())


def test_is_told_of_all_files_to_the_end_of_the_last(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    total = sum(Path(name).stat().st_size for name in names)
    monkeypatch.setattr(logfiles, "_LONG", total)
    said = told(names, Terminal(), monkeypatch)
    assert "Reading lines" in said
    last = re.findall(r"([0-9.]+)/([0-9.]+) kB", said)[-1]
    assert last == (f"{total / 1000:.1f}",) * 2, said


def test_is_not_told_of_what_is_read_at_once(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(names, Terminal(), monkeypatch) == ""


def test_is_not_told_where_there_is_no_terminal(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfiles, "_LONG", 1)
    assert told(names, io.StringIO(), monkeypatch) == ""


def test_is_told_of_standard_input_whose_length_nobody_knows(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(Path(names[0]).read_bytes()))
    said = told(["-"], Terminal(), monkeypatch)
    assert "Reading lines" in said
    assert "/?" in said
