"""The console in the cluster as a process of its own, an issuer, and browsers without a browser: cookies over TLS.

Holds: a browser here keeps cookies as a real one does where it matters: `__Host-` only over TLS, Strict not along
what another site began.
"""

import contextlib
import html
import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from issuer.codes import AUTHORIZE
from issuer.server import Server
from localcluster.ports import free_ports
from support.certificates import self_signed
from support.console.consoleprocess import RunningConsole, spawned
from support.console.plainhttp import FORM, Page, sent

FormFields = Mapping[str, str] | Sequence[tuple[str, str]]

CLIENT: Final = "bailiwick"
NAME: Final = "console.localhost"
_LEADS: Final = re.compile(r'http-equiv="refresh" content="0; url=([^"]*)"')


@dataclass(frozen=True, slots=True)
class HostedSite:
    """Where a console is: under its public name, on loopback."""

    port: int
    ca_file: Path

    @property
    def host(self) -> str:
        """Its name and port."""
        return f"{NAME}:{self.port}"

    @property
    def url(self) -> str:
        """The public URL."""
        return f"https://{self.host}"

    def send(
        self, method: str, path: str, body: str | bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Page:
        """Send one request, with exactly these headers beside a Host of its own."""
        page, _ = self.exchanged(method, path, body, headers)
        return page

    def exchanged(
        self, method: str, path: str, body: str | bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Page, list[str]]:
        """Send one request; returns the cookies that are set, too."""
        return sent(_TlsConnection(self), method, path, body, {"Host": self.host, **(headers or {})})


class _TlsConnection(http.client.HTTPConnection):
    def __init__(self, site: HostedSite) -> None:
        super().__init__(NAME, site.port, timeout=120)
        self._context = ssl.create_default_context(cafile=str(site.ca_file))

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=NAME)


@dataclass
class CookieBrowser:
    """A browser with nothing in it. `cookies` are what it holds: value and SameSite, by name."""

    site: HostedSite
    cookies: dict[str, tuple[str, str]] = field(default_factory=dict)

    def load(self, path: str, fetch_site: str = "none", **headers: str) -> Page:
        """Load a page, and keep its cookies. `fetch_site`: how the browser came to it."""
        return self._asked("GET", path, None, fetch_site, headers)

    def post(self, path: str, fields: FormFields, fetch_site: str = "same-origin", **headers: str) -> Page:
        """Send a form."""
        return self._asked("POST", path, urlencode(fields), fetch_site, {"Origin": "null", **headers})

    @contextmanager
    def sending(self, path: str, fields: FormFields) -> Iterator[Callable[[], Page]]:
        """Send a form but for its last byte. What is yielded sends that too, and returns the answer."""
        *most, last = urlencode(fields).encode()
        cookies = "; ".join(f"{name}={value}" for name, (value, _) in self.cookies.items())
        connection = _TlsConnection(self.site)
        connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        headers = {"Host": self.site.host, "Cookie": cookies, "Sec-Fetch-Site": "same-origin", "Origin": "null"}
        headers |= {"Content-Type": FORM, "Content-Length": str(len(most) + 1)}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(bytes(most))

        def rest() -> Page:
            with contextlib.suppress(OSError):
                # It may have been answered before.
                connection.send(bytes([last]))
            answer = connection.getresponse()
            return Page(answer.status, {}, answer.read().decode())

        try:
            yield rest
        finally:
            connection.close()

    def _asked(self, method: str, path: str, body: str | None, fetch_site: str, headers: Mapping[str, str]) -> Page:
        kept = {
            name: value
            for name, (value, same_site) in self.cookies.items()
            if fetch_site in {"none", "same-origin"} or (same_site == "Lax" and method == "GET")
        }
        given = {"Sec-Fetch-Site": fetch_site, **headers}
        if kept:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        page, baked = self.site.exchanged(method, path, body, given)
        for one in baked:
            ((name, morsel),) = SimpleCookie(one).items()
            assert name.startswith("__Host-"), baked
            assert (morsel["secure"], morsel["httponly"], morsel["path"], morsel["domain"]) == (True, True, "/", ""), (
                one
            )
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = (morsel.value, morsel["samesite"])
        return page

    def begin(self, to: str = "/") -> dict[str, str]:
        """Press the button, and return what the issuer is asked."""
        url = led(self.post("/login", {"to": to}))
        assert urlsplit(url).path == AUTHORIZE, url
        return dict(parse_qsl(urlsplit(url).query))

    def come_back(self, issuer: Server, person: str, asked: Mapping[str, str]) -> Page:
        """Log in at the issuer, and follow it back."""
        return self.load(answered(issuer, person, asked), "cross-site")

    def log_in(self, issuer: Server, person: str, to: str = "/") -> Page:
        """Log in, and return the page that says as whom."""
        return self.load(led(self.come_back(issuer, person, self.begin(to))), "same-origin")


def led(page: Page) -> str:
    """Return where a page loads itself on to."""
    found = _LEADS.search(page.text)
    assert found, page
    return html.unescape(found[1])


def answered(issuer: Server, person: str, asked: Mapping[str, str]) -> str:
    """Return the path and query that the issuer sends a browser back to."""
    url = issuer.logins.answer({**asked, "person": person}, issuer.signer.url)
    assert url is not None, asked
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


@dataclass(frozen=True, slots=True)
class RunningHosted:
    """A console that runs, and where it is."""

    console: RunningConsole
    site: HostedSite
    health_port: int

    def browser(self) -> CookieBrowser:
        """Return a browser of its own."""
        return CookieBrowser(self.site)

    def issue(self) -> None:
        """Give it a certificate, or another one."""
        self_signed(self.site.ca_file.parent, NAME)

    def health(self, path: str = "/readyz") -> int:
        """Return the status of a probe; 0: nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


@contextmanager
def hosted(
    folder: Path,
    issuer: Server,
    *arguments: str,
    api_server: str,
    api_ca_file: Path,
    client: str = CLIENT,
    secret: str | None = None,
    issued: bool = True,
) -> Iterator[RunningHosted]:
    """Start a console that asks this API server and trusts this issuer, and end it. `issued`: it has a certificate."""
    folder.mkdir(exist_ok=True)
    certificate, key = self_signed(folder, NAME) if issued else (folder / "tls.crt", folder / "tls.key")
    port, health_port = free_ports(2)
    site = HostedSite(port, certificate)
    issuer.logins.clients[client] = (secret, f"{site.url}/callback")
    if secret is not None:
        (folder / "secret").write_text(secret)
        arguments = (*arguments, "--client-secret-file", str(folder / "secret"))
    given = (
        *("--public-url", site.url, "--issuer", issuer.signer.url, "--client-id", client),
        *(
            "--issuer-ca-file",
            str(issuer.ca_file),
            "--api-server",
            api_server,
            "--api-server-ca-file",
            str(api_ca_file),
        ),
        *("--tls-certificate-file", str(certificate), "--tls-key-file", str(key), "--listen-address", "127.0.0.1"),
        *("--port", str(port), "--health-port", str(health_port), *arguments),
    )
    with spawned("serve-console", *given, kubeconfig=None) as console:
        running = RunningHosted(console, site, health_port)
        yield running
