"""A circuit breaker: a decision point that does not answer is left alone for a moment.

Holds: open denies at once and sends nothing; half-open lets one call through, and only its answer closes the breaker.
An answer of any kind that is not a server's failure counts as an answer, a denial too. A question without an answer
says little of the decision point: it may wait for what only that question needs. So a failure counts only if nothing
was answered since its question was sent, and failures alone open nothing: they raise a doubt, which one call settles.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FAILURES: Final = 5
OPEN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class BreakerPass:
    """Leave to send. `heard` is how many answers there were before; `settles`: this call settles the doubt."""

    heard: int
    settles: bool = False


class Breaker:
    """Counts failures in a row. Shared by threads."""

    def __init__(
        self, failures: int = FAILURES, open_seconds: float = OPEN_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start closed. After this many failures in a row, one more opens it for these seconds."""
        self._limit = failures
        self._seconds = open_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._heard = 0
        self._open = False
        self._open_until = 0.0
        self._settling = False

    @property
    def open(self) -> bool:
        """Let a single call through, and nothing else."""
        return self._open

    def enter(self) -> BreakerPass | None:
        """Return a call's pass; None where it may not go out.

        A call that has one says `succeed`, `fail` or `leave` afterwards, once.
        """
        with self._lock:
            if self._failures < self._limit:
                return BreakerPass(self._heard)
            if self._settling:
                return None if self._open else BreakerPass(self._heard)
            if self._open and self._clock() < self._open_until:
                return None
            self._settling = True
            return BreakerPass(self._heard, settles=True)

    def succeed(self, entered: BreakerPass) -> BreakerPass:
        """Note that somebody answered, and return a pass to go on with."""
        with self._lock:
            self._heard += 1
            self._failures = 0
            self._open = False
            self._end(entered)
            return BreakerPass(self._heard)

    def fail(self, entered: BreakerPass) -> None:
        """Note that no answer came, or one that reports a failure of the decision point."""
        with self._lock:
            self._end(entered)
            if entered.heard != self._heard:
                return
            self._failures += 1
            if entered.settles:
                self._open = True
                self._open_until = self._clock() + self._seconds

    def leave(self, entered: BreakerPass) -> None:
        """Note that the call was given up before anything was known."""
        with self._lock:
            self._end(entered)

    def _end(self, entered: BreakerPass) -> None:
        if entered.settles:
            self._settling = False
