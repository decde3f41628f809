"""Listening with TLS: accepts connections and shakes hands on them.

Standing: between the sockets and `connections`, in the place of the loop's own server, which tells nobody of a
connection before hands are shaken: any number that say nothing could wait for that. Holds: a connection is counted, and
its time runs, from the moment it is accepted; what is given up before hands are shaken is closed at once.
"""

import asyncio
import socket
import ssl
from typing import Final

import structlog
from aiohttp import web

from bailiwick_webhook.http.connections import Connection, Connections

_BACKLOG: Final = 128
# So many in a row before whoever asks has a turn again.
_AT_ONCE: Final = 16
# Where there are no more descriptors, it takes a while until there are.
_PAUSE_SECONDS: Final = 0.2
_COMPLAIN_SECONDS: Final = 10.0

_log = structlog.get_logger()


class TlsSite(web.BaseSite):
    """Listens at one address. Start it with `start`; `web.BaseRunner.cleanup` stops it."""

    __slots__ = ("_host", "_port", "_shared")

    def __init__(self, runner: web.BaseRunner, host: str, port: int, tls: ssl.SSLContext, *, shared: bool) -> None:
        super().__init__(runner, ssl_context=tls)
        self._host = host
        self._port = port
        self._shared = shared

    @property
    def name(self) -> str:
        """What aiohttp calls it."""
        return f"https://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises `OSError` where the address is taken."""
        await super().start()
        server, tls = self._runner.server, self._ssl_context
        assert isinstance(server, Connections)  # noqa: S101 - `server` makes no other
        assert tls is not None  # noqa: S101 - it was given
        sockets = await _bound(self._host, self._port, shared=self._shared)
        self._server = Listener(sockets, server, tls)  # type: ignore[assignment]  # aiohttp closes it, and no more


class Listener:
    """Accepts until it is closed. What a site needs of a server, and no more."""

    def __init__(self, sockets: list[socket.socket], server: Connections, tls: ssl.SSLContext) -> None:
        self.sockets = sockets
        self._server = server
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._shaking: set[asyncio.Task[None]] = set()
        self._complained = float("-inf")
        for listening in sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Listen no more. Connections on which hands are shaken already stay."""
        for listening in self.sockets:
            self._loop.remove_reader(listening)
            listening.close()
        self.sockets = []
        for task in self._shaking:
            task.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listening, error)
                return
            accepted.setblocking(False)  # noqa: FBT003 - its only argument
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._begin(accepted)

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        self._loop.remove_reader(listening)
        self._loop.call_later(_PAUSE_SECONDS, self._again, listening)
        if self._loop.time() - self._complained >= _COMPLAIN_SECONDS:
            self._complained = self._loop.time()
            _log.warning("no connection accepted", error=str(error))

    def _again(self, listening: socket.socket) -> None:
        if listening in self.sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _begin(self, accepted: socket.socket) -> None:
        connection = self._server()
        task = self._loop.create_task(self._shake(connection, accepted))
        self._shaking.add(task)

        def ended(_: asyncio.Task[None]) -> None:
            # Here, since a task that is cancelled before it began never runs.
            self._shaking.discard(task)
            if connection.transport is None:
                accepted.close()
                self._server.closed(connection)

        task.add_done_callback(ended)
        connection.shakes(task)

    async def _shake(self, connection: Connection, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted, ssl=self._tls)
        except OSError:
            # Whoever connects may speak no TLS, or another one, or go away: that is no news.
            return
        except Exception as error:  # noqa: BLE001 - of one connection, and nobody waits for this task
            _log.error("hands not shaken", error=repr(error))


async def _bound(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setblocking(False)  # noqa: FBT003 - its only argument
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(_BACKLOG)
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets
