"""The operator's own log: a chain of lines on stdout or in a file, so that it leaves the cluster with the logs.

Standing: under `witness` and `chronicle`, which provide its lines. Holds: a line that has its number is written, or
tried again, and never given up; a line for which there is no room before it has a number is counted, and the closing
line says how many. A ledger is the life of one process; its key is made with it and never stored. A process that never
led writes no line, and so leaves no chain that no witness could have seen.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.chain import MOST_BYTES, ChainWriter, chain_id
from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.merkle import Forest
from bailiwick_evidence.note import SignatureType, sign_note, verifier_key

_LOG: Final = structlog.get_logger(__name__)
_LINK_BYTES: Final = 160
_WAITING_BYTES: Final = 8 * 2**20
_STDOUT: Final = 1


LedgerOutput = Callable[[bytes], int]
"""Writes as many of these bytes as there is room for, and returns how many. Raises `OSError`."""


def output(path: Path | None) -> LedgerOutput:
    """Return a function that appends to a file, or to stdout where none is named. Raises `OSError`."""
    number = _STDOUT if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def write(held: bytes) -> int:
        return os.write(number, held)

    return write


class OperatorLedger:
    """Numbers lines and writes them. Lives in one loop. `now` is the time of day.

    `installation` distinguishes it from others; `members` are part of the opening line, which is written before the
    first other one.
    """

    def __init__(self, installation: str, write: LedgerOutput, now: Callable[[], datetime], **members: object) -> None:
        self._write = write
        self._now = now
        self._chain: Final = ChainWriter(chain_id(os.urandom(16)))
        self._key: Final = Ed25519PrivateKey.generate()
        self._origin: Final = origin(installation, self._chain.id)
        self._unwritten = bytearray()
        self._written_forest = Forest()
        self.written = 0
        """How many lines there are."""
        self.lost = 0
        """How many were given up because the output takes nothing."""
        self.problem: str | None = None
        """Why lines wait to be written; None while none does."""
        self._opening: dict[str, object] | None = {
            "chain": self._chain.id,
            "installation": installation,
            "key": self.key,
            **members,
        }

    @property
    def key(self) -> str:
        """The `vkey` of its checkpoints."""
        return str(verifier_key(self._origin, SignatureType.ED25519, self._key))

    def say(self, kind: str, **members: object) -> None:
        """Write one line, or keep it to be written."""
        if (opening := self._opening) is not None:
            self._opening = None
            self.say("open", **opening)
        line = self._line(kind, members)
        if len(self._unwritten) > _WAITING_BYTES:
            self.flush()
        if len(self._unwritten) > _WAITING_BYTES:
            self.lost += 1
            return
        if len(line) + _LINK_BYTES > MOST_BYTES:
            # Too long for an entry of a log: it follows after an entry with its hash.
            hashed = {"sha256": hashlib.sha256(line[:-1]).hexdigest(), "bytes": len(line) - 1}
            self._unwritten += self._chain.append(self._line("hash", hashed)) + line
        else:
            self._unwritten += self._chain.append(line)
        self.written += 1
        self.flush()

    def _line(self, kind: str, members: Mapping[str, object]) -> bytes:
        now = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        text = json.dumps({"time": now, "kind": kind, **members}, separators=(",", ":"), ensure_ascii=False)
        # A lone surrogate, which no API server stores, must not stop everything else.
        return text.encode(errors="backslashreplace") + b"\n"

    def flush(self) -> None:
        """Write what waits, as far as the output takes it."""
        try:
            while self._unwritten:
                done = self._write(bytes(self._unwritten))
                del self._unwritten[:done]
        except BlockingIOError:
            problem: str | None = "the output takes nothing at the moment"
        except OSError as error:
            problem = f"the ledger cannot be written: {error.strerror or error}"
        else:
            problem = None
            self._written_forest = self._chain.forest.copy()
        if problem != self.problem:
            if problem is None:
                _LOG.info("the ledger is written again")
            else:
                _LOG.error("the ledger is not written: its lines wait", problem=problem)
        self.problem = problem

    def checkpoint(self) -> str:
        """Return its newest checkpoint, signed: over the lines that are written, without those that wait."""
        text = Checkpoint(self._origin, self._written_forest.size, self._written_forest.root).text()
        return sign_note(text, self._origin, self._key)

    def close(self, reason: str) -> None:
        """Write the closing line, if there is any other line, and nothing after it."""
        if self._opening is None:
            self.say("close", reason=reason, written=self.written, lost=self.lost)
        self._opening = None
        self._write = _discard


def _discard(held: bytes) -> int:
    return len(held)
