"""The way in from a browser: the button, the issuer's answer, the session, and the way out.

Holds: a session begins only with the answer to a login that the same browser began here, under an id that was made
then; the API server has accepted the token before; a page that was followed from elsewhere loads itself again before
any cookie is looked at; nothing of a token, a code or an id is ever shown or logged.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from bailiwick_console.hosted.idtoken import IdTokenError
from bailiwick_console.hosted.loginpages import LoginPages
from bailiwick_console.hosted.logins import FIRST, LOGIN_SECONDS, PendingLogin, PendingLogins, is_page, return_path
from bailiwick_console.hosted.people import PersonSessions, PersonToken
from bailiwick_console.hosted.provider import LoginProvider, ProviderError
from bailiwick_console.hosted.renewal import TokenRenewal
from bailiwick_console.hosted.settings import HostedPlaces
from bailiwick_console.hosted.strangers import StrangerLog
from bailiwick_console.threads.calls import ClusterThreads
from bailiwick_console.visits.forms import read_form
from bailiwick_console.visits.security import READS, SiteAddress, cookie
from bailiwick_console.visits.views import bare, refused
from bailiwick_console.visits.visitor import VISITOR, ConsoleVisitor
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.apiserver.people import CurrentUser, who_am_i
from bailiwick_governance.display import talk_line
from bailiwick_governance.errors import ApiError, UserError

LOGIN: Final = "/login"
CALLBACK: Final = "/callback"
SIGNED_IN: Final = "/signed-in"
LOGOUT: Final = "/logout"
NAMESPACE: Final = "/namespace"
SESSION_COOKIE: Final = "__Host-bailiwick-session"
LOGIN_COOKIE: Final = "__Host-bailiwick-login"
_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})
_NOBODY: Final = "system:anonymous"

Connects = Callable[[PersonToken], ClusterClient]
"""Returns the API server, as the person who has this token."""


class _NotLoggedInError(Exception):
    """A login that ended without a session. The message is for the person and the log, and holds no secret."""


class HostedEntrance:
    """People of an issuer, each as themselves."""

    def __init__(
        self,
        address: SiteAddress,
        pages: LoginPages,
        provider: LoginProvider,
        connects: Connects,
        *,
        places: HostedPlaces,
        logins: PendingLogins | None = None,
        sessions: PersonSessions | None = None,
    ) -> None:
        self._address = address
        self._pages = pages
        self._provider = provider
        self._connects = connects
        self._places = places
        self._logins = logins or PendingLogins()
        self._sessions = sessions or PersonSessions()
        self._renewal = TokenRenewal(provider, self._sessions, self._recognize)
        self._strangers = StrangerLog()
        self._threads = ClusterThreads()

    @property
    def address(self) -> SiteAddress:
        """The public URL."""
        return self._address

    @property
    def headers(self) -> Mapping[str, str]:
        """What stands on every answer besides."""
        return {"Strict-Transport-Security": "max-age=31536000"}

    @property
    def routes(self) -> Sequence[web.RouteDef]:
        """The paths of login and session."""
        return [
            web.post(LOGIN, self._begin_login),
            web.get(CALLBACK, self._finish_login, allow_head=False),
            web.get(SIGNED_IN, self._signed_in),
            web.post(NAMESPACE, self._chosen),
            web.post(LOGOUT, self._log_out),
        ]

    @property
    def private(self) -> bool:
        """The people who run the cluster read the log."""
        return False

    def lost(self, request: web.Request) -> web.StreamResponse | None:
        """End the session: its token is no longer accepted."""
        self._sessions.end(_cookie_id(request, SESSION_COOKIE))
        return self._pages.login(
            "/", "The API server no longer accepts your login: log in again.", HTTPStatus.FORBIDDEN
        )

    def opens(self, path: str) -> bool:
        """Tell whether a path needs no login."""
        return path in {LOGIN, CALLBACK}

    def follows(self, request: web.Request) -> bool:
        """Tell whether a link from elsewhere may lead to what is asked for."""
        return request.method in READS and (request.path == CALLBACK or is_page(request.path_qs))

    async def admit(self, request: web.Request, *, looked: bool) -> ConsoleVisitor | web.StreamResponse:
        """Let in who has a session; show everybody else the button."""
        if request.headers.get("Sec-Fetch-Site") in _ELSEWHERE:
            # A Strict cookie is not sent along a link of another site, but with what our own page loads.
            return bare("Opening the console", "One moment.", HTTPStatus.OK, leads=return_path(request.path_qs))
        name = _cookie_id(request, SESSION_COOKIE)
        session = self._sessions.find(name, looked=looked)
        if session is not None and await self._renewal.lasts(name, session):
            return session.visitor
        reads = request.method in READS and looked
        return self._pages.login(
            return_path(request.path_qs if request.method in READS else "/"),
            "" if name is None else "Your session has ended: log in again.",
            HTTPStatus.OK if reads else HTTPStatus.FORBIDDEN,
        )

    async def _begin_login(self, request: web.Request) -> web.StreamResponse:
        """Send the browser to the issuer, by a page of ours: a form may lead to no other site."""
        to = (await read_form(request)).text("to")
        # A new login ends the session before it, whatever comes of it.
        self._sessions.end(_cookie_id(request, SESSION_COOKIE))
        begun = self._logins.begin(return_path(to))
        if begun is None:
            self._strangers.tell("A login was refused: too many logins are open.")
            return self._pages.login(
                "/", "Too many logins have begun. Try again in ten minutes.", HTTPStatus.SERVICE_UNAVAILABLE
            )
        browser, login = begun
        try:
            url = await self._provider.authorization_url(login.state, login.nonce, login.verifier)
        except ProviderError as error:
            self._logins.take(browser, login.state)
            self._strangers.tell(f"A login could not begin: {error}")
            return self._pages.login(login.to, f"You cannot log in now: {error}.", HTTPStatus.BAD_GATEWAY)
        response = bare("Logging in", "One moment: your identity provider asks who you are.", HTTPStatus.OK, leads=url)
        # Lax, since the issuer's answer is a link of another site.
        _bake(response, LOGIN_COOKIE, browser, "Lax", int(LOGIN_SECONDS))
        return response

    async def _finish_login(self, request: web.Request) -> web.StreamResponse:
        """Take the issuer's answer: begin a session, and have the page load itself again as our own."""
        login = self._logins.take(_cookie_id(request, LOGIN_COOKIE), _only(request, "state") or "")
        if login is None:
            # The browser may still wait for the answer to another one: it keeps its cookie.
            return self._failure_page(
                _NotLoggedInError("The answer is of no login that this browser began here in the last ten minutes")
            )
        try:
            token = await self._token_of(request, login)
            visitor = await self._admit(token)
            name = self._sessions.begin(visitor, token)
            if name is None:
                raise _NotLoggedInError(
                    "Too many people are logged in. Try again later, or use kubectl bailiwick console"
                )
        except (_NotLoggedInError, IdTokenError, UserError) as error:
            response = self._failure_page(error)
            _forget(response, LOGIN_COOKIE, "Lax")
            return response
        talk_line(f"{visitor.source.me.username} logged in")
        response = bare(
            "You are logged in", "One moment.", HTTPStatus.OK, leads=f"{SIGNED_IN}?{urlencode({'to': login.to})}"
        )
        _bake(response, SESSION_COOKIE, name, "Strict")
        _forget(response, LOGIN_COOKIE, "Lax")
        return response

    def _failure_page(self, error: Exception) -> web.StreamResponse:
        if isinstance(error, IdTokenError):
            error = _NotLoggedInError(f"The issuer's token is not accepted: {error}")
        self._strangers.tell(f"A login was refused: {error}")
        if isinstance(error, ApiError) and error.status == HTTPStatus.UNAUTHORIZED:
            return self._pages.unknown()
        return self._pages.login("/", f"You are not logged in. {error}.", HTTPStatus.FORBIDDEN)

    async def _token_of(self, request: web.Request, login: PendingLogin) -> PersonToken:
        issuer = _only(request, "iss")
        named = (await self._provider.document()).names_itself
        if (issuer is None and (named or "iss" in request.query)) or issuer not in {None, self._pages.issuer}:
            raise _NotLoggedInError("The answer is of another issuer")
        if "error" in request.query:
            raise _NotLoggedInError("The issuer did not log you in")
        code = _only(request, "code")
        if not code:
            raise _NotLoggedInError("The issuer's answer has no code")
        given = await self._provider.redeem(code, login.verifier)
        claims = await self._provider.verified(given.id_token, login.nonce)
        return PersonToken(given.id_token, given.refresh_token, claims.subject, claims.ends)

    async def _admit(self, token: PersonToken) -> ConsoleVisitor:
        """Return who they are to the API server. Raises `ApiError` with 401 where it knows no such person."""
        cluster = self._connects(token)
        me = await self._ask_who(cluster)
        places = self._places
        return ConsoleVisitor(
            cluster,
            me,
            places.namespace,
            leaves=True,
            installation=places.installation,
            registrars=places.registrars,
            cluster_name=places.cluster_name,
        )

    async def _recognize(self, token: PersonToken) -> CurrentUser:
        return await self._ask_who(self._connects(token))

    async def _ask_who(self, cluster: ClusterClient) -> CurrentUser:
        me = await self._threads.run(lambda: who_am_i(cluster))
        if me.username == _NOBODY:
            raise ApiError("the API server does not accept this token", HTTPStatus.UNAUTHORIZED)
        return me

    async def _signed_in(self, request: web.Request) -> web.StreamResponse:
        """Say as whom they act."""
        return request[VISITOR].views.signed_in(return_path(request.query.get("to", "/")))

    async def _chosen(self, request: web.Request) -> web.StreamResponse:
        """Show another namespace from now on; none: all of them."""
        visitor, form = request[VISITOR], await read_form(request)
        if not visitor.memory.sent(form.text("token")):
            return refused("The form is not one of this visit.")
        visitor.look_at(form.text("namespace").strip() or None)
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        """End the session, and send the browser to the issuer to end the one there, where it can be asked for that."""
        visitor = request[VISITOR]
        if not visitor.memory.sent((await read_form(request)).text("token")):
            return refused("The form is not one of this visit.")
        self._sessions.end(_cookie_id(request, SESSION_COOKIE))
        talk_line(f"{visitor.source.me.username} logged out")
        response = await self._parting()
        _forget(response, SESSION_COOKIE, "Strict")
        return response

    async def _parting(self) -> web.Response:
        """Answer after a logout: a form may lead to no other site, so a page of ours leads to the issuer."""
        message = "You are logged out here."
        try:
            url = await self._provider.logout_url(f"{self._address.origin}{FIRST}")
        except ProviderError as error:
            # It was not asked of this visit, so nothing of it is shown.
            self._strangers.tell(f"A logout at the issuer could not begin: {error}")
            url = None
        if url is None:
            return self._pages.login("/", f"{message} Your identity provider may still know you.", HTTPStatus.OK)
        message += " One moment: your identity provider is asked to end its session too."
        return bare("Logging out", message, 200, leads=url)


def _cookie_id(request: web.Request, name: str) -> str | None:
    """Return the id that a browser shows in this cookie."""
    return cookie(request.headers.getall("Cookie", ()), name)


def _only(request: web.Request, name: str) -> str | None:
    """Return a parameter that is given once; None otherwise."""
    given = request.query.getall(name, [])
    return given[0] if len(given) == 1 else None


def _bake(response: web.StreamResponse, name: str, value: str, same_site: str, seconds: int | None = None) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite=same_site)


def _forget(response: web.StreamResponse, name: str, same_site: str) -> None:
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite=same_site)
