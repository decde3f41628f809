"""What others say of a chain: checkpoints that a witness cosigned, and lines of other chains that name its last line.

Standing: under `judgement`. Holds: a checkpoint counts only with a cosignature of a key that is trusted; one without is
counted and otherwise as if it were not there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

    `by`: the chain that holds it, of one that no witness cosigned. `pod`: where the process ran, as far as it is told.
    `seen`: each witness that cosigned it, by name, and when; else that chain.
    """

    chain: str
    size: int
    root: bytes
    time: int
    origin: str
    note: str
    by: str | None = None
    pod: str | None = None
    seen: tuple[tuple[str, int], ...] = ()


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
        self._claims: dict[str, dict[tuple[int, bytes], RootClaim]] = {}

    def add(self, shown: ShownCheckpoint) -> None:
        """Take a checkpoint. Of two of one size and root, the later one is kept."""
        try:
            found = opened(shown.note, self.keys)
            said = Checkpoint.parse(found.text)
        except NoteError:
            self.refused += 1
            self._refuse(shown.note)
            return
        named = chain_of(said.origin)
        if named is None:
            self.refused += 1
            return
        seen = tuple((one.key.name, one.time or 0) for one in found.signatures)
        time = max(when for _, when in seen)
        self._put(RootClaim(named[1], said.size, said.root, time, said.origin, shown.note, pod=shown.pod, seen=seen))
        if shown.refused is not None:
            self.contradictions[named[1]] = shown.refused

    def _refuse(self, note: str) -> None:
        """Remember whose key would be needed to tell what a checkpoint is worth."""
        try:
            origin = Checkpoint.parse(split(note)[0]).origin
            names = signers(note)
        except NoteError:
            return
        ours = {key.label for key in self.keys}
        others = [one for one in names if one not in ours and not one.startswith(f"{origin}+")]
        if (named := chain_of(origin)) is not None and others:
            self.strangers[named[1]] = others[-1]

    def add_of_chain(self, note: str, by: str, time: int) -> None:
        """Take a checkpoint that a chain holds, which was written at this time. Who signed it is for later."""
        try:
            text, _ = split(note)
            said = Checkpoint.parse(text)
        except NoteError:
            return
        named = chain_of(said.origin)
        if named is not None:
            self._put(RootClaim(named[1], said.size, said.root, time, said.origin, note, by=by, seen=((by, time),)))

    def _put(self, claim: RootClaim) -> None:
        held = self._claims.setdefault(claim.chain, {})
        before = held.get((claim.size, claim.root))
        if before is None:
            held[claim.size, claim.root] = claim
            return
        # What a witness cosigned is worth more than what another chain says.
        best = max(before, claim, key=lambda one: (one.by is None, one.time))
        seen = claim.seen + before.seen if (claim.by is None) is (before.by is None) else best.seen
        held[claim.size, claim.root] = best._replace(seen=tuple(dict(sorted(seen, key=lambda one: one[1])).items()))

    @property
    def newest(self) -> int | None:
        """When a witness cosigned anything for the last time, in seconds since the epoch."""
        every = (claim for claims in self._claims.values() for claim in claims.values())
        return max((claim.time for claim in every if claim.by is None), default=None)

    def of(self, chain: str) -> list[RootClaim]:
        """Return what is known of a chain, the smallest first."""
        return sorted(self._claims.get(chain, {}).values(), key=lambda claim: (claim.size, claim.time))

    @property
    def witnessed(self) -> frozenset[str]:
        """Every chain that a witness saw."""
        return frozenset(
            name for name, claims in self._claims.items() if any(claim.by is None for claim in claims.values())
        )


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


def latest(claims: Iterable[RootClaim], quorum: int = 1) -> RootClaim | None:
    """Return the largest checkpoint up to which so many have seen a log, of equal ones the newest; None: fewer saw it.

    Its time is that of whoever of them looked last the longest ago.
    """
    largest: dict[str, RootClaim] = {}
    for claim in claims:
        for name, time in claim.seen:
            mine = claim._replace(time=time)
            largest[name] = max(mine, largest.get(name, mine), key=_reach)
    ranked = sorted(largest.values(), key=_reach, reverse=True)[:quorum]
    return ranked[-1]._replace(time=min(one.time for one in ranked)) if len(ranked) == quorum else None


def _reach(claim: RootClaim) -> tuple[int, int]:
    return claim.size, claim.time
