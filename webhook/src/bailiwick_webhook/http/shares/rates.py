"""Rates: how many decisions a second there may be about the endpoints of one namespace.

Standing: under `edge`, which asks once it knows how many a body asks for, and before any is made. Holds: enforcers, and
all who ask about themselves, have a bucket each, so that nobody uses up what another namespace has, nor a subject what
its enforcers have; what is refused was not decided, recorded or used.
"""

import time
from collections.abc import Callable
from typing import Final

from bailiwick_webhook.http.problems import overloaded
from bailiwick_webhook.http.shares.slots import Sender
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload

_MOST_KEPT: Final = 4_096

_log: Final = LogLimit()


class Rates:
    """Token buckets of `per_second` tokens each, and as many again each second; 0 is no limit.

    `clock` is monotonic, in seconds. A request that finds its bucket full takes what it needs, and the bucket fills up
    from below zero: else a batch that is larger than the bucket would never be let through.
    """

    def __init__(self, per_second: int, counts: Counts, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._counts = counts
        self._clock = clock
        # By namespace and part: tokens, and when they were counted.
        self._buckets: dict[tuple[str, CallerClass], tuple[float, float]] = {}
        self._most_kept = _MOST_KEPT

    def take(self, namespace: str, sender: Sender, decisions: int = 1) -> None:
        """Pay for decisions about endpoints of a namespace, of which there are some. Raises `ProblemError` (429)."""
        rate = self._rate
        if not rate:
            return
        now, key = self._clock(), (namespace, sender.who)
        tokens, counted = self._buckets.get(key, (float(rate), now))
        tokens = min(float(rate), tokens + (now - counted) * rate)
        if tokens < min(decisions, rate):
            self._counts.overloads[Overload.RATE, sender.who] += 1
            _log.warning("too many decisions per second", namespace=namespace, sender=sender.name, decisions=decisions)
            raise overloaded(Overload.RATE)
        self._buckets[key] = tokens - decisions, now
        if len(self._buckets) > self._most_kept:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Forget the buckets that are full again: a new one is as full."""
        self._buckets = {
            key: (tokens, counted)
            for key, (tokens, counted) in self._buckets.items()
            if tokens + (now - counted) * self._rate < self._rate
        }
        # Not again with the very next one, where that many are in use.
        self._most_kept = max(_MOST_KEPT, 2 * len(self._buckets))
