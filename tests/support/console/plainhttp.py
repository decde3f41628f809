"""Plain HTTP to a console: what a browser would send, or would not."""

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

SAME: Final[Mapping[str, str]] = {"Sec-Fetch-Site": "same-origin"}
FORM: Final = "application/x-www-form-urlencoded"
_COOKIE: Final = re.compile(r"bailiwick-console=([^;]+)")


@dataclass(frozen=True, slots=True)
class Page:
    """An answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    def field(self, name: str) -> str:
        """Return the value of a hidden field of the page, the first of that name."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, f"no field {name} in {self.text}"
        return found[1]


def sent(
    connection: http.client.HTTPConnection, method: str, path: str, body: str | bytes | None, headers: Mapping[str, str]
) -> tuple[Page, list[str]]:
    """Send one request with exactly these headers, a body as a form; returns the cookies that are set, too."""
    data = body.encode() if isinstance(body, str) else body
    given = headers if data is None else {"Content-Type": FORM, **headers, "Content-Length": str(len(data))}
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        read = answer.read().decode()
    finally:
        connection.close()
    told = {name.lower(): value for name, value in answer.getheaders()}
    return Page(answer.status, told, read), answer.headers.get_all("Set-Cookie", [])


@dataclass(frozen=True, slots=True)
class Site:
    """A console by the URL that works once."""

    url: str

    @property
    def host(self) -> str:
        """The name and port under which it is."""
        return urlsplit(self.url).netloc

    def send(self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> Page:
        """Send one request, with exactly these headers beside a Host of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self.host.rpartition(":")[2]), timeout=60)
        return sent(connection, method, path, body, {"Host": self.host, **(headers or {})})[0]

    def open(self, headers: Mapping[str, str] | None = None) -> Page:
        """Follow the URL as a browser does that was given it."""
        parts = urlsplit(self.url)
        return self.send("GET", f"{parts.path}?{parts.query}", headers=headers or {"Sec-Fetch-Site": "none"})

    def visit(self) -> "Visit":
        """Open it as the first browser does."""
        page = self.open()
        found = _COOKIE.search(page.headers.get("set-cookie", ""))
        assert found, page
        return Visit(self, found[1])


@dataclass(frozen=True, slots=True)
class EventStream:
    """Server-sent events, as they come."""

    answer: http.client.HTTPResponse

    @property
    def status(self) -> int:
        """Of the answer."""
        return self.answer.status

    def event(self) -> dict[str, str] | None:
        """Return the fields of the next event, comments left out; None where the stream has ended."""
        found: dict[str, str] = {}
        while line := self.answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                found[name.removesuffix(":") or "beat"] = value
            elif "event" in found:
                return found
            else:
                found = {}
        return None

    def beat(self) -> str:
        """Return the next line, whatever it is."""
        return self.answer.readline().decode()


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser with the cookie."""

    site: Site
    cookie: str

    @property
    def headers(self) -> dict[str, str]:
        """What the browser sends with every request of its own."""
        return {"Cookie": f"bailiwick-console={self.cookie}", **SAME}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Page:
        """Load a page."""
        return self.site.send("GET", path, headers={**self.headers, **(headers or {})})

    @contextmanager
    def stream(self, path: str = "/events", headers: Mapping[str, str] | None = None) -> Iterator[EventStream]:
        """Open a stream of events."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self.site.host.rpartition(":")[2]), timeout=60)
        try:
            given = {**self.headers, "Host": self.site.host, "Sec-Fetch-Dest": "empty", **(headers or {})}
            connection.request("GET", path, headers=given)
            yield EventStream(connection.getresponse())
        finally:
            connection.close()

    def post(self, path: str, fields: Mapping[str, str]) -> Page:
        """Send a form."""
        return self.site.send("POST", path, urlencode(fields), {**self.headers, "Origin": "null"})


def form_of(page: Page, **fields: str) -> dict[str, str]:
    """Return the form of a grant's page with Approve pressed; keywords are what is typed, or pressed instead."""
    hidden = {name: page.field(name) for name in ("token", "shown", "binding")}
    button = {"approve": page.field("approve")} if 'name="approve"' in page.text and "deny" not in fields else {}
    return {**hidden, **button, "reason": "seen", **fields}
