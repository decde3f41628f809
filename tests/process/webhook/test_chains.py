"""The chain of real processes: killed under load, on one pipe, on a disk that is full, and asked while they decide."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import requests
import yaml

from bailiwick_evidence.base64text import decode_base64
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import is_consistent, leaf_hash, root
from bailiwick_evidence.note import VerifierKey, open_note
from support import chains
from support.disks import ROOM
from support.objects import gated_rule, policy, rule, settings
from support.pdp.standalone import Process
from support.waits import until


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule(), gated_rule()])
    (folder / "crm.yaml").write_text(yaml.safe_dump(given))
    return folder


class Starter:
    """Starts decision points, and ends those that are left."""

    def __init__(self, folder: Path, policies: Path) -> None:
        self.folder = folder
        self.policies = policies
        self.started: list[Process] = []

    def start(self, *flags: str, stdout: int | None = None, folder: Path | None = None) -> Process:
        with (self.folder / f"log-{len(self.started)}").open("wb") as log:
            point = Process(folder or self.folder, self.policies, log, "--development", *flags, stdout=stdout)
        self.started.append(point)
        return point


@pytest.fixture
def points(tmp_path: Path, policies: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path, policies)
    yield starter
    for point in starter.started:
        point.process.kill()
        point.process.wait(10)


class Asker:
    """Asks one decision point without a pause, in a thread, until the block is left or nobody answers."""

    def __init__(self, point: Process) -> None:
        self.point = point
        self.answered: list[str] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: len(self.answered) > 20, "it is asked", 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(20)

    def _ask(self) -> None:
        while not self._ends.is_set():
            try:
                self.answered.append(self.point.ask().context["evaluation_id"])
            except (requests.RequestException, KeyError):
                return


def checkpoint(point: Process, size: int = 0) -> dict[str, Any]:
    answer = requests.get(f"http://127.0.0.1:{point.status_port}/checkpoint?from={size}", timeout=5)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def verified(said: dict[str, Any], before: Checkpoint | None = None) -> Checkpoint:
    found = Checkpoint.parse(open_note(said["checkpoint"], [VerifierKey.parse(said["key"])]).text)
    if before is not None:
        proof = [held for held in map(decode_base64, said["proof"]) if held is not None]
        assert is_consistent(before.size, before.root, found.size, found.root, proof)
    return found


@pytest.mark.long
def test_of_one_that_is_killed_under_load_the_chain_stands_unclosed_and_the_next_names_it(points: Starter) -> None:
    lines: list[bytes] = []
    ids: list[str] = []
    for _ in range(3):
        point = points.start("--record-before-answer", "all")
        with Asker(point) as asked:
            point.process.kill()
            point.process.wait(10)
        stream = chains.read(point.records.read_bytes())
        (new,) = [name for name in stream.chains if name not in ids]
        ids.append(new)
        told = {record["evaluation_id"] for record in stream.records(new)}
        # Whoever was answered has a record.
        assert set(asked.answered) <= told
        assert stream.lines(new)[-1]["kind"] != "close"
        opening = stream.lines(new)[0]
        if lines:
            assert opening["previous"]["id"] == ids[-2]
            assert opening["previous"]["seq"] == len(lines) - 1
        lines = stream.chains[new]
    point = points.start()
    assert point.stop() == 0
    stream = chains.read(point.records.read_bytes())
    assert len(stream.chains) == 4
    (closed,) = [name for name in stream.chains if name not in ids]
    assert [line["kind"] for line in stream.lines(closed)] == ["open", "close"]


@pytest.mark.long
def test_every_checkpoint_of_a_process_under_load_is_of_its_file_and_goes_on_from_the_one_before(
    points: Starter,
) -> None:
    point = points.start("--record-fsync", "--record-before-answer", "all")
    seen: list[Checkpoint] = []
    with Asker(point):
        for _ in range(30):
            before = seen[-1] if seen else None
            seen.append(verified(checkpoint(point, before.size if before else 0), before))
    assert point.stop() == 0
    (lines,) = chains.read(point.records.read_bytes()).chains.values()
    leaves = list(map(leaf_hash, lines))
    for found in seen:
        assert found.root == root(leaves[: found.size])
    assert len({found.size for found in seen}) > 10


class Poller:
    """Asks as the operator does, a few times a second, in a thread, for as long as somebody answers."""

    def __init__(self, point: Process) -> None:
        self.point = point
        self.seen: list[Checkpoint] = []
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.seen, "it is witnessed", 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)

    def _poll(self) -> None:
        while True:
            before = self.seen[-1] if self.seen else None
            asked = {"from": before.size if before else 0, "ledger": None}
            try:
                answer = requests.post(f"http://127.0.0.1:{self.point.status_port}/checkpoint", json=asked, timeout=5)
            except requests.RequestException:
                return
            self.seen.append(verified(answer.json(), before))
            threading.Event().wait(0.4)


def test_one_that_is_told_to_stop_stays_until_the_witness_knows_all_of_its_lines(points: Starter) -> None:
    point = points.start()
    with Poller(point) as witness:
        point.ask()
        assert point.stop() == 0
    lines = chains.read(point.records.read_bytes()).lines()
    assert [line["kind"] for line in lines] == ["open", "evaluation", "close"]
    assert witness.seen[-1].size == len(lines)


def test_one_that_is_told_to_stop_waits_for_no_witness_where_there_is_none(points: Starter) -> None:
    point = points.start("--witness-wait-seconds", "60")
    checkpoint(point)
    # It takes at most 10 seconds.
    assert point.stop() == 0


@pytest.mark.long
def test_two_processes_on_one_pipe_have_a_chain_each_and_both_are_whole(points: Starter, tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as records:
        started = [points.start("--record-timeout", "20", stdout=write) for _ in range(2)]
        os.close(write)
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.append(records.read()))
        reader.start()
        with Asker(started[0]) as one, Asker(started[1]) as other:
            until(lambda: min(len(one.answered), len(other.answered)) > 300, "both decide", 60)
        assert [point.stop() for point in started] == [0, 0]
        reader.join(20)
    stream = chains.read(b"".join(received))
    assert (len(stream.chains), stream.fragments, stream.others) == (2, [], [])
    for name in stream.chains:
        assert stream.lines(name)[-1]["kind"] == "close"
        assert len(stream.records(name)) in {len(one.answered), len(other.answered)}


@pytest.mark.long
def test_a_disk_that_was_full_leaves_one_chain_and_what_was_cut_is_whole_behind_it(
    points: Starter, small: Path, tmp_path: Path
) -> None:
    ballast = small / "ballast"
    ballast.write_bytes(b"x" * (ROOM - 30_000))
    point = points.start(folder=small)
    before = verified(checkpoint(point))
    until(lambda: point.ask().reason == "record_failed", "the disk is full", 30)
    full = verified(checkpoint(point, before.size), before)
    denied = [point.ask().reason for _ in range(5)]
    assert denied == ["record_failed"] * 5
    assert verified(checkpoint(point, full.size), full).size == full.size
    ballast.unlink()
    until(lambda: point.ask().decision is True, "there is room again", 10)
    until(lambda: verified(checkpoint(point, full.size), full).size > full.size, "it goes on", 10)
    assert point.stop() == 0
    stream = chains.read(point.records.read_bytes())
    shutil.copy(point.records, tmp_path)
    assert len(stream.chains) == 1
    assert len(stream.fragments) <= 2
    assert stream.lines()[-1]["kind"] == "close"
    # Behind those that are counted as lost no number is missing.
    assert stream.lines()[-1]["lost"] >= 5


def test_a_process_without_a_chain_writes_its_records_as_before(points: Starter) -> None:
    point = points.start("--record-chain", "off")
    point.ask()
    assert point.stop() == 0
    (line,) = point.records.read_bytes().splitlines()
    assert next(iter(json.loads(line))) == "time"
    assert len(chains.read(line).others) == 1


@pytest.mark.long
def test_the_pod_is_named_by_what_the_chart_puts_into_the_environment(
    points: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_POD_NAME", "bailiwick-webhook-7")
    monkeypatch.setenv("BAILIWICK_POD_UID", "9a8b")
    point = points.start("--record-before-answer", "all", "--on-record-failure", "allow")
    assert checkpoint(point)["pod"] == "bailiwick-webhook-7"
    opening = chains.read(point.records.read_bytes()).lines()[0]
    assert opening["pod"] == {"name": "bailiwick-webhook-7", "uid": "9a8b"}
    assert opening["record"] == {"fsync": False, "before_answer": "all", "on_failure": "allow"}
    assert (opening["installation"], opening["hmac_key"]) == ("standalone", None)


BROKEN = """\
import sys
from bailiwick_webhook import main
from bailiwick_webhook.record.writing.chainlog import ChainLog

number = ChainLog.number

def broken(self, lines):
    given = list(lines)
    if any(b'%s' in line for line, _ in given):
        raise ZeroDivisionError("the text of a record")
    return number(self, given)

ChainLog.number = broken
sys.exit(main.main())
"""


def _ends(point: Process) -> None:
    try:
        assert point.process.wait(20) == 1
    finally:
        point.process.kill()
        point.process.wait(10)
    text = point.log.read_text()
    assert "a defect ended the writing: ZeroDivisionError" in text
    assert "the text of a record" not in text


def test_a_defect_of_the_thread_that_writes_ends_the_process(tmp_path: Path, policies: Path) -> None:
    command = (sys.executable, "-c", BROKEN % "customers.list")
    with (tmp_path / "log").open("wb") as log:
        point = Process(tmp_path, policies, log, "--development", "--witness-wait-seconds", "6", command=command)
    try:
        # A witness that was there a moment ago is waited for in the end.
        witness = f"http://127.0.0.1:{point.status_port}/checkpoint"
        assert requests.post(witness, json={"from": 0, "ledger": None}, timeout=5).ok
        point.ask()
        until(lambda: point.readiness()[0] == 503, "no call is sent to it while it ends", 10)
    finally:
        _ends(point)
    assert b"customers.list" not in point.records.read_bytes()


def test_such_a_defect_ends_a_process_that_is_not_ready_yet(tmp_path: Path, policies: Path) -> None:
    command = (sys.executable, "-c", BROKEN % '"open"')
    # Nobody brings the certificate that it waits for.
    flags = ("--development", "--tls-cert-file", str(tmp_path / "crt"), "--tls-key-file", str(tmp_path / "key"))
    with (tmp_path / "log").open("wb") as log:
        point = Process(tmp_path, policies, log, *flags, command=command, await_ready=False)
    _ends(point)
    assert point.records.read_bytes() == b""
