"""What a witness keeps of each chain: which process it is of, the key, and the newest checkpoint that it cosigned.

Standing: the operator writes it as one entry of a ConfigMap, by the chain's id; auditors read it. Holds: an entry is
believed in nothing that `verified` did not check, since whoever writes the ConfigMap may edit it.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey, opened


class ChainRefusal(NamedTuple):
    """Why a chain is cosigned no more, since when (RFC 3339), and the signed checkpoint that shows it."""

    why: str
    time: str
    note: str


class WitnessedChain(NamedTuple):
    """`key` is the process's `vkey`, `note` the cosigned checkpoint, `replica` the uid of its pod, or its URL.

    `opened`: when it was seen first (RFC 3339). `anew`: why what was witnessed before that is not known any more.
    """

    chain: str
    key: str
    note: str
    replica: str
    pod: str | None
    opened: str
    anew: str | None = None
    refused: ChainRefusal | None = None

    def text(self) -> str:
        """Return the entry: JSON on one line."""
        held: dict[str, Any] = {"pod": self.pod, "replica": self.replica, "opened": self.opened, "key": self.key}
        held["checkpoint"] = self.note
        if self.anew is not None:
            held["anew"] = self.anew
        if self.refused is not None:
            held["refused"] = self.refused._asdict()
        return json.dumps(held, separators=(",", ":"))

    @classmethod
    def parse(cls, chain: str, text: str) -> "WitnessedChain":
        """Read an entry. Raises `NoteError`. Nothing in it is verified."""
        try:
            held = json.loads(text)
            refused = held.get("refused")
            found = cls(
                chain,
                held["key"],
                held["checkpoint"],
                held["replica"],
                held.get("pod"),
                held["opened"],
                held.get("anew"),
                None if refused is None else ChainRefusal(refused["why"], refused["time"], refused["note"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            message = f"the entry of chain {chain} cannot be read"
            raise NoteError(message) from error
        texts = [*found[1:4], found.opened, *(found.refused or ())]
        if not all(isinstance(one, str) for one in texts):
            message = f"the entry of chain {chain} cannot be read"
            raise NoteError(message)
        return found


class CosignedCheckpoint(NamedTuple):
    """A checkpoint that the process signed and the witness cosigned. `time`: of that, in seconds since the epoch."""

    checkpoint: Checkpoint
    time: int


def witness_name(installation: str) -> str:
    """Return the name of the key that the witness of an installation cosigns by."""
    return f"bailiwick/{installation}/witness"


def verified(entry: WitnessedChain, witnesses: Iterable[VerifierKey]) -> CosignedCheckpoint:
    """Return what an entry's process signed and one of these witnesses cosigned. Raises `NoteError`."""
    key = VerifierKey.parse(entry.key)
    note = opened(entry.note, [key, *witnesses])
    checkpoint = Checkpoint.parse(note.text)
    named = chain_of(checkpoint.origin)
    if named is None or named[1] != entry.chain or key.name != checkpoint.origin:
        message = f"the entry of chain {entry.chain} holds a checkpoint of another log"
        raise NoteError(message)
    signed = any(one.key == key for one in note.signatures)
    times = [one.time for one in note.signatures if one.key.kind is SignatureType.COSIGNATURE and one.time is not None]
    if not signed or not times:
        message = f"the entry of chain {entry.chain} is not signed by its process and the witness"
        raise NoteError(message)
    return CosignedCheckpoint(checkpoint, max(times))
