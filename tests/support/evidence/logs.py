"""Logs as a process writes them, and what a witness says of them, without a process and without a witness."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.audit.claims import ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.chain import MOST_BYTES, ChainWriter, chain_id
from bailiwick_evidence.chainentry import witness_name
from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.merkle import leaf_hash, root
from bailiwick_evidence.note import SignatureType, VerifierKey, cosign_note, sign_note, verifier_key

INSTALLATION: Final = "5a1e"
BEGAN: Final = 1_700_000_000
MOST_DATA: Final = MOST_BYTES - 128
"""So long a line with its newline may be before it has its place in the chain."""
WITNESS_NAME: Final = f"bailiwick/{INSTALLATION}/witness"
_NOTE: Final = re.compile(r"(?:[^\n]+\n)+\n(?:\N{EM DASH} [^\n]+\n?)+")


def private_key(number: int) -> Ed25519PrivateKey:
    """Return a key that is the same each time."""
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


WITNESS: Final = private_key(1)
WITNESS_KEY: Final = verifier_key(WITNESS_NAME, SignatureType.COSIGNATURE, WITNESS)


def notes_of(text: str) -> list[str]:
    """Return the notes of a file, which are separated by empty lines."""
    return [found[0] if found[0].endswith("\n") else found[0] + "\n" for found in _NOTE.finditer(text)]


def written(members: dict[str, Any]) -> bytes:
    """Return a line."""
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def hash_members(line: bytes) -> dict[str, Any]:
    """Return what a chain has of a line, with its newline, that is too long for an entry."""
    return {"sha256": hashlib.sha256(line[:-1]).hexdigest(), "bytes": len(line) - 1}


def moment(seconds: float) -> str:
    """Return the time so many seconds after the beginning."""
    return datetime.fromtimestamp(BEGAN + seconds, UTC).isoformat(timespec="milliseconds")


class ProcessLog:
    """The log of one process: an opening line and what is added, each line with its newline.

    `lines` are those of its chain. Of what is too long for an entry they have the hash; `long`: the line, by number.
    """

    def __init__(
        self, number: int = 2, *, seconds: float = 0, installation: str = INSTALLATION, **opening: object
    ) -> None:
        self.key = private_key(number)
        self.writer = ChainWriter(chain_id(number.to_bytes(16, "big")))
        self.id = self.writer.id
        self.origin = origin(installation, self.id)
        self._witness = witness_name(installation)
        self.lines: list[bytes] = []
        self.long: dict[int, bytes] = {}
        self._seconds = seconds
        vkey = str(verifier_key(self.origin, SignatureType.ED25519, self.key))
        self.add(
            kind="open", chain=self.id, installation=installation, pod={"name": f"pod-{number}"}, key=vkey, **opening
        )

    def add(self, kind: str = "evaluation", **members: object) -> None:
        """Write a line, a second after the one before."""
        told = {"time": moment(self._seconds), "kind": kind, **members}
        self._seconds += 1
        line = written(told)
        if len(line) > MOST_DATA:
            self.long[len(self.lines)] = line
            line = written({"time": told["time"], "kind": "hash", **hash_members(line)})
        self.lines.append(self.writer.append(line))

    @property
    def stream(self) -> list[bytes]:
        """The lines as the process writes them: a long one behind the one with its hash."""
        return [line + self.long.get(seq, b"") for seq, line in enumerate(self.lines)]

    def at(self, seconds: float) -> "ProcessLog":
        """Set the clock, to so many seconds after the beginning."""
        self._seconds = seconds
        return self

    def records(self, count: int) -> "ProcessLog":
        """Write so many records."""
        for number in range(count):
            name = f"{self.id[-2:]}-{number}"
            self.add(evaluation_id=name, decision=True, reason="allowed", resource={"id": "a}b" if number % 3 else "c"})
        return self

    def close(self, lost: int = 0) -> "ProcessLog":
        """Write the last line."""
        self.add(kind="close", reason="stopped", written=len(self.lines), lost=lost)
        return self

    def checkpoint(self, size: int | None = None, *, now: int | None = None, by: Ed25519PrivateKey = WITNESS) -> str:
        """Return a checkpoint over the first so many lines as the process signed and a witness cosigned it."""
        count = len(self.lines) if size is None else size
        return cosign_note(self.signed(self.lines[:count]), self._witness, by, BEGAN + count if now is None else now)

    def signed(self, lines: Sequence[bytes], key: Ed25519PrivateKey | None = None) -> str:
        """Return a checkpoint over these lines with the signature of the process, or of this key under its name."""
        text = Checkpoint(self.origin, len(lines), root(leaf_hash(line[:-1]) for line in lines)).text()
        return sign_note(text, self.origin, key or self.key)


def rewritten(lines: Iterable[bytes]) -> list[bytes]:
    """Return lines with all hashes made anew, as whoever has the file, and nothing else, would."""
    made: list[bytes] = []
    writer: ChainWriter | None = None
    for line in lines:
        head, _, rest = line.partition(b"},")
        writer = writer or ChainWriter(json.loads(head.partition(b":")[2] + b"}")["id"])
        made.append(writer.append(b"{" + rest))
    return made


def audited(
    files: Iterable[bytes],
    checkpoints: Iterable[str] = (),
    keys: Sequence[VerifierKey] = (WITNESS_KEY,),
    step: int = 999,
    quorum: int = 1,
    kept: Mapping[str, LeafTable] | None = None,
) -> tuple[LogAudit, list[ChainReport]]:
    """Audit files, given so many bytes at once."""
    book = WitnessBook(keys, quorum)
    for note in checkpoints:
        book.add(ShownCheckpoint(note))
    audit = LogAudit(book, kept, keeps_grants=True)
    return audit, _read(audit, files, step)


def audited_by(book: WitnessBook, files: Iterable[bytes]) -> list[ChainReport]:
    """Audit files by a book of checkpoints."""
    return _read(LogAudit(book), files)


def _read(audit: LogAudit, files: Iterable[bytes], step: int = 999) -> list[ChainReport]:
    for file in files:
        for start in range(0, len(file), step):
            for _ in audit.feed(file[start : start + step]):
                pass
        for _ in audit.end():
            pass
    for _ in audit.finish():
        pass
    return audit.reports()


def places(report: ChainReport) -> list[str]:
    """Return what was found, with its places."""
    return [found.place for found in report.findings]
