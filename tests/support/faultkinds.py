"""Faults: what a proxy does with a request instead of passing it on. `support.faultproxy` is the proxy.

Holds: a fault is a coroutine that takes one `Exchange`; none holds anything longer than `PATIENCE`, whatever a test
forgets.
"""

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final, Protocol

PATIENCE: Final = 20.0


@dataclass
class Reply:
    """An answer of the API server, read whole; a watch has no `body` and is passed on as it comes."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | None

    def header(self, name: str) -> str | None:
        """Return the first header of this name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def encoded(self) -> bytes:
        """Return it as it goes over the wire."""
        own = [] if self.body is None else [("Content-Length", str(len(self.body)))]
        lines = [f"HTTP/1.1 {self.status} Answer", *(f"{key}: {value}" for key, value in (*self.headers, *own))]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (self.body or b"")


class Connection(Protocol):
    """The connection that a request came by."""

    async def forward(self, raw: bytes, *, watch: bool) -> Reply:
        """Send a request to the API server and read its answer; a watch's without its events."""

    async def deliver(self, reply: Reply) -> None:
        """Pass an answer on, and the events behind it."""

    async def released(self) -> None:
        """Wait until the faults are cleared."""


@dataclass
class Exchange:
    """One request and what a fault may do with it."""

    connection: Connection
    path: str
    raw: bytes

    async def forward(self) -> Reply:
        """Send the request to the API server and read its answer."""
        return await self.connection.forward(self.raw, watch="watch=true" in self.path)

    async def deliver(self, reply: Reply) -> None:
        """Pass an answer on."""
        await self.connection.deliver(reply)

    async def released(self) -> None:
        """Wait until the faults are cleared."""
        await self.connection.released()


Act = Callable[[Exchange], Awaitable[None]]


class CutError(Exception):
    """Raised by a fault: close the connection without a word."""


@dataclass
class Fault:
    """What happens to requests that match, `times` times; `seen` counts them."""

    method: str
    path: re.Pattern[str]
    act: Act
    times: int | None
    seen: int = 0

    def takes(self, method: str, path: str) -> bool:
        """Tell whether this request is meant, and count it."""
        if method != self.method or not self.path.search(path) or self.seen == self.times:
            return False
        self.seen += 1
        return True


async def pass_on(exchange: Exchange) -> None:
    """Change nothing; for counting."""
    await exchange.deliver(await exchange.forward())


def status(code: int, message: str = "injected", **headers: str) -> Act:
    """Answer with a status of Kubernetes, without asking the API server."""

    async def act(exchange: Exchange) -> None:
        body = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})
        always = [("Content-Type", "application/json"), ("Date", format_datetime(datetime.now(UTC), usegmt=True))]
        await exchange.deliver(Reply(code, [*always, *headers.items()], body.encode()))

    return act


def events(*lines: bytes) -> Act:
    """Answer a watch with these lines, then end it."""

    async def act(exchange: Exchange) -> None:
        await exchange.deliver(Reply(200, [("Content-Type", "application/json")], b"".join(lines)))

    return act


async def hang(exchange: Exchange) -> None:
    """Never answer, and never ask the API server."""
    await exchange.released()
    raise CutError


async def lose_answer(exchange: Exchange) -> None:
    """Let the API server do what is asked, and close the connection instead of answering."""
    await exchange.forward()
    raise CutError


def skew(seconds: float) -> Act:
    """Let the API server's clock be wrong."""

    async def act(exchange: Exchange) -> None:
        reply = await exchange.forward()
        date = parsedate_to_datetime(reply.header("Date") or "").timestamp() + seconds
        wrong = format_datetime(datetime.fromtimestamp(date, UTC), usegmt=True)
        reply.headers = [(key, wrong if key.lower() == "date" else value) for key, value in reply.headers]
        await exchange.deliver(reply)

    return act


async def lose_date(exchange: Exchange) -> None:
    """Answer without saying what time it is."""
    reply = await exchange.forward()
    reply.headers = [(key, value) for key, value in reply.headers if key.lower() != "date"]
    await exchange.deliver(reply)


def altered(fields: Mapping[str, object]) -> Act:
    """Change fields, by their dotted paths, of the object that the API server answers with."""

    async def act(exchange: Exchange) -> None:
        reply = await exchange.forward()
        body = json.loads(reply.body or b"{}")
        for path, value in fields.items():
            *way, last = path.split(".")
            place = body
            for key in way:
                place = place[key]
            place[last] = value
        reply.body = json.dumps(body).encode()
        await exchange.deliver(reply)

    return act


@dataclass
class Held:
    """A request that waits for `go`: `before` the API server sees it, else after it did what was asked."""

    before: bool
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, exchange: Exchange) -> None:
        """Be the act of a fault."""
        reply = None if self.before else await exchange.forward()
        self.reached.set()
        await asyncio.to_thread(self.go.wait, PATIENCE)
        await exchange.deliver(reply or await exchange.forward())


@dataclass
class NotedRequests:
    """Passes on, and keeps what the requests said that had a body of JSON, the oldest first."""

    said: list[Any] = field(default_factory=list)

    async def __call__(self, exchange: Exchange) -> None:
        """Be the act of a fault."""
        self.take(exchange)
        await pass_on(exchange)

    def take(self, exchange: Exchange) -> None:
        """Keep what a request says."""
        self.said.append(json.loads(exchange.raw.partition(b"\r\n\r\n")[2]))
