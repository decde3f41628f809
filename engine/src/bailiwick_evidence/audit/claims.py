"""What others say of a chain: checkpoints that a witness cosigned, and lines of other chains that name its last line.

Standing: under `vouchers` and `judgement`. Holds: a checkpoint vouches for lines only with a cosignature of a trusted
key, which is verified here; every note of a checkpoint is kept that differs in who else signed it, so that no later
note takes the place of a better one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey, opened, signers, split

_NOTE: Final = re.compile(r"(?:[^\n]+\n)+\n(?:\N{EM DASH} [^\n]+\n?)+")


class ShownCheckpoint(NamedTuple):
    """A signed note of a checkpoint, and what stands beside it where it is kept. Nothing of it is verified.

    `refused`: a checkpoint that the process signed too and that contradicts this one.
    """

    note: str
    pod: str | None = None
    refused: str | None = None


class RootClaim(NamedTuple):
    """A checkpoint that a witness cosigned at `time`, in seconds since the epoch: so many lines, and the root.

    `notes`: each note of it, with a cosignature that was verified. `pod`: where the process ran, as far as it is told.
    `seen`: each witness that cosigned it, by name, and when.
    """

    chain: str
    size: int
    root: bytes
    time: int
    origin: str
    notes: tuple[str, ...]
    pod: str | None = None
    seen: tuple[tuple[str, int], ...] = ()


class HeldCheckpoint(NamedTuple):
    """A checkpoint that line `seq` of the chain `by` holds. `time`: when a witness cosigned it; None: none did."""

    chain: str
    size: int
    root: bytes
    origin: str
    note: str
    by: str
    seq: int
    time: int | None


class HeadClaim(NamedTuple):
    """A line of another chain that says how many lines there were and the hash of the last. `by`: of which chain."""

    chain: str
    size: int
    head: bytes
    by: str


class WitnessBook:
    """Every checkpoint that was shown. `refused`: how many had no cosignature of these keys, or were none at all.

    `quorum`: so many witnesses of different names must have seen a line; the keys that one has had count once.
    `strangers`: by chain, who claims to have cosigned one of those, as a `vkey` begins. Nothing of it is verified.
    """

    def __init__(self, keys: Sequence[VerifierKey], quorum: int = 1) -> None:
        self.keys = tuple(keys)
        self.quorum = quorum
        self.refused = 0
        self.contradictions: dict[str, str] = {}
        self.strangers: dict[str, str] = {}
        self._labels = frozenset(key.label for key in self.keys)
        self._claims: dict[str, dict[tuple[int, bytes], RootClaim]] = {}
        self._held: dict[str, list[HeldCheckpoint]] = {}

    def add(self, shown: ShownCheckpoint) -> None:
        """Take a checkpoint, if a witness cosigned it."""
        claim = self._opened(shown.note, shown.pod)
        if claim is None:
            self.refused += 1
        elif shown.refused is not None:
            self.contradictions[claim.chain] = shown.refused

    def add_of_line(self, note: str, by: str, seq: int) -> None:
        """Take a checkpoint that a line of a chain holds. Its cosignature counts wherever the note stands."""
        claim = self._opened(note, None)
        try:
            said = Checkpoint.parse(split(note)[0])
        except NoteError:
            return
        if (named := chain_of(said.origin)) is not None:
            time = None if claim is None else claim.time
            held = HeldCheckpoint(named[1], said.size, said.root, said.origin, note, by, seq, time)
            self._held.setdefault(named[1], []).append(held)

    def _opened(self, note: str, pod: str | None) -> RootClaim | None:
        """Keep a checkpoint and return it; None if no witness cosigned it, or it is of no log of ours."""
        try:
            found = opened(note, self.keys)
            said = Checkpoint.parse(found.text)
        except NoteError:
            self._refuse(note)
            return None
        named = chain_of(said.origin)
        if named is None:
            return None
        seen = tuple((one.key.name, one.time or 0) for one in found.signatures)
        time = max(when for _, when in seen)
        claim = RootClaim(named[1], said.size, said.root, time, said.origin, (note,), pod, seen)
        self._put(claim)
        return claim

    def _refuse(self, note: str) -> None:
        """Remember whose key would be needed to tell what a checkpoint is worth."""
        try:
            origin = Checkpoint.parse(split(note)[0]).origin
            names = signers(note)
        except NoteError:
            return
        others = [one for one in names if one not in self._labels and not one.startswith(f"{origin}+")]
        if (named := chain_of(origin)) is not None and others:
            self.strangers[named[1]] = others[-1]

    def _put(self, claim: RootClaim) -> None:
        held = self._claims.setdefault(claim.chain, {})
        before = held.get((claim.size, claim.root))
        if before is None:
            held[claim.size, claim.root] = claim
            return
        # One that was only cosigned again, as each minute, is the same note, and the later of the two is kept.
        late, early = (claim, before) if claim.time > before.time else (before, claim)
        notes = {self._others(note): note for note in (*late.notes, *early.notes)[::-1]}
        seen = dict(sorted((*before.seen, *claim.seen), key=lambda one: one[1]))
        held[claim.size, claim.root] = RootClaim(
            *late[:5], tuple(notes.values())[::-1], late.pod or early.pod, tuple(seen.items())
        )

    def _others(self, note: str) -> tuple[str, ...]:
        """Return the lines of a note by keys other than those of the witnesses."""
        lines = split(note)[1]
        return tuple(line for line, label in zip(lines, signers(note), strict=True) if label not in self._labels)

    @property
    def newest(self) -> int | None:
        """When a witness cosigned anything for the last time, in seconds since the epoch."""
        return max((claim.time for claims in self._claims.values() for claim in claims.values()), default=None)

    def of(self, chain: str) -> list[RootClaim]:
        """Return what witnesses cosigned of a chain, the smallest first."""
        return sorted(self._claims.get(chain, {}).values(), key=lambda claim: (claim.size, claim.time))

    def held(self, chain: str) -> list[HeldCheckpoint]:
        """Return the checkpoints of a chain that lines of other chains hold."""
        return self._held.get(chain, [])

    @property
    def witnessed(self) -> frozenset[str]:
        """Every chain of which a witness saw a line."""
        return frozenset(name for name, claims in self._claims.items() if any(size for size, _ in claims))


def notes_of(text: str) -> list[str]:
    """Return the notes of a file, which stand one after the other with empty lines between."""
    return [found[0] if found[0].endswith("\n") else found[0] + "\n" for found in _NOTE.finditer(text)]


def checkpoints_of_objects(raw: object) -> Iterator[ShownCheckpoint]:
    """Yield the checkpoints in the data of ConfigMaps: of one, or of a list of them."""
    if not isinstance(raw, Mapping):
        return
    items = raw.get("items")
    for item in items if isinstance(items, list) else ():
        yield from checkpoints_of_objects(item)
    data = raw.get("data")
    for held in data.values() if isinstance(data, Mapping) else ():
        if isinstance(held, str) and held.startswith("{"):
            yield from _entry(held)
        elif isinstance(held, str):
            yield from map(ShownCheckpoint, notes_of(held))


def _entry(text: str) -> Iterator[ShownCheckpoint]:
    """Yield what an entry of the witness holds."""
    try:
        held = orjson.loads(text)
    except ValueError:
        return
    if isinstance(held, dict) and isinstance(note := held.get("checkpoint"), str):
        pod, refused = held.get("pod"), held.get("refused")
        contrary = refused.get("note") if isinstance(refused, dict) else None
        yield ShownCheckpoint(
            note, pod if isinstance(pod, str) else None, contrary if isinstance(contrary, str) else None
        )


def signed_by_process(note: str, key: str) -> bool:
    """Tell whether the process that opened a chain, with this key, signed a checkpoint of it."""
    try:
        opened(note, [VerifierKey.parse(key)])
    except NoteError:
        return False
    return True


def witness_keys(text: str) -> list[VerifierKey]:
    """Read keys of witnesses, one a line. Raises `NoteError` for one that is none, or that signs no cosignatures."""
    found = [VerifierKey.parse(line.strip()) for line in text.splitlines() if line.strip() and line[0] != "#"]
    for key in found:
        if key.kind is not SignatureType.COSIGNATURE:
            message = f"the key of {key.name} is not one of a witness: it does not sign cosignatures"
            raise NoteError(message)
    return found
