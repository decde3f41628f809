"""Who is logged in: sessions, each with the token that its person's requests are sent with.

Holds: all of it is memory of this process; a session ends with its token, after half an hour without a request, and
after eight hours at the latest; there is room for a bounded number, and a person who logs in often pushes out only
their own oldest. With a session its token is forgotten, so that nothing is sent for it that has only waited until then.
"""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bailiwick_console.threads.calls import UnsentError
from bailiwick_console.visits.session import IDLE_SECONDS
from bailiwick_console.visits.visitor import ConsoleVisitor

SESSION_SECONDS: Final = 8 * 3600.0
MOST_SESSIONS: Final = 200
MOST_OF_ONE: Final = 5


class EndOfSessionError(UnsentError):
    """The session of the person who asks is over."""

    def __init__(self) -> None:
        super().__init__("your session has ended: log in again")


class PersonToken:
    """What one person's requests are sent with. It is never printed.

    `ends` is seconds since 1970, and so is `retry`, before which no other one is asked for. `refresh` is what it is
    asked for with; None where the issuer gave nothing.
    """

    __slots__ = ("_value", "ends", "refresh", "renewing", "retry", "subject")

    def __init__(self, value: str, refresh: str | None, subject: str, ends: float) -> None:
        self.renewing = asyncio.Lock()
        self.subject = subject
        self.retry = 0.0
        self.refresh = refresh
        self.ends = ends
        # None once it has ended.
        self._value: str | None = value

    def put(self, value: str, refresh: str | None, ends: float) -> None:
        """Take another token of the same person. One that comes after the end is forgotten too."""
        if self._value is not None:
            self._value, self.refresh, self.ends = value, refresh, ends

    def end(self) -> None:
        """Forget it for good: a request that was let in before, and waits, is not sent with it any more."""
        self._value = self.refresh = None

    def bearer(self) -> str:
        """Return the token, for the one header that it stands in. Raises `EndOfSessionError`."""
        # Read once: another thread may end it now.
        value = self._value
        if value is None:
            raise EndOfSessionError
        return value


class PersonSession:
    """One person in one browser."""

    def __init__(self, visitor: ConsoleVisitor, token: PersonToken, now: float) -> None:
        self.visitor = visitor
        self.token = token
        self.began = now
        self.touched = now

    @property
    def username(self) -> str:
        """Their name, as the API server says it."""
        return self.visitor.source.me.username


class PersonSessions:
    """All sessions, by a digest of their ids. `clock` is monotonic and `wall` since 1970, in seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        most: int = MOST_SESSIONS,
    ) -> None:
        self._clock = clock
        self.wall = wall
        self._most = most
        self._known: OrderedDict[bytes, PersonSession] = OrderedDict()

    def begin(self, visitor: ConsoleVisitor, token: PersonToken) -> str | None:
        """Begin a session, and return its id; None where there is no room."""
        for key in [key for key, session in self._known.items() if not self._lives(session)]:
            self._drop(key)
        session = PersonSession(visitor, token, self._clock())
        own = [key for key, other in self._known.items() if other.username == session.username]
        for key in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
            self._drop(key)
        if len(self._known) >= self._most:
            return None
        name = secrets.token_urlsafe(32)
        self._known[_digest(name)] = session
        return name

    def find(self, name: str | None, *, looked: bool) -> PersonSession | None:
        """Return the session of a request. `looked`: a person asked for it, not a script that refreshes."""
        key = None if name is None else _digest(name)
        session = None if key is None else self._known.get(key)
        if key is None or session is None:
            return None
        if not self._lives(session):
            self._drop(key)
            return None
        if looked:
            session.touched = self._clock()
        return session

    def end(self, name: str | None) -> None:
        """Forget a session and its token."""
        if name is not None:
            self._drop(_digest(name))

    def _drop(self, key: bytes) -> None:
        session = self._known.pop(key, None)
        if session is not None:
            session.token.end()

    def _lives(self, session: PersonSession) -> bool:
        now = self._clock()
        if now - session.touched > IDLE_SECONDS or now - session.began > SESSION_SECONDS:
            return False
        # A token can also be renewed a moment after its end.
        return session.token.refresh is not None or self.wall() < session.token.ends


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
