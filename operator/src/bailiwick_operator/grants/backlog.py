"""Pending grants: how many wait for reviews, for how long, and after which time they are decided. For the metrics.

Standing: the reconciler passes it every version of a grant that comes in. Holds: it decides nothing; metrics of
namespaces are by rank, so that the number of series does not grow with them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from bailiwick_api.manifests.canary import is_canary
from bailiwick_operator.kube import Object
from bailiwick_operator.loop.inventory import Key, key_of
from bailiwick_operator.reconcile.conditions import parse_time

BOUNDS: Final = (10, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 86400)
"""Seconds: from a service account that reviews at once to a person on the next day."""
DECIDED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("Active", "Consumed", "Lapsed", "Revoked"), "approved"),
    **{phase: phase.lower() for phase in ("Denied", "Expired", "Withdrawn")},
}
"""The outcome of a pending grant, by the phase in which it is seen next."""
OUTCOMES: Final = tuple(dict.fromkeys(DECIDED.values()))

_Number = TypeVar("_Number", int, float)


class PendingGrants:
    """Counts. `now` is the time of day."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._opened: dict[str, dict[str, datetime]] = {}
        self.counts: Final = {outcome: [0] * (len(BOUNDS) + 1) for outcome in OUTCOMES}
        """How many were decided, by outcome, within each bound and after the previous one; the last: after all."""
        self.seconds: Final = dict.fromkeys(OUTCOMES, 0.0)
        """How long they waited, all together."""

    def changed(self, body: Object, *, gone: bool) -> None:
        """Take in a version of a grant, or that it is gone."""
        key = key_of(body)
        phase = (body.get("status") or {}).get("phase", "Pending")
        opened = self._opened.get(key.namespace, {}).get(key.name)
        if not gone and phase == "Pending" and "deletionTimestamp" not in body["metadata"] and not is_canary(body):
            self._opened.setdefault(key.namespace, {})[key.name] = parse_time(body["metadata"]["creationTimestamp"])
            return
        if opened is None:
            return
        self._forget(key)
        if not gone and phase in DECIDED:
            waited = max(0.0, (self._now() - opened).total_seconds())
            self.counts[DECIDED[phase]][bisect_left(BOUNDS, waited)] += 1
            self.seconds[DECIDED[phase]] += waited

    def __len__(self) -> int:
        return sum(map(len, self._opened.values()))

    def most(self, count: int) -> list[int]:
        """Return how many wait in each of the namespaces where most wait; 0 where there are fewer namespaces."""
        return _largest(map(len, self._opened.values()), count)

    def longest(self, count: int) -> list[float]:
        """Return the age in seconds of the oldest grant of each of the namespaces where one waits longest."""
        now = self._now()
        ages = (max(0.0, (now - min(opened.values())).total_seconds()) for opened in self._opened.values())
        return _largest(ages, count)

    def _forget(self, key: Key) -> None:
        opened = self._opened[key.namespace]
        del opened[key.name]
        if not opened:
            del self._opened[key.namespace]


def _largest(numbers: Iterable[_Number], count: int) -> list[_Number]:
    return (sorted(numbers, reverse=True) + [0] * count)[:count]
