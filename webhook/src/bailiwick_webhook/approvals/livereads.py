"""Live reads: one look at the API server before the answer that an approval is pending.

Standing: under `consumer`. Memory lags behind the API server by a moment, in which a caller who has just seen an
approval would be denied. Holds: what is read is only a candidate, which consuming reads again. No caller turns into
load: calls that wait for the same grant share one read, a grant is read at most four times a second and the grants of a
namespace ten times, and where the API server does not answer it is left alone for a second. Who gets no look keeps
the answer from memory.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_kube.responses import ApiResponse
from bailiwick_process.rates import TokenBuckets
from bailiwick_webhook.approvals.grantids import parsed
from bailiwick_webhook.approvals.grantsapi import GrantsApi
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.loglimit import LogLimit

INTERVAL: Final = 0.25
SECONDS: Final = 1.0
BURST: Final = 20.0
PER_SECOND: Final = 10.0
# What was read serves the other calls of one batch, which come within less.
_KEPT: Final = 1.0
_BUCKETS: Final = 1000

_log: Final = LogLimit()

GrantKey = tuple[str, str]
"""Namespace and name of a grant."""


def looked_for(asked: EvaluationRequest, verdict: Verdict) -> tuple[GrantKey, str] | None:
    """Return which grant may have moved on since memory heard of it, and its uid; None where a look changes nothing."""
    if verdict.dry_run:
        return None
    if verdict.reason is Reason.APPROVAL_PENDING and verdict.pending is not None:
        return (verdict.pending.namespace, verdict.pending.name), verdict.pending.uid
    shown = asked.call.shown
    if verdict.reason is not Reason.APPROVAL_REQUIRED or shown is None or shown.invalid:
        return None
    # Of a grant that memory does not know yet, or knows to be of something else.
    found = parsed(shown.id)
    return None if found is None else ((asked.call.namespace, found.name), found.uid)


@dataclass(slots=True)
class _Reads:
    """The reads of one grant: the latest, which began then, and the next one. Each runs once for all who wait."""

    began: float = float("-inf")
    latest: asyncio.Task[ApiResponse | None] | None = None
    following: asyncio.Task[ApiResponse | None] | None = None


class LiveReads:
    """Reads grants. `clock` counts seconds from anywhere."""

    def __init__(self, cluster: GrantsApi, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._of: dict[GrantKey, _Reads] = {}
        self._buckets: TokenBuckets[str] = TokenBuckets(PER_SECOND, BURST, _BUCKETS)
        self._silent_until = float("-inf")

    async def read(self, key: GrantKey, since: float | None = None) -> ApiResponse | None:
        """Return what a read that began after `since`, by default now, found; None where no read is possible."""
        since = self._clock() if since is None else since
        reads = self._of.setdefault(key, _Reads())
        if reads.latest is not None and reads.began >= since:
            read = reads.latest
        elif reads.following is not None:
            read = reads.following
        elif self._clock() < self._silent_until or not self._buckets.take(key[0], self._clock()):
            self._forget(key, reads)
            return None
        else:
            read = reads.following = asyncio.create_task(self._read(key, reads))
        try:
            async with asyncio.timeout(SECONDS):
                # Others wait for it too.
                return await asyncio.shield(read)
        except TimeoutError:
            self._silent_until = self._clock() + SECONDS
            return None

    async def _read(self, key: GrantKey, reads: _Reads) -> ApiResponse | None:
        await asyncio.sleep(max(0.0, reads.began + INTERVAL - self._clock()))
        # Who comes from here on may want to know what is written from here on.
        reads.began, reads.latest, reads.following = self._clock(), reads.following, None
        try:
            return await self._cluster.read_grant(*key)
        except ClusterUnavailableError as error:
            self._silent_until = self._clock() + SECONDS
            _log.info("pending grant not read: API server did not respond", grant=key[1], error=str(error))
            return None
        finally:
            asyncio.get_running_loop().call_later(_KEPT, self._forget, key, reads)

    def _forget(self, key: GrantKey, reads: _Reads) -> None:
        old = self._clock() - reads.began >= _KEPT and (reads.latest is None or reads.latest.done())
        if old and reads.following is None and self._of.get(key) is reads:
            del self._of[key]
