"""A client that sends exactly the bytes that it is given: HTTP libraries put paths right before they send them."""

import contextlib
import socket
from typing import Final, NamedTuple

TIMEOUT: Final = 20.0


class Answer(NamedTuple):
    """What came back. `status` 0: nothing did, or nothing that is HTTP. Names of headers are in small letters."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)


def send(port: int, raw: bytes) -> Answer:
    """Send bytes on a connection of their own, and read until it is closed."""
    return parsed(exchange(port, raw, TIMEOUT, ConnectionError))


def attempt(port: int, raw: bytes, idle: float = TIMEOUT) -> Answer:
    """Send bytes that the other end may also answer by closing the connection: status 0.

    `idle`: seconds after which nothing more is waited for, on a connection that stays open.
    """
    with contextlib.suppress(ConnectionError):
        return parsed(exchange(port, raw, idle, ConnectionError if idle == TIMEOUT else OSError))
    return Answer(0, (), b"")


def exchange(port: int, raw: bytes, idle: float, ended: type[OSError] = OSError) -> bytes:
    """Send bytes on a connection of their own; return what comes until it is closed, or nothing does for a while.

    `ended`: what is no failure while the answer is read.
    """
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=idle) as connection:
        connection.sendall(raw)
        with contextlib.suppress(ended):
            while piece := connection.recv(65_536):
                got += piece
    return got


def parsed(got: bytes) -> Answer:
    """Take an answer apart."""
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) < 2 or not parts[0].startswith("HTTP/"):
        return Answer(0, (), got)
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Answer(int(parts[1]), headers, body)


def request(
    method: str,
    target: str | bytes,
    *headers: tuple[str, str],
    host: str | None = "crm.example.com",
    body: bytes = b"",
) -> bytes:
    """Return a request of HTTP/1.1, on the last of its connection."""
    raw = target if isinstance(target, bytes) else target.encode()
    lines = [method.encode() + b" " + raw + b" HTTP/1.1"]
    lines += [] if host is None else [b"Host: " + host.encode()]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
    lines += [f"Content-Length: {len(body)}".encode()] if body else []
    return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body
