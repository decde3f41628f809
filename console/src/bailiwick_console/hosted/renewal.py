"""Another token for a session whose own is about to end, where the issuer gives one.

Holds: a session asks with a token only after the API server knew the same person by it; of the requests of a session
one at a time asks for another; a refusal ends the session, silence does not before its token ends.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from bailiwick_console.hosted.idtoken import IdTokenError
from bailiwick_console.hosted.people import PersonSession, PersonSessions, PersonToken
from bailiwick_console.hosted.provider import LoginProvider, ProviderError
from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.display import talk_line
from bailiwick_governance.errors import ApiError, UserError

# From when on another token is asked for, in seconds before the end of this one.
_RENEW: Final = 60.0
# After silence, so that each look at a page does not wait for it.
_APART: Final = 10.0

Recognizes = Callable[[PersonToken], Awaitable[CurrentUser]]
"""Returns who has a token. Raises `ApiError` with 401 where the API server does not accept it."""


class _OtherPersonError(Exception):
    """What came is not of the person as they were. The message holds no secret."""


class TokenRenewal:
    """Keeps sessions going."""

    def __init__(self, provider: LoginProvider, sessions: PersonSessions, recognizes: Recognizes) -> None:
        self._provider = provider
        self._sessions = sessions
        self._recognizes = recognizes

    async def lasts(self, name: str | None, session: PersonSession) -> bool:
        """Tell whether the session of this id goes on, after its token was replaced where that is due."""
        token = session.token
        async with token.renewing:
            # While this request waited, another one may have ended the session.
            if not self._stands(name, session):
                return False
            now = self._sessions.wall()
            if token.ends - now <= _RENEW and token.refresh is not None and token.retry <= now:
                await self._renew(name, session, token.refresh)
            return self._stands(name, session) and self._sessions.wall() < token.ends

    def _stands(self, name: str | None, session: PersonSession) -> bool:
        return self._sessions.find(name, looked=False) is session

    async def _renew(self, name: str | None, session: PersonSession, refresh: str) -> None:
        token = session.token
        try:
            given = await self._provider.refresh(refresh)
            # The one before may count no more, whatever comes of the rest.
            token.refresh = given.refresh_token
            claims = await self._provider.verified(given.id_token, None)
            if claims.subject != token.subject:
                raise _OtherPersonError("another person's token came for a refresh token")
            made = PersonToken(given.id_token, given.refresh_token, claims.subject, claims.ends)
            if not _same(await self._recognizes(made), session.visitor.source.me):
                raise _OtherPersonError("name or groups have changed")
            token.put(given.id_token, given.refresh_token, claims.ends)
        except (_OtherPersonError, IdTokenError, UserError) as error:
            if _refuses(error) or self._sessions.wall() >= token.ends:
                talk_line(f"The session of {session.username} ended: {error}")
                self._sessions.end(name)
                return
            token.retry = self._sessions.wall() + _APART
            talk_line(f"The token of {session.username} was not replaced yet: {error}")


def _refuses(error: Exception) -> bool:
    """Tell whether somebody said no, and not nothing."""
    if isinstance(error, ProviderError):
        return error.refuses
    if isinstance(error, ApiError):
        return error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return not isinstance(error, UserError)


def _same(now: CurrentUser, before: CurrentUser) -> bool:
    # The order of groups is not defined.
    return (now.username, now.uid, frozenset(now.groups)) == (before.username, before.uid, frozenset(before.groups))
