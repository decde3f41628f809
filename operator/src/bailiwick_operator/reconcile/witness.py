"""Which checkpoint of a process may be cosigned, given the one that was cosigned last. Pure; `evidence.witness` asks.

Holds: nothing is cosigned but what the pinned key signed and what continues the log that is held. A chain is refused
for good only by two checkpoints of its own process that cannot both be true; an answer that anybody in between could
have made up, or kept, refuses itself and no chain. An answer that is older than what is held says nothing, since two
who lead for a moment may both ask.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from bailiwick_evidence.chainentry import CosignedCheckpoint, WitnessedChain
from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.merkle import is_consistent
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey, open_note, split

COSIGN_SECONDS: Final = 60
"""A checkpoint that did not change is cosigned again after so long, as a sign of life."""
GONE_SECONDS: Final = 600
"""A chain of which nothing came for so long, and whose process is not found, is over."""


@dataclass(frozen=True, slots=True)
class CheckpointAnswer:
    """What a process said. `since`: the size that its proof is from. `known`: the size that was held at that time.

    `lost`: how many records it lost, by its own word; None: it did not say.
    """

    replica: str
    pod: str | None
    known: int
    since: int
    note: str
    key: str
    proof: tuple[bytes, ...]
    lost: int | None = None


@dataclass(frozen=True, slots=True)
class HeldChain:
    """What is held of a chain: the entry, and what was verified of it."""

    entry: WitnessedChain
    cosigned: CosignedCheckpoint

    @property
    def size(self) -> int:
        """How many lines were witnessed."""
        return self.cosigned.checkpoint.size


@dataclass(frozen=True, slots=True)
class Cosignable:
    """It may be cosigned."""

    chain: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class LogContradiction:
    """The process signed what contradicts what it signed before: its chain is refused from now on."""

    chain: str
    why: str


@dataclass(frozen=True, slots=True)
class ChainRefused:
    """The chain is refused already."""

    chain: str


@dataclass(frozen=True, slots=True)
class AnswerRejection:
    """The answer proves nothing about any chain, so it is not used."""

    why: str


@dataclass(frozen=True, slots=True)
class OtherSize:
    """Nothing can be said yet: it must be asked from the size that is held of this chain."""

    chain: str


Verdict = Cosignable | LogContradiction | ChainRefused | AnswerRejection | OtherSize


def judge(installation: str, held: Mapping[str, HeldChain], answer: CheckpointAnswer) -> Verdict:
    """Judge an answer by what is held now, which may be newer than when it was asked."""
    try:
        key = VerifierKey.parse(answer.key)
        text = open_note(answer.note, [key]).text
        checkpoint = Checkpoint.parse(text)
    except NoteError as error:
        return AnswerRejection(str(error))
    named = chain_of(checkpoint.origin)
    if checkpoint.text() != text:
        return AnswerRejection("the checkpoint says more than a checkpoint does")
    if key.kind is not SignatureType.ED25519 or key.name != checkpoint.origin or named is None:
        return AnswerRejection("the key is not named after the log")
    if named[0] != installation:
        return AnswerRejection(f"the log is of the installation {named[0]}, not of {installation}")
    before = held.get(named[1])
    if before is None:
        return Cosignable(named[1], checkpoint) if answer.since == 0 else OtherSize(named[1])
    if answer.key != before.entry.key:
        return AnswerRejection(f"chain {named[1]} is signed by another key than the one that was seen first")
    if before.entry.refused is not None:
        return ChainRefused(named[1])
    return _continued(named[1], before, checkpoint, answer)


def _continued(chain: str, before: HeldChain, checkpoint: Checkpoint, answer: CheckpointAnswer) -> Verdict:
    old = before.cosigned.checkpoint
    if checkpoint.size == old.size:
        if checkpoint.root == old.root:
            return Cosignable(chain, checkpoint)
        return LogContradiction(chain, f"two different logs of {old.size} lines were signed")
    if checkpoint.size < old.size:
        if answer.known < old.size:
            return OtherSize(chain)
        # Signed it was once, and whoever stands in between may show it again: it proves nothing against the process.
        return AnswerRejection(f"chain {chain} has {checkpoint.size} lines and had {old.size}")
    if answer.since != old.size:
        return OtherSize(chain)
    if is_consistent(old.size, old.root, checkpoint.size, checkpoint.root, answer.proof):
        return Cosignable(chain, checkpoint)
    # A proof is not signed: one that is wrong may be somebody else's, as long as another can still come.
    return AnswerRejection(
        f"chain {chain}, of {checkpoint.size} lines, is not shown to begin with the {old.size} that were witnessed"
    )


def named_chain(answer: CheckpointAnswer) -> str | None:
    """Return the chain that an answer claims to be of; None where it claims none. Nothing of it is verified."""
    claimed = _claimed(answer)
    named = None if claimed is None else chain_of(claimed.origin)
    return None if named is None else named[1]


def claimed_size(answer: CheckpointAnswer) -> int:
    """Return the size that an answer claims, 0 where it claims none. Nothing of it is verified."""
    claimed = _claimed(answer)
    return 0 if claimed is None else claimed.size


def _claimed(answer: CheckpointAnswer) -> Checkpoint | None:
    try:
        return Checkpoint.parse(split(answer.note)[0])
    except NoteError:
        return None


def plain(answer: CheckpointAnswer) -> str:
    """Return the note with the signature of its process alone, once that was judged."""
    key = VerifierKey.parse(answer.key)
    text, lines = split(answer.note)
    for line in lines:
        note = f"{text}\n{line}\n"
        try:
            open_note(note, [key])
        except NoteError:
            continue
        return note
    return answer.note


def is_due(before: HeldChain, checkpoint: Checkpoint, now: int) -> bool:
    """Tell whether a checkpoint is to be cosigned: it is another one, was cosigned a while ago, or never."""
    if before.cosigned.checkpoint != checkpoint:
        return True
    # Also where the clock was set back, or the hour that it claims would never be over.
    return not 0 <= now - before.cosigned.time < COSIGN_SECONDS


def with_lost(before: HeldChain, lost: int | None) -> HeldChain:
    """Return what is held of a chain, with the most losses that its process told: an older answer takes none back."""
    known = before.entry.lost
    if lost is None or (known is not None and known >= lost):
        return before
    return replace(before, entry=before.entry._replace(lost=lost))


def with_told(before: HeldChain, answer: CheckpointAnswer) -> HeldChain:
    """Return it with the losses that an answer tells. Anybody can show its checkpoint: only its process is believed."""
    return with_lost(before, answer.lost) if answer.replica == before.entry.replica else before


def over(
    held: Mapping[str, HeldChain], found: Collection[str], current: Mapping[str, str], now: int
) -> dict[str, HeldChain]:
    """Return the chains that can be put away. `found`: the processes that are there; `current`: the chain of each."""
    return {
        chain: one
        for chain, one in held.items()
        if now - one.cosigned.time >= GONE_SECONDS
        and (one.entry.replica not in found or current.get(one.entry.replica, chain) != chain)
    }


def newest(held: Mapping[str, HeldChain]) -> dict[str, str]:
    """Return by process the chain that was last heard of."""
    found: dict[str, str] = {}
    for chain, one in sorted(held.items(), key=lambda item: (item[1].cosigned.time, item[1].entry.opened)):
        found[one.entry.replica] = chain
    return found


def lost(life: Mapping[str, HeldChain], stored: Mapping[str, HeldChain]) -> dict[str, str]:
    """Return the chains that are not stored as this process stored them, and why; what is newer is another leader's."""
    found: dict[str, str] = {}
    for chain, mine in life.items():
        theirs = stored.get(chain)
        if theirs is None:
            found[chain] = "it was removed"
        elif theirs.size < mine.size:
            found[chain] = f"it was set back from {mine.size} lines to {theirs.size}"
        elif mine.entry.refused is not None and theirs.entry.refused is None:
            found[chain] = "it was refused, and that was removed"
    return found


def parted(life: Mapping[str, HeldChain], stored: Mapping[str, HeldChain]) -> dict[str, str]:
    """Return the chains of which two different logs of one size were cosigned, by us and by whoever led besides."""
    return {
        chain: f"two different logs of {mine.size} lines were signed"
        for chain, mine in life.items()
        if (theirs := stored.get(chain)) is not None
        and theirs.size == mine.size
        and theirs.cosigned.checkpoint.root != mine.cosigned.checkpoint.root
    }
