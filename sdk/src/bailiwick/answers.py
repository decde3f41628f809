"""From an answer to a decision: the one place where something becomes an allow.

Holds: `decision` must be the JSON boolean true, in an answer of 200; a batch must have the shape that its semantic
gives it, or all of it is denied; an allow under an obligation that is unknown here is a denial (AuthZEN obligations
profile, draft).
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from bailiwick.decision import (
    DRY_RUN,
    NOT_EVALUATED,
    UNAVAILABLE,
    UNKNOWN_OBLIGATION,
    UNSPECIFIED,
    AccessDecision,
    Approval,
    members,
    text,
)
from bailiwick.exchange import QuestionReply
from bailiwick.outcomes import OutcomeReport, ReportState

_SERVER_ERROR: Final = 500
# Of the question itself, for its form or its size.
_REFUSED: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
# As many as Bailiwick's decision point takes in one body.
MAX_CALLS: Final = 100


class BatchSemantic(StrEnum):
    """AuthZEN 1.0, 7.1.2: whether a batch is answered whole, or ends with the item that settles it."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"


def decision_of(reply: QuestionReply, *, dry_run: bool = False) -> AccessDecision:
    """Return the decision that an answer is, or the denial that it amounts to. `dry_run`: it was asked for one."""
    if reply.status != HTTPStatus.OK:
        return replace(_undecided(reply, reply.detail), refused=reply.status in _REFUSED)
    return replace(_judged(reply.body, dry_run=dry_run), attempts=reply.attempts)


def decisions_of(
    reply: QuestionReply, count: int, semantic: BatchSemantic, *, dry_run: bool = False
) -> list[AccessDecision]:
    """Return one decision for each of the calls that were asked about, in their order."""
    listed = reply.body.get("evaluations") if isinstance(reply.body, Mapping) else None
    if reply.status != HTTPStatus.OK or not isinstance(listed, list) or not 0 < len(listed) <= count:
        return [_undecided(reply, reply.detail if reply.status != HTTPStatus.OK else _NO_BATCH)] * count
    found = [replace(_judged(item, dry_run=dry_run), attempts=reply.attempts) for item in listed]
    # Whatever settles the batch ends it, so an item behind that, or an end without it, is no answer to this question.
    settles = {BatchSemantic.DENY_ON_FIRST_DENY: False, BatchSemantic.PERMIT_ON_FIRST_PERMIT: True}.get(semantic)
    # As it came: an unknown obligation is no business of the decision point's.
    said = [isinstance(item, Mapping) and item.get("decision") is True for item in listed]
    early = settles in said[:-1] if settles is not None else False
    short = len(listed) < count and said[-1] is not settles
    if early or short:
        return [_undecided(reply, _NO_BATCH)] * count
    rest = AccessDecision.denied(NOT_EVALUATED, "another call of the batch settled it", attempts=reply.attempts)
    return [*found, *[rest] * (count - len(found))]


_NO_BATCH: Final = "the answer is none to these calls"


def approval_of(reply: QuestionReply) -> Approval | AccessDecision:
    """Return the approval that a task is about, or the denial that the answer amounts to."""
    if reply.status in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
        try:
            return Approval.of_task(reply.body, reply.retry_after)
        except ValueError as error:
            return _undecided(reply, str(error))
    problem = reply.body if isinstance(reply.body, Mapping) else {}
    reason = text(problem, "reason") or _kind(problem)
    undecided = reply.status == 0 or reply.status >= _SERVER_ERROR or reply.status in _NOT_TO_BE_ASKED
    if undecided or reason in {None, _OVERLOADED}:
        return _undecided(reply, reply.detail)
    detail = text(problem, "detail") or reply.detail
    kept: dict[str, Any] = {"reason": reason, "reason_user": {str(reply.status): detail}}
    if reply.retry_after is not None:
        kept["retry_after"] = reply.retry_after
    return AccessDecision(allowed=False, reason=reason, context=kept, detail=detail, attempts=reply.attempts)


def report_of(reply: QuestionReply, outcome: str) -> OutcomeReport:
    """Return what came of a report. An answer of 200 must name the outcome that was reported."""
    match reply.status:
        case HTTPStatus.OK if isinstance(reply.body, Mapping) and reply.body.get("outcome") == outcome:
            return OutcomeReport(state=ReportState.RECORDED, attempts=reply.attempts)
        case HTTPStatus.OK:
            return OutcomeReport(state=ReportState.UNAVAILABLE, detail=_NO_REPORT, attempts=reply.attempts)
        case HTTPStatus.CONFLICT:
            state = ReportState.CONFLICT
        case HTTPStatus.GONE:
            state = ReportState.LATE
        case HTTPStatus.TOO_MANY_REQUESTS:
            state = ReportState.UNAVAILABLE
        case status if HTTPStatus.BAD_REQUEST <= status < _SERVER_ERROR:
            state = ReportState.REFUSED
        case _:
            state = ReportState.UNAVAILABLE
    return OutcomeReport(state=state, detail=reply.detail, attempts=reply.attempts)


_NO_REPORT: Final = "the answer is none to this report"
# Too much was under way: nothing was looked at, so nothing is known of the call or of the request for approval.
_OVERLOADED: Final = "overloaded"
# Of the application, not of the call: it is no enforcer, or there is no such endpoint, or the server failed.
_NOT_TO_BE_ASKED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


def _judged(said: object, *, dry_run: bool) -> AccessDecision:
    decision = said.get("decision") if isinstance(said, Mapping) else None
    if not isinstance(said, Mapping) or not isinstance(decision, bool):
        return AccessDecision.denied(UNAVAILABLE, "the answer holds no decision", available=False)
    if decision and not isinstance(said.get("context", {}), Mapping):
        # An obligation may have stood there.
        detail = "the answer allows the call, and its context is no object"
        return AccessDecision.denied(UNAVAILABLE, detail, available=False)
    context = members(said, "context")
    if decision and context.get("obligations") not in (None, []):
        detail = "the decision point allows it with an obligation, and this application knows none"
        return AccessDecision(allowed=False, reason=UNKNOWN_OBLIGATION, context=context, detail=detail)
    if decision and (dry_run or context.get("dry_run", False) is not False):
        # A decision point that does not know dry runs has decided, as for a call; a list is no call either.
        detail = "the answer to a dry run permits nothing"
        if not dry_run:
            detail = "the decision point answered by a dry run: this application is no enforcer of the endpoint"
        return AccessDecision(allowed=False, reason=DRY_RUN, context=context, detail=detail, would_allow=True)
    reason = text(context, "reason") or ("allowed" if decision else _error(context) or UNSPECIFIED)
    return AccessDecision(allowed=decision, reason=reason, context=context)


def _error(context: Mapping[str, Any]) -> str | None:
    """Return why an item of a batch could not be decided (AuthZEN 1.0, 7.2.1)."""
    return "bad_request" if members(context, "error") else None


def _undecided(reply: QuestionReply, detail: str) -> AccessDecision:
    return AccessDecision.denied(UNAVAILABLE, detail, available=False, attempts=reply.attempts)


def _kind(problem: Mapping[str, Any]) -> str | None:
    """Return what a problem's type ends with (RFC 9457): ARAP has its reasons there."""
    return (text(problem, "type") or "").rpartition("/")[2].rpartition(":")[2].replace("-", "_") or None
