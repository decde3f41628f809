"""Consumer: one use of one grant, exactly once, under any number of replicas.

Holds: a use is a status write at the resourceVersion that was judged, and counts if the API server stored it as it was
written, before the grant ended; a conflict is read and judged again, any other refusal denies; an answer that did not
come is a denial, and the use may be spent, never double. The guard `review` sees to it that no one can make conflicts
without end.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_engine.approval import grants
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.approvals.grantsapi import GrantsApi
from bailiwick_webhook.approvals.livereads import LiveReads, looked_for
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.keyedturns import KeyedTurns
from bailiwick_webhook.loglimit import LogLimit

IDEMPOTENT_FOR: Final = 30.0

_CHANGED: Final = (
    "find out which policy or webhook changes approvalgrants/status, and remove it: the use is spent, and no call was"
    " let through"
)
_LATE: Final = "find out what held up this process or the API server: the use is spent, and no call was let through"
_log: Final = LogLimit()

Judge = Callable[[Grant, float], Verdict]

PATIENCE: Final = 1.0
"""Seconds that a call waits for others of this process that want the same grant; then it goes on out of turn, so that
an API server that hangs holds up no other call."""
RETRY_SECONDS: Final = 4.0
"""Seconds after which a use that met a conflict is not tried again. What is being written by then is awaited."""


def _grant_turns() -> KeyedTurns[tuple[str, str]]:
    """Return turns at a grant: all but one of the calls of a process that want the same one at once conflict."""
    return KeyedTurns(1, PATIENCE)


async def _unasked() -> bool:
    return True


def _no_route() -> Callable[[], Awaitable[bool]]:
    """Stand where there is no cluster, and so no group that could be served by another server."""
    return _unasked


class Consumer:
    """Takes uses. `now` is the time of day in seconds since the epoch.

    `watch_route` is called before a grant is read. What it returns tells, once a use is written, whether the API server
    itself has answered from then on: if not, it was read and written elsewhere, and the watch that tells of it is late.
    """

    def __init__(
        self,
        cluster: GrantsApi,
        now: Callable[[], float],
        turns: KeyedTurns[tuple[str, str]] | None = None,
        reads: LiveReads | None = None,
        watch_route: Callable[[], Callable[[], Awaitable[bool]]] = _no_route,
    ) -> None:
        self._watch_route = watch_route
        self._cluster = cluster
        self._now = now
        self._turns = turns or _grant_turns()
        self._reads = reads or LiveReads(cluster)

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: Judge, since: float | None = None
    ) -> Verdict:
        """Return the verdict, from one live read where the grant that it waits for may have moved on since.

        `since`, by `time.monotonic`: from when on what is written is to be known; by default from now on.
        """
        wanted = looked_for(asked, verdict)
        answer = None if wanted is None else await self._reads.read(wanted[0], since)
        if wanted is None or answer is None or not answer.ok:
            return verdict
        live = grants.parse(answer.body)
        if live is None or live.uid != wanted[1]:
            return verdict
        return judge(live, max(self._now(), answer.date or 0.0))

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: Iterable[Grant]) -> tuple[Grant, ...]:
        """Return those of the known grants that this very call took a use of a moment ago (see `IDEMPOTENT_FOR`)."""
        if asked.request_id is None:
            return ()
        # By our clock only a guess, so with room: the live read tells, by the API server's clock on both ends.
        key, now = _key(asked, verdict, ""), self._now()
        return tuple(grant for grant in known if _already_taken(grant, key, now, room=MAX_SKEW))

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        """Take one use of the first of the verdict's grants that still serves; return the verdict on it and the grant.

        `judge` decides the call again with a grant as it was read live. Without a grant the verdict is a denial.
        """
        key = _key(asked, verdict, evaluation_id)
        last = _denied(verdict, Reason.APPROVAL_UNVERIFIABLE)
        served_here = self._watch_route()
        for candidate in verdict.grants:
            try:
                async with self._turns.hold((candidate.namespace, candidate.name)):
                    last, used = await self._use(candidate, key, evaluation_id, judge, last)
                    if used is not None and not await served_here():
                        _log.error("use refused: grants may be answered by another server", grant=candidate.name)
                        return _denied(last, Reason.APPROVAL_UNVERIFIABLE), None
            except ClusterUnavailableError as error:
                # Whether the write happened is unknown. Trying another grant could spend two for one call.
                _log.warning("grant not usable: API server did not respond", grant=candidate.name, error=str(error))
                return _denied(last, Reason.APPROVAL_UNVERIFIABLE), None
            if used is not None:
                return last, used
        return last, None

    async def _use(
        self, candidate: Grant, key: str, evaluation_id: str, judge: Judge, last: Verdict
    ) -> tuple[Verdict, Grant | None]:
        began = time.monotonic()
        # One more try for each use that another call may take meanwhile, and some for the operator's own writes.
        for _ in range(candidate.request.max_uses + 3):
            if time.monotonic() - began >= RETRY_SECONDS:
                break
            answer = await self._cluster.read_grant(candidate.namespace, candidate.name)
            live = _same(candidate, answer)
            if isinstance(live, Reason):
                return _denied(last, live), None
            ours, theirs = self._now(), answer.date
            # The header has whole seconds, so the API server's clock reads up to one second more.
            if theirs is None or not -MAX_SKEW <= theirs - ours <= MAX_SKEW:
                return _denied(last, Reason.CLOCK_SKEW), None
            now = max(ours, theirs)
            last = judge(live, now)
            if _already_taken(live, key, theirs) and _still_good(last, live, now):
                return replace(last, outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED), live
            if last.outcome is not Outcome.USE_GRANT:
                return last, None
            wanted = _with_use(answer.body, key, evaluation_id, theirs)
            written = await self._cluster.write_grant_status(wanted)
            if written.ok:
                return _taken(last, wanted, written, self._now())
            if written.status == HTTPStatus.NOT_FOUND:
                return _denied(last, Reason.APPROVAL_REVOKED), None
            if written.status != HTTPStatus.CONFLICT:
                # The API server looks at the resourceVersion first: what it refuses at ours, it refuses next time too.
                _log.error("use refused", grant=candidate.name, status=written.status, why=written.message)
                return _denied(last, Reason.APPROVAL_UNVERIFIABLE), None
            # Somebody else wrote first.
            _log.info("use not written, reading the grant again", grant=candidate.name, why=written.message)
        return _denied(last, Reason.APPROVAL_UNVERIFIABLE), None


def _same(candidate: Grant, answer: ApiResponse) -> Grant | Reason:
    """Return the candidate as it is now, or why there is none."""
    if not answer.ok and answer.status != HTTPStatus.NOT_FOUND:
        _log.error("grant cannot be read", grant=candidate.name, status=answer.status, why=answer.message)
        return Reason.APPROVAL_UNVERIFIABLE
    live = grants.parse(answer.body) if answer.ok else None
    return live if live is not None and live.uid == candidate.uid else Reason.APPROVAL_REQUIRED


def _denied(verdict: Verdict, reason: Reason) -> Verdict:
    return replace(verdict, outcome=Outcome.DENY, reason=reason, grants=())


def _key(asked: EvaluationRequest, verdict: Verdict, evaluation_id: str) -> str:
    """The enforcer's own request id makes a repeated call the same call; without one every call is its own.

    A call that does not show the token that its rules want is none that was let through before.
    """
    if asked.request_id and _shows(asked, verdict):
        own = (asked.call.caller.uid, asked.request_id, verdict.digest or "")
        return _digest("request", *own) if asked.item is None else _digest("item", *own, f"{asked.item}")
    return _digest("evaluation", evaluation_id)


def _shows(asked: EvaluationRequest, verdict: Verdict) -> bool:
    gate, shown = verdict.gate, asked.call.shown
    return gate is None or not gate.by_token or (shown is not None and shown.token is not None)


def _digest(*parts: str) -> str:
    framed = b"".join(len(part := text.encode()).to_bytes(4, "big") + part for text in parts)
    return "sha256:" + hashlib.sha256(framed).hexdigest()


def _already_taken(live: Grant, key: str, now: float, room: float = 0.0) -> bool:
    """This very call took its use a moment ago, and the grant was not revoked or made void since."""
    if live.revoked or live.deleting or live.void or live.phase not in {"Active", "Consumed"}:
        return False
    return any(
        # Nor one that lies ahead: its writer would be let through until then.
        record.key in {key, _key_again(key, place)} and abs(now - record.time.timestamp()) <= IDEMPOTENT_FOR + room
        for place, record in enumerate(live.status.use_records or ())
    )


def _key_again(key: str, place: int) -> str:
    """A request id that comes again after its time is a call of its own, which may be repeated in turn."""
    return _digest("again", key, f"{place}")


def _still_good(verdict: Verdict, live: Grant, now: float) -> bool:
    """Nothing speaks against the grant but that this call used it up."""
    fits = verdict.outcome is Outcome.USE_GRANT or verdict.reason is Reason.APPROVAL_CONSUMED
    # What is used up stays so beyond the end.
    return fits and verdict.gate is not None and grants.current(live, verdict.gate) and not _has_ended(live, now)


def _has_ended(grant: Grant, now: float) -> bool:
    """Tell whether the window of an approval is over; one without an end has none."""
    ends = grant.status.not_after_time
    return ends is None or now >= ends.timestamp()


def _taken(last: Verdict, wanted: Mapping[str, Any], written: ApiResponse, ours: float) -> tuple[Verdict, Grant | None]:
    """Return the verdict and the grant as it was stored; a denial where that is not what was written, or too late.

    Otherwise a change on admission could have the record of one call taken for that of another, which would repeat it.
    And this process may have been stopped since it judged, and without an operator the grant says nothing of its end.
    """
    sent, stored = grants.parse(wanted), grants.parse(written.body)
    if sent is None or stored is None or _state(sent) != _state(stored):
        _log.error("use refused: it was changed on admission", grant=wanted["metadata"]["name"], why=_CHANGED)
        return _denied(last, Reason.APPROVAL_UNVERIFIABLE), None
    theirs = written.date
    if theirs is None or _has_ended(stored, max(ours, theirs)):
        _log.error("use refused: it was written too late", grant=stored.name, why=_LATE)
        return _denied(last, Reason.CLOCK_SKEW if theirs is None else Reason.APPROVAL_EXPIRED), None
    return last, stored


def _state(grant: Grant) -> tuple[object, ...]:
    return grant.uid, grant.request, grant.reviews, grant.revoked, grant.status


def _with_use(stored: Mapping[str, Any], key: str, evaluation_id: str, now: float) -> dict[str, Any]:
    """Return the object as stored, with one use more and nothing else changed. `now` is by the API server's clock."""
    status = dict(stored.get("status") or {})
    records = status.get("useRecords", [])
    status["uses"] = status.get("uses", 0) + 1
    record = {
        # Records are keyed, and use records are never removed.
        "key": key if all(kept["key"] != key for kept in records) else _key_again(key, len(records)),
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "evaluationID": evaluation_id,
    }
    status["useRecords"] = [*records, record]
    return {**stored, "status": status}
