"""Observation: since when uses have been observed without a break. Pure: no process is asked here; times are given.

Holds: a process that could not be asked for longer than `BREAK` before it ended or restarted may have seen uses that
were never reported. The observation is broken then, and begins again on the next day, so that a process that comes and
goes causes few writes. It is broken, too, where for so long not all processes answered in one round, even if each was
silent for less.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

BREAK: Final = 600.0
"""Seconds. A round comes several times within it, so that what was used before a process ended is mostly known."""


_NEVER: Final = float("-inf")


class _Heard(NamedTuple):
    at: float
    memory: str


class UsageObservation:
    """Lives with a leader. `before`: the `mark` that another left, None where none is known.

    `now` is the time of day, and each `moment` is by a monotonic clock, in seconds.
    """

    def __init__(self, before: datetime | None) -> None:
        self.mark = before
        """When all answered last and nothing was broken, for the next leader; None: the observation is broken."""
        self._before = before
        self._floor: datetime | None = None
        self._again: datetime | None = None
        self._heard: dict[str, _Heard] = {}
        self._silent: dict[str, float] = {}
        self._whole = _NEVER

    def since(self, moment: float) -> datetime | None:
        """Return since when uses have been observed, as a status reports it; None: not known whether they are."""
        return None if self._is_stale(moment) else self._floor

    def take(self, now: datetime, moment: float, answered: Mapping[str, str], silent: Collection[str]) -> None:
        """Take in a round. `answered`: the memory of each process, by its uid; `silent` should have answered."""
        # What `since` withdrew comes back on another day. Else processes that are silent in turn cause endless writes.
        broken = self._is_stale(moment) and self._whole != _NEVER
        for uid, memory in answered.items():
            last = self._heard.get(uid)
            broken |= last is not None and last.memory != memory and moment - last.at > BREAK
            self._heard[uid] = _Heard(moment, memory)
            self._silent.pop(uid, None)
        for uid in silent:
            known = self._heard.get(uid)
            first = self._silent.setdefault(uid, moment if known is None else known.at)
            broken |= moment - first > BREAK
        for uid in [uid for uid in self._heard if uid not in answered and uid not in silent]:
            broken |= moment - self._heard.pop(uid).at > BREAK
        for uid in [uid for uid in self._silent if uid not in silent]:
            broken |= moment - self._silent.pop(uid) > BREAK
        if broken:
            self._floor = self.mark = self._before = None
            self._again = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        if answered and not silent:
            self._whole = moment
            if self._floor is None and (self._again is None or now >= self._again):
                self._floor = self._beginning(now)
            if self._floor is not None:
                self.mark = now

    def _is_stale(self, moment: float) -> bool:
        return moment - self._whole > BREAK

    def _beginning(self, now: datetime) -> datetime:
        """Return since when, as of the first round in which no process is silent, or the first after a break."""
        if self._before is not None and abs((now - self._before).total_seconds()) <= BREAK:
            # Another leader observed until a moment ago, and statuses say since when.
            return datetime.fromtimestamp(0, UTC)
        return now
