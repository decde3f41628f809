"""Logins that have begun: what the issuer's answer must fit, and the page that a person comes back to.

Holds: each is tied to the browser in which it began, and is used once and for ten minutes; a target that is not on the
list of pages becomes the first page, so that no link makes the console send anybody elsewhere. There is room for a
bounded number, and none is pushed out by another, so that a flood of logins keeps others out for ten minutes at most
and ends no login.
"""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from bailiwick_console.visits.memory import same

LOGIN_SECONDS: Final = 600.0
MOST_LOGINS: Final = 2000
FIRST: Final = "/"
_NAME: Final = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
PAGES: Final = (
    re.compile(r"/"),
    re.compile(rf"/grants/{_NAME}/{_NAME}"),
    re.compile(rf"/endpoints(?:/{_NAME}/{_NAME}(?:/(?:cell|together|graph))?)?"),
    re.compile(r"/endpoints/graph"),
    re.compile(r"/overview"),
    re.compile(r"/access"),
    re.compile(r"/passkeys"),
    re.compile(r"/decisions(?:/[A-Za-z0-9_-]{22}/(?:0|[1-9][0-9]{0,15}))?"),
)
"""The pages that a link from elsewhere may lead to."""
_QUERY: Final = re.compile(r"[A-Za-z0-9_.~=&%-]{0,256}")


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


def is_page(target: str) -> bool:
    """Tell whether a path, with its query, is one of the pages."""
    path, _, query = target.partition("?")
    if not _QUERY.fullmatch(query) or not any(page.fullmatch(path) for page in PAGES):
        return False
    # As a browser reads it: no scheme, and no host.
    parts = urlsplit(target)
    return not parts.scheme and not parts.netloc


def return_path(target: str) -> str:
    """Return a target that is on the list as it is, and every other as the first page."""
    return target if is_page(target) else FIRST
