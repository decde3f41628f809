"""HTTP/2 by hand: frames, and header blocks without compression, so that a test can say what no library would say.

Source: RFC 9113 (frames), RFC 7541 (header blocks; literals without indexing only).
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from support.proxies.raw import TIMEOUT

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA: Final = 0x0
HEADERS: Final = 0x1
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PING: Final = 0x6
GOAWAY: Final = 0x7
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
ACK: Final = 0x1
# The static table's entry for `:status: 200`, indexed.
_STATUS_200: Final = 0x88
_TABLE_SIZE: Final = range(0x20, 0x40)

Field = tuple[str, str]


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame as it is sent."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def block(fields: Sequence[Field]) -> bytes:
    """Return a header block of these fields, in this order, whatever they are."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)


def _text(text: str) -> bytes:
    raw = text.encode("latin-1")
    if len(raw) < 0x7F:
        return bytes((len(raw),)) + raw
    left, length = len(raw) - 0x7F, bytearray((0x7F,))
    while left >= 0x80:
        length.append(left % 0x80 + 0x80)
        left //= 0x80
    length.append(left)
    return bytes(length) + raw


def headers(stream: int, fields: Sequence[Field], *, last: bool = True) -> bytes:
    """Return a whole frame of headers. `last`: nothing follows on the stream."""
    return frame(HEADERS, END_HEADERS | (END_STREAM if last else 0), stream, block(fields))


def frames(connection: socket.socket) -> Iterator[Frame]:
    """Yield what comes, and acknowledge what has to be, until the other end closes."""
    while head := exactly(connection, 9):
        found = Frame(head[3], head[4], int.from_bytes(head[5:9], "big"), exactly(connection, int.from_bytes(head[:3])))
        if found.kind in {SETTINGS, PING} and not found.flags & ACK:
            connection.sendall(frame(found.kind, ACK, 0, found.payload if found.kind == PING else b""))
        yield found


def exactly(connection: socket.socket, wanted: int) -> bytes:
    """Return so many bytes; none where the other end closes before."""
    got = b""
    while len(got) < wanted:
        piece = connection.recv(wanted - len(got))
        if not piece:
            return b""
        got += piece
    return got


def send(port: int, fields: Sequence[Field], body: bytes = b"", trailers: Sequence[Field] = ()) -> bool:
    """Send one request on a connection of its own; tell whether it was answered by 200.

    `trailers` follow the body, of which there is some where there are any.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection, contextlib.suppress(OSError):
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + headers(1, fields, last=not body))
        if body:
            connection.sendall(frame(DATA, 0 if trailers else END_STREAM, 1, body))
        if trailers:
            connection.sendall(headers(1, trailers))
        for found in frames(connection):
            if found.kind == HEADERS and found.stream == 1:
                return found.payload.lstrip(bytes(_TABLE_SIZE))[:1] == bytes((_STATUS_200,))
            if found.kind == GOAWAY or (found.kind == RST_STREAM and found.stream == 1):
                return False
    return False
