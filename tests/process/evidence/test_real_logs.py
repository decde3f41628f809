"""What real processes leave behind where something befell them: the audit calls none of it changed.

Holds: files come from decision points of the command line, witnessed as the operator does; nothing is made by hand but
what befell them. The next thing that somebody does to such a file is named.
"""

import os
import resource
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
import requests
import yaml

from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.note import cosign_note
from process.evidence.test_attacks import witnessed
from support.disks import ROOM, mounted
from support.evidence.logs import WITNESS, WITNESS_NAME, audited, places
from support.objects import policy, rule, settings
from support.pdp.standalone import Process
from support.waits import until

pytestmark = pytest.mark.long

FLAGS = ("--development", "--record-before-answer", "all")


class Site:
    """A folder in which decision points run, and the checkpoints of them that were cosigned."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policies = folder / "policies"
        self.policies.mkdir()
        given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()])
        (self.policies / "crm.yaml").write_text(yaml.safe_dump(given))
        self.notes: list[str] = []
        self.started: list[Process] = []

    def start(self, folder: Path | None = None) -> Process:
        with (self.folder / f"log-{len(self.started)}").open("wb") as log:
            self.started.append(Process(folder or self.folder, self.policies, log, *FLAGS))
        return self.started[-1]

    def witness(self, point: Process, size: int = 0, *, ago: float = 0) -> None:
        """Cosign a checkpoint of a process, by a clock that is so many seconds late."""
        note = witnessed(point, size, self.notes if size else ())
        if ago:
            own, _, _ = note.rpartition(f"\N{EM DASH} {WITNESS_NAME} ")
            note = cosign_note(own, WITNESS_NAME, WITNESS, int(time.time() - ago))
        self.notes.append(note)

    def reports(self, *files: bytes) -> list[ChainReport]:
        """Return what an auditor sees in these files."""
        _, reports = audited(files, self.notes, step=1 << 16)
        return reports


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    for point in site.started:
        point.process.kill()
        point.process.wait(10)


class AskingLoop:
    """Asks a decision point without a pause while the block runs; `records` counts what was answered."""

    def __init__(self, point: Process, least: int) -> None:
        self.records = 0
        self._point, self._least = point, least
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.records >= self._least, "it is asked", 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(20)

    def _ask(self) -> None:
        while not self._ends.is_set():
            try:
                self.records += self._point.ask().decision is True
            except requests.RequestException:
                return


def limit(point: Process, most: int) -> None:
    """Let a process write its files no further than that."""
    _, hard = resource.prlimit(point.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(point.process.pid, resource.RLIMIT_FSIZE, (most, hard))


def codes(report: ChainReport) -> set[str]:
    """Return what was found."""
    return {found.code.value for found in report.findings}


def closing(report: ChainReport) -> str:
    """Return what is said of the closing line alone, which comes after the last checkpoint."""
    return f"tail at {report.lines - 1}"


def assert_edits_are_named(site: Site, files: list[bytes], line: bytes) -> None:
    """Whatever befell the files, a line that is edited or taken out in them is found."""
    assert any(line in file for file in files)
    edited = [file.replace(line, line.replace(b'"decision":true', b'"decision":false')) for file in files]
    assert any(report.bad for report in site.reports(*edited))
    assert any(report.bad for report in site.reports(*(file.replace(line, b"") for file in files)))


def test_a_line_that_was_torn_before_a_rotation_stands_whole_in_the_next_file(site: Site) -> None:
    point = site.start()
    with AskingLoop(point, 5):
        pass
    size = point.records.stat().st_size
    limit(point, size + 300)
    until(lambda: point.ask().reason == "record_failed", "a line is cut", 20)
    before = point.records.read_bytes()
    assert (len(before), before.endswith(b"\n")) == (size + 300, False)
    # As a rotation that copies and truncates, while the process goes on.
    os.truncate(point.records, 0)
    limit(point, resource.RLIM_INFINITY)
    until(lambda: point.ask().decision is True, "it writes again", 20)
    site.witness(point)
    assert point.stop() == 0
    files = [before, point.records.read_bytes()]
    for order in (files, files[::-1], [b"".join(files)]):
        (report,) = site.reports(*order)
        assert (places(report), report.closed) == ([closing(report)], True), report
    assert_edits_are_named(site, files, before.splitlines(keepends=True)[3])


def test_two_processes_in_one_file_during_an_upgrade_are_two_chains(site: Site) -> None:
    old, new = site.start(), site.start()
    with AskingLoop(old, 30), AskingLoop(new, 30):
        pass
    for point in (old, new):
        site.witness(point)
        assert point.stop() == 0
    data = new.records.read_bytes()
    reports = site.reports(data)
    assert len(reports) == 2
    for report in reports:
        assert (places(report), report.closed) == ([closing(report)], True), report
    assert_edits_are_named(site, [data], data.splitlines(keepends=True)[20])


def test_a_disk_that_was_full_leaves_a_log_that_is_whole(site: Site, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk):
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * (ROOM - 30_000))
        point = site.start(disk)
        until(lambda: point.ask().reason == "record_failed", "the disk is full", 30)
        site.witness(point)
        ballast.unlink()
        until(lambda: point.ask().decision is True, "there is room again", 20)
        assert point.stop() == 0
        shutil.copy(point.records, tmp_path / "kept")
    data = (tmp_path / "kept").read_bytes()
    (report,) = site.reports(data)
    assert (codes(report) - {"lost"}, report.closed) == ({"tail"}, True), report
    assert_edits_are_named(site, [data], data.splitlines(keepends=True)[5])


def test_one_that_was_killed_under_load_is_unclosed_and_the_newest_file_may_be_short(site: Site) -> None:
    point = site.start()
    with AskingLoop(point, 30):
        site.witness(point)
        point.process.kill()
        point.process.wait(10)
    rotated = point.records.read_bytes()
    point.records.unlink()
    # The next one goes on in a new file, which has little more than its opening line when it is killed too.
    short = site.start()
    site.witness(short)
    short.process.kill()
    short.process.wait(10)
    newest = short.records.read_bytes()
    assert newest.count(b"\n") == 1
    for files in ([rotated, newest], [newest, rotated]):
        reports = site.reports(*files)
        assert not any(report.bad for report in reports), reports
        assert all(codes(one) <= {"tail", "unclosed"} for one in reports), reports
    # It alone is not taken for all that there is.
    (missing, _) = site.reports(newest)
    assert places(missing) == ["missing"]
    # As is what the killed one had, cut shorter.
    (cut, _) = site.reports(b"".join(rotated.splitlines(keepends=True)[:4]), newest)
    assert cut.bad


def test_one_that_no_witness_asked_any_more_is_stale_since_then(site: Site) -> None:
    point = site.start()
    assert point.ask().decision is True
    site.witness(point, ago=600)
    for _ in range(3):
        assert point.ask().decision is True
    point.process.kill()
    point.process.wait(10)
    (report,) = site.reports(point.records.read_bytes())
    assert codes(report) == {"tail", "unclosed", "stale"}, report
