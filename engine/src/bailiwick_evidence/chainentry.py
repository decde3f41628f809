"""The entry of a witness for each chain: its process, the process's key, and the newest cosigned checkpoint.

Standing: the operator writes it as one entry of a ConfigMap, by the chain's id; auditors read it. Holds: only what
`verify_entry` has checked in an entry is trusted, since anyone who can write the ConfigMap can edit it.
"""

import json
from typing import Any, Final, NamedTuple

from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.note import NoteError, NoteSignature, SignatureType, VerifierKey, open_note

# While two operators lead for a moment, one may cosign with the key that the other has just replaced.
_HANDOVER: Final = 120
# The largest count: every reader of JSON reads it as an exact whole number.
_MOST_LOST: Final = 2**53 - 1


class ChainRefusal(NamedTuple):
    """Why a chain is no longer cosigned, since when (RFC 3339), and the signed checkpoint that shows it."""

    why: str
    time: str
    note: str


class WitnessedChain(NamedTuple):
    """`key` is the process's `vkey`, `note` the cosigned checkpoint, `replica` the uid of its pod, or its URL.

    `opened`: when it was first seen (RFC 3339). `anew`: why earlier cosignatures are no longer known.
    `lost`: how many records the process says that it lost, without a signature; None: it has not said.
    """

    chain: str
    key: str
    note: str
    replica: str
    pod: str | None
    opened: str
    anew: str | None = None
    refused: ChainRefusal | None = None
    lost: int | None = None

    def text(self) -> str:
        """Return the entry: JSON on one line."""
        held: dict[str, Any] = {"pod": self.pod, "replica": self.replica, "opened": self.opened, "key": self.key}
        held["checkpoint"] = self.note
        if self.anew is not None:
            held["anew"] = self.anew
        if self.refused is not None:
            held["refused"] = self.refused._asdict()
        if self.lost is not None:
            held["lost"] = self.lost
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
                lost_count(held.get("lost")),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            message = f"the entry of chain {chain} cannot be read"
            raise NoteError(message) from error
        texts = [*found[1:4], found.opened, *(found.refused or ())]
        if not all(isinstance(one, str) for one in texts):
            message = f"the entry of chain {chain} cannot be read"
            raise NoteError(message)
        return found


def lost_count(told: object) -> int | None:
    """Return a reported number of lost records; None if it is not such a number."""
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= _MOST_LOST:
        return None
    return told


class CosignedCheckpoint(NamedTuple):
    """A checkpoint that the process signed and the witness cosigned. `time`: of that, in seconds since the epoch."""

    checkpoint: Checkpoint
    time: int


def witness_name(installation: str) -> str:
    """Return the name of the key with which the witness of an installation cosigns. Two clusters can have the same."""
    return f"bailiwick/{installation}/witness"


class Cosigners(NamedTuple):
    """The keys whose cosignatures count. `ends`: until when each cosigned, in seconds since the epoch; None: still."""

    keys: tuple[VerifierKey, ...]
    ends: tuple[int | None, ...]

    def text(self) -> str:
        """Return each `vkey` on a line."""
        return "".join(f"{key}\n" for key in self.keys)

    def refuses(self, one: NoteSignature) -> bool:
        """Tell whether a cosignature was made, by its own time, two minutes or more after its key was replaced."""
        end = dict(zip(self.keys, self.ends, strict=True)).get(one.key)
        return end is not None and one.time is not None and one.time > end + _HANDOVER


def verify_entry(entry: WitnessedChain, witnesses: Cosigners) -> CosignedCheckpoint:
    """Return the checkpoint that an entry's process signed and one of these witnesses cosigned. Raises `NoteError`."""
    key = VerifierKey.parse(entry.key)
    note = open_note(entry.note, [key, *witnesses.keys])
    checkpoint = Checkpoint.parse(note.text)
    named = chain_of(checkpoint.origin)
    if named is None or named[1] != entry.chain or key.name != checkpoint.origin:
        message = f"the entry of chain {entry.chain} holds a checkpoint of another log"
        raise NoteError(message)
    signed = any(one.key == key for one in note.signatures)
    cosigned = [one for one in note.signatures if one.key.kind is SignatureType.COSIGNATURE]
    times = [one.time for one in cosigned if one.time is not None]
    if not signed or not times:
        message = f"the entry of chain {entry.chain} is not signed by its process and the witness"
        raise NoteError(message)
    if any(map(witnesses.refuses, cosigned)):
        message = f"the entry of chain {entry.chain} is cosigned by a key of the witness that was replaced before"
        raise NoteError(message)
    return CosignedCheckpoint(checkpoint, max(times))
