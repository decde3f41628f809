"""A witness that is not ours: litewitness of filippo.io/torchwood, which cosigns by C2SP tlog-witness.

Standing: built from a pinned module, like the programs of the test cluster. Its key is held by a program beside it. The
logs that it knows are rows of its database, which its own `witnessctl` would write; a module that this one needs is not
to be had from every proxy of modules.
"""

import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.merkle import root
from bailiwick_evidence.note import VerifierKey
from localcluster import build
from localcluster.ports import free_ports
from localcluster.process import RunningProcess, spawn, stop
from support.evidence.outside import OutsideWitness
from support.waits import until

NAME: Final = "example.org/litewitness"


class Litewitness:
    """It runs. `url` is where it listens; `key` verifies its cosignatures."""

    unknown: Final = HTTPStatus.FORBIDDEN

    def __init__(self, url: str, key: str, database: Path) -> None:
        self.url = url
        self.key = key
        self._database = database

    def know(self, key: VerifierKey) -> None:
        """Have it cosign the log of this key, from its beginning."""
        with closing(sqlite3.connect(self._database, timeout=10)) as database, database:
            database.execute("INSERT INTO log VALUES (?, 0, ?)", (key.name, encode_base64(root([]))))
            database.execute("INSERT INTO key VALUES (?, ?)", (key.name, str(key)))


Witness = OutsideWitness | Litewitness
"""One of C2SP, of our own or of another's hand."""


@contextmanager
def litewitness(folder: Path) -> Iterator[Litewitness]:
    """Run one, with a new key and no log."""
    programs = build.ensure(build.litewitness())
    agents, database = folder / "agent", folder / "litewitness.db"
    (port,) = free_ports(1)
    running: list[RunningProcess] = []
    try:
        agent = spawn("keyagent", [programs / "keyagent", agents], folder / "keyagent.log")
        running.append(agent)
        fingerprint = _said(agent, r"SHA256:\S+")
        flags: list[str | Path] = ["-name", NAME, "-db", database, "-ssh-agent", agents, "-key", fingerprint]
        command = [programs / "litewitness", *flags, "-listen", f"127.0.0.1:{port}"]
        witness = spawn("litewitness", command, folder / "litewitness.log")
        running.append(witness)
        key = _said(witness, rf"{re.escape(NAME)}\+\S+")
        until(lambda: _answers(port), "litewitness listens", 10)
        yield Litewitness(f"http://127.0.0.1:{port}", key, database)
    finally:
        stop([process.id for process in running])
        for process in running:
            process.handle.wait()


def _said(running: RunningProcess, pattern: str) -> str:
    """Wait until a program has printed this, and return it."""

    def found() -> str:
        assert running.alive, running.last_words()
        match = re.search(pattern, running.log.read_text(encoding="utf-8"))
        return match[0] if match else ""

    until(found, f"{running.name} is ready", 10)
    return found()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
