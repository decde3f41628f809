"""What became of a call that was let through, and what came of reporting it.

Standing: the decision point counts calls; where a count depends on outcomes, an allow carries a handle for one report.
Holds: a handle that is absent or malformed is no handle, and never makes an allow a denial. Without a report a call
stays counted, so only what is known is reported.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, get_args

CallOutcome = Literal["succeeded", "failed", "cancelled"]
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
OUTCOMES: Final[frozenset[str]] = frozenset(get_args(CallOutcome))
# Visible ASCII. The decision point writes at most 2 KB.
_HANDLE: Final = re.compile(r"[\x21-\x7e]{1,4096}")
# RFC 3339, 5.6.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class OutcomeHandle:
    """Where to report an outcome: the evaluation's id and its handle. `until`: when a report is too late (RFC 3339)."""

    evaluation_id: str
    handle: str
    until: str

    @classmethod
    def of_context(cls, context: Mapping[str, Any]) -> "OutcomeHandle | None":
        """Read it from an answer's context; None where there is none, or none that can be used."""
        evaluation, found = context.get("evaluation_id"), context.get("outcome")
        handle, until = (found.get("handle"), found.get("until")) if isinstance(found, Mapping) else (None, None)
        if not isinstance(evaluation, str) or not evaluation or not isinstance(handle, str):
            return None
        if _HANDLE.fullmatch(handle) is None or not isinstance(until, str) or not _is_time(until):
            return None
        return cls(evaluation, handle, until)


class ReportState(StrEnum):
    """What came of a report. Only after `RECORDED` does the decision point know the outcome."""

    # It is in the record, now or by an earlier report of the same.
    RECORDED = "recorded"
    # No history needs the outcome, so nothing was sent.
    UNNEEDED = "unneeded"
    # Another outcome was reported before (409).
    CONFLICT = "conflict"
    # The time is over, or the decision point knows nothing of the call (410).
    LATE = "late"
    # The decision point does not take it from this application (400, 401, 403, 404).
    REFUSED = "refused"
    # No answer, or a failure of the decision point (503).
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeReport:
    """What came of one report. `detail` says why it is not recorded; `attempts` counts the requests that were sent."""

    state: ReportState
    detail: str = ""
    attempts: int = 0

    @property
    def lost(self) -> bool:
        """Whether the decision point does not know the outcome, so that the call stays counted as it is."""
        return self.state not in {ReportState.RECORDED, ReportState.UNNEEDED}


def check_outcome(outcome: str) -> None:
    """Raise `ValueError` for a word that is no outcome."""
    if outcome not in OUTCOMES:
        raise ValueError(f"{outcome!r} is no outcome: {', '.join(sorted(OUTCOMES))}")


def outcome_of_error(error: BaseException) -> CallOutcome:
    """Return the outcome of code that ended with an exception."""
    return CANCELLED if isinstance(error, asyncio.CancelledError | GeneratorExit) else FAILED


def _is_time(text: str) -> bool:
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
