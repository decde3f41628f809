"""The period of a report: which moments are in it, and the slots that its charts have.

Standing: under everything of the report. Holds: pure; a moment is in one period of two that meet, and in one slot.
"""

import math
from dataclasses import dataclass
from typing import Final

from bailiwick_api import times
from bailiwick_cli.errors import CliError

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_LENGTHS: Final = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 7 * _DAY)
MOST_SLOTS: Final = 48


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """From `begin` up to `end`, which is no part of it, in seconds since the epoch."""

    begin: float
    end: float

    @classmethod
    def between(cls, begin: float, end: float) -> "ReportPeriod":
        """Return the period between two times. Raises `CliError` if there is none."""
        if not times.is_moment(begin) or not times.is_moment(end):
            raise CliError("--from and --to must be times from 1970 to 9999")
        if end <= begin:
            raise CliError(
                f"--from {times.epoch_stamp(begin)} is not before --to {times.epoch_stamp(end)}: give a period"
            )
        return cls(begin, end)

    def has(self, moment: float) -> bool:
        """Tell whether a moment is in the period."""
        return self.begin <= moment < self.end

    @property
    def length(self) -> float:
        """Of a slot, in seconds: a whole number of days from a week on."""
        span = self.end - self.begin
        fitting = (float(length) for length in _LENGTHS if span <= length * MOST_SLOTS)
        return next(fitting, float(math.ceil(span / MOST_SLOTS / _DAY) * _DAY))

    @property
    def slots(self) -> int:
        """How many slots there are."""
        return max(1, math.ceil((self.end - self.begin) / self.length))

    def slot(self, moment: float) -> int:
        """Return in which slot a moment of the period is."""
        return min(int((moment - self.begin) // self.length), self.slots - 1)

    def name(self, slot: int) -> str:
        """Return when a slot begins: a day, or a day and a minute."""
        stamp = times.epoch_stamp(self.begin + slot * self.length)
        whole_days = self.length % _DAY == 0 and self.begin % _DAY == 0
        return stamp[:10] if whole_days else stamp[:16].replace("T", " ")

    @property
    def sentence(self) -> str:
        """The period in words."""
        return f"from {times.epoch_stamp(self.begin)} up to, and without, {times.epoch_stamp(self.end)}"
