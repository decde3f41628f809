"""How people come in, as `app` sees it; and the way in on loopback, by a URL that works once.

Holds: an entrance alone tells who asks, or answers instead.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from aiohttp import web

from bailiwick_console.visits.security import SiteAddress, cookie
from bailiwick_console.visits.session import COOKIE, ConsoleSession
from bailiwick_console.visits.views import bare, refused
from bailiwick_console.visits.visitor import ConsoleVisitor
from bailiwick_governance.display import talk

OPENING: Final = "/open"


class Entrance(Protocol):
    """How people come in."""

    @property
    def address(self) -> SiteAddress:
        """The one name under which the console answers."""

    @property
    def routes(self) -> Sequence[web.RouteDef]:
        """The paths by which somebody comes in: they are answered before it is known who asks."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What stands on every answer, beside the headers of every console."""

    @property
    def private(self) -> bool:
        """Whether what the process says is read by the one visitor alone."""

    def opens(self, path: str) -> bool:
        """Tell whether a path is one by which somebody comes in."""

    def follows(self, request: web.Request) -> bool:
        """Tell whether a link from elsewhere may lead to what is asked for."""

    def lost(self, request: web.Request) -> web.StreamResponse | None:
        """Return the answer to whom the API server no longer knows; None: what it says is shown."""

    async def admit(self, request: web.Request, *, looked: bool) -> ConsoleVisitor | web.StreamResponse:
        """Return who asks, else the answer to somebody unknown. `looked`: it is no script that refreshes a page."""


class LoopbackEntrance:
    """The one visitor is whose kubeconfig it is, in the first browser that brings the URL."""

    def __init__(self, visitor: ConsoleVisitor, address: SiteAddress, session: ConsoleSession) -> None:
        self._visitor = visitor
        self._address = address
        self._session = session

    @property
    def address(self) -> SiteAddress:
        """The random name of this run."""
        return self._address

    @property
    def routes(self) -> Sequence[web.RouteDef]:
        """The path of the URL."""
        return [web.get(OPENING, self._open, allow_head=False)]

    @property
    def headers(self) -> Mapping[str, str]:
        """Nothing besides."""
        return {}

    @property
    def private(self) -> bool:
        """It is their terminal."""
        return True

    def lost(self, request: web.Request) -> web.StreamResponse | None:  # noqa: ARG002 - as `Entrance` has it
        """Tell it: the kubeconfig may give another token the next time."""
        return None

    def opens(self, path: str) -> bool:
        """Tell whether a path is that of the URL."""
        return path == OPENING

    def follows(self, request: web.Request) -> bool:
        """Tell whether it is the URL: from a file it is followed, too."""
        return request.path == OPENING

    async def admit(self, request: web.Request, *, looked: bool) -> ConsoleVisitor | web.StreamResponse:
        """Let in the browser that has the cookie."""
        if self._session.holds(cookie(request.headers.getall("Cookie", ()), COOKIE), looked=looked):
            return self._visitor
        return refused(
            "Only the browser that opened the console first can use it, and only for as long as it is in use."
            " To begin again, end the console at its terminal and start it again."
        )

    async def _open(self, request: web.Request) -> web.StreamResponse:
        """Swap the token of the URL for a cookie, and have the page load itself again under a URL without it."""
        given = self._session.begin(request.query.get("token", ""))
        if given is None:
            talk("The console refused a browser: the URL is wrong or was used before.")
            return refused(
                "This URL is wrong, or was used before. If it was not you who used it, end the console at its terminal."
            )
        talk("A browser opened the console. No other one can.")
        # A page and no redirect: where the browser came from a file, it keeps a Strict cookie back from a redirect.
        response = bare("Opening the console", "One moment.", 200, leads="/")
        response.set_cookie(COOKIE, given, httponly=True, samesite="Strict", path="/")
        return response
