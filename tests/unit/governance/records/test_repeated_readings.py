"""A log that a command reads twice: it may grow in between, and what it judged first is what it reads again."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from bailiwick_cli.commands.audit import verify
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.errors import UserError
from bailiwick_governance.records import logfiles
from bailiwick_governance.records.logfiles import LogFiles
from support.evidence import march
from support.evidence.logs import ProcessLog
from support.evidence.shardruns import command

LINES: Final = ProcessLog(2).records(40).lines
HELD: Final = b"".join(LINES)


def read(files: LogFiles) -> int:
    return sum(1 for _ in files.lines(LogAudit(WitnessBook(())), "Reading lines"))


@pytest.fixture(params=[1 << 18, 100], ids=["in one piece", "in many pieces"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(logfiles, "_PIECE", request.param)
    return tmp_path / "a.log"


CHANGES: Final[dict[str, tuple[bytes, bytes]]] = {
    "a line is another one": (HELD, HELD.replace(b'"allowed"', b'"elapsed"', 1)),
    "the last line is another one": (HELD, b"".join(LINES[:-1]) + LINES[-1].replace(b"allowed", b"elapsed")),
    "the end is cut": (HELD, b"".join(LINES[:-1])),
    "nothing is left": (HELD, b""),
    "other lines stand before": (HELD, LINES[-1] + HELD),
    "it is packed": (HELD, gzip.compress(HELD)),
    "what is packed is another one": (gzip.compress(HELD), gzip.compress(b"".join(LINES[:-1]))),
}


@pytest.mark.parametrize(("first", "second"), CHANGES.values(), ids=CHANGES)
def test_a_file_that_is_another_one_at_the_second_reading_is_an_error(path: Path, first: bytes, second: bytes) -> None:
    path.write_bytes(first)
    files = LogFiles([str(path)], again=True)
    assert read(files) == len(LINES)
    path.write_bytes(second)
    for _ in range(2):
        with pytest.raises(UserError, match=r"a\.log was changed while it was read: run the command again"):
            read(files)
    path.write_bytes(first)
    assert read(files) == len(LINES)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_a_file_may_grow_between_two_readings(path: Path, pack: Callable[[bytes], bytes]) -> None:
    path.write_bytes(pack(b"".join(LINES[:10])))
    files = LogFiles([str(path)], again=True)
    assert read(files) == 10
    with path.open("ab") as file:
        file.write(pack(b"".join(LINES[10:])))
    assert [read(files), read(files)] == [len(LINES)] * 2


def test_a_verdict_and_what_is_derived_are_of_the_same_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may write to the folder shows the true log to be verified, and another one to be derived."""
    for name, content in march.files().items():
        (tmp_path / name).write_bytes(content)
    log, opened = tmp_path / "decisions.log", LogFiles.lines

    def lines(self: LogFiles, audit: LogAudit, doing: str) -> object:
        if doing == "Deriving decisions":
            log.write_bytes(log.read_bytes().replace(b'"customers.delete"', b'"customers.detail"'))
        return opened(self, audit, doing)

    monkeypatch.setattr(LogFiles, "lines", lines)
    run = command(
        verify.run,
        VerifyFlags,
        files=[str(log), str(tmp_path / "ledger.log")],
        checkpoints=[str(tmp_path / "checkpoints.notes")],
        witness_key=[str(tmp_path / "witness.vkey")],
        policies="ledger",
    )
    ran = run()
    assert ran.code == 2
    assert f"{log} was changed while it was read" in ran.out
