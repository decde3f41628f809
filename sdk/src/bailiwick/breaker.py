"""A circuit breaker: a decision point that does not answer is left alone for a moment.

Holds: open denies at once and sends nothing; half-open lets one call through, and only its answer closes the breaker.
An answer of any kind that is not a server's failure counts as an answer, a denial too.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 5
OPEN_SECONDS: Final = 5.0


class Breaker:
    """Counts failures in a row. Shared by threads."""

    def __init__(
        self, failures: int = FAILURES, open_seconds: float = OPEN_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start closed. After this many failures in a row it is open for these seconds."""
        self._limit = failures
        self._seconds = open_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """Let a single probe through, and nothing else."""
        return self._failures >= self._limit

    def enter(self) -> bool:
        """Tell whether a call may go out. A call that may go out says `succeed`, `fail` or `leave` afterwards, once."""
        with self._lock:
            if not self.open:
                return True
            if self._probing or self._clock() < self._open_until:
                return False
            self._probing = True
            return True

    def succeed(self) -> None:
        """Somebody answered."""
        with self._lock:
            self._failures = 0
            self._probing = False

    def fail(self) -> None:
        """No answer came, or one that reports a failure of the decision point."""
        with self._lock:
            self._failures += 1
            self._probing = False
            if self.open:
                self._open_until = self._clock() + self._seconds

    def leave(self) -> None:
        """The call was given up before anything was known."""
        with self._lock:
            self._probing = False
