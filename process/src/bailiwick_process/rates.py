"""How much there may be in a second: a bucket of tokens for what must flow, a window for what is said.

Standing: under the decision point's rates, the operator's events, the log limits and the messages of a target. Holds:
pure; the caller says what time it is, by a monotonic clock in seconds. What is full again is forgotten.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class TokenBuckets(Generic[K]):
    """A bucket for each key: of `most` tokens at first, and of `per_second` more each second until it is full.

    A caller that finds the bucket full takes what it needs, and the bucket fills up from below zero: else an amount
    that is larger than the bucket would never be given. `kept`: how many buckets are remembered, but for those in use.
    """

    def __init__(self, per_second: float, most: float, kept: int = 4_096) -> None:
        self._rate = per_second
        self._most = most
        self._kept = kept
        # Tokens, and when they were counted.
        self._buckets: dict[K, tuple[float, float]] = {}
        self._most_kept = kept

    def __len__(self) -> int:
        """How many buckets are remembered."""
        return len(self._buckets)

    def take(self, key: K, now: float, amount: float = 1) -> bool:
        """Take an amount; return False, and take nothing, where there is too little."""
        most = self._most
        tokens, counted = self._buckets.get(key, (most, now))
        tokens = min(most, tokens + (now - counted) * self._rate)
        if tokens < min(amount, most):
            return False
        self._buckets[key] = tokens - amount, now
        if len(self._buckets) > self._most_kept:
            self._forget(now)
        return True

    def _forget(self, now: float) -> None:
        """Forget the buckets that are full again: a new one is as full."""
        self._buckets = {
            key: (tokens, counted)
            for key, (tokens, counted) in self._buckets.items()
            if tokens + (now - counted) * self._rate < self._most
        }
        # Not again with the very next one, where that many are in use.
        self._most_kept = max(self._kept, 2 * len(self._buckets))


class RateWindow:
    """At most `most` in `seconds`, which begin with the first of them."""

    __slots__ = ("_most", "_opened", "_seconds", "_taken")

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._opened = float("-inf")
        self._taken = 0

    @property
    def end(self) -> float:
        """When there is room again for all."""
        return self._opened + self._seconds

    def open(self, now: float) -> None:
        """Begin another window now, whatever was taken."""
        self._opened, self._taken = now, 0

    def take(self, now: float) -> bool:
        """Take one; return False where there is no room for it."""
        if not self._taken or now >= self.end:
            self.open(now)
        if self._taken >= self._most:
            return False
        self._taken += 1
        return True
