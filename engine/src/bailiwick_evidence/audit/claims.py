"""Claims of others about a chain: checkpoints that a witness cosigned, and lines of other chains that name its head.

Standing: under `vouchers` and `judgement`. Holds: a checkpoint vouches for lines only with a cosignature of a trusted
key, which this module verifies; if the auditor says whose key each is, a chain is of the cluster whose key cosigned it,
whatever a note calls itself. Of a note, the lines of the process and the verified ones of trusted keys are kept: anyone
can add others. Which line the process itself made is known only once its key is, so all are kept, up to a bound; what
was left out is counted.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from bailiwick_evidence.audit.cosignatures import CosignedNote, FoundNotes, cosigned_in
from bailiwick_evidence.audit.spellings import spellings
from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.note import NoteError, NoteSignature, SignatureType, VerifierKey, signed_by, split

AHEAD_SECONDS: Final = 120
"""How far the clocks of witnesses may be ahead of the auditor's: what is cosigned then counts as cosigned now.

A later cosignature has no time that counts.
"""

_MOST_TEXTS: Final = 16
"""How many texts of one checkpoint are kept. An honest process has one, and a witness cosigned each of them."""
_MOST_OWN: Final = 32
"""How many lines in the name of the process are kept with a text. An honest process signs it once."""


class ShownCheckpoint(NamedTuple):
    """A text with signed notes of checkpoints, and the members that are stored with it. Nothing in it is verified.

    `refused`: a checkpoint that the process also signed and that contradicts this one.
    `beside`: it is searched only so that nothing is hidden, and what no witness cosigned in it is not counted.
    """

    note: str
    pod: str | None = None
    refused: str | None = None
    beside: bool = False


class RootClaim(NamedTuple):
    """A checkpoint that a witness cosigned at `time`, in seconds since the epoch: number of lines, and the root.

    `notes`: each note of it, with a cosignature that was verified. `pod`: where the process ran, if that is known.
    `seen`: each witness that cosigned it, by name, and when. `ahead`: the latest time of a cosignature from the future,
    which stands as 0 in `time` and `seen`; 0: there is none. `left_out`: how many lines in the name of the process are
    not in `notes`, because there are too many.
    """

    chain: str
    size: int
    root: bytes
    time: int
    origin: str
    notes: tuple[str, ...]
    pod: str | None = None
    seen: tuple[tuple[str, int], ...] = ()
    ahead: int = 0
    left_out: int = 0


class CountedNote(NamedTuple):
    """What one note says, with the cosignatures of trusted keys that were verified in it."""

    claim: RootClaim
    signatures: tuple[NoteSignature, ...]


class HeldCheckpoint(NamedTuple):
    """A checkpoint in line `seq` of the chain `by`. `time`: when a witness cosigned it; None: none did yet."""

    chain: str
    size: int
    root: bytes
    origin: str
    note: str
    by: str
    seq: int
    time: int | None


class HeadClaim(NamedTuple):
    """A line of the chain `by` that has the number of lines of another chain and the hash of its last line."""

    chain: str
    size: int
    head: bytes
    by: str


class _KeptText:
    """One text of a checkpoint: the lines in the name of its process, and the newest cosignature of each key."""

    __slots__ = ("cosigned", "own")

    def __init__(self) -> None:
        self.own: dict[str, None] = {}
        self.cosigned: dict[VerifierKey, tuple[int, str]] = {}

    def copy(self) -> "_KeptText":
        made = _KeptText()
        made.own, made.cosigned = dict(self.own), dict(self.cosigned)
        return made


class WitnessBook:
    """All checkpoints that were given. `refused`: how many had no cosignature of these keys, or were not checkpoints.

    `unread`: how many texts were not read to their end, since too much of them was in vain.

    `quorum`: the number of witnesses with different names that must have seen a line; all keys of one name count once.
    `clusters`: whose witness each of the keys is, by the auditor's word; empty: any key counts for any chain.
    `strangers`: by chain, who claims to have cosigned a refused one, as a `vkey` begins. Nothing of it is verified.
    `now`: the moment of verification, in seconds since the epoch; None: a cosignature counts at any time.
    """

    def __init__(
        self,
        keys: Sequence[VerifierKey],
        quorum: int = 1,
        clusters: Mapping[VerifierKey, str] | None = None,
        now: float | None = None,
    ) -> None:
        self.keys = tuple(keys)
        self.quorum = quorum
        self.clusters = dict(clusters or {})
        self.now = now
        self.refused = self.unread = 0
        self.contradictions: dict[str, dict[str, None]] = {}
        self.strangers: dict[str, str] = {}
        self._labels = frozenset(key.label for key in self.keys)
        self._claims: dict[str, dict[tuple[int, bytes], RootClaim]] = {}
        # The notes of each claim, which has none itself, by their texts.
        self._texts: dict[tuple[str, int, bytes], dict[str, _KeptText]] = {}
        self._held: dict[str, list[HeldCheckpoint]] = {}
        self._owners: dict[str, frozenset[str]] = {}

    def copy(self) -> "WitnessBook":
        """Return a book with the same checkpoints, to which others can be added."""
        made = WitnessBook(self.keys, self.quorum, self.clusters, self.now)
        made.refused, made.unread = self.refused, self.unread
        made.contradictions = {chain: dict(notes) for chain, notes in self.contradictions.items()}
        made.strangers = dict(self.strangers)
        made._claims = {chain: dict(claims) for chain, claims in self._claims.items()}
        made._texts = {
            claim: {text: kept.copy() for text, kept in texts.items()} for claim, texts in self._texts.items()
        }
        made._held = {chain: list(held) for chain, held in self._held.items()}
        made._owners = dict(self._owners)
        return made

    def add(self, shown: ShownCheckpoint) -> tuple[CountedNote, ...]:
        """Add the checkpoints that a witness cosigned, and return what their notes say; none: nothing of it counts."""
        return self.add_found(shown, cosigned_in(shown.note, self.keys))

    def add_found(self, shown: ShownCheckpoint, found: FoundNotes) -> tuple[CountedNote, ...]:
        """Add what was found in a text with the keys of this book."""
        counted = self._keep_notes(found, shown.pod)
        if not shown.beside:
            self.refused += len(found.unsigned) or not counted
        for one in counted if shown.refused is not None else ():
            # No note replaces another: which one the process signed is known once its first line is read.
            self.contradictions.setdefault(one.claim.chain, {})[shown.refused or ""] = None
        return counted

    def add_of_line(self, note: str, by: str, seq: int) -> None:
        """Add a checkpoint from a line of a chain. Its cosignature counts wherever the note is."""
        counted = self._keep_notes(cosigned_in(note, self.keys), None)
        try:
            said = Checkpoint.parse(split(note)[0])
        except NoteError:
            return
        if (named := chain_of(said.origin)) is not None:
            times = [one.claim.time for one in counted if (one.claim.origin, *one.claim[1:3]) == said]
            held = HeldCheckpoint(
                named[1], said.size, said.root, said.origin, note, by, seq, max(filter(None, times), default=None)
            )
            self._held.setdefault(named[1], []).append(held)

    def _keep_notes(self, found: FoundNotes, pod: str | None) -> tuple[CountedNote, ...]:
        """Keep the checkpoints that a witness cosigned, and remember whose key would be needed to verify others."""
        self.unread += found.unread
        for one in found.unsigned:
            if one.labels:
                self.strangers[one.chain] = one.labels[-1]
        return tuple(self._keep_claim(note, pod) for note in found.notes)

    def _keep_claim(self, note: CosignedNote, pod: str | None) -> CountedNote:
        """Keep a checkpoint and return it."""
        said, signatures = note.checkpoint, tuple(note.cosigned.values())
        seen, ahead = self._times(signatures)
        times = max(seen.values())
        claim = RootClaim(note.chain, said.size, said.root, times, said.origin, (), pod, tuple(seen.items()), ahead)
        self._merge_claim(claim, note)
        if self.clusters:
            owners = {self.clusters[one.key] for one in signatures}
            self._owners[claim.chain] = self.clusters_of(claim.chain) | owners
        return CountedNote(claim, signatures)

    def _times(self, signatures: Sequence[NoteSignature]) -> tuple[dict[str, int], int]:
        """Return when each witness cosigned last, by name, and the latest time from the future, which counts as 0.

        No time is later than this moment, since nothing is known of what comes after it.
        """
        seen: dict[str, int] = {}
        ahead = 0
        for one in signatures:
            when = self._time_of(one)
            if not when:
                ahead = max(ahead, one.time or 0)
            seen[one.key.name] = max(when, seen.get(one.key.name, 0))
        return seen, ahead

    def _time_of(self, one: NoteSignature) -> int:
        """Return when a cosignature was made, and no later than now; 0: it is from the future."""
        when = one.time or 0
        if self.now is None:
            return when
        return 0 if when > self.now + AHEAD_SECONDS else min(when, int(self.now))

    def _merge_claim(self, claim: RootClaim, note: CosignedNote) -> None:
        """Merge a claim with what is known of its checkpoint. `note`: where it is from."""
        held = self._claims.setdefault(claim.chain, {})
        texts = self._texts.setdefault((claim.chain, claim.size, claim.root), {})
        before = held.get((claim.size, claim.root), claim)
        left_out = before.left_out
        if note.text in texts or len(texts) < _MOST_TEXTS:
            left_out += self._keep_text(texts.setdefault(note.text, _KeptText()), note)
        else:
            left_out += len(note.own)
        late, early = (claim, before) if claim.time > before.time else (before, claim)
        seen = dict(sorted((*before.seen, *claim.seen), key=lambda one: one[1]))
        held[claim.size, claim.root] = RootClaim(
            *late[:5], (), late.pod or early.pod, tuple(seen.items()), max(late.ahead, early.ahead), left_out
        )

    def _keep_text(self, kept: _KeptText, note: CosignedNote) -> int:
        """Keep lines of a note, and return how many there was no room for.

        Whose key is the process's is not known here, so others can write lines in its name too.
        """
        left_out = 0
        for line in note.own:
            if line in kept.own or len(kept.own) < _MOST_OWN:
                kept.own[line] = None
            else:
                left_out += 1
        for line, one in note.cosigned.items():
            when = self._time_of(one)
            if one.key not in kept.cosigned or kept.cosigned[one.key][0] < when:
                kept.cosigned[one.key] = when, line
        return left_out

    def newest_of(self, chain: str) -> int:
        """Return the time of the newest cosignature of a chain, in seconds since the epoch; 0: there is none."""
        return max((claim.time for claim in self._claims.get(chain, {}).values()), default=0)

    def claims_of(self, chain: str) -> list[RootClaim]:
        """Return the checkpoints of a chain that witnesses cosigned, the smallest first."""
        found = sorted(self._claims.get(chain, {}).values(), key=lambda claim: (claim.size, claim.time))
        return [claim._replace(notes=self._notes_of(claim)) for claim in found]

    def _notes_of(self, claim: RootClaim) -> tuple[str, ...]:
        """Return the notes of a claim, a text each."""
        texts = self._texts.get((claim.chain, claim.size, claim.root), {})
        return tuple(
            "\n".join([text, *kept.own, *(line for _, line in kept.cosigned.values()), ""])
            for text, kept in texts.items()
        )

    def clusters_of(self, chain: str) -> frozenset[str]:
        """Return the clusters whose keys cosigned a checkpoint of a chain. More than one contradict each other."""
        return self._owners.get(chain, frozenset())

    def may_vouch(self, chain: str, other: str) -> bool:
        """Tell whether lines of a chain can count in favour of another: those of another cluster never do."""
        if not self.clusters:
            return True
        owners = self.clusters_of(chain)
        return len(owners) == 1 and owners == self.clusters_of(other)

    def may_accuse(self, chain: str, other: str) -> bool:
        """Tell whether lines of a chain can count against another: those of another cluster never do.

        Of which of several clusters a chain is that none cosigned is not known.
        """
        return len({*self.clusters.values()}) <= 1 or bool(self.clusters_of(chain) & self.clusters_of(other))

    def checkpoints_held_of(self, chain: str) -> list[HeldCheckpoint]:
        """Return the checkpoints of a chain in lines of other chains."""
        return self._held.get(chain, [])

    @property
    def chains(self) -> frozenset[str]:
        """Every chain of which there is a checkpoint that a witness cosigned."""
        return frozenset(self._claims)

    @property
    def witnessed_chains(self) -> frozenset[str]:
        """Every chain that has a line which a witness saw."""
        return frozenset(name for name, claims in self._claims.items() if any(size for size, _ in claims))


def checkpoints_of_objects(raw: object) -> Iterator[ShownCheckpoint]:
    """Yield the checkpoints in the data of a ConfigMap, or of a list of ConfigMaps, and those in any text beside them.

    Where a text stands is not signed, so no member that is put around it hides it.
    """
    # YAML can have one object in many places, and in itself.
    seen: set[int] = set()
    left: list[tuple[object, bool]] = [(raw, isinstance(raw, str))]
    while left:
        value, counts = left.pop()
        if isinstance(value, str):
            yield from _entry(value) if counts and value.lstrip().startswith("{") else checkpoints_in(value, counts)
        elif id(value) in seen:
            continue
        elif isinstance(value, Mapping):
            seen.add(id(value))
            left += [(name, False) for name in value]
            data = value.get("data")
            for one in value.values():
                if one is data and isinstance(one, Mapping):
                    left += [(name, False) for name in one]
                    left += [(held, isinstance(held, str)) for held in one.values()]
                else:
                    left.append((one, False))
        elif isinstance(value, list | tuple | set):
            seen.add(id(value))
            left += [(one, False) for one in value]


def checkpoints_in(text: str, counts: bool = False) -> Iterator[ShownCheckpoint]:  # noqa: FBT001, FBT002 - one member
    """Yield what a text shows as it is and without the escapes and indentation of JSON and YAML.

    `counts`: one of them counts as refused if no witness cosigned it.
    """
    for shown in spellings(text):
        if has_signature(shown):
            yield ShownCheckpoint(shown, beside=not counts)
            counts = False


def has_signature(text: str) -> bool:
    """Tell whether a text may have a note in it."""
    return "\N{EM DASH}" in text


def _entry(text: str) -> Iterator[ShownCheckpoint]:
    """Yield the checkpoint in an entry of the witness, and what else there is in it."""
    try:
        held = json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        # Something was added to it: it can still be found what a witness cosigned.
        yield from checkpoints_in(text, counts=True)
        return
    note = held.get("checkpoint") if isinstance(held, dict) else None
    if isinstance(held, dict) and isinstance(note, str):
        pod, refused = held.get("pod"), held.get("refused")
        contrary = refused.get("note") if isinstance(refused, dict) else None
        yield ShownCheckpoint(
            note, pod if isinstance(pod, str) else None, contrary if isinstance(contrary, str) else None
        )
        *_, plain = spellings(text)
        rest = plain.replace(note, "", 1)
        if not has_signature(rest) and "bailiwick/" not in rest:
            return
    yield from checkpoints_in(text)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the members of an object. Of several texts with one name, none takes the place of another."""
    found: dict[str, object] = {}
    for name, value in pairs:
        before = found.get(name)
        found[name] = f"{before}\n{value}" if isinstance(before, str) and isinstance(value, str) else value
    return found


def signed_by_process(note: str, key: str) -> bool:
    """Tell whether the process that opened a chain, with this key, signed a checkpoint of it."""
    try:
        return signed_by(note, VerifierKey.parse(key))
    except NoteError:
        return False


def witness_keys(text: str) -> list[VerifierKey]:
    """Read keys of witnesses, one a line. Raises `NoteError` if one is malformed, or is not for cosignatures."""
    found = [VerifierKey.parse(line.strip()) for line in text.splitlines() if line.strip() and line[0] != "#"]
    for key in found:
        if key.kind is not SignatureType.COSIGNATURE:
            message = f"the key of {key.name} is not one of a witness: it does not sign cosignatures"
            raise NoteError(message)
    return found
