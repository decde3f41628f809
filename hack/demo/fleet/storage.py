"""From the files of both clusters into one bucket, and what somebody does there who may write to it.

Standing: below the acts. In east a Collector reads the files, and a shipper stores what it writes; in west shippers
store the files themselves. Holds: a line that is changed or cut here was stored by them, and is in no other object.
"""

import gzip
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from demo.fleet.world import BUCKET, Member, Shell
from demo.ground import KUBECTL
from demo.s1 import NotAsToldError
from localcluster.process import RunningProcess, spawn
from support.collector import collector, configuration
from support.objectstore import S3Server
from support.waits import until

# What kubectl runs as its plugin. Started by itself, since kubectl would not pass on the signal that ends it.
BAILIWICK: Final = KUBECTL.with_name("kubectl-bailiwick")
_BODY: Final = b'"body":{"stringValue":'
_END_SECONDS: Final = 60.0


class LogShippers:
    """The Collector and the shippers; they end with `closing`. `adopt` learns of each process."""

    def __init__(self, shell: Shell, closing: ExitStack, adopt: Callable[[RunningProcess], None]) -> None:
        """Prepare; nothing runs yet."""
        self._shell = shell
        self._closing = closing
        self._adopt = adopt
        self._shippers: list[RunningProcess] = []
        self._collected: tuple[Member, Path] | None = None

    def collect(self, member: Member) -> None:
        """Have a Collector read the files of a cluster, and a shipper store what it writes."""
        folder = self._shell.folder / "collector"
        folder.mkdir()
        sources = f"{member.records.parent}/*.jsonl"
        running, stored = self._closing.enter_context(collector(folder, configuration(), sources))
        self._adopt(running)
        self._shell.tell.command("otelcol --config collector/printed.yaml --config collector/quiet.yaml &")
        until(stored.exists, "the Collector has written a line", _END_SECONDS)
        self._collected = (member, stored)
        self.ship("collector/bailiwick.json", member.name)

    def ship(self, file: str, prefix: str) -> None:
        """Have a shipper store a file below this prefix of the bucket."""
        state = f"state/{prefix}"
        (self._shell.folder / state).mkdir(parents=True)
        url, folder = f"s3://{BUCKET}/{prefix}", self._shell.folder
        self._shell.tell.command(f"kubectl bailiwick ship {file} {url} --state {state} --seconds 1 &")
        command: list[str | Path] = [BAILIWICK, "ship", folder / file, url, "--state", folder / state, "--seconds", "1"]
        log = folder / f"ship-{len(self._shippers)}.log"
        running = spawn(prefix, command, log, {**os.environ, **self._shell.environment})
        self._adopt(running)
        self._closing.callback(_end, running)
        self._shippers.append(running)

    def await_collected(self) -> None:
        """Wait until the Collector has written every line that is in the files now."""
        if self._collected is None:
            return
        member, stored = self._collected
        lines = sum(file.read_bytes().count(b"\n") for file in (member.records, member.ledger))
        until(lambda: stored.read_bytes().count(_BODY) >= lines, "the Collector has written every line", _END_SECONDS)

    def end(self) -> None:
        """End the shippers as the end of a pod does, and see that each has stored its whole file."""
        for running in self._shippers:
            # Until it runs, a signal ends it at once.
            until(partial(_follows, running), f"{running.name} is shipped", _END_SECONDS)
            running.id.send(signal.SIGTERM)
        for running in self._shippers:
            if running.handle.wait(_END_SECONDS) != 0:
                raise NotAsToldError(f"shipping {running.name} should end well:\n{running.last_words()}")


def _follows(running: RunningProcess) -> bool:
    messages = running.log.read_text(encoding="utf-8")
    return "storing " in messages or "waiting for " in messages


def _end(running: RunningProcess) -> None:
    running.handle.kill()
    running.handle.wait()


class Intruder:
    """Somebody who may write to the bucket, and to nothing else."""

    def __init__(self, server: S3Server) -> None:
        """Prepare; nothing is written."""
        self._server = server

    def change_a_line(self, prefix: str) -> str:
        """Make the first denial below a prefix an allow, in lines of a Collector; return the name of the object."""
        was, becomes = rb"\"decision\":false", rb"\"decision\":true"
        for name, lines in self._objects(prefix):
            before, found, after = lines.partition(was)
            if found:
                self._store(name, before + becomes + after)
                return name
        raise NotAsToldError(f"there should be a denial below {prefix}")

    def cut(self, prefix: str, count: int) -> int:
        """Take so many lines from the end of what is below a prefix; return how many are left."""
        objects = self._objects(prefix)
        left = sum(len(lines.splitlines()) for _, lines in objects) - count
        if left < 0:
            raise NotAsToldError(f"there should be more lines below {prefix}")
        before = 0
        for name, lines in objects:
            each = lines.splitlines(keepends=True)
            if before + len(each) > left:
                self._store(name, b"".join(each[: max(0, left - before)]))
            before += len(each)
        return left

    def _objects(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return names and lines, in the order of the lines: names end in OFFSET.log.gz."""
        stored = self._server.objects(BUCKET, f"{prefix}/")
        found = [(name, gzip.decompress(content)) for name, content in stored.items()]
        return sorted(found, key=lambda one: int(one[0].rpartition("/")[2].partition(".")[0]))

    def _store(self, name: str, lines: bytes) -> None:
        self._server.put(BUCKET, {name: gzip.compress(lines)})
