"""The keeper of the proof that the guards of grants are in force: fingerprint, dry runs, record, and void grants.

A review or a grant counts if the last proof before it was first seen and the first proof after it have the same
fingerprint. These invariants ensure that:

1. A proof covers a version of a grant only if it *began* after that version was seen (`covers`), and only if its
   fingerprint is the recorded one. Uid and generation are in the fingerprint and never come back. So between the record
   and the proof the guards were these, unchanged; the version was written in between, so they judged it.
2. A fingerprint is recorded only after everything that is newer than the last record has been made void, or, where
   its status cannot be written, together with its name (`voider`); what is void by name is never counted. What is
   older was written under the old guard, and stays. A crash in between leaves the old record, so the next process
   finds the same difference and makes the same things void again; it never counts them.
3. The version that is recorded was read before the guards were (the same guard), or is that of the list whose every
   newer grant has been made void (another guard): what is at most as new is known to be good, or over.
4. Unless the last proof succeeded, nothing is covered, so nothing counts and nothing becomes active. The record does
   not change, and when the guard is put back its generation or uid has changed, so (2) makes void what came in. A
   definition of somebody else's in our group leaves no such trace once it is deleted, so this process remembers it
   until (2) has made void what came in.
5. Without a record that speaks of these grants (none, unreadable, or of another collection) everything that is not
   over is void: to lose approvals is a nuisance, to count a forged one is a breach.
6. A status is written upon the very version that was judged. Any change in between makes the write fail (409).
7. A group that is redirected for a moment and put back has another APIService from then on. So what another server
   could have answered decides something only if it was read between two reads of the same APIServices. An API server
   may forward for a moment after they were put back. So a guard that is not the recorded one is read whole once more
   after it has settled: nothing that was read before is recorded.
8. Where keep is required, no proof succeeds unless the last look found it at every API server (`keep`).

The verifier keys of the witness are published beside the record, for the decision points, even while the guards are not
proven.

Anyone who can write ConfigMaps in our namespace is trusted: they could just as well start pods as the operator. But a
process that leads is the only writer of the record, so it goes by what it wrote itself if somebody else changes it
(`_own`), and somebody who fits the record to a guard that was put back gains nothing while it runs. A record that is
deleted is none, by which people make all grants void (5).

The API server loads a changed guard about a second after it was stored, and each replica of it in its own time.
The dry runs show that this replica has; `settle` is the time that the others are given before (2).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import structlog

from bailiwick_api.accounts import GUARD_CONFIG_MAP, WITNESS_KEYS_ENTRY, Installation
from bailiwick_api.voidgrants import NONE
from bailiwick_engine.compile.acceptance import shorten
from bailiwick_engine.signatures.registrars import NO_REGISTRARS
from bailiwick_kube.paths import CORE, object_path
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.guard.changes import GuardChanges
from bailiwick_operator.guard.keep import KeepWatch
from bailiwick_operator.guard.prover import BypassedError, Prover, UnprovenError
from bailiwick_operator.guard.reviewerfile import ReviewerFile
from bailiwick_operator.guard.together import both
from bailiwick_operator.guard.voider import Voider
from bailiwick_operator.kube import Object, OperatorClient, RefusedError
from bailiwick_operator.loop.inventory import Tick, Ticks
from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.reconcile.guard import (
    Proof,
    Record,
    is_recorded_guard,
    new_record,
    read_record,
    void_after,
)
from bailiwick_operator.reconcile.transitions import NOTE_LENGTH, EventDraft

_LOG: Final = structlog.get_logger(__name__)
_DEBOUNCE: Final = 0.1
_RETRY_FIRST: Final = 1.0
_RETRY_LAST: Final = 5.0
_PROVE: Final = "Prove"
_MOST_UNKNOWN: Final = 8


@dataclass(frozen=True, slots=True)
class _StoredConfigMap:
    """The ConfigMap as it was read, None where it is not there."""

    config_map: Object | None
    record: Record | None


class GuardKeeper:
    """Proves at intervals and on request. Lives in the main loop."""

    def __init__(  # noqa: PLR0913 - what it proves, how often, and whom it notifies
        self,
        kube: OperatorClient,
        installation: Installation,
        ticks: Ticks,
        *,
        interval: float,
        settle: float,
        now: Callable[[], datetime],
        proven: Callable[[], None],
        report_void: Callable[[Object, Status], None] = lambda _grant, _status: None,
        tell: Callable[[EventDraft], None] = lambda _draft: None,
        recorded: Callable[[str], None] = lambda _fingerprint: None,
        keep: KeepWatch | None = None,
        reviewers: ReviewerFile | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._prover = Prover(kube, installation, now)
        self._now = now
        self._installation = installation
        self._ticks = ticks
        self._interval = interval
        self._settle = settle
        self._proven = proven
        self._tell = tell
        self._recorded = recorded
        self._keep = keep
        self.reviewers: Final = reviewers or ReviewerFile(kube, installation, NO_REGISTRARS, tell=tell)
        """Whose signatures of reviews count, as of the last proof: it is read after the reviews that a proof covers."""
        self._voider = Voider(kube, installation, now, report_void, again=interval, clock=clock)
        self._asked = asyncio.Event()
        self._down = False
        self._bypassed = False
        self._keys = self._published = ""
        self._covered: Tick | None = None
        # What this process wrote last, as it is read; several where it is unknown which of them was stored.
        self._written: tuple[Record, ...] = ()
        self._config_maps = object_path(CORE, "configmaps", installation.namespace)
        self.problem: str | None = "not proven yet"
        """What is wrong, for a person; None after a proof that succeeded."""
        self.rounds = 0
        """How many rounds have ended, whatever their outcome. For the health of the process."""
        self.falls = 0
        """How often the guards were found not to be in force, or not those that were recorded."""
        self.made_void = 0
        """How many grants were made void."""
        self.void = NONE
        """Which grants are void by name, as recorded."""

    @property
    def _kept(self) -> str:
        """How many API servers keep the guards, of how many; empty where it is not known."""
        return "" if self._keep is None or self._keep.state is None else self._keep.state.text

    def covers(self, seen: Tick) -> bool:
        """Tell whether a version that was seen at this tick may be judged (invariant 1)."""
        return self._covered is not None and self._covered > seen

    def ask(self) -> None:
        """Ask for a proof soon. One proof serves all who ask before it begins."""
        self._asked.set()

    def publish(self, keys: str) -> None:
        """Publish the verifier keys of the witness, soon. `keys`: a `vkey` on each line."""
        self._keys = keys
        self.ask()

    async def follow(self) -> None:
        """Ask for a proof whenever what it covers has changed, until cancelled."""
        await GuardChanges(self._kube, self.ask).run()

    async def run(self) -> None:
        """Prove until cancelled."""
        retry = _RETRY_FIRST
        while True:
            self._asked.clear()
            settled = await self.round()
            if self.problem is not None:
                # A request for a proof does not repair a broken guard, so wait here regardless of requests.
                await asyncio.sleep(retry)
                retry = min(2 * retry, _RETRY_LAST)
                continue
            retry = _RETRY_FIRST
            if not settled:
                continue
            try:
                async with asyncio.timeout(self._interval):
                    await self._asked.wait()
                await asyncio.sleep(_DEBOUNCE)
            except TimeoutError:
                pass

    async def round(self) -> bool:
        """Prove once, and record it. Returns whether what was seen before is now covered; `problem` says why not."""
        began = self._ticks()
        await self._publish()
        try:
            if self._keep is not None:
                await self._keep.require()
            # The record may be read this early, since it is written only over this very version of it.
            proof, stored = await both(self._prover.prove(), self._read())
            if not self._written:
                # There is nothing yet to compare the record with, and another server could have answered. So it counts
                # only as it was read between two proofs of the same guards.
                stored = await self._read()
                await self._prove_again(proof)
            stored = replace(stored, record=self._own(stored.record))
            if not self._bypassed and stored.record is not None and is_recorded_guard(stored.record, proof):
                newest = await self.reviewers.read(stored.record.reviewers)
                void = await self._voider.try_again(stored.record.void)
                if void != stored.record.void:
                    await self._prove_again(proof)
                await self._write(stored, new_record(proof, proof.floor, self._now(), void, self._kept, newest))
                self._covered = began
            else:
                self._covered = None
                await self._take_over(stored, proof)
            self._report(None)
        except UnreachableError as error:
            # The guards are unknown then, not found wrong.
            self._covered = None
            self._report(str(error))
        except (UnprovenError, RefusedError) as error:
            self._covered = None
            self._bypassed = self._bypassed or isinstance(error, BypassedError)
            self._note_fall(str(error))
            self._report(str(error))
        self.rounds += 1
        if self._covered is not None:
            self._proven()
        return self._covered is not None

    async def _publish(self) -> None:
        """Write the keys of the witness in place of the published ones, even while the guards are not proven."""
        if self._keys == self._published:
            return
        try:
            stored = await self._read()
            await self._put(stored, dict((stored.config_map or {}).get("data") or {}))
        except (UnreachableError, RefusedError, UnprovenError) as error:
            _LOG.warning("the keys of the witness are not published: trying again", problem=str(error))

    async def _take_over(self, stored: _StoredConfigMap, proof: Proof) -> None:
        """Make void what another guard than this one let in, then record this one (invariant 2)."""
        after = void_after(stored.record, proof)
        before = stored.record.fingerprint if stored.record else None
        # The first proof of an installation is not worth a warning, unless it makes something void.
        tell = _LOG.info if before is None else _LOG.warning
        tell("the guards are not the recorded ones", recorded=before, now=proof.fingerprint, void_after=after)
        await asyncio.sleep(self._settle)
        # The guards may have been changed or have lost their effect while they settled.
        await self._prove_again(proof)
        known = stored.record.void if stored.record else NONE
        version, count, void = await self._voider.make_void(after, known)
        await self._prove_again(proof)
        newest = self.reviewers.floor(stored.record.reviewers if stored.record else None)
        await self._write(stored, new_record(proof, version, self._now(), void, self._kept, newest))
        self._bypassed = False
        self.made_void += count
        if before is not None:
            self.falls += not self._down
            note = f"the guards over grants were changed or recreated: {count} grants written in the meantime are void"
            self._tell(EventDraft("Warning", _PROVE, "GuardChanged", note))
        tell = _LOG.warning if count else tell
        tell("the guards are recorded", fingerprint=proof.fingerprint, version=version, made_void=count)

    async def _prove_again(self, proof: Proof) -> None:
        """Prove, and raise `UnprovenError` where the guards are not those of this proof any more.

        If they are, no group was redirected in between, and what was read and written there was the API server's own.
        What the proof before this one read is not relied on: an API server may still have forwarded it then.
        """
        if (await self._prover.prove(whole=True)).fingerprint != proof.fingerprint:
            message = "the guards over grants changed during the proof: proving them again"
            raise UnprovenError(message)

    def _own(self, stored: Record | None) -> Record | None:
        """Return a record, or what this process wrote in its place, where somebody else has written it since."""
        if stored is None or not self._written or any(_same_proof(stored, one) for one in self._written):
            return stored
        mine = self._written[-1]
        note = "the record of proofs was changed by somebody else: what this operator recorded before counts instead"
        _LOG.error(
            "the record of proofs was changed by somebody else", recorded=stored.fingerprint, own=mine.fingerprint
        )
        self._tell(EventDraft("Warning", _PROVE, "GuardRecordChanged", note))
        return replace(mine, reviewers=stored.reviewers)

    async def _read(self) -> _StoredConfigMap:
        answer = await self._kube.get(f"{self._config_maps}/{GUARD_CONFIG_MAP}")
        if answer.missing:
            return _StoredConfigMap(None, None)
        if not answer.ok:
            message = f"the record of proofs cannot be read: {answer.message}"
            raise RefusedError(message)
        return _StoredConfigMap(answer.body, read_record(answer.body))

    async def _write(self, stored: _StoredConfigMap, record: Record) -> None:
        """Record a proof over the very version that was read: another leader's record is never overwritten."""
        published = ((stored.config_map or {}).get("data") or {}).get(WITNESS_KEYS_ENTRY)
        data = record.data()
        written = tuple(filter(None, [read_record({"data": data})]))
        if self._written:
            # If this write has no answer, or fails, the earlier one may still be what is stored.
            self._written = (*self._written, *written)[-_MOST_UNKNOWN:]
        await self._put(stored, data | ({} if published is None else {WITNESS_KEYS_ENTRY: published}))
        self._written = written
        self.void = record.void
        self._recorded(record.fingerprint)

    async def _put(self, stored: _StoredConfigMap, data: dict[str, str]) -> None:
        """Write the ConfigMap, with the keys of the witness. Raises `UnprovenError`, `UnreachableError`."""
        keys = self._keys
        data |= {WITNESS_KEYS_ENTRY: keys} if keys else {}
        metadata: dict[str, Any] = {"name": GUARD_CONFIG_MAP, "namespace": self._installation.namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        if stored.config_map is None:
            answer = await self._kube.create(self._config_maps, body)
        else:
            # Labels and annotations belong to others; only the data is ours.
            body["metadata"] = stored.config_map["metadata"]
            answer = await self._kube.replace(f"{self._config_maps}/{GUARD_CONFIG_MAP}", body)
        if not answer.ok:
            message = f"the proof cannot be recorded in ConfigMap {GUARD_CONFIG_MAP}: {answer.message}"
            raise UnprovenError(message)
        self._published = keys

    def _note_fall(self, problem: str) -> None:
        """Count and report once that the guards are not in force, until they are again."""
        if self._down or self.rounds == 0:
            return
        self._down = True
        self.falls += 1
        self._tell(EventDraft("Warning", _PROVE, "GuardNotProven", shorten(problem, NOTE_LENGTH)))

    def _report(self, problem: str | None) -> None:
        if problem != self.problem:
            if problem is None:
                _LOG.info("the guards over grants are proven to be in force")
                if self._down:
                    self._tell(EventDraft("Normal", _PROVE, "GuardProven", "the guards over grants are in force again"))
                self._down = False
            else:
                _LOG.error("the guards over grants are not proven: no grant is approved", problem=problem)
        self.problem = problem


def _same_proof(left: Record, right: Record) -> bool:
    """Tell whether two records say the same of guards and grants."""
    return (left.fingerprint, left.version, left.store, left.void) == (
        right.fingerprint,
        right.version,
        right.store,
        right.void,
    )
