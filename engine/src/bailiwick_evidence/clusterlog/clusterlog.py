"""The verification of a log of all clusters' checkpoints, and what its entries say of each cluster.

Standing: the top of the folder. Holds: every entry that the signed size promises is read, and the root is computed
over all of them; an entry is of the cluster whose key, by the auditor's word, verifies the cosignature in it, so that
no log can speak for a cluster, nor a cluster for another. Names in entries count for nothing: two clusters can have the
same. Memory grows with the checkpoints of the clusters whose keys are given, and not with the log.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

from bailiwick_api import times
from bailiwick_evidence.audit.claims import AHEAD_SECONDS, ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.cosignatures import cosigned_in
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.clusterlog.tiles import FULL_WIDTH, BundleError, bundle_path, entries_of
from bailiwick_evidence.merkle import Forest, leaf_hash
from bailiwick_evidence.note import NoteError, NoteSignature, SignatureType, VerifierKey, open_note

_MOST_LABELS: Final = 8
"""How many keys are named that were not given."""

BundleReader = Callable[[str], bytes | None]
"""Returns the file of a path below the place of a log; None: there is none."""


class ClusterLogCode(StrEnum):
    """What is wrong with a log of all clusters. The codes are stable."""

    UNSIGNED = "unsigned"
    """Its checkpoint does not have the signature of the log's key, or a signature of a given key does not verify."""
    UNWITNESSED = "unwitnessed"
    """Fewer witnesses cosigned its checkpoint than are required."""
    INCOMPLETE = "incomplete"
    """Entries that its checkpoint counts are missing or cut."""
    ALTERED = "altered"
    """The root over its entries is another one than its checkpoint has."""
    ROLLED_BACK = "rolled-back"
    """It is smaller than an earlier checkpoint of it."""
    CONTRADICTED = "contradicted"
    """An earlier checkpoint has another root over as many entries."""
    UNREADABLE = "unreadable"
    """An entry names the key of a cluster, which cosigned nothing in it: a checkpoint may have been spoiled."""
    SILENT = "silent"
    """It has no checkpoint of a cluster that is new enough, or is itself too old."""


class ClusterLogFinding(NamedTuple):
    """A finding with its sentence."""

    code: ClusterLogCode
    said: str


class ClusterLogTrust(NamedTuple):
    """By what a log is judged. `quorum`: how many of the `witnesses`, by name, must have cosigned it.

    `earlier`: checkpoints of it that were kept, verified by `checkpoint_of_log`. `longest`: how old its newest
    cosignature, and that of each cluster, may be, in seconds.
    """

    key: VerifierKey
    witnesses: tuple[VerifierKey, ...]
    quorum: int
    longest: float
    earlier: tuple[Checkpoint, ...] = ()


@dataclass(slots=True)
class LoggedCluster:
    """What the log has of one cluster. `newest`: when as many of its witnesses as are required had cosigned last.

    It is in seconds since the epoch; None: fewer did.

    `ahead`: how many of its checkpoints are from the future. `silent`: no checkpoint is new enough. `unreadable`: how
    many entries name its key, which cosigned nothing in them. `witnesses`: how many, of the `quorum` that is required,
    cosigned a checkpoint, at a time that counts.
    """

    name: str
    chains: set[str] = field(default_factory=set)
    newest: int | None = None
    ahead: int = 0
    silent: bool = True
    unreadable: int = 0
    witnesses: int = 0
    quorum: int = 1


@dataclass(frozen=True, slots=True)
class ClusterLogReport:
    """The report on a log. `size` and `witnessed` (seconds since the epoch) are None if they are not proven.

    `clusters`: what it has of each that was expected. `others`: checkpoints that are cosigned by none of their keys,
    `labels`: by which keys these claim to be, as a `vkey` begins; no more than a few are named.
    `refused`: entries that are no checkpoints, or with a cosignature of one of these keys that does not verify.
    A cosignature that verifies counts, whatever else is in its entry.
    """

    origin: str
    size: int | None
    witnessed: int | None
    findings: tuple[ClusterLogFinding, ...]
    clusters: tuple[LoggedCluster, ...] = ()
    others: int = 0
    refused: int = 0
    labels: tuple[str, ...] = ()

    @property
    def forged(self) -> int:
        """How many findings show that the log is not what it was, or is not the one that witnesses saw."""
        harmless = {ClusterLogCode.SILENT, ClusterLogCode.UNREADABLE}
        return sum(found.code not in harmless for found in self.findings)


def checkpoint_of_log(note: str, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in a note that the log with this key signed. Raises `NoteError`."""
    found = Checkpoint.parse(open_note(note, [key]).text)
    if found.origin != key.name:
        message = f"it is a checkpoint of {found.origin}, and not of {key.name}"
        raise NoteError(message)
    return found


def verify_cluster_log(
    note: str, bundles: BundleReader, trust: ClusterLogTrust, book: WitnessBook, now: float
) -> ClusterLogReport:
    """Verify a log from its checkpoint on, and add the checkpoints of all clusters in it to the book.

    Each of the book's clusters is expected. `now`: seconds since the epoch. Raises what `bundles` raises.
    """
    try:
        head = checkpoint_of_log(note, trust.key)
        seen = _cosigned(note, trust)
    except NoteError as error:
        said = f"its checkpoint does not count: {error}"
        return ClusterLogReport(trust.key.name, None, None, (ClusterLogFinding(ClusterLogCode.UNSIGNED, said),))
    return _Reading(head, trust, book, now).report(bundles, seen)


def _cosigned(note: str, trust: ClusterLogTrust) -> dict[str, int]:
    """Return when each witness cosigned the checkpoint last, by name. Raises `NoteError`."""
    seen: dict[str, int] = {}
    for one in open_note(note, [trust.key, *trust.witnesses]).signatures:
        if one.key.kind is SignatureType.COSIGNATURE and one.time is not None:
            seen[one.key.name] = max(one.time, seen.get(one.key.name, 0))
    return seen


class _Reading:
    """One log, while it is read."""

    def __init__(self, head: Checkpoint, trust: ClusterLogTrust, book: WitnessBook, now: float) -> None:
        self._head = head
        self._trust = trust
        self._book = book
        self._now = now
        self._clusters = {name: LoggedCluster(name) for name in sorted({*book.clusters.values()})}
        self._findings: list[ClusterLogFinding] = []
        # When each witness of a cluster cosigned last, by name.
        self._seen: dict[str, dict[str, int]] = {name: {} for name in self._clusters}
        self._strangers: set[str] = set()
        self._others = self._refused = 0
        self._forest = Forest()
        self._earlier: dict[int, list[Checkpoint]] = {}
        for one in trust.earlier:
            self._earlier.setdefault(one.size, []).append(one)

    def report(self, bundles: BundleReader, seen: dict[str, int]) -> ClusterLogReport:
        head, quorum = self._head, self._trust.quorum
        ranked = sorted(seen.values(), reverse=True)
        witnessed = ranked[quorum - 1] if 0 < quorum <= len(ranked) else None
        if len(ranked) < quorum:
            self._find(ClusterLogCode.UNWITNESSED, f"{len(ranked)} of the {quorum} required witnesses cosigned it")
        complete = self._read(bundles)
        if complete and self._forest.root != head.root:
            self._find(ClusterLogCode.ALTERED, f"the root over its {head.size} entries is not the one that it signed")
        if larger := max((size for size in self._earlier if size > head.size), default=None):
            said = f"it has {head.size} entries, and an earlier checkpoint of it has {larger}"
            self._find(ClusterLogCode.ROLLED_BACK, said)
        self._find_unreadable()
        self._judge_age(witnessed, complete=complete)
        return ClusterLogReport(
            head.origin,
            head.size if complete else None,
            None if witnessed is None or self._is_ahead(witnessed) else min(witnessed, int(self._now)),
            tuple(self._findings),
            tuple(self._clusters.values()),
            self._others,
            self._refused,
            tuple(sorted(self._strangers)),
        )

    def _read(self, bundles: BundleReader) -> bool:
        """Read all entries; tell whether they are all here."""
        self._compare_earlier()
        try:
            for entry in _entries(self._head.size, bundles):
                self._forest.append(leaf_hash(entry))
                self._compare_earlier()
                self._take(entry)
        except BundleError as error:
            self._find(ClusterLogCode.INCOMPLETE, str(error))
            return False
        return True

    def _compare_earlier(self) -> None:
        """Compare the root until here with that of each earlier checkpoint of this size."""
        for one in self._earlier.get(self._forest.size, ()):
            if one.root != self._forest.root:
                said = f"an earlier checkpoint of it has another root over {one.size} entries"
                self._find(ClusterLogCode.CONTRADICTED, said)

    def _take(self, entry: bytes) -> None:
        """Take an entry: a checkpoint of the clusters whose keys cosigned it, of another one, or none."""
        note = entry.decode(errors="replace")
        found = cosigned_in(note, self._book.keys)
        cosigned = {one.key for noted in found.notes for one in noted.cosigned.values()}
        # Another checkpoint in the entry says nothing of one that was spoiled.
        spoiled = {self._book.clusters[key] for key in found.keys - cosigned}
        for counted in self._book.add_found(ShownCheckpoint(note), found) if found.notes or spoiled else ():
            for one in counted.signatures:
                self._count(self._clusters[self._book.clusters[one.key]], counted.claim.chain, one)
        for name in spoiled:
            self._clusters[name].unreadable += 1
        if found.notes or spoiled:
            self._refused += bool(spoiled)
        elif found.unsigned and (labels := found.unsigned[0].labels):
            self._others += 1
            new = (label for label in labels if label not in self._strangers)
            self._strangers.update(islice(new, _MOST_LABELS - len(self._strangers)))
        else:
            self._refused += 1

    def _count(self, cluster: LoggedCluster, chain: str, one: NoteSignature) -> None:
        """Count a cosignature of a cluster's key."""
        cluster.chains.add(chain)
        time, seen = one.time or 0, self._seen[cluster.name]
        if self._is_ahead(time):
            cluster.ahead += 1
        else:
            # A clock that is ahead a little says no more than that it was seen now.
            seen[one.key.name] = max(min(time, int(self._now)), seen.get(one.key.name, 0))

    def _is_ahead(self, time: int) -> bool:
        return time > self._now + AHEAD_SECONDS

    def _find_unreadable(self) -> None:
        for cluster in self._clusters.values():
            if count := cluster.unreadable:
                entries = "an entry names" if count == 1 else f"{count} entries name"
                said = f"cluster {cluster.name}: {entries} its key, which cosigned no checkpoint there"
                self._find(ClusterLogCode.UNREADABLE, said)

    def _judge_age(self, witnessed: int | None, *, complete: bool) -> None:
        oldest = self._now - self._trust.longest
        if witnessed is not None and (witnessed < oldest or self._is_ahead(witnessed)):
            when = "from the future" if self._is_ahead(witnessed) else "too old"
            said = f"the log: its last cosignature is {when}, {times.epoch_stamp(witnessed)}"
            self._find(ClusterLogCode.SILENT, said)
        for cluster in self._clusters.values():
            ranked = sorted(self._seen[cluster.name].values(), reverse=True)
            cluster.witnesses, cluster.quorum = len(ranked), self._book.quorum
            cluster.newest = ranked[cluster.quorum - 1] if len(ranked) >= cluster.quorum else None
            cluster.silent = cluster.newest is None or cluster.newest < oldest
            # What entries would say that are not here is not known.
            if cluster.silent and complete:
                since = "" if cluster.newest is None else f" since {times.epoch_stamp(cluster.newest)}"
                ahead = f"; cosignatures from the future, which do not count: {cluster.ahead}" if cluster.ahead else ""
                said = f"no checkpoint{since}"
                if 0 < cluster.witnesses < cluster.quorum:
                    said = f"{cluster.witnesses} of the {cluster.quorum} required witnesses cosigned a checkpoint"
                said = f"cluster {cluster.name}: {said}{ahead}"
                self._find(ClusterLogCode.SILENT, said)

    def _find(self, code: ClusterLogCode, said: str) -> None:
        self._findings.append(ClusterLogFinding(code, said))


def _entries(size: int, bundles: BundleReader) -> Iterator[bytes]:
    """Yield all entries of a log of this size, a bundle at a time. Raises `BundleError`."""
    for first in range(0, size, FULL_WIDTH):
        yield from _bundle(first // FULL_WIDTH, min(FULL_WIDTH, size - first), bundles)


def _bundle(number: int, width: int, bundles: BundleReader) -> Sequence[bytes]:
    """Return the first entries of a bundle. Raises `BundleError`."""
    path, whole = bundle_path(number, width), width
    found = bundles(path)
    if found is None and width < FULL_WIDTH:
        # A log may remove a partial bundle once it has the full one.
        whole = FULL_WIDTH
        found = bundles(bundle_path(number))
    if found is None:
        message = f"{path} is missing"
        raise BundleError(message)
    try:
        return entries_of(found, whole)[:width]
    except BundleError as error:
        message = f"{path} cannot be read: {error}"
        raise BundleError(message) from error
