"""Logins that have begun: what the issuer's answer must fit, tied to the browser in which somebody pressed the button.

Holds: each is used once and for ten minutes; there is room for a bounded number, and none is pushed out by another, so
that who comes in great numbers keeps others out for ten minutes at most and ends nobody's login.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bailiwick_console.visits.memory import same

LOGIN_SECONDS: Final = 600.0
MOST_LOGINS: Final = 2000


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """One login. `to` is where its person wanted to go."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    to: str
    began: float


class PendingLogins:
    """All of them, by the cookie of their browser. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MOST_LOGINS) -> None:
        self._clock = clock
        self._most = most
        self._known: dict[str, PendingLogin] = {}

    def begin(self, to: str) -> tuple[str, PendingLogin] | None:
        """Begin one, and return the cookie of its browser too; None where there is no room."""
        now = self._clock()
        # The oldest stand first.
        while self._known and now - next(iter(self._known.values())).began > LOGIN_SECONDS:
            del self._known[next(iter(self._known))]
        if len(self._known) >= self._most:
            return None
        cookie = secrets.token_urlsafe(32)
        # RFC 7636 wants 43 characters at least.
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        made = PendingLogin(state, nonce, verifier, to, now)
        self._known[cookie] = made
        return cookie, made

    def take(self, cookie: str | None, state: str) -> PendingLogin | None:
        """Return the login that an answer is for, once; None where it is of none, of another browser, or too late."""
        found = None if cookie is None else self._known.get(cookie)
        if cookie is None or found is None or not same(state, found.state):
            return None
        del self._known[cookie]
        return found if self._clock() - found.began <= LOGIN_SECONDS else None
