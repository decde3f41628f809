"""Reverse proxies in front of a real server that inject faults into matching requests.

Standing: for what a healthy server cannot be made to show: 409, 429 and 500 at a chosen step, an answer that never
comes or comes late, a cut watch, a wrong clock. Everything else passes through untouched. `FaultProxy` stands before an
API server, TLS on both sides; `FaultFront` alone before a plain one. It runs in a thread; `support.faultkinds` has the
faults.
"""

import asyncio
import contextlib
import re
import ssl
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from localcluster import kubeconfig
from localcluster.access import Cluster
from localcluster.pki import Authority
from support.faultkinds import PATIENCE, Act, CutError, Exchange, Fault, Held, Reply, pass_on
from support.loopserver import LIMIT, LOOPBACK, LoopServer, Streams, cut


class FaultFront(LoopServer):
    """The proxy; a context manager. `silent` swallows what watches say, without cutting them.

    `towards` is how it speaks to the server behind it, and `context` how it is spoken to; None: in the clear.
    """

    def __init__(
        self, host: str, port: int, towards: ssl.SSLContext | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self.host, self.port_behind, self.towards = host, port, towards
        super().__init__("fault proxy", context, self._answer)
        self._faults: list[Fault] = []
        self._released = asyncio.Event()
        self._watches: set[asyncio.StreamWriter] = set()
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

        self.soon(release)

    def cut_watches(self) -> None:
        """Close every watch that runs."""

        def cut() -> None:
            for writer in self._watches:
                writer.transport.abort()

        self.soon(cut)

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

    async def _answer(self, client: Streams) -> None:
        connection = _Connection(self, client)
        try:
            with contextlib.suppress(CutError):
                await connection.run()
        finally:
            await connection.close()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut every connection and stop."""
        self.clear()
        super().__exit__(kind, value, trace)


class FaultProxy(FaultFront):
    """One in front of an API server."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        target = urlsplit(cluster.server)
        self._authority = Authority.at(folder, "proxy-ca")
        pair = self._authority.serving("proxy", [LOOPBACK])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        towards = ssl.create_default_context(cafile=cluster.ca_file)
        super().__init__(target.hostname or LOOPBACK, target.port or 443, towards, context)

    def kubeconfig(self, of: Path) -> Path:
        """Return a kubeconfig like this one that leads through the proxy."""
        login = kubeconfig.read([of])
        base = kubeconfig.for_server(f"https://{LOOPBACK}:{self.port}", self._authority.certificate, "proxied")
        return base.with_user(login.user_name, login.user).write(of.with_name(f"proxied-{self.port}-{of.name}"))


class _Connection:
    """One client's connection, and the one to the server behind that belongs to it."""

    def __init__(self, proxy: FaultFront, client: Streams) -> None:
        self._proxy = proxy
        self._client = client
        self._behind: Streams | None = None

    async def run(self) -> None:
        reader, _ = self._client
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            body = await reader.readexactly(_length(head))
            await self._proxy.find(method, path)(Exchange(self, path, head + body))

    async def forward(self, raw: bytes, *, watch: bool) -> Reply:
        if self._behind is None:
            self._behind = await asyncio.open_connection(
                self._proxy.host, self._proxy.port_behind, ssl=self._proxy.towards, limit=LIMIT
            )
        reader, writer = self._behind
        writer.write(raw)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        reply = Reply(int(first.split(" ")[1]), headers, None)
        chunked = (reply.header("Transfer-Encoding") or "").lower() == "chunked"
        if chunked and watch:
            return reply
        reply.body = b"".join([part async for part in _chunks(reader)]) if chunked else await _plain(reader, head)
        kept = {"content-length", "transfer-encoding"}
        reply.headers = [(name, value) for name, value in headers if name.lower() not in kept]
        return reply

    async def released(self) -> None:
        await self._proxy.released()

    async def deliver(self, reply: Reply) -> None:
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

    async def close(self) -> None:
        await cut(*(streams for streams in (self._client, self._behind) if streams is not None))


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
