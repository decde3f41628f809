"""Claims of others about a chain: checkpoints that a witness cosigned, and lines of other chains that name its head.

Standing: under `vouchers` and `judgement`. Holds: a checkpoint vouches for lines only with a cosignature of a trusted
key, which this module verifies; if the auditor says whose key each is, a chain is of the cluster whose key cosigned it,
whatever a note calls itself. Of a note, the lines of the process and the verified ones of trusted keys are kept: anyone
can add others. Notes of one checkpoint with different lines of the process are kept beside each other, up to a bound,
so that a later note never replaces a better one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from bailiwick_evidence.checkpoint import Checkpoint, chain_of
from bailiwick_evidence.note import (
    NoteError,
    NoteSignature,
    SignatureType,
    VerifierKey,
    open_note,
    signed_lines,
    signer_of,
    signers,
    split,
)

AHEAD_SECONDS: Final = 120
"""How far the clocks of witnesses may be ahead of the auditor's. A later cosignature has no time that counts."""

_MOST_FORMS: Final = 16
"""How many notes of one checkpoint are kept. An honest process signs it once."""
_NOTE: Final = re.compile(r"(?:[^\n]+\n)+\n(?:\N{EM DASH} [^\n]+\n?)+")


class ShownCheckpoint(NamedTuple):
    """A signed note of a checkpoint, and the members that are stored with it. Nothing in it is verified.

    `refused`: a checkpoint that the process also signed and that contradicts this one.
    """

    note: str
    pod: str | None = None
    refused: str | None = None


class RootClaim(NamedTuple):
    """A checkpoint that a witness cosigned at `time`, in seconds since the epoch: number of lines, and the root.

    `notes`: each note of it, with a cosignature that was verified. `pod`: where the process ran, if that is known.
    `seen`: each witness that cosigned it, by name, and when. `ahead`: the latest time of a cosignature from the future,
    which stands as 0 in `time` and `seen`; 0: there is none.
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


class WitnessBook:
    """All checkpoints that were given. `refused`: how many had no cosignature of these keys, or were not checkpoints.

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
        self.refused = 0
        self.contradictions: dict[str, dict[str, None]] = {}
        self.strangers: dict[str, str] = {}
        self._labels = frozenset(key.label for key in self.keys)
        self._claims: dict[str, dict[tuple[int, bytes], RootClaim]] = {}
        # The notes of each claim, which has none itself: by the lines of the process, with their times.
        self._forms: dict[tuple[str, int, bytes], dict[tuple[str, ...], tuple[int, str]]] = {}
        self._held: dict[str, list[HeldCheckpoint]] = {}
        self._owners: dict[str, frozenset[str]] = {}

    def copy(self) -> "WitnessBook":
        """Return a book with the same checkpoints, to which others can be added."""
        made = WitnessBook(self.keys, self.quorum, self.clusters, self.now)
        made.refused = self.refused
        made.contradictions = {chain: dict(notes) for chain, notes in self.contradictions.items()}
        made.strangers = dict(self.strangers)
        made._claims = {chain: dict(claims) for chain, claims in self._claims.items()}
        made._forms = {claim: dict(forms) for claim, forms in self._forms.items()}
        made._held = {chain: list(held) for chain, held in self._held.items()}
        made._owners = dict(self._owners)
        return made

    def add(self, shown: ShownCheckpoint) -> CountedNote | None:
        """Add a checkpoint if a witness cosigned it, and return what its note says; None: it does not count."""
        counted = self._keep_claim(shown.note, shown.pod)
        if counted is None:
            self.refused += 1
        elif shown.refused is not None:
            # No note replaces another: which one the process signed is known once its first line is read.
            self.contradictions.setdefault(counted.claim.chain, {})[shown.refused] = None
        return counted

    def add_of_line(self, note: str, by: str, seq: int) -> None:
        """Add a checkpoint from a line of a chain. Its cosignature counts wherever the note is."""
        counted = self._keep_claim(note, None)
        try:
            said = Checkpoint.parse(split(note)[0])
        except NoteError:
            return
        if (named := chain_of(said.origin)) is not None:
            time = None if counted is None or _is_ahead(counted.claim) else counted.claim.time
            held = HeldCheckpoint(named[1], said.size, said.root, said.origin, note, by, seq, time)
            self._held.setdefault(named[1], []).append(held)

    def _keep_claim(self, note: str, pod: str | None) -> CountedNote | None:
        """Keep a checkpoint and return it; None if no witness cosigned it, or its log is not one of Bailiwick's."""
        try:
            made = self._cosignatures(note)
            text, lines = split(note)
            said = Checkpoint.parse(text)
        except NoteError:
            self._refuse(note)
            return None
        named = chain_of(said.origin)
        if named is None:
            return None
        own = tuple(line for line in dict.fromkeys(lines) if (signer_of(line) or "").startswith(f"{said.origin}+"))
        kept = "\n".join([text, *own, *made, ""])
        signatures = tuple(made.values())
        seen, ahead = self._times(signatures)
        claim = RootClaim(
            named[1], said.size, said.root, max(seen.values()), said.origin, (kept,), pod, tuple(seen.items()), ahead
        )
        self._merge_claim(claim, own)
        if self.clusters:
            owners = {self.clusters[one.key] for one in signatures}
            self._owners[claim.chain] = self.clusters_of(claim.chain) | owners
        return CountedNote(claim, signatures)

    def _cosignatures(self, note: str) -> dict[str, NoteSignature]:
        """Return the cosignatures of trusted keys on a note, by their lines. Raises `NoteError` if there is none."""
        found = dict(signed_lines(note, self.keys))
        if not found:
            message = "no trusted key signed it"
            raise NoteError(message)
        return found

    def _times(self, signatures: Sequence[NoteSignature]) -> tuple[dict[str, int], int]:
        """Return when each witness cosigned last, by name, and the latest time from the future, which counts as 0."""
        seen: dict[str, int] = {}
        ahead = 0
        for one in signatures:
            when = one.time or 0
            if self.now is not None and when > self.now + AHEAD_SECONDS:
                ahead, when = max(ahead, when), 0
            seen[one.key.name] = max(when, seen.get(one.key.name, 0))
        return seen, ahead

    def _refuse(self, note: str) -> None:
        """Remember whose key would be needed to verify a checkpoint."""
        try:
            origin = Checkpoint.parse(split(note)[0]).origin
            names = signers(note)
        except NoteError:
            return
        others = [one for one in names if one not in self._labels and not one.startswith(f"{origin}+")]
        if (named := chain_of(origin)) is not None and others:
            self.strangers[named[1]] = others[-1]

    def _merge_claim(self, claim: RootClaim, form: tuple[str, ...]) -> None:
        """Merge a claim with what is known of its checkpoint. `form`: the lines of the process in its note."""
        held = self._claims.setdefault(claim.chain, {})
        forms = self._forms.setdefault((claim.chain, claim.size, claim.root), {})
        # A note that was only cosigned again, as happens each minute, is the same note; the later one is kept. Whose
        # key is the process's is not known here, so others can write its lines too. Beyond the bound they are left out:
        # a checkpoint of which no kept note has the true line is forged.
        if claim.time > forms[form][0] if form in forms else len(forms) < _MOST_FORMS:
            forms[form] = (claim.time, claim.notes[0])
        before = held.get((claim.size, claim.root), claim)
        late, early = (claim, before) if claim.time > before.time else (before, claim)
        seen = dict(sorted((*before.seen, *claim.seen), key=lambda one: one[1]))
        held[claim.size, claim.root] = RootClaim(
            *late[:5], (), late.pod or early.pod, tuple(seen.items()), max(late.ahead, early.ahead)
        )

    @property
    def newest(self) -> int | None:
        """The time of the newest cosignature, in seconds since the epoch."""
        return max((claim.time for claims in self._claims.values() for claim in claims.values()), default=None)

    def claims_of(self, chain: str) -> list[RootClaim]:
        """Return the checkpoints of a chain that witnesses cosigned, the smallest first."""
        found = sorted(self._claims.get(chain, {}).values(), key=lambda claim: (claim.size, claim.time))
        return [claim._replace(notes=self._notes_of(claim)) for claim in found]

    def _notes_of(self, claim: RootClaim) -> tuple[str, ...]:
        """Return the notes of a claim, the newest first."""
        forms = self._forms[claim.chain, claim.size, claim.root].values()
        return tuple(note for _, note in sorted(forms, key=lambda form: -form[0]))

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
        """Tell whether lines of a chain can count against another: those of another cluster never do."""
        owners, accused = self.clusters_of(chain), self.clusters_of(other)
        return not owners or not accused or bool(owners & accused)

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


def _is_ahead(claim: RootClaim) -> bool:
    """Tell whether no cosignature of a checkpoint has a time that has come."""
    return bool(claim.ahead) and not claim.time


def notes_of(text: str) -> list[str]:
    """Return the notes of a file, which are separated by empty lines."""
    return [found[0] if found[0].endswith("\n") else found[0] + "\n" for found in _NOTE.finditer(text)]


def checkpoints_of_objects(raw: object) -> Iterator[ShownCheckpoint]:
    """Yield the checkpoints in the data of a ConfigMap, or of a list of ConfigMaps."""
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
    """Yield the checkpoint in an entry of the witness."""
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
        open_note(note, [VerifierKey.parse(key)])
    except NoteError:
        return False
    return True


def witness_keys(text: str) -> list[VerifierKey]:
    """Read keys of witnesses, one a line. Raises `NoteError` if one is malformed, or is not for cosignatures."""
    found = [VerifierKey.parse(line.strip()) for line in text.splitlines() if line.strip() and line[0] != "#"]
    for key in found:
        if key.kind is not SignatureType.COSIGNATURE:
            message = f"the key of {key.name} is not one of a witness: it does not sign cosignatures"
            raise NoteError(message)
    return found
