"""From the answer of a web application to the outcome of the call that was let through. Knows no framework.

Holds: an outcome is reported once, when the answer has ended, and the answer never waits for it. What nothing tells is
not reported, so that the call stays counted: an answer that its caller left in the middle is neither a success nor a
failure, else a caller could take back a call after it got what it wanted.
"""

import logging
from http import HTTPStatus
from typing import Final

from bailiwick.decision import AccessDecision
from bailiwick.outcomes import CANCELLED, FAILED, SUCCEEDED, CallOutcome, outcome_of_error
from bailiwick.web import Asker

_LOG: Final = logging.getLogger("bailiwick.outcomes")


class AnswerWatch:
    """Follows one answer, and reports the outcome of the calls that were let through for it."""

    def __init__(self) -> None:
        """Start before the application runs."""
        self._calls: list[tuple[Asker, AccessDecision]] = []
        self._status: int | None = None
        self._caller_left = False

    @property
    def began(self) -> bool:
        """Whether the answer has a status."""
        return self._status is not None

    def add(self, pdp: Asker, decision: AccessDecision) -> None:
        """Remember a call that was let through, if its outcome matters."""
        if decision.outcome is not None:
            self._calls.append((pdp, decision))

    def begin(self, status: int) -> None:
        """Note the status of the answer, which has begun."""
        if status >= HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS:
            self._status = status

    def leave(self) -> None:
        """Note that the caller is gone."""
        self._caller_left = True

    def end(self) -> None:
        """Note that the answer is sent, whole."""
        self._report(SUCCEEDED if self._status is not None and self._status < HTTPStatus.BAD_REQUEST else FAILED)

    def stop(self, error: BaseException | None = None) -> None:
        """Note that nothing more comes: the application has returned, or ended with this error."""
        cancelled = error is None or outcome_of_error(error) == CANCELLED
        if self._status is None:
            self._report(CANCELLED if cancelled else FAILED)
        elif self._status >= HTTPStatus.BAD_REQUEST or not (cancelled or self._caller_left):
            self._report(FAILED)
        self._calls.clear()

    def _report(self, outcome: CallOutcome) -> None:
        calls, self._calls = self._calls, []
        for pdp, decision in calls:
            report_soon(pdp, decision, outcome)


def report_soon(pdp: Asker, decision: AccessDecision, outcome: CallOutcome) -> None:
    """Report an outcome in the background, if it matters. Raises nothing."""
    if decision.outcome is None:
        return
    try:
        pdp.report(decision, outcome)
    except Exception:  # noqa: BLE001 - whatever it is, the call has run
        _LOG.exception("the outcome of evaluation %s was not reported", decision.evaluation_id)
