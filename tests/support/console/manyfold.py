"""The console in the cluster in this process: a real issuer, an API server that is a table for each person, and clocks.

Standing: what a real API server makes of the tokens, tests/cluster/hosted shows.
"""

import asyncio
import copy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web  # noqa: TID251 - serves what the console serves

from bailiwick_console.app import build
from bailiwick_console.hosted.certificate import ConsoleCertificate
from bailiwick_console.hosted.entrance import CALLBACK, HostedEntrance
from bailiwick_console.hosted.loginpages import LoginPages
from bailiwick_console.hosted.logins import PendingLogins
from bailiwick_console.hosted.people import PersonSessions, PersonToken
from bailiwick_console.hosted.provider import LoginProvider
from bailiwick_console.hosted.settings import ClientSettings, HostedPlaces, PublicAddress
from bailiwick_console.server import ConsolePort, listen, loopback
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError
from issuer.server import Server, serving
from support.certificates import self_signed
from support.console.clusterconsole import CLIENT, NAME, CookieBrowser, HostedSite
from support.console.inprocess import TableCluster
from support.objects import Object
from support.pdp.badtokens import parts_of

_PATIENCE: Final = 20.0
PEOPLE: Final[dict[str, dict[str, Any]]] = {
    "carol": {"groups": ["crm-owners"]},
    "dave": {"groups": ["crm-owners"]},
    "mallory": {"groups": []},
}


@dataclass
class PersonTable(TableCluster):
    """The API server as whoever has a token; it takes every token's word, but of `unknown` subjects."""

    token: PersonToken | None = None
    unknown: frozenset[str] = frozenset()
    bearers: list[str] = field(default_factory=list)

    def create(self, path: str, body: Object) -> Object:
        if not path.endswith("/selfsubjectreviews"):
            return super().create(path, body)
        self._ask("POST", path)
        assert self.token is not None
        claims = parts_of(self.token.bearer())[1]
        if claims["sub"] in self.unknown:
            raise ApiError("the API server did not authenticate you (Unauthorized)", 401)
        # By another claim than `sub`, where the token has it, as API servers may be told to.
        called = claims.get("called", claims["sub"])
        name = called if called.startswith("system:") else f"oidc:{called}"
        return {"status": {"userInfo": {"username": name, "groups": claims["groups"]}}}

    def _ask(self, method: str, path: str) -> None:
        assert self.token is not None
        self.bearers.append(self.token.bearer())
        super()._ask(method, path)


@dataclass
class MovedClocks:
    """Both clocks of the console, which a test moves by `later`. `wall` begins at the present time."""

    moved: float = 0.0

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.moved += seconds

    def monotonic(self) -> float:
        """The monotonic clock."""
        return 1000.0 + self.moved

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.moved


@dataclass
class ManyfoldConsole:
    """A console for many. `tables` are the API server as each who came, the last at the end."""

    site: HostedSite
    issuer: Server
    clocks: MovedClocks
    grants: list[Object]
    certificate: ConsoleCertificate
    tables: list[PersonTable] = field(default_factory=list)
    unknown: frozenset[str] = frozenset()
    installation: str = "bailiwick-system"

    def browser(self) -> CookieBrowser:
        """Return a browser of its own."""
        return CookieBrowser(self.site)

    def logged_in(self, person: str = "carol") -> CookieBrowser:
        """Return a browser in which somebody has logged in."""
        browser = self.browser()
        page = browser.log_in(self.issuer, person)
        assert page.status == 200, page
        return browser

    def connect(self, token: PersonToken) -> ClusterClient:
        """Return the API server as whoever has this token."""
        table = PersonTable(copy.deepcopy(self.grants), token=token, unknown=self.unknown)
        table.installation = self.installation
        self.tables.append(table)
        return cast("ClusterClient", self.tables[-1])

    @property
    def written(self) -> int:
        """How often anybody wrote."""
        return sum(len(table.written) for table in self.tables)


@contextmanager
def manyfold(
    folder: Path,
    *grants: Object,
    most_logins: int = 100,
    most_sessions: int = 100,
    secret: str | None = None,
    installation: str = "bailiwick-system",
    max_age: int | None = None,
) -> Iterator[ManyfoldConsole]:
    """Serve a console of these grants, on an event loop in a thread of its own, and an issuer."""
    certificate, key = self_signed(folder, NAME)
    sockets = loopback()
    site = HostedSite(sockets[0].getsockname()[1], certificate)
    clocks = MovedClocks()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="console", daemon=True)
    thread.start()
    with serving(folder / "issuer") as issuer:
        issuer.logins.people |= PEOPLE
        issuer.logins.clients[CLIENT] = (secret, f"{site.url}{CALLBACK}")
        console = ManyfoldConsole(site, issuer, clocks, list(grants), ConsoleCertificate(certificate, key))
        console.installation = installation
        console.certificate.look()
        client = ClientSettings(issuer.signer.url, CLIENT, secret, ("openid",), issuer.ca_file, max_age)

        async def begin() -> tuple[web.AppRunner, ConsolePort]:
            entrance = HostedEntrance(
                PublicAddress(site.url),
                LoginPages(client),
                LoginProvider(client, f"{site.url}{CALLBACK}", clocks.wall),
                console.connect,
                places=HostedPlaces("crm", installation),
                logins=PendingLogins(clocks.monotonic, most_logins),
                sessions=PersonSessions(clocks.monotonic, clocks.wall, most_sessions),
            )
            runner = web.AppRunner(build(entrance), access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            return runner, await listen(runner, sockets, tls=console.certificate.listening)

        async def end() -> None:
            await listening.close()
            await runner.cleanup()

        runner, listening = asyncio.run_coroutine_threadsafe(begin(), loop).result(_PATIENCE)
        try:
            yield console
        finally:
            asyncio.run_coroutine_threadsafe(end(), loop).result(_PATIENCE)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_PATIENCE)
            loop.close()
