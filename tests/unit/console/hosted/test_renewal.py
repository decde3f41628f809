"""Another token for a session: it counts once the API server knows the same person by it, and a no ends the session."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import pytest

from bailiwick_console.hosted.idtoken import IdTokenError, LoginClaims
from bailiwick_console.hosted.people import EndOfSessionError, PersonSession, PersonSessions, PersonToken
from bailiwick_console.hosted.provider import GivenTokens, LoginProvider, ProviderError
from bailiwick_console.hosted.renewal import TokenRenewal
from bailiwick_console.visits.visitor import ConsoleVisitor
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.errors import ApiError, UserError
from support.console.inprocess import TableCluster

CAROL: Final = CurrentUser("oidc:carol", ("staff", "crm-owners"), "7")
ENDS: Final = 1000.0


@dataclass
class RenewingSession:
    """A session whose token ends soon; the issuer and the API server answer as a test says, each after a while."""

    wall: float = ENDS - 30
    issuer: Exception | None = None
    api_server: Exception | None = None
    now: CurrentUser = CAROL
    refreshed: list[str] = field(default_factory=list)
    asked_with: list[tuple[str, str]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.sessions = PersonSessions(lambda: 0.0, lambda: self.wall)
        self.token = PersonToken("first", "refresh-1", "carol", ENDS)
        visitor = ConsoleVisitor(cast("ClusterClient", TableCluster([])), CAROL, None, leaves=True)
        name = self.sessions.begin(visitor, self.token)
        assert name is not None
        self.name = name
        self.renewal = TokenRenewal(cast("LoginProvider", self), self.sessions, self.recognized)

    @property
    def session(self) -> PersonSession | None:
        return self.sessions.find(self.name, looked=False)

    async def refresh(self, refresh_token: str) -> GivenTokens:
        self.refreshed.append(refresh_token)
        await asyncio.sleep(0)
        if self.issuer is not None:
            raise self.issuer
        return GivenTokens("second", f"refresh-{len(self.refreshed) + 1}")

    async def verified(self, token: str, nonce: str | None) -> LoginClaims:
        assert (token, nonce) == ("second", None)
        return LoginClaims("carol", ENDS + 3600)

    async def recognized(self, token: PersonToken) -> CurrentUser:
        self.asked_with.append((token.bearer(), self.token.bearer()))
        await asyncio.sleep(0)
        self.meanwhile()
        if self.api_server is not None:
            raise self.api_server
        return self.now

    def lasts(self, requests: int = 1) -> list[bool]:
        """Let so many requests come at once; returns which of them are let in."""
        session = self.session
        assert session is not None

        async def come() -> list[bool]:
            return await asyncio.gather(*(self.renewal.lasts(self.name, session) for _ in range(requests)))

        return asyncio.run(come())


def test_the_new_token_is_the_sessions_only_after_the_api_server_knew_the_person_by_it() -> None:
    renewing = RenewingSession()
    assert renewing.lasts() == [True]
    assert renewing.asked_with == [("second", "first")]
    assert (renewing.token.bearer(), renewing.token.refresh, renewing.token.ends) == (
        "second",
        "refresh-2",
        ENDS + 3600,
    )


def test_of_several_requests_one_asks_for_another_token() -> None:
    renewing = RenewingSession()
    assert renewing.lasts(3) == [True] * 3
    assert renewing.refreshed == ["refresh-1"]


OTHERS: Final = {
    "more groups": CurrentUser("oidc:carol", ("staff", "crm-owners", "admins"), "7"),
    "fewer groups": CurrentUser("oidc:carol", ("staff",), "7"),
    "another name": CurrentUser("oidc:caro", CAROL.groups, "7"),
    "another uid": CurrentUser("oidc:carol", CAROL.groups, "8"),
}


@pytest.mark.parametrize("now", OTHERS.values(), ids=OTHERS)
def test_who_waits_for_a_renewal_that_is_refused_is_not_let_in_either(now: CurrentUser) -> None:
    renewing = RenewingSession(now=now)
    assert renewing.lasts(3) == [False] * 3
    assert (renewing.refreshed, renewing.session) == (["refresh-1"], None)
    # With the session both tokens are forgotten, the one that came too.
    with pytest.raises(EndOfSessionError):
        renewing.token.bearer()


def test_who_logs_out_meanwhile_is_not_let_in_again() -> None:
    renewing = RenewingSession()
    renewing.meanwhile = lambda: renewing.sessions.end(renewing.name)
    assert renewing.lasts(2) == [False, False]


def test_groups_in_another_order_are_the_same_groups() -> None:
    renewing = RenewingSession(now=CurrentUser("oidc:carol", ("crm-owners", "staff"), "7"))
    assert renewing.lasts() == [True]


SILENCE: Final[dict[str, dict[str, Exception]]] = {
    "of the issuer": {"issuer": ProviderError("the issuer does not answer: TimeoutError")},
    "of the API server": {"api_server": UserError("the API server does not answer")},
    "of an API server that is overloaded": {"api_server": ApiError("too many requests", 429)},
    "of an API server that fails": {"api_server": ApiError("internal error", 500)},
}


@pytest.mark.parametrize("silent", SILENCE.values(), ids=SILENCE)
def test_silence_keeps_a_session_until_its_token_ends(silent: dict[str, Exception]) -> None:
    renewing = RenewingSession(issuer=silent.get("issuer"), api_server=silent.get("api_server"))
    assert renewing.lasts(3) == [True] * 3
    # It is not asked again at once.
    assert (len(renewing.refreshed), renewing.token.bearer()) == (1, "first")
    renewing.wall += 11
    assert renewing.lasts() == [True]
    assert len(renewing.refreshed) == 2
    renewing.wall = ENDS
    assert renewing.lasts() == [False]
    assert renewing.session is None


def test_after_silence_it_is_asked_with_the_refresh_token_that_came_last() -> None:
    renewing = RenewingSession(api_server=UserError("the API server does not answer"))
    renewing.lasts()
    renewing.wall, renewing.api_server = renewing.wall + 11, None
    assert renewing.lasts() == [True]
    assert renewing.refreshed == ["refresh-1", "refresh-2"]
    assert renewing.token.bearer() == "second"


REFUSALS: Final[dict[str, dict[str, Exception]]] = {
    "of the issuer": {"issuer": ProviderError("the issuer answers 400", refuses=True)},
    "of the token": {"issuer": IdTokenError("it is of another issuer")},
    "of the API server": {"api_server": ApiError("who are you?", 401)},
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_ends_a_session_at_once(refusal: dict[str, Exception]) -> None:
    renewing = RenewingSession(issuer=refusal.get("issuer"), api_server=refusal.get("api_server"))
    assert renewing.lasts(2) == [False, False]
    assert renewing.session is None
