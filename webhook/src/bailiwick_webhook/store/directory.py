"""Directory: policies from YAML files, for a decision point without a cluster.

Looked at every half second. A change is taken up only when two looks a moment apart see the same, so that no half of a
file and no half of a checkout is ever decided by; then the snapshot is swapped whole.

Holds: fresh means that what we decide by is what the directory held so many seconds ago; a directory that cannot be
read, or does not come to rest, grows old, and what is too old denies. Nothing that a file says ends this.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from bailiwick_api.documents.policyfiles import DirectoryScan, File
from bailiwick_api.documents.positions import Document
from bailiwick_api.voidgrants import NONE, VoidGrants
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.budget.datasize import ledger_name
from bailiwick_engine.budget.ledger import Budget, BudgetLedger, Claim
from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.compile import manifests
from bailiwick_engine.compile.assembly import assemble
from bailiwick_engine.compile.manifests import ExpiryNotice, ManifestEntry, ManifestFile, Report
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.revocations import NONE as NO_REVOCATIONS, Revocations
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS, ReviewerTrust
from bailiwick_policystore.changes import EVERYWHERE, ChangeAges
from bailiwick_policystore.slices import Slices
from bailiwick_webhook.signing.keyring import NO_KEYS, Keyring
from bailiwick_webhook.store import view
from bailiwick_webhook.store.grants import Grants

INTERVAL: Final = 0.5
SETTLING: Final = 0.1
_REPORTED: Final = 50
_FILES: Final = ("", "")

_log = structlog.get_logger()

Looked = dict[str, File]


class Directory:
    """A view of a directory. `prepare` has the last word on each snapshot; durations are in seconds.

    `grants`: those in memory, none but with `--development`. `keyring`: our own signing keys.
    """

    def __init__(  # noqa: PLR0913 - what a directory is read by, and what is kept beside it
        self,
        root: Path,
        *,
        max_staleness: float,
        hard_staleness: float,
        budget: Budget | None = None,
        grants: Grants | None = None,
        keyring: Keyring = NO_KEYS,
        prepare: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.waiting: Final = ChangeAges()
        self.ledger = BudgetLedger(budget or Budget())
        self.grants: Final = grants or Grants()
        self.keyring: Final = keyring
        self._looker = DirectoryScan(root)
        self._root = root
        self._max_staleness = max_staleness
        self._hard_staleness = hard_staleness
        self._prepare = prepare
        self._clock = clock
        self._now = now
        self._snapshot: Snapshot | None = None
        self._seen: float | None = None
        self._taken_up: Looked = {}
        self._contents: dict[str, tuple[ManifestFile, ...]] = {}
        self._claims: dict[str, tuple[tuple[str, Claim], ...]] = {}
        self._held: frozenset[tuple[str, int]] = frozenset()
        self._reports: tuple[Report, ...] = ()
        self._expiries: tuple[ExpiryNotice, ...] = ()
        self._expired: tuple[str, ...] = ()
        self._trouble = ""

    @property
    def snapshot(self) -> Snapshot | None:
        """The policies of all files."""
        return self._snapshot

    def grants_of(self, namespace: str, endpoint: str, subject_uid: str, call: Call | None = None) -> Iterable[Grant]:
        """Return the grants of this endpoint and subject; with `--development` alone there are any."""
        return self.grants.grants_of(namespace, endpoint, subject_uid, call)

    def serves(self, uid: str, generation: int) -> bool:
        """Tell whether a file holds this generation of a policy."""
        return (uid, generation) in self._held

    @property
    def synced(self) -> bool:
        """The directory was read, and its policies compiled."""
        return self._snapshot is not None

    @property
    def age(self) -> float:
        """Seconds since the directory held what we decide by."""
        return float("inf") if self._seen is None else self._clock() - self._seen

    @property
    def revision(self) -> str:
        """A digest of the names and contents of all files."""
        return "" if self._snapshot is None else self._snapshot.revision

    @property
    def freshness(self) -> Freshness:
        """How old the view is."""
        return view.freshness(self.age, self._max_staleness, self._hard_staleness)

    @property
    def reviewers(self) -> ReviewerTrust:
        """No one's: without an API server there are no grants."""
        return NO_REVIEWER_KEYS

    @property
    def void(self) -> VoidGrants:
        """None: no guard stands before these grants."""
        return NONE

    @property
    def revocations(self) -> Revocations:
        """None: they live in an API server."""
        return NO_REVOCATIONS

    @property
    def clock(self) -> None:
        """None: there is no other clock to compare with."""

    @property
    def guard_proven(self) -> bool:
        """True: no guard stands before these grants, so none is loose."""
        return True

    def glance(self) -> view.StoreState:
        """Return how the view stands at this moment."""
        age = self.age
        freshness = view.freshness(age, self._max_staleness, self._hard_staleness)
        return view.StoreState(age, freshness, self.revision, self.guard_proven, self.waiting, self._clock())

    def report(self) -> Mapping[str, Any]:
        """Return how many files and policies there are, and what is wrong with which."""
        problems = [{"problem": report.problem, "denies": report.denies} for report in self._reports[:_REPORTED]]
        read = [contents for file in self._contents.values() for contents in file]
        return {
            "policies": {
                "files": len(self._taken_up),
                "policies": sum(len(contents.entries) for contents in read),
                "ignored": sum(contents.ignored for contents in read),
                "problems": problems,
                "more_problems": len(self._reports) - len(problems),
                "warnings": list(self._expired[:_REPORTED]),
                "unread": self._trouble,
            }
        }

    async def run(self) -> None:
        """Look for ever; what cannot be read is logged once."""
        while True:
            trouble = ""
            try:
                await self.look()
            except OSError as error:
                trouble = str(error)
            except Exception:  # noqa: BLE001 - a defect; ending here would end every decision
                trouble = "an internal error, see the log"
                _log.exception("policies cannot be loaded")
            if trouble and trouble != self._trouble:
                _log.error("policies cannot be read", directory=str(self._root), error=trouble)
            self._trouble = trouble
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Look once, and take up what changed. Raises `OSError` where the directory cannot be read."""
        began = self._clock()
        looked = await asyncio.to_thread(self._looker.look)
        if self._snapshot is None or _differ(looked, self._taken_up):
            await asyncio.sleep(SETTLING)
            began = self._clock()
            again = await asyncio.to_thread(self._looker.look)
            if _differ(looked, again):
                # Still being written.
                return
            # Whatever it is that changed, it is not known yet which endpoints it concerns.
            self.waiting.set(_FILES, () if self._snapshot is None else (EVERYWHERE,), began)
            await self._take_up(again)
        self.waiting.drop(_FILES, (EVERYWHERE,))
        self._tell_expired()
        self._seen = began

    async def _take_up(self, looked: Looked) -> None:
        slices, ledger = Slices(patient=True), BudgetLedger(self.ledger.budget)
        claims = {path: self._claims[path] for path, file in looked.items() if self._has(path, file)}
        _put(ledger, [claim for found in claims.values() for claim in found])
        fresh: dict[str, tuple[ManifestFile, ...]] = {path: self._contents[path] for path in claims}
        for path in [path for path in looked if path not in claims]:
            documents = await _parsed(looked[path])
            found = [await slices.through(manifests.claims(document)) for document in documents]
            claims[path] = tuple(claim for one in found for claim in one)
            _put(ledger, claims[path])
            fresh[path] = await _read(path, looked[path], documents, ledger, slices)
        # What another file says can have put a policy over its budget, or let it back in.
        for path in [path for path, file in fresh.items() if _turned(file, ledger)]:
            documents = await _parsed(looked[path])
            fresh[path] = await _read(path, looked[path], documents, ledger, slices)
        entries: list[ManifestEntry] = [entry for path in looked for one in fresh[path] for entry in one.entries]
        data = [one for path in looked for file in fresh[path] for one in file.data]
        snapshot, reports = await slices.through(assemble(entries, _revision(looked), data))
        self._tell(reports, len(looked), len(entries))
        self._snapshot = self._prepare(snapshot)
        self._held = frozenset((entry.ref.uid, entry.ref.generation) for entry in entries).union(
            (one.made.uid, one.made.generation) for one in data
        )
        self._contents, self._taken_up, self._reports = fresh, looked, reports
        self._expiries = tuple(expiry for entry in entries for expiry in entry.expiries)
        self._claims, self.ledger = claims, ledger

    def _has(self, path: str, file: File) -> bool:
        """Tell whether a file is as it was taken up."""
        known = self._taken_up.get(path)
        return known is not None and known.digest == file.digest

    def _tell_expired(self) -> None:
        now, before = self._now(), set(self._expired)
        self._expired = tuple(expiry.problem for expiry in self._expiries if expiry.time <= now)
        for problem in self._expired:
            if problem not in before:
                _log.warning(problem)

    def _tell(self, reports: tuple[Report, ...], files: int, policies: int) -> None:
        before = set(self._reports)
        for report in reports:
            if report not in before:
                _log.error(report.problem, denies=report.denies)
        if not policies:
            _log.warning("no policy found: every request is refused", directory=str(self._root))
        _log.info("policies loaded", files=files, policies=policies, problems=len(reports))


async def _parsed(file: File) -> tuple[Document, ...]:
    # Parsing is slow, and done beside the loop; compiling is done on it, with the library that decisions use.
    return () if file.unreadable is not None else await asyncio.to_thread(manifests.parse, file.content)


async def _read(
    path: str, file: File, documents: Iterable[Document], ledger: BudgetLedger, slices: Slices
) -> tuple[ManifestFile, ...]:
    if file.unreadable is not None:
        return (manifests.unreadable(path, file.unreadable),)
    return tuple([await slices.through(manifests.contents(path, document, ledger)) for document in documents])


def _put(ledger: BudgetLedger, claims: Iterable[tuple[str, Claim]]) -> None:
    for namespace, claim in claims:
        ledger.put(namespace, claim.name, claim)
    ledger.settle()


def _turned(file: Sequence[ManifestFile], ledger: BudgetLedger) -> bool:
    """Tell whether a policy, or data, of a file is over budget and was not, or the other way round."""
    entries = (entry for contents in file for entry in contents.entries)
    if any(entry.over is not (ledger.excess(entry.ref.namespace, entry.ref.name) is not None) for entry in entries):
        return True
    data = (one for contents in file for one in contents.data)
    return any(one.over is not (ledger.excess(one.namespace, ledger_name(one.made.name)) is not None) for one in data)


def _differ(one: Looked, other: Looked) -> bool:
    return one.keys() != other.keys() or any(file.digest != other[path].digest for path, file in one.items())


def _revision(looked: Looked) -> str:
    digest = hashlib.sha256()
    for path, file in looked.items():
        digest.update(f"{path}\0{file.digest}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
