"""An upstream that reports exactly what reached it: each request of a connection, its trailers, and what is none.

It does whatever a request lets it do: it changes the protocol where one offers that, and says so in its report.
"""

import base64
import contextlib
import hashlib
import socket
from typing import Final, NamedTuple

from support.proxies.servers import Server

_PIECE: Final = 65_536
_SERVED: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved"
FAILING: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_SWITCHED: Final = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s\r\n"
# RFC 6455, 1.3.
_WEBSOCKET: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TUNNELLED: Final = b"HTTP/1.1 200 OK\r\n\r\n"

Field = tuple[str, str]


class ReportedCall(NamedTuple):
    """A request as it came, names of headers in their case. `tunnel`: it came behind a change of protocol."""

    method: str
    target: str
    version: str
    headers: tuple[Field, ...]
    body: bytes
    trailers: tuple[Field, ...]
    tunnel: bool

    def all(self, name: str) -> list[str]:
        """Return the values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class ReportingUpstream(Server):
    """Serves every request, and keeps connections open. `calls`: what came; `odd`: what came and was no request.

    `answer`: what each is answered by.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[ReportedCall] = []
        self.odd: list[bytes] = []
        self.answer = _SERVED

    def converse(self, connection: socket.socket) -> None:
        """Answer what is asked on a connection, until it ends."""
        bytes_in, tunnel = _Bytes(connection), False
        with contextlib.suppress(EOFError):
            while True:
                call = self._read(bytes_in, tunnel=tunnel)
                if call is None:
                    return
                self.calls.append(call)
                if self.ends(call):
                    return
                offered = call.all("upgrade")
                if offered:
                    connection.sendall(_SWITCHED % (offered[0].encode("latin-1"), _accepted(call)))
                elif call.method == "CONNECT":
                    connection.sendall(_TUNNELLED)
                else:
                    connection.sendall(self.answer)
                tunnel = tunnel or bool(offered) or call.method == "CONNECT"

    def ends(self, call: ReportedCall) -> bool:
        """Tell whether a connection ends here, without an answer to this call."""
        return False

    def _read(self, bytes_in: "_Bytes", *, tunnel: bool) -> ReportedCall | None:
        head = bytes_in.until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        parts = first.split(" ")
        if len(parts) != 3:
            self.odd.append(head)
            return None
        headers = _fields(lines)
        named = {name.lower(): value for name, value in headers}
        body = b""
        trailers: tuple[Field, ...] = ()
        if "transfer-encoding" in named:
            body, trailers = _chunked(bytes_in)
        elif "content-length" in named:
            body = bytes_in.exactly(int(named["content-length"]))
        method, target, version = parts
        return ReportedCall(method, target, version, headers, body, trailers, tunnel)


class _Bytes:
    """What comes on a connection. Raises `EOFError` where it ends too early."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._got = b""

    def until(self, end: bytes) -> bytes:
        while end not in self._got:
            self._more()
        found, _, self._got = self._got.partition(end)
        return found + end

    def exactly(self, wanted: int) -> bytes:
        while len(self._got) < wanted:
            self._more()
        found, self._got = self._got[:wanted], self._got[wanted:]
        return found

    def _more(self) -> None:
        piece = self._connection.recv(_PIECE)
        if not piece:
            raise EOFError
        self._got += piece


def _accepted(call: ReportedCall) -> bytes:
    """Return the line by which a WebSocket is accepted; none where none was asked for."""
    lines = b""
    for key in call.all("sec-websocket-key"):
        digest = hashlib.sha1(key.encode("latin-1") + _WEBSOCKET, usedforsecurity=False).digest()
        lines = b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n"
    return lines


def _chunked(bytes_in: _Bytes) -> tuple[bytes, tuple[Field, ...]]:
    body = b""
    while size := int(bytes_in.until(b"\r\n").partition(b";")[0], 16):
        body += bytes_in.exactly(size)
        bytes_in.until(b"\r\n")
    lines = []
    while (line := bytes_in.until(b"\r\n")) != b"\r\n":
        lines.append(line.decode("latin-1").removesuffix("\r\n"))
    return body, _fields(lines)


def _fields(lines: list[str]) -> tuple[Field, ...]:
    return tuple((name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines))
