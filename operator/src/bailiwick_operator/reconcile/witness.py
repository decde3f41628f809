"""Which checkpoint of a process may be cosigned, given the one that was cosigned last. Pure; `evidence.witness` asks.

Holds: a checkpoint is cosigned only if the pinned key signed it and it continues the log that is held. A chain is
refused for good only because of two checkpoints of its own process that cannot both be true. An answer that someone on
the network path could have forged or replayed is rejected itself, and refuses no chain. An answer that is older than
what is held proves nothing, since two leaders may both ask for a moment.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from bailiwick_evidence.chainentry import CosignedCheckpoint, WitnessedChain
from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.merkle import is_consistent
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey, open_note, split

COSIGN_SECONDS: Final = 60
"""A checkpoint that did not change is cosigned again after so many seconds, as a sign of life."""
GONE_SECONDS: Final = 600
"""A chain that was silent for so many seconds, and whose process does not exist, is over."""


@dataclass(frozen=True, slots=True)
class CheckpointAnswer:
    """What a process answered. `since`: the size that its proof is from. `known`: the size that was held at that time.

    `lost`: how many records it reports as lost; None: it did not report that.
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
    """What is held of a chain: the entry, and its verified checkpoint."""

    entry: WitnessedChain
    cosigned: CosignedCheckpoint

    @property
    def size(self) -> int:
        """How many lines were witnessed."""
        return self.cosigned.checkpoint.size


@dataclass(frozen=True, slots=True)
class Cosignable:
    """The checkpoint may be cosigned."""

    chain: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class LogContradiction:
    """The process signed a checkpoint that contradicts an earlier one: its chain is refused from now on."""

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
    """No verdict yet: the process must be asked again, from the size that is held of this chain."""

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
    return _judge_continuation(named[1], before, checkpoint, answer)


def _judge_continuation(chain: str, before: HeldChain, checkpoint: Checkpoint, answer: CheckpointAnswer) -> Verdict:
    old = before.cosigned.checkpoint
    if checkpoint.size == old.size:
        if checkpoint.root == old.root:
            return Cosignable(chain, checkpoint)
        return LogContradiction(chain, f"two different logs of {old.size} lines were signed")
    if checkpoint.size < old.size:
        if answer.known < old.size:
            return OtherSize(chain)
        # The process did sign it once, and someone on the network path may replay it: it proves nothing against the
        # process.
        return AnswerRejection(f"chain {chain} has {checkpoint.size} lines and had {old.size}")
    if answer.since != old.size:
        return OtherSize(chain)
    if is_consistent(old.size, old.root, checkpoint.size, checkpoint.root, answer.proof):
        return Cosignable(chain, checkpoint)
    # A proof is not signed: a wrong one may be a forgery, as long as a right one can still come.
    return AnswerRejection(
        f"chain {chain}, of {checkpoint.size} lines, is not proven to continue the {old.size} that were witnessed"
    )


def named_chain(answer: CheckpointAnswer) -> str | None:
    """Return the chain that an answer claims to be of; None where it claims none. It is not verified."""
    claimed = _claimed_checkpoint(answer)
    named = None if claimed is None else chain_of(claimed.origin)
    return None if named is None else named[1]


def claimed_size(answer: CheckpointAnswer) -> int:
    """Return the size that an answer claims, 0 where it claims none. It is not verified."""
    claimed = _claimed_checkpoint(answer)
    return 0 if claimed is None else claimed.size


def _claimed_checkpoint(answer: CheckpointAnswer) -> Checkpoint | None:
    try:
        return Checkpoint.parse(split(answer.note)[0])
    except NoteError:
        return None


def plain_note(answer: CheckpointAnswer) -> str:
    """Return the note with the signature of its process alone, after it was judged."""
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
    """Tell whether to cosign a checkpoint: it is a new one, was cosigned a while ago, or never."""
    if before.cosigned.checkpoint != checkpoint:
        return True
    # Also where the clock was set back: else a time in the future would put it off until then.
    return not 0 <= now - before.cosigned.time < COSIGN_SECONDS


def with_losses(before: HeldChain, lost: int | None) -> HeldChain:
    """Return what is held of a chain, with the most losses that were reported: an older answer takes none back."""
    known = before.entry.lost
    if lost is None or (known is not None and known >= lost):
        return before
    return replace(before, entry=before.entry._replace(lost=lost))


def with_reported_losses(before: HeldChain, answer: CheckpointAnswer) -> HeldChain:
    """Return it with the losses that an answer reports, if the answer is from its own process.

    Others can show its checkpoint too, so their figure is not believed.
    """
    return with_losses(before, answer.lost) if answer.replica == before.entry.replica else before


def finished_chains(
    held: Mapping[str, HeldChain], replicas: Collection[str], current: Mapping[str, str], now: int
) -> dict[str, HeldChain]:
    """Return the chains that can be put away. `replicas`: the present processes; `current`: the chain of each."""
    return {
        chain: kept
        for chain, kept in held.items()
        if now - kept.cosigned.time >= GONE_SECONDS
        and (kept.entry.replica not in replicas or current.get(kept.entry.replica, chain) != chain)
    }


def newest_chains(held: Mapping[str, HeldChain]) -> dict[str, str]:
    """Return the most recently witnessed chain of each process."""
    by_replica: dict[str, str] = {}
    for chain, kept in sorted(held.items(), key=lambda item: (item[1].cosigned.time, item[1].entry.opened)):
        by_replica[kept.entry.replica] = chain
    return by_replica


def lost_chains(life: Mapping[str, HeldChain], stored: Mapping[str, HeldChain]) -> dict[str, str]:
    """Return the chains that are not stored as this process stored them, and why. A newer one is another leader's."""
    whys: dict[str, str] = {}
    for chain, mine in life.items():
        theirs = stored.get(chain)
        if theirs is None:
            whys[chain] = "it was removed"
        elif theirs.size < mine.size:
            whys[chain] = f"it was set back from {mine.size} lines to {theirs.size}"
        elif mine.entry.refused is not None and theirs.entry.refused is None:
            whys[chain] = "it was refused, and that was removed"
    return whys


def contradicting_chains(life: Mapping[str, HeldChain], stored: Mapping[str, HeldChain]) -> dict[str, str]:
    """Return the chains of which two different logs of one size were cosigned: by us and by another leader."""
    return {
        chain: f"two different logs of {mine.size} lines were signed"
        for chain, mine in life.items()
        if (theirs := stored.get(chain)) is not None
        and theirs.size == mine.size
        and theirs.cosigned.checkpoint.root != mine.cosigned.checkpoint.root
    }
