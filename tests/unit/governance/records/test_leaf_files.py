"""The temporary file of an audit's leaf hashes, where there is one and where there is none."""

import tempfile
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.leafpages import PAGE_BYTES
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.records.leaffile import LeafFile
from bailiwick_governance.records.logfiles import LogFiles

PAGE: Final = bytes(range(256)) * (PAGE_BYTES // 256)


class TestTheTemporaryFile:
    def test_it_keeps_pages_in_any_order(self) -> None:
        kept = LeafFile()
        assert kept.write(3, PAGE)
        assert kept.write(0, PAGE[::-1])
        assert (kept.read(3), kept.read(0)) == (PAGE, PAGE[::-1])

    def test_without_a_folder_it_says_what_to_do_once(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        kept = LeafFile()
        assert not kept.write(0, PAGE)
        assert not kept.write(1, PAGE)
        said = capsys.readouterr().err
        assert said.count("warning") == 1
        assert "(No such file or directory): they stay in memory; set TMPDIR" in said

    @pytest.mark.parametrize("times", [1, 2])
    def test_every_audit_of_files_has_one(self, tmp_path: Path, times: int) -> None:
        (tmp_path / "a.log").write_bytes(b"no line of a chain\n")
        audit = LogAudit(WitnessBook(()))
        for _ in range(times):
            list(LogFiles([str(tmp_path / "a.log")]).lines(audit, "Reading lines"))
        assert isinstance(audit.pages.spill, LeafFile)
