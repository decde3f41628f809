"""The API server's clock, from the `Date` of its answers (RFC 9110, 6.6.1), and whether ours agrees with it.

Standing: beside `times`; operator and decision point have one each, and record every answer in it. Holds: clocks agree
only if that is certain, so before the first answer they do not. A step of our own clock is noticed immediately, since
the API server's time is tracked with the monotonic clock, which cannot be set.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

MAX_SKEW: Final = 30.0
"""Seconds that two clocks may be apart, in either direction."""
# Two correct clocks drift apart by far less; a clock that is being slewed drifts by about this much.
_DRIFT: Final = 0.001
_UNKNOWN: Final = float("-inf")


def read_date(header: str | None) -> float | None:
    """Return the time of a `Date` header, in seconds since the epoch; None if it is missing or unreadable."""
    try:
        return None if header is None else parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return None


def span_of(now: Callable[[], float]) -> Callable[[], tuple[float, float]]:
    """Return what returns the `span` of a clock that stands alone: there is no other one to ask."""

    def span() -> tuple[float, float]:
        moment = now()
        return moment, moment

    return span


@dataclass(frozen=True, slots=True)
class _Offset:
    """By how much the API server's clock is ahead of the monotonic one: certainly within these bounds, as of `at`."""

    at: float
    low: float
    high: float


class ServerClock:
    """Both clocks. `wall` is ours, in seconds since the epoch; `monotonic` counts seconds from anywhere."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.wall: Final = wall
        """Our own clock, which an administrator can set."""
        self.monotonic: Final = monotonic
        """What `began` of `record_answer` is read from."""
        self._offset: _Offset | None = None

    def record_answer(self, date: float | None, began: float) -> None:
        """Record the `Date` of an answer that has just arrived, to a request that began at `began`. None: no date."""
        if date is None:
            return
        now = self.monotonic()
        # The header has whole seconds: its time was up to a second old when it was written, and it was written between
        # the beginning of the request and now.
        low, high = date - now, date + 1.0 - began
        known = self._offset
        if known is not None:
            drift = (now - known.at) * _DRIFT
            within = max(low, known.low - drift), min(high, known.high + drift)
            # If the two exclude each other, a clock was set or another API server answered: the latest answer counts.
            low, high = within if within[0] <= within[1] else (low, high)
        self._offset = _Offset(now, low, high)

    @property
    def ahead(self) -> float | None:
        """By how many seconds our clock is ahead of the API server's; negative: behind. None before the first answer.

        Accurate to about the duration of a call, or to half a second.
        """
        ours, earliest, latest, _, _ = self._look()
        return None if self._offset is None else ours - (earliest + latest) / 2

    @property
    def agree(self) -> bool:
        """Whether the clocks are certainly at most `MAX_SKEW` apart."""
        return self._look()[4]

    @property
    def problem(self) -> str | None:
        """Why the clocks do not agree, for a person; None if they do."""
        if self.agree:
            return None
        ahead = self.ahead
        if ahead is None:
            return "the API server has not yet returned its time"
        how = "ahead of" if ahead > 0 else "behind"
        return f"this clock is {abs(ahead):.0f} s {how} the API server's clock; the limit is {MAX_SKEW:.0f} s"

    def latest(self) -> float:
        """Return the latest time that it can be now, by both clocks; if they disagree, by the API server's.

        It is never before a time that the API server has stamped, so nothing is decided too early by it.
        """
        ours, _, theirs, _, agree = self._look()
        return max(ours, theirs) if agree else theirs

    def later(self) -> float:
        """Return the later of both clocks, also where they do not agree.

        What gives rights ends by it, so that neither clock alone prolongs it.
        """
        # On every decision's way, and of all that `_look` finds it needs one bound.
        ours, known = self.wall(), self._offset
        return ours if known is None else max(ours, self.monotonic() + known.high)

    def span(self) -> tuple[float, float]:
        """Return `earliest` and `later`: on every decision's way, so at one look."""
        ours, earliest, theirs, drift, agree = self._look()
        return min(ours, earliest - drift) if agree else _UNKNOWN, max(ours, theirs)

    def earliest(self) -> float:
        """Return the earliest time that it can be, by both clocks; minus infinity where they do not agree.

        What takes rights ends by it, so that neither clock alone ends that too early: of several API servers, the one
        that answered last may be up to `MAX_SKEW` ahead.
        """
        return self.span()[0]

    def bounds(self) -> tuple[float, float] | None:
        """Return between which times, in seconds since the epoch, the API server's clock certainly is now.

        None if the clocks do not agree, and before the first answer. Our own clock has no part in it.
        """
        _, earliest, latest, drift, agree = self._look()
        return (earliest - drift, latest + drift) if agree else None

    def _look(self) -> tuple[float, float, float, float, bool]:
        """Return our time, between which times the API server's is but for drift, that drift, and if they agree."""
        ours, known = self.wall(), self._offset
        if known is None:
            return ours, _UNKNOWN, ours, 0.0, False
        now = self.monotonic()
        earliest, latest = now + known.low, now + known.high
        agree = ours - latest >= -MAX_SKEW and ours - earliest <= MAX_SKEW
        return ours, earliest, latest, (now - known.at) * _DRIFT, agree
