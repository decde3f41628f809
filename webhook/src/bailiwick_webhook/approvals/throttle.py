"""Throttle: how much asking there may be in a subject's name (a rule's `limits`).

Holds: one process asks for one subject at a time, and counts what the API server holds at that moment; so over any
number of processes at most one each is too many. What a namespace may have is counted by what the store knows, which
lags by a moment.
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final

from bailiwick_api.kinds.approvalrequirement import Limits
from bailiwick_api.kinds.meta import SUBJECT_LABEL
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.call import Call, Party
from bailiwick_webhook.approvals.grantsapi import GrantsApi, GrantView
from bailiwick_webhook.keyedturns import KeyedTurns

PENDING_GRANTS: Final = 1_000
HOUR: Final = 3600.0
PATIENCE: Final = 10.0


class Throttle:
    """Counts. `earliest` is the earliest time that it can be, in seconds since the epoch: limits end by it.

    `pending`: so many requests of one namespace may wait for their reviews, whosever they are; 0: any number.
    """

    def __init__(
        self, cluster: GrantsApi, store: GrantView, earliest: Callable[[], float], pending: int = PENDING_GRANTS
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._earliest = earliest
        self._pending = pending
        self._asking: KeyedTurns[str] = KeyedTurns(1, PATIENCE)

    def one_at_a_time(self, call: Call, subject: Party) -> AbstractAsyncContextManager[bool]:
        """Hold other requests for this subject back meanwhile; false: it was not free for too long.

        So that behind an API server that hangs no line of denials that ask grows without end.
        """
        return self._asking.hold(label_of(call, subject))

    async def reached(self, call: Call, subject: Party, limits: Limits) -> str | None:
        """Return which limit one more request would break, in words; None: none. Raises `ClusterUnavailableError`."""
        earliest = self._earliest()
        if self._pending and (waiting := self._store.grants.waiting(call.namespace, earliest)) >= self._pending:
            return f"this namespace has {waiting} pending requests; the limit is {self._pending}"
        known = self._store.grants_of(call.namespace, call.endpoint, subject.uid)
        # A flood is turned away by what is known already; only who may pass costs a look at the API server.
        if (broken := self._broken(known, limits)) is not None:
            return broken
        found = await self._cluster.list_grants(call.namespace, f"{SUBJECT_LABEL}={label_of(call, subject)}")
        return self._broken((grant for raw in found if (grant := parse(raw)) is not None), limits)

    def _broken(self, grants: Iterable[Grant], limits: Limits) -> str | None:
        now, pending, lately = self._earliest(), 0, 0
        for grant in grants:
            if grant.by_hand:
                continue
            lately += grant.created > now - HOUR
            pending += waits(grant, now)
        if pending >= limits.pending_per_subject:
            return f"this subject has {pending} pending requests; the limit is {limits.pending_per_subject}"
        if lately >= limits.requests_per_hour:
            return f"this subject had {lately} requests in the last hour; the limit is {limits.requests_per_hour}"
        return None


def waits(grant: Grant, now: float) -> bool:
    """Tell whether a grant still waits for its reviews."""
    over = grant.revoked or grant.deleting or now >= grant.request.pending_until_time.timestamp()
    return grant.phase == "Pending" and not over


def label_of(call: Call, subject: Party) -> str:
    """Return the value of the label by which the requests for one subject of one endpoint are found."""
    return hashlib.sha256(f"{call.namespace}\0{call.endpoint}\0{subject.uid}".encode()).hexdigest()[:40]
