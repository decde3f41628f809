"""Listener: accepts TLS connections, and has hands shaken on them in a fair order.

Standing: between the sockets and `connections`, in the place of the loop's own server, which reports no
connection before hands are shaken, and shakes hands in the order in which connections come. Holds: a connection is
counted, and its time runs, from the moment it is accepted; until its client has said something it costs a descriptor
and little more. In which order hands are shaken, `handshakes` says.
"""

import asyncio
import socket
import ssl
from typing import Final

from bailiwick_webhook.http.transport.connections import Connections
from bailiwick_webhook.http.transport.handshakes import Arrival, Handshakes
from bailiwick_webhook.loglimit import LogLimit

# What the kernel keeps for us while we are busy: where that is full, a client comes again only a second later.
_BACKLOG: Final = 1_024
# So many in a row before those who ask have a turn again: in a flood, where another one makes room for each, that takes
# some milliseconds.
_AT_ONCE: Final = 16
# Where there are no more descriptors, it takes a while until there are.
_PAUSE_SECONDS: Final = 0.2

_log: Final = LogLimit()


class Listener:
    """Accepts until it is closed."""

    def __init__(self, sockets: list[socket.socket], server: Connections, tls: ssl.SSLContext) -> None:
        self.sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._handshakes = Handshakes(server, tls)
        for listening in sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Listen no more. Connections on which hands are shaken already stay."""
        for listening in self.sockets:
            self._loop.remove_reader(listening)
            listening.close()
        self.sockets = []
        self._handshakes.close()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listening, error)
                return
            accepted.setblocking(False)  # noqa: FBT003 - its only argument
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Arrival(self._handshakes, accepted, str(address[0]))

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        self._loop.remove_reader(listening)
        self._loop.call_later(_PAUSE_SECONDS, self._again, listening)
        _log.warning("connection not accepted", error=str(error))

    def _again(self, listening: socket.socket) -> None:
        if listening in self.sockets:
            self._loop.add_reader(listening, self._accept, listening)


async def bound(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen. Raises `OSError` where the address is taken."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setblocking(False)  # noqa: FBT003 - its only argument
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(_BACKLOG)
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets
