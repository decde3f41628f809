"""Outcomes over HTTP: an enforcer reports what became of a call that was let through.

Holds: who reports is authenticated, has a slot and enforces the endpoint before the body is read; a repeated report has
the same answer; a report that is not counted is a problem, never a denial of the call.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from aiohttp import web

from bailiwick_engine.history.state import CallOutcome
from bailiwick_webhook.history.handles import parse_handle
from bailiwick_webhook.http.addressing import marks, tenant
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.problems import ProblemError, bad_request, forbidden, unavailable
from bailiwick_webhook.http.shares.slots import RequestSlot
from bailiwick_webhook.http.transport.answers import json
from bailiwick_webhook.metrics.table import OutcomeResult
from bailiwick_webhook.pipeline.outcomes import CallReport

OUTCOMES: Final[tuple[CallOutcome, ...]] = get_args(CallOutcome)
_EVALUATION: Final = re.compile(r"eval_[0-9a-f]{32}")


class OutcomesHandler:
    """POST access/v1/outcomes."""

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        self._authenticator = authenticator

    async def report(self, request: web.Request, slot: RequestSlot) -> web.StreamResponse:
        """Take a report."""
        of, authenticator = tenant(request), self._authenticator
        caller = await authenticator.caller(request, of, slot)
        if not authenticator.pdp.enforces(of, caller.account.username):
            raise forbidden(authenticator.identity.stranger)
        authenticator.check_in_force(caller)
        body = (await authenticator.body(request, of, slot)).members
        authenticator.pay(of, slot.sender)
        report = parse(body, marks(request).request_id)
        match await authenticator.pdp.report(of, caller.account, report):
            case None:
                raise forbidden(authenticator.identity.stranger)
            case OutcomeResult.CONFLICT:
                raise ProblemError(
                    409, "outcome-conflict", "Conflict", "Another outcome was reported of this call before."
                )
            case OutcomeResult.LATE:
                raise ProblemError(
                    410,
                    "outcome-late",
                    "Gone",
                    "It is too late to report an outcome of this call, or this account did not ask about it. The call"
                    " stays counted as it is.",
                )
            case OutcomeResult.UNAVAILABLE:
                raise unavailable("The outcome could not be counted or recorded at the moment. Report it again.")
        return json(200, {"outcome": report.outcome})


def parse(body: Mapping[str, Any], request_id: str | None) -> CallReport:
    """Parse a report. Raises `ProblemError` (400) that names the field."""
    for name in ("evaluation_id", "handle", "outcome"):
        if not isinstance(body.get(name), str):
            raise bad_request("must be a string", name)
    if not _EVALUATION.fullmatch(body["evaluation_id"]):
        raise bad_request("must be the evaluation_id of an answer", "evaluation_id")
    handle = parse_handle(body["handle"])
    if handle is None:
        raise bad_request("must be the handle of an answer, as it is", "handle")
    for outcome in OUTCOMES:
        if outcome == body["outcome"]:
            return CallReport(body["evaluation_id"], handle, outcome, request_id)
    raise bad_request(f"must be one of {', '.join(OUTCOMES)}", "outcome")
