"""`ship` as a process, against an S3 server that is not ours: killed and kept waiting, it stores each line once."""

import gzip
import itertools
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import yaml

from process.evidence.test_attacks import witnessed
from support import commandline
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.faultkinds import Act, CutError, Exchange, Reply, status
from support.faultproxy import FaultFront
from support.loopserver import LOOPBACK
from support.objects import policy, rule, settings
from support.objectstore import KEY_ID, SECRET, S3Server, environment, s3_server
from support.pdp.standalone import Process
from support.waits import until

NUMBERS: Final = itertools.count()
PREFIX: Final = "prod-eu/bailiwick-system/8f6c"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


class Site:
    """A record file, a bucket, and the processes that ship the one into the other."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.server = server
        self.bucket = server.bucket(f"shipped-{next(NUMBERS)}")
        self.url = f"s3://{self.bucket}/{PREFIX}"
        self.folder, self.file, self.state = folder, folder / "decisions.log", folder / "state"
        self.state.mkdir()
        self.started: list[subprocess.Popen[bytes]] = []

    def ship(self, env: Mapping[str, str] | None = None, seconds: int = 1) -> subprocess.Popen[bytes]:
        words = ("ship", str(self.file), self.url, "--state", str(self.state), "--seconds", str(seconds))
        with (self.folder / f"ship-{len(self.started)}.err").open("wb") as log:
            self.started.append(
                subprocess.Popen(
                    [*commandline.PROGRAM, *words],
                    env=commandline.environment(None, env or self.server.environment),
                    stderr=log,
                )
            )
        # From here on a signal ends it in order.
        until(lambda: "storing " in self.messages or "waiting for " in self.messages, "it runs", 60)
        return self.started[-1]

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End the latest one as a pod's end does, and see it store the rest."""
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, self.messages
        assert self.messages.endswith("every whole line of the file is stored\n")

    def kill_latest(self) -> None:
        self.started[-1].kill()

    @property
    def messages(self) -> str:
        """What the latest process says."""
        return (self.folder / f"ship-{len(self.started) - 1}.err").read_text(encoding="utf-8")

    def objects(self) -> list[tuple[str, bytes]]:
        """Return name and lines of each, by plain HTTP."""
        return [(name, gzip.decompress(content)) for name, content in self.server.objects(self.bucket).items()]

    def assert_stored_once(self) -> None:
        """Each whole line is there once, and in its place."""
        found = self.objects()
        whole = self.file.read_bytes()
        assert b"".join(lines for _, lines in found) == whole[: whole.rfind(b"\n") + 1]
        folders = {name.rpartition("/")[0] for name, _ in found}
        assert [re.fullmatch(PREFIX + r"/[0-9a-f]{32}\.0", folder) is not None for folder in folders] == [True]
        ends = itertools.accumulate((len(lines) for _, lines in found), initial=0)
        assert [int(name.rpartition("/")[2].partition(".")[0]) for name, _ in found] == list(ends)[:-1]

    def verify(self, *words: str) -> commandline.Ran:
        return commandline.run("audit", "verify", self.url, "-o", "json", *words, env=self.server.environment)


@pytest.fixture
def site(tmp_path: Path, server: S3Server) -> Iterator[Site]:
    site = Site(tmp_path, server)
    yield site
    for process in site.started:
        process.kill()
        process.wait(10)


def killing(kill: Callable[[], object], when: str) -> Act:
    """Kill the process that sends a request: before the store has it, before it is answered, or when it was."""

    async def act(exchange: Exchange) -> None:
        if when == "before":
            kill()
            raise CutError
        reply = await exchange.forward()
        if when == "between":
            kill()
            raise CutError
        await exchange.deliver(reply)
        kill()

    return act


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_process_that_is_killed_loses_and_doubles_nothing(site: Site, when: str) -> None:
    log = ProcessLog(2).records(50)
    site.file.write_bytes(b"".join(log.lines[:20]))
    with FaultFront(LOOPBACK, site.server.port) as front:
        front.on("PUT", "log.gz", killing(site.kill_latest, when))
        first = site.ship(environment(front.port))
        assert first.wait(60) == -signal.SIGKILL, site.messages
    with site.file.open("ab") as file:
        file.write(b"".join(log.lines[20:]) + b'{"torn')
    site.end(site.ship())
    site.assert_stored_once()
    # What was there when it was killed ends where the file did then.
    assert len(site.objects()) == (1 if when == "before" else 2)


@pytest.mark.long
def test_a_real_log_is_intact_although_its_shipper_is_killed_all_the_time(site: Site, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()])
    (tmp_path / "policies" / "crm.yaml").write_text(yaml.safe_dump(given))
    with (tmp_path / "log").open("wb") as log:
        point = Process(tmp_path, tmp_path / "policies", log, "--development", "--record-before-answer", "all")
    try:
        site.file = point.records
        for _ in range(8):
            process = site.ship()
            for _ in range(40):
                assert point.ask().decision is True
            time.sleep(1.5)
            process.kill()
            process.wait(10)
        last = site.ship()
        note = witnessed(point, 0, ())
    finally:
        point.process.terminate()
        point.process.wait(30)
    # As the pod's end has it: the decision point first.
    site.end(last)
    site.assert_stored_once()
    (tmp_path / "notes").write_text(note, encoding="utf-8")
    verified = site.verify("--checkpoints", str(tmp_path / "notes"), "--witness-key", str(WITNESS_KEY))
    assert verified.code == 0, verified
    assert json.loads(verified.out)["totals"]["lines"] == 322


def test_what_was_not_stored_when_a_pod_died_is_missing_by_name(site: Site, tmp_path: Path) -> None:
    log = ProcessLog(2).records(50)
    site.file.write_bytes(b"".join(log.lines[:40]))
    site.end(site.ship())
    notes = tmp_path / "notes"
    words = ("--checkpoints", str(notes), "--witness-key", str(WITNESS_KEY))
    # A witness saw 45 lines; the pod and its volume are gone.
    notes.write_text(log.checkpoint(45), encoding="utf-8")
    lost = site.verify(*words)
    assert lost.code == 1, lost
    (found,) = (one for one in json.loads(lost.out)["chains"][0]["findings"] if one["code"] == "truncated")
    assert (found["first"], found["last"]) == (40, 44)
    # What came after the last checkpoint, no witness saw: nothing can name it.
    notes.write_text(log.checkpoint(40), encoding="utf-8")
    unseen = site.verify(*words)
    assert unseen.code == 0, unseen
    assert [one["code"] for one in json.loads(unseen.out)["chains"][0]["findings"]] == ["unclosed"]


def test_a_store_that_is_down_gets_all_of_it_later(site: Site) -> None:
    log = ProcessLog(2).records(300)
    with FaultFront(LOOPBACK, site.server.port) as front:
        front.on("PUT", "log.gz", status(503), times=None)
        process = site.ship(environment(front.port))
        site.file.write_bytes(b"".join(log.lines[:100]))
        until(lambda: "bytes wait in" in site.messages, "it is said that the store takes nothing", 60)
        with site.file.open("ab") as file:
            file.writelines(log.lines[100:])
        assert "the store answered 503" in site.messages
        front.clear()
        until(lambda: "the store takes lines again" in site.messages, "the store takes lines", 60)
        site.end(process)
    site.assert_stored_once()


def test_memory_holds_one_object_however_far_it_is_behind(site: Site) -> None:
    line = b'{"padding":"' + b"x" * 64_000 + b'"}\n'
    with site.file.open("wb") as file:
        for _ in range(1_000):
            file.write(line)
    process = site.ship()
    until(lambda: sum(len(lines) for _, lines in site.objects()) == site.file.stat().st_size, "all is stored", 120)
    usage = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", usage)[0]) >> 10
    # The chart's limit is 256 MiB; the file has 61 MiB.
    assert peak < 160, peak
    site.end(process)
    site.assert_stored_once()


async def denied(exchange: Exchange) -> None:
    words = f"<Error><Code>AccessDenied</Code><Message>{KEY_ID} {SECRET}</Message></Error>"
    await exchange.deliver(Reply(403, [], words.encode()))


def test_what_the_store_refuses_is_said_with_the_right_that_is_missing(site: Site) -> None:
    site.file.write_bytes(b"".join(ProcessLog(2).records(3).lines))
    with FaultFront(LOOPBACK, site.server.port) as front:
        front.on("PUT", "log.gz", denied, times=None)
        site.ship(environment(front.port))
        until(lambda: "the right to write objects below this prefix" in site.messages, "it is denied", 60)
    assert SECRET not in site.messages
    assert KEY_ID not in site.messages


REFUSED: Final = {
    "a path": (("/logs", "--state", "."), "is no URL of an object store"),
    "another scheme": (("https://example.org/logs", "--state", "."), "logs are not read from https://"),
    "no folder": (("s3://bucket/logs", "--state", "nowhere"), "nowhere is no folder"),
    "no state": (("s3://bucket/logs",), "--state"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_shipped_is_refused_at_once(words: tuple[str, ...], message: str) -> None:
    ran = commandline.run("ship", "decisions.log", *words, env=environment(9))
    assert (ran.code, ran.out) == (2, ""), ran
    assert message in ran.err
