"""Servers behind a proxy: an upstream that notes what reaches it, and a decision point that misbehaves on demand."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, NamedTuple, Self

from localcluster.ports import free_ports


class ReachedUpstream(NamedTuple):
    """What an upstream was asked. Names of headers are in small letters."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]


class Server:
    """Answers each connection in a thread of its own, and then closes it."""

    def __init__(self, tls: ssl.SSLContext | None = None, port: int | None = None) -> None:
        self.port = port or free_ports(1)[0]
        self.asked: list[ReachedUpstream] = []
        self._tls = tls
        self._listening: socket.socket | None = None

    def start(self) -> None:
        """Listen."""
        self._begin(socket.create_server(("127.0.0.1", self.port), backlog=256))

    def _begin(self, listening: socket.socket) -> None:
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._listening is not None:
            # Else the thread that accepts would hold it open.
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def respond(self, reached: ReachedUpstream, connection: socket.socket) -> None:
        """Answer a request."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nserved")

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            connection.settimeout(20)
            wrapped = connection if self._tls is None else self._tls.wrap_socket(connection, server_side=True)
            with wrapped:
                self.converse(wrapped)

    def converse(self, connection: socket.socket) -> None:
        """Answer what is asked on a connection."""
        reached = _read(connection)
        if reached is not None:
            self.asked.append(reached)
            self.respond(reached, connection)


class FaultyPoint(Server):
    """A decision point that does to every question what `fault` says, in the place of an answer."""

    FAULTS: ClassVar[dict[str, bytes]] = {
        "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        "503": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "302": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "garbage": b"\x00\x01\x02 nothing that is HTTP\r\n\r\n",
        "half a response": b"HTTP/1.1 200 OK\r\nContent-Le",
        "half an allow": b"HTTP/1.1 200 OK\r\nX-Bailiwick-Decision: eval_x\r\nContent-Length: 0\r\n",
        "closed": b"",
    }

    def __init__(self, tls: ssl.SSLContext, port: int | None = None) -> None:
        super().__init__(tls, port)
        self.fault = "closed"
        self.delay = 0.0

    def respond(self, reached: ReachedUpstream, connection: socket.socket) -> None:
        time.sleep(self.delay)
        connection.sendall(self.FAULTS.get(self.fault, self.fault.encode()))


@contextlib.contextmanager
def faulty(certificate: Path, key: Path) -> Iterator[FaultyPoint]:
    """Start one that serves with this certificate, and asks for none."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with FaultyPoint(tls) as point:
        yield point


def _read(connection: socket.socket) -> ReachedUpstream | None:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65_536)
        if not piece:
            return None
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    told = dict(headers)
    if "transfer-encoding" in told:
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65_536)
    while len(body) < int(told.get("content-length", "0")):
        body += connection.recv(65_536)
    return ReachedUpstream(method, target, headers, body)
