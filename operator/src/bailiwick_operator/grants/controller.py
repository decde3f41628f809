"""Reconciles one grant at a time: what its names stand for, its phase, and whether it was kept for long enough.

Standing: under the reconciler, whose workers call it; over `lookup` and the pure rules, behind `guard` and
`loop.clock`. Holds: reviews count, and grants become active, only after a proof of the guard; a grant is deleted only
as the very version that was judged to have ended, and the canary is never touched; while the clock is not trusted
nothing is counted, approved, expired or deleted, and grants that wait for the clock are reconciled again when it is
trusted. What a grant gives ends by the latest time that it can be; what a denial or a limit holds back goes by the
earliest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from bailiwick_api.accounts import Installation
from bailiwick_engine.revocations import NONE as NO_REVOCATIONS, Revocations
from bailiwick_operator.grants.lookup import Resolver
from bailiwick_operator.guard.keeper import GuardKeeper
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.expiry import Expiries
from bailiwick_operator.loop.inventory import Inventory, Key, ObservedObject
from bailiwick_operator.loop.status import Writer
from bailiwick_operator.loop.waitlist import WaitList
from bailiwick_operator.loop.workqueue import WorkItem
from bailiwick_operator.reconcile import approvalgrant, retention
from bailiwick_operator.reconcile.guard import is_own_canary
from bailiwick_operator.reconcile.resolution import Resolution
from bailiwick_operator.reconcile.retention import RetainedGrants, RetentionPeriods

_LOG: Final = structlog.get_logger(__name__)
_LOOK_AGAIN: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class GrantBarriers:
    """What grants wait for, a proven guard and a trusted clock; and the lists of those that wait."""

    guard: GuardKeeper
    unproven: WaitList[WorkItem]
    clock: Clock
    untimed: WaitList[WorkItem]


class GrantController:
    """Reconciles grants. Lives in the main loop; `again` queues a grant. `revocations`: who is taken back."""

    def __init__(  # noqa: PLR0913 - the parts of what a leader does with grants
        self,
        installation: Installation,
        grants: Inventory,
        resolver: Resolver,
        writer: Writer,
        expiries: Expiries[WorkItem],
        keeping: RetentionPeriods,
        again: Callable[[WorkItem], None],
        *,
        barriers: GrantBarriers,
        revocations: Revocations = NO_REVOCATIONS,
    ) -> None:
        self._installation = installation
        self._grants = grants
        self._revocations = revocations
        self._resolver = resolver
        self._writer = writer
        self._expiries = expiries
        self._kept = RetainedGrants(keeping)
        self._again = again
        self._guard, self._clock = barriers.guard, barriers.clock
        self._unproven, self._untimed = barriers.unproven, barriers.untimed

    def endpoint_changed(self, namespace: str, endpoint: str) -> None:
        """Queue the grants that waited for policies of this endpoint."""
        for work in self._resolver.waiting((namespace, endpoint)):
            self._again(work)

    async def look(self, work: WorkItem, carriers_of: Callable[[str, str], tuple[Key, ...]]) -> None:
        """Bring a grant's status up to date. `carriers_of` an endpoint's settings, by namespace and endpoint."""
        seen = self._grants.get(Key(work.namespace, work.name))
        if seen is None or is_own_canary(seen.body, self._installation) or self._is_being_voided(seen):
            self._forget(work)
            return
        proven = self._guard.covers(seen.at)
        try:
            resolution = await self._resolution(work, seen, carriers_of, proven=proven)
            # After the last await, so that the clock cannot be set between this check and the judgement.
            earliest = self._earliest(work)
            timed = earliest is not None
            observed = approvalgrant.GrantObservation(
                proven,
                self._installation.is_person,
                resolution,
                self._guard.reviewers.trust,
                timed=timed,
                revocations=self._revocations,
                earliest=earliest,
            )
            outcome = approvalgrant.reconcile(seen.body, observed, self._clock.now())
        except approvalgrant.UnreadableGrantError as error:
            _LOG.error("a grant cannot be read: it is ignored and never counts", grant=work, problem=str(error))
            return
        if outcome.needs_proof:
            # Before the write, so that a proof which ends during the write finds it.
            self._unproven.add(work)
            self._guard.ask()
        wake = outcome.wake
        if outcome.awaits_keys and self._guard.reviewers.expected:
            # The file is read with the next proof, and the grant is looked at again soon.
            self._guard.ask()
        if outcome.status is not None:
            # The write comes back as a newer version, and only that one may be deleted.
            await self._writer.write("ApprovalGrant", self._grants, seen, outcome.status)
        elif earliest is not None:
            kept_until = await self._delete_if_kept_enough(seen, earliest)
            wake = kept_until if kept_until is not None else wake
        self._expiries.set(work, wake if timed else None)

    def _is_being_voided(self, seen: ObservedObject) -> bool:
        """Tell whether the keeper of the guard is making this void, so that it alone deals with it."""
        metadata = seen.body["metadata"]
        return self._guard.void.holds(metadata["namespace"], metadata["uid"])

    def _earliest(self, work: WorkItem) -> datetime | None:
        """Return the earliest time; None: this may not be judged by the time, and is queued once it may."""
        earliest = self._clock.trusted_earliest()
        (self._untimed.add if earliest is None else self._untimed.discard)(work)
        return earliest

    async def _resolution(
        self, work: WorkItem, seen: ObservedObject, carriers_of: Callable[[str, str], tuple[Key, ...]], *, proven: bool
    ) -> Resolution | None:
        request = approvalgrant.unresolved_request(seen.body)
        if request is None:
            self._resolver.forget(work)
            return None
        # Before anything is read, so that a change in the meantime queues it again.
        self._resolver.wait(work, (work.namespace, request.endpoint))
        if not proven and (seen.body.get("status") or {}).get("phase") != "Pending":
            return None
        key, carriers = Key(work.namespace, work.name), carriers_of(work.namespace, request.endpoint)
        return await self._resolver.resolve_within_limits(key, request, carriers, self._clock.trusted_earliest)

    async def _delete_if_kept_enough(self, seen: ObservedObject, earliest: datetime) -> datetime | None:
        """Delete a grant that was kept for long enough; return when to look again, None where it is not over.

        It is kept until its time is certainly over: with a denial, its cool-down would go.
        """
        grant = retention.ended_grant(seen.body)
        if grant is None:
            return None
        for pushed in self._kept.add(grant):
            self._expiries.set(
                WorkItem("ApprovalGrant", pushed.namespace, pushed.name), self._kept.deletion_time(pushed)
            )
        until, now = self._kept.deletion_time(grant), self._clock.now()
        if earliest < until:
            # Times come up by the latest: one that is over by that alone would come up at once, again and again.
            return max(until, now + _LOOK_AGAIN)
        gone = await self._writer.delete(self._grants, seen)
        return None if gone else now + _LOOK_AGAIN

    def _forget(self, work: WorkItem) -> None:
        self._expiries.set(work, None)
        self._unproven.discard(work)
        self._untimed.discard(work)
        self._resolver.forget(work)
        self._kept.remove(work.namespace, work.name)
