"""Rates: how many decisions a second there may be about the endpoints of one namespace.

Standing: under `authenticator`, which asks once it knows how many a body asks for, and before any is made. Holds:
enforcers, and all who ask about themselves, have a bucket each, so that none uses up what another namespace has, nor
a subject what its enforcers have; what is refused was not decided, recorded or used.
"""

import time
from collections.abc import Callable
from typing import Final

from bailiwick_process.rates import TokenBuckets
from bailiwick_webhook.http.problems import overloaded
from bailiwick_webhook.http.shares.slots import Sender
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload

_log: Final = LogLimit()


class Rates:
    """Token buckets of `per_second` tokens each, and as many again each second. `clock` is monotonic, in seconds."""

    def __init__(self, per_second: int, counts: Counts, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts = counts
        self._clock = clock
        self._buckets: TokenBuckets[tuple[str, CallerClass]] = TokenBuckets(per_second, float(per_second))

    def take(self, namespace: str, sender: Sender, decisions: int = 1) -> None:
        """Pay for decisions about endpoints of a namespace, of which there are some. Raises `ProblemError` (429)."""
        if self._buckets.take((namespace, sender.who), self._clock(), decisions):
            return
        self._counts.overloads[Overload.RATE, sender.who] += 1
        _log.warning("too many decisions per second", namespace=namespace, sender=sender.name, decisions=decisions)
        raise overloaded(Overload.RATE)
