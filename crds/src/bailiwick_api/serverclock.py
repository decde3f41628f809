"""The API server's clock, as its answers tell it (`Date`, RFC 9110, 6.6.1), and whether ours is the same.

Standing: beside `times`; operator and decision point keep one each, and tell it of every answer. Holds: clocks agree
only where that is certain, so before the first answer they do not; a step of our own clock shows at once, since the API
server's is followed by the monotonic clock, which nobody sets.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

MAX_SKEW: Final = 30.0
"""Seconds that two clocks may be apart, in either direction."""
# Two sound clocks drift apart by far less; one that is being slewed drifts by about this much.
_DRIFT: Final = 0.001


def read_date(header: str | None) -> float | None:
    """Return the moment of a `Date` header, in seconds since the epoch; None where there is none that can be read."""
    try:
        return None if header is None else parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class _Offset:
    """By how much the API server's clock is ahead of the monotonic one: surely within these, as of `at`."""

    at: float
    low: float
    high: float


class ServerClock:
    """Both clocks. `wall` is ours, in seconds since the epoch; `monotonic` counts seconds from anywhere."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.wall: Final = wall
        """Ours alone, which somebody may set."""
        self.monotonic: Final = monotonic
        """What `began` of `heard` is read from."""
        self._offset: _Offset | None = None

    def heard(self, date: float | None, began: float) -> None:
        """Take the `Date` of an answer that has just come, to a request that was begun then. None: it had none."""
        if date is None:
            return
        now = self.monotonic()
        # The header has whole seconds: what it says was up to a second ago when it was written, and that was between.
        low, high = date - now, date + 1.0 - began
        known = self._offset
        if known is not None:
            drift = (now - known.at) * _DRIFT
            within = max(low, known.low - drift), min(high, known.high + drift)
            # Where the two exclude each other a clock was set, or another API server answered: the latest counts.
            low, high = within if within[0] <= within[1] else (low, high)
        self._offset = _Offset(now, low, high)

    @property
    def ahead(self) -> float | None:
        """By how many seconds our clock is ahead of the API server's, negative: behind. None before the first answer.

        Exact to about the time that an answer takes, or to half a second.
        """
        bounds = self._bounds()
        return None if bounds is None else (bounds[0] + bounds[1]) / 2

    @property
    def agree(self) -> bool:
        """Whether the clocks are surely at most `MAX_SKEW` apart."""
        bounds = self._bounds()
        return bounds is not None and bounds[0] >= -MAX_SKEW and bounds[1] <= MAX_SKEW

    @property
    def problem(self) -> str | None:
        """Why the clocks do not agree, for a person; None where they do."""
        if self.agree:
            return None
        ahead = self.ahead
        if ahead is None:
            return "the API server has not yet returned its time"
        how = "ahead of" if ahead > 0 else "behind"
        return f"this clock is {abs(ahead):.0f} s {how} the API server's clock; the limit is {MAX_SKEW:.0f} s"

    def latest(self) -> float:
        """Return the time that it may be at the latest: by ours or by the API server's; where they disagree, by theirs.

        Never before what the API server stamped until now, so nothing that is judged by it is judged too early.
        """
        ours = self.wall()
        if self._offset is None:
            return ours
        theirs = self.monotonic() + self._offset.high
        return max(ours, theirs) if self.agree else theirs

    def _bounds(self) -> tuple[float, float] | None:
        """Return between what and what our clock is ahead."""
        if self._offset is None:
            return None
        ours = self.wall() - self.monotonic()
        return ours - self._offset.high, ours - self._offset.low
