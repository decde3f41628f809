"""The one visit to the console on loopback: a URL that works once, and the cookie that it is swapped for.

Holds: all of it is memory of this process; secrets are compared in constant time and never printed but in the URL; the
first browser that comes with the URL is the only one that ever gets the cookie.
"""

import secrets
import time
from collections.abc import Callable
from typing import Final

from bailiwick_console.visits.memory import same

COOKIE: Final = "bailiwick-console"
IDLE_SECONDS: Final = 1800.0
"""After so long without a page that a person asked for, the visit is over."""


class ConsoleSession:
    """One visit. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._opening: str | None = secrets.token_urlsafe(32)
        self._cookie: str | None = None
        self._touched = clock()

    @property
    def opening(self) -> str | None:
        """The token of the URL; None once it was used."""
        return self._opening

    @property
    def remaining(self) -> float:
        """Seconds until the visit is over if nothing is looked at; below 0 it is."""
        return self._touched + IDLE_SECONDS - self._clock()

    def begin(self, token: str) -> str | None:
        """Swap the token of the URL for a cookie; None where it is wrong or was used before."""
        if self._opening is None or not same(token, self._opening):
            return None
        self._opening, self._cookie = None, secrets.token_urlsafe(32)
        self._touched = self._clock()
        return self._cookie

    def holds(self, cookie: str | None, *, looked: bool = True) -> bool:
        """Tell whether a request belongs to the visit. `looked`: a person asked for it, not a script that refreshes."""
        if self._cookie is None or cookie is None or not same(cookie, self._cookie) or self.remaining < 0:
            return False
        if looked:
            self._touched = self._clock()
        return True
