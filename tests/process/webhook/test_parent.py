"""`--processes N`: one decision point of several processes that share a port, over a directory of files."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import pytest
import requests

from bailiwick_webhook.process.worker import cores
from support.objects import AGENT
from support.pdp import asking
from support.pdp.several import PROCESSES, Several, written
from support.pdp.standalone import COMMAND
from support.waiting import until

DEVELOPMENT: Final = ("--development", "--processes", f"{PROCESSES}")


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.fixture
def several(tmp_path: Path, policies: Path) -> Iterator[Several]:
    with (tmp_path / "log").open("wb") as log:
        process = Several(tmp_path, policies, log, "--development", processes=PROCESSES)
        process.await_both()
        yield process
        if process.process.poll() is None:
            process.stop()


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_connections_are_spread_and_each_process_has_its_own_status_port_and_record(
    several: Several, tmp_path: Path
) -> None:
    assert all(several.allowed() for _ in range(60))
    counts = [several.series(index, "bailiwick_decisions_total{") for index in range(PROCESSES)]
    # Both get a share: of 60 connections that fall to either by their port, one gets fewer than 10 once in a million.
    assert sum(counts) == 60
    assert min(counts) >= 10
    assert several.stop() == 0
    lines_of = [(tmp_path / f"records.jsonl.{index}").read_bytes().splitlines() for index in range(PROCESSES)]
    assert [len(lines) for lines in lines_of] == counts
    assert not (tmp_path / "records.jsonl").exists()


def test_the_parent_has_no_thread_and_does_not_serve(several: Several) -> None:
    assert "\nThreads:\t1\n" in Path(f"/proc/{several.process.pid}/status").read_text()
    assert len(several.children()) == PROCESSES


def test_what_a_dying_process_has_not_accepted_is_answered_by_the_others_and_it_is_started_again(
    several: Several,
) -> None:
    lost: list[str] = []
    asked = Counter[bool]()
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            try:
                asked[several.allowed()] += 1
            except (OSError, http.client.HTTPException) as error:
                lost.append(type(error).__name__)
                # Its connections may end a moment before its listening socket does.
                time.sleep(0.1)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    until(lambda: asked[True] > 50, "it is asked")
    victim = several.children()[0]
    os.kill(victim, signal.SIGKILL)
    until(
        lambda: sum(several.series(index, "bailiwick_process_restarts_total") for index in (0, 1)) == 1, "started", 10
    )
    several.await_both()
    before = asked[True]
    until(lambda: asked[True] > before + 50, "it is asked")
    over.set()
    for worker in workers:
        worker.join(10)
    # What the victim held is lost with it: at most one connection of each worker.
    assert len(lost) <= len(workers)
    assert asked[False] == 0
    assert victim not in several.children()
    assert several.process.poll() is None
    assert several.stop() == 0


def test_being_told_to_stop_all_drain_and_no_request_is_lost(tmp_path: Path, policies: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        several = Several(tmp_path, policies, log, "--development", drain_seconds=1.5, processes=PROCESSES)
        several.await_both()
        seen = Counter[str]()

        def work() -> None:
            """Ask over one connection, until an answer says that it is the last one."""
            with requests.Session() as session:
                while True:
                    try:
                        answer = session.post(several.url("evaluation"), json=body, timeout=10)
                    except requests.ConnectionError:
                        seen["lost"] += 1
                        return
                    seen[str(answer.json()["decision"])] += 1
                    if answer.headers.get("Connection", "").lower() == "close":
                        seen["told"] += 1
                        return

        body = asking.evaluation(AGENT, "customers.list")
        workers = [threading.Thread(target=work) for _ in range(6)]
        for worker in workers:
            worker.start()
        time.sleep(0.5)
        children = several.children()
        several.process.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.join(15)
        assert several.process.wait(10) == 0
        assert (seen["lost"], seen["told"], seen["False"]) == (0, 6, 0)
        assert all(gone(child) for child in children)
        assert several.log.read_text().count("draining") == PROCESSES


def test_the_children_end_with_a_parent_that_is_killed(several: Several) -> None:
    children = several.children()
    several.process.kill()
    several.process.wait()
    until(lambda: all(gone(child) for child in children), "the children are gone", 5)


def test_records_of_all_processes_on_one_stdout_are_whole_lines(tmp_path: Path, policies: Path) -> None:
    read, write = os.pipe()
    with (tmp_path / "log").open("wb") as log:
        several = Several(
            tmp_path, policies, log, "--development", "--record-timeout", "20", stdout=write, processes=PROCESSES
        )
        os.close(write)
        several.await_both()
        with ThreadedReader(read) as reader:
            # Longer than what a pipe takes in one piece (PIPE_BUF, 4,096).
            bodies = [asking.evaluation(AGENT, "customers.list", "x" * 200, note="y" * 900) for _ in range(30)]
            batch = {"evaluations": [{**body, "resource": {"type": "customer", "id": "z" * 1000}} for body in bodies]}
            for _ in range(12):
                workers = [
                    threading.Thread(target=asking.post, args=(several.url("evaluations"), batch, None))
                    for _ in range(4)
                ]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join(20)
            counts = [several.series(index, "bailiwick_decisions_total{") for index in range(PROCESSES)]
            until(lambda: reader.data.count(b"\n") >= sum(counts), "every record is read", 20)
            assert several.stop() == 0
        lines = bytes(reader.data).split(b"\n")
    assert min(counts) > 0
    assert lines.pop() == b""
    assert len(lines) == sum(counts) == 12 * 4 * 30
    assert {json.loads(line)["decision"] for line in lines} == {True}


class ThreadedReader:
    """Reads a pipe to its end, slowly."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._read)
        self.data = bytearray()

    def _read(self) -> None:
        while chunk := os.read(self._descriptor, 3000):
            self.data += chunk

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)
        os.close(self._descriptor)


def run(policies: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--policies", str(policies), *DEVELOPMENT, "--drain-seconds", "0.1", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_port_that_somebody_else_shares_ends_the_start(policies: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run(policies, "--port", f"{taken.getsockname()[1]}", "--record-file", "/dev/null")
    assert ended.returncode == 1
    assert "bailiwick-webhook: cannot start: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_where_no_process_can_start_the_parent_ends_with_its_code(policies: Path, tmp_path: Path) -> None:
    ended = run(policies, "--port", "0", "--status-port", "0", "--record-file", str(tmp_path / "no" / "records"))
    assert ended.returncode == 1
    assert "cannot start" in ended.stderr
    assert "exiting: processes" in ended.stderr


# A decision point that serves, and dies as often as it is started.
DYING: Final = """
import os, signal, sys, time
from bailiwick_webhook.process import logs, parent
from bailiwick_webhook.process.settings import parse

logs.configure("info")
parent.PAUSES = (0.0, 0.2, 0.4)
began = time.monotonic()

def serve(given):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    given.place.heartbeat.tell_serving(lambda: True)
    line = f"{given.place.index} {given.place.restarts} {time.monotonic() - began:.2f}\\n"
    os.write(1, line.encode())
    if given.place.index == 1:
        return 7
    time.sleep(20)

sys.exit(parent.run(parse(["--port", "0", "--processes", "2"]), serve))
"""


def test_where_one_keeps_dying_the_pauses_grow_and_at_last_the_parent_ends_and_the_others_with_it() -> None:
    ended = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, timeout=30, check=False)
    started = [line.split() for line in ended.stdout.splitlines()]
    times = [float(at) for index, _, at in started if index == "1"]
    assert [restarts for index, restarts, _ in started if index == "1"] == ["0", "1", "2", "3"]
    assert [restarts for index, restarts, _ in started if index == "0"] == ["0"]
    # The times are written in hundredths.
    assert times[2] - times[1] > 0.18
    assert times[3] - times[2] > 0.38
    assert ended.returncode == 7
    assert ended.stderr.count("process died") == 4


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.max": "6400000 100000"}, None),
    ],
)
def test_zero_processes_are_one_for_each_core_within_the_quota(
    tmp_path: Path, files: dict[str, str], share: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert cores(tmp_path) == (share or len(os.sched_getaffinity(0)))
