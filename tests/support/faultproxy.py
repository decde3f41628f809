"""A reverse proxy in front of a real API server, TLS on both sides, that injects faults into matching requests.

Standing: for what a healthy API server cannot be made to show: 409, 429 and 500 at a chosen step, an answer that never
comes or comes late, a cut watch, a wrong clock. Everything else passes through untouched. It runs in a thread; a fault
is a coroutine that takes one `Exchange`.
"""

import asyncio
import json
import re
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from localcluster import kubeconfig
from localcluster.access import Cluster
from localcluster.pki import Authority

LOOPBACK: Final = "127.0.0.1"
# No fault holds anything longer than this, whatever a test forgets.
PATIENCE: Final = 20.0
_LIMIT: Final = 16 * 1024 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


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


@dataclass
class Exchange:
    """One request and what a fault may do with it."""

    proxy: "FaultProxy"
    connection: "_Connection"
    method: str
    path: str
    raw: bytes

    async def forward(self) -> Reply:
        """Send the request to the API server and read its answer."""
        return await self.connection.forward(self)

    async def deliver(self, reply: Reply) -> None:
        """Pass an answer on."""
        await self.connection.deliver(self, reply)


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
    await exchange.proxy.released()
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


class FaultProxy:
    """The proxy; a context manager. `silent` swallows what watches say, without cutting them."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        target = urlsplit(cluster.server)
        self.host, self.port_behind = target.hostname or LOOPBACK, target.port or 443
        self.towards = ssl.create_default_context(cafile=cluster.ca_file)
        self._authority = Authority.at(folder, "proxy-ca")
        pair = self._authority.serving("proxy", [LOOPBACK])
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.certificate, pair.key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._faults: list[Fault] = []
        self._released = asyncio.Event()
        self._watches: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.silent = False

    def on(self, method: str, path: str, act: Act, times: int | None = 1) -> Fault:
        """Inject a fault into the next requests of this method whose path and query match; the latest fault wins."""
        fault = Fault(method, re.compile(path), act, times)
        self._faults = [fault, *self._faults]
        return fault

    def clear(self) -> None:
        """Forget every fault; what hangs is cut, and what is held goes on."""
        for fault in self._faults:
            if isinstance(fault.act, Held):
                fault.act.go.set()
        self._faults, self.silent = [], False

        def release() -> None:
            self._released.set()
            self._released = asyncio.Event()

        self._loop.call_soon_threadsafe(release)

    def cut_watches(self) -> None:
        """Close every watch that runs."""

        def cut() -> None:
            for writer in self._watches:
                writer.transport.abort()

        self._loop.call_soon_threadsafe(cut)

    def kubeconfig(self, of: Path) -> Path:
        """Return a kubeconfig like this one that leads through the proxy."""
        login = kubeconfig.read([of])
        base = kubeconfig.for_server(f"https://{LOOPBACK}:{self.port}", self._authority.certificate, "proxied")
        return base.with_user(login.user_name, login.user).write(of.with_name(f"proxied-{self.port}-{of.name}"))

    def find(self, method: str, path: str) -> Act:
        """Return what is to happen to a request."""
        fault = next((fault for fault in self._faults if fault.takes(method, path)), None)
        return fault.act if fault else pass_on

    async def released(self) -> None:
        """Wait until the faults are cleared, or the patience of the proxy is over."""
        await asyncio.wait_for(self._released.wait(), PATIENCE)

    def watching(self, writer: asyncio.StreamWriter, *, begins: bool) -> None:
        """Take note of a watch."""
        (self._watches.add if begins else self._watches.discard)(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        connection = _Connection(self, (reader, writer))
        try:
            await connection.run()
        except (CutError, OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            connection.close()

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()

        async def begin() -> None:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, ssl=self._context, limit=_LIMIT)
            self.port = self._server.sockets[0].getsockname()[1]

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut every connection and stop."""
        self.clear()

        async def end() -> None:
            if self._server is not None:
                self._server.close()
            left = set(self._connections)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self._loop.shutdown_default_executor()
            # Sockets close in the loop's next turns.
            await asyncio.sleep(0.05)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


class _Connection:
    """One client's connection, and the one to the API server that belongs to it."""

    def __init__(self, proxy: FaultProxy, client: Streams) -> None:
        self._proxy = proxy
        self._client = client
        self._behind: Streams | None = None

    async def run(self) -> None:
        reader, _ = self._client
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            body = await reader.readexactly(_length(head))
            await self._proxy.find(method, path)(Exchange(self._proxy, self, method, path, head + body))

    async def forward(self, exchange: Exchange) -> Reply:
        if self._behind is None:
            self._behind = await asyncio.open_connection(
                self._proxy.host, self._proxy.port_behind, ssl=self._proxy.towards, limit=_LIMIT
            )
        reader, writer = self._behind
        writer.write(exchange.raw)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        reply = Reply(int(first.split(" ")[1]), headers, None)
        chunked = (reply.header("Transfer-Encoding") or "").lower() == "chunked"
        if chunked and "watch=true" in exchange.path:
            return reply
        reply.body = b"".join([part async for part in _chunks(reader)]) if chunked else await _plain(reader, head)
        kept = {"content-length", "transfer-encoding"}
        reply.headers = [(name, value) for name, value in headers if name.lower() not in kept]
        return reply

    async def deliver(self, exchange: Exchange, reply: Reply) -> None:
        _, writer = self._client
        writer.write(reply.encoded())
        await writer.drain()
        if reply.body is None and self._behind is not None:
            await self._stream(self._behind[0], writer)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy.watching(writer, begins=True)
        try:
            async for part in _chunks(reader):
                if not self._proxy.silent:
                    writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                    await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            self._proxy.watching(writer, begins=False)

    def close(self) -> None:
        for streams in (self._client, self._behind):
            if streams is not None:
                streams[1].transport.abort()


def _length(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


async def _plain(reader: asyncio.StreamReader, head: bytes) -> bytes:
    return await reader.readexactly(_length(head))


async def _chunks(reader: asyncio.StreamReader):  # type: ignore[no-untyped-def]  # noqa: ANN202
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
