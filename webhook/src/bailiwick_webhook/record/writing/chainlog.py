"""The chain that the records of this process stand in, and the checkpoints that it signs over them.

Standing: under `writer`, whose thread numbers lines; a checkpoint is made in another. Holds: the key
is in memory alone and ends with the process; what is signed stands in the file; a line that has a number keeps it, and
its bytes.
"""

import base64
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.chain import MOST_BYTES, ChainWriter, body, chain_id, link
from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.merkle import Forest, leaf_hash
from bailiwick_evidence.note import SignatureType, sign_note, verifier_key
from bailiwick_webhook.record.writing.provablesizes import ProvableSizes

_ID_BYTES: Final = 16
# The member that a number takes, at most; and the newline, which an entry has not.
_MOST_DATA: Final = MOST_BYTES - 127
# Seconds between two checkpoints of one log of the operator; and of how many logs it is remembered.
_PACE: Final = 60.0
_OPERATORS: Final = 8

# A few of the longest lines there are.
_MOST_BYTES: Final = 256 * 1024


class ChainTail(NamedTuple):
    """A chain, and the number and leaf hash (32 bytes) of its latest line."""

    id: str
    seq: int
    head: bytes


def chain_tail(path: Path) -> ChainTail | None:
    """Return what the last whole line of a chain says; None if there is none near the end. Raises `OSError`.

    A new chain that goes into the same file names it, and never goes on with it.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _MOST_BYTES))
        lines = file.read(_MOST_BYTES).split(b"\n")
    # Of what was cut off nothing is known; but where nothing but its newline is missing, the line is whole.
    for line in reversed(lines):
        found = link(line)
        if found is not None and _whole(line):
            return ChainTail(found.id, found.seq, leaf_hash(line))
    return None


def _whole(line: bytes) -> bool:
    try:
        orjson.loads(body(line))
    except orjson.JSONDecodeError:
        return False
    return True


class SignedCheckpoint(NamedTuple):
    """`note`: signed with the key of the process. `proof`: hashes, in base64, that lead from another size to this."""

    note: str
    proof: tuple[str, ...]


class UnknownSize(NamedTuple):
    """There is no proof from the size that was named, but from these."""

    sizes: tuple[int, ...]


class PodName(NamedTuple):
    """The pod that the process runs in."""

    name: str
    uid: str


class ChainLog:
    """The chain of one process. `number` and `stand` are for the writer's thread alone, all else is for any.

    `installation` names it among others, in letters, digits, dots and dashes; `about` are members of the line that
    opens the chain. `clock` is in seconds since the epoch, `monotonic` in seconds.
    """

    def __init__(
        self,
        installation: str,
        *,
        pod: PodName | None = None,
        about: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = ChainWriter(chain_id(secrets.token_bytes(_ID_BYTES)))
        self._size, self._head = 0, self._writer.head
        self._installation = installation
        self._about = about or {}
        self._clock = clock
        self._monotonic = monotonic
        self._signer = Ed25519PrivateKey.generate()
        self._sizes = ProvableSizes(monotonic)
        self._lock = threading.Lock()
        self._asked = monotonic()
        self.pod = pod
        self.origin = origin(installation, self.id)
        self.key = str(verifier_key(self.origin, SignatureType.ED25519, self._signer))
        self.signed = 0

    @property
    def id(self) -> str:
        """The id of the chain."""
        return self._writer.id

    @property
    def size(self) -> int:
        """How many lines stand."""
        return self._size

    @property
    def unasked(self) -> float:
        """Seconds since a checkpoint was last requested, or since the start."""
        return self._monotonic() - self._asked

    def opening(self, previous: ChainTail | None) -> bytes:
        """Return the first line. `previous` is the chain that the file has last."""
        told: dict[str, Any] = {
            "chain": self.id,
            "installation": self._installation,
            "pod": None if self.pod is None else self.pod._asdict(),
            "key": self.key,
            **self._about,
        }
        if previous is not None:
            head = base64.urlsafe_b64encode(previous.head).rstrip(b"=").decode()
            told["previous"] = {"id": previous.id, "seq": previous.seq, "head": head}
        return self._line("open", told)

    def closing(self, reason: str, *, written: int, lost: int) -> bytes:
        """Return the last line of an orderly stop, with how many records were written and lost before."""
        return self._line("close", {"reason": reason, "written": written, "lost": lost})

    def ledger(self, note: str) -> bytes:
        """Return the line that holds the checkpoint of another log."""
        return self._line("ledger", {"note": note})

    def number(self, given: Iterable[tuple[bytes, bytes | None]]) -> list[bytes]:
        """Return lines as they are in the chain, behind those that stand.

        Each is given as it was made, and as it was returned before, if it was and some of it may stand: then it is the
        same again. One may be several, each with its newline.
        """
        writer = self._writer
        # What was numbered before and did not reach the file gives its numbers back.
        writer.forest, writer.head = Forest(self._size), self._head
        made: list[bytes] = []
        plain: list[bytes] = []
        for data, before in given:
            if before is None and data.find(b"\n", 0, _MOST_DATA - 1) == len(data) - 1:
                plain.append(data)
                continue
            made += writer.extend(plain)
            plain = []
            if before is None:
                made.append(b"".join(map(self._appended, _split(data))))
            else:
                self._take(before)
                made.append(before)
        return made + writer.extend(plain)

    def stand(self, made: Sequence[bytes], count: int) -> None:
        """Take note that so many of what `number` returned stand in the file."""
        writer = self._writer
        if count < len(made):
            writer.forest, writer.head = Forest(self._size), self._head
            for lines in made[:count]:
                self._take(lines)
        with self._lock:
            self._sizes.add(writer.forest)
        self._size, self._head = writer.forest.size, writer.head

    def checkpoint(self, size: int) -> SignedCheckpoint | UnknownSize:
        """Return what stands, signed, with a proof that an earlier size, or none (0), is its beginning."""
        with self._lock:
            proven = self._sizes.prove(size)
            if proven is None:
                return UnknownSize(self._sizes.sizes)
            self.signed += 1
            self._asked = self._monotonic()
        text = Checkpoint(self.origin, proven.size, proven.root).text()
        return SignedCheckpoint(sign_note(text, self.origin, self._signer), tuple(map(encode_base64, proven.proof)))

    def _take(self, lines: bytes) -> None:
        """Put lines in the chain that have their number already."""
        writer = self._writer
        for line in _split(lines):
            if link(line) is not None:
                writer.head = leaf = leaf_hash(line[:-1])
                writer.forest.append(leaf)

    def _appended(self, line: bytes) -> bytes:
        """Number one line. One that is too long for an entry of a log follows behind an entry with its hash."""
        if len(line) < _MOST_DATA:
            return self._writer.append(line)
        hashed = {"sha256": hashlib.sha256(line[:-1]).hexdigest(), "bytes": len(line) - 1}
        return self._writer.append(self._line("hash", hashed)) + line

    def _line(self, kind: str, told: Mapping[str, Any]) -> bytes:
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        return orjson.dumps({"time": now, "kind": kind, **told}, option=orjson.OPT_APPEND_NEWLINE)


def _split(lines: bytes) -> list[bytes]:
    return [line + b"\n" for line in lines.split(b"\n")[:-1]]


class LedgerPace:
    """How often checkpoints of the operator's logs come into the chain: of one log once a minute, if it changed.

    One of another log comes at once, since who leads next may not live as long as that. Only what the operator signed
    comes here, so there are as many logs as operators have led.
    """

    def __init__(self) -> None:
        # By the origin of a log: the text of the note that was taken last, and when. The oldest first.
        self._taken: dict[str, tuple[str, float]] = {}

    def due(self, note: str, now: float) -> bool:
        """Tell whether a checkpoint is to be written, and believe that it is. `now`: monotonic, in seconds."""
        # The signatures differ each time, by when they were made.
        text = note.partition("\n\n")[0]
        origin = text.partition("\n")[0]
        before, taken = self._taken.get(origin, ("", float("-inf")))
        if text == before or now < taken + _PACE:
            return False
        self._taken.pop(origin, None)
        self._taken[origin] = (text, now)
        if len(self._taken) > _OPERATORS:
            del self._taken[next(iter(self._taken))]
        return True
