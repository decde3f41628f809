"""What a server can do to a client: drip, swell, redirect, compress, stall. Each transport ends it in time."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick import AsyncBailiwick, Bailiwick, Call, Decision, Resource, ServiceAccountFile
from bailiwick.transports.aiohttp import AiohttpTransport
from bailiwick.transports.base import MAX_BYTES
from bailiwick.transports.http import AsyncHttpTransport, SyncHttpTransport
from support.certificates import self_signed

CALL: Final = Call(action="a", resource=Resource("t", "i"))
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ALLOW: Final = b'{"decision": true}'
DEADLINE: Final = 0.6


def whole(body: bytes, head: bytes = HEAD) -> bytes:
    return head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


def take_whole(connection: socket.socket) -> None:
    """Read a request to its end: head and body may come apart, and what is left unread resets the connection."""
    came = b""
    while b"\r\n\r\n" not in came:
        if not (piece := connection.recv(65536)):
            return
        came += piece
    head, _, body = came.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]) and (piece := connection.recv(65536)):
        body += piece


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve with a function of the accepted connection, each in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with connection:
                try:
                    take_whole(connection)
                    handle(connection)
                except OSError:
                    pass  # The client has gone, as it should.

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def dripping(text: bytes) -> Callable[[socket.socket], None]:
    def drip(connection: socket.socket) -> None:
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    return drip


def saying(text: bytes) -> Callable[[socket.socket], None]:
    def say(connection: socket.socket) -> None:
        connection.sendall(text)
        time.sleep(0.05)

    return say


def stopping(connection: socket.socket) -> None:
    connection.sendall(whole(b" " * 200 + ALLOW)[:-150])
    time.sleep(5)


async def by_threads(url: str) -> Decision:
    with Bailiwick(url, token=None, deadline=DEADLINE, transport=SyncHttpTransport()) as pdp:
        return pdp.evaluate(CALL)


async def by_asyncio(url: str) -> Decision:
    async with AsyncBailiwick(url, token=None, deadline=DEADLINE, transport=AsyncHttpTransport()) as pdp:
        return await pdp.evaluate(CALL)


async def by_aiohttp(url: str) -> Decision:
    async with AsyncBailiwick(url, token=None, deadline=DEADLINE, transport=AiohttpTransport()) as pdp:
        return await pdp.evaluate(CALL)


WAYS: Final = {"threads": by_threads, "asyncio": by_asyncio, "aiohttp": by_aiohttp}

BAD: Final[dict[str, Callable[[socket.socket], None]]] = {
    "drips its headers": dripping(whole(ALLOW)),
    "stops in its body": stopping,
    "says nothing": lambda _: time.sleep(5),
    "hangs up": lambda _: None,
    "hangs up in the middle": saying(whole(ALLOW)[:-1]),
    "is no HTTP": saying(b"decision: true\r\n\r\n"),
    "redirects": saying(whole(ALLOW, b"HTTP/1.1 302 Found\r\nContent-Type: application/json\r\nLocation: /x\r\n")),
    "compresses": saying(whole(ALLOW, HEAD + b"Content-Encoding: gzip\r\n")),
}


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("handle", BAD.values(), ids=BAD)
async def test_a_server_that_misbehaves_is_a_denial_within_the_deadline(
    way: Callable[[str], Any], handle: Callable[[socket.socket], None]
) -> None:
    with serving(handle) as url:
        began = time.monotonic()
        decision = await way(url)
        took = time.monotonic() - began
    assert (decision.allowed, decision.reason, decision.available) == (False, "pdp_unavailable", False)
    assert took < DEADLINE + 1.0


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_one_that_behaves_is_believed(way: Callable[[str], Any]) -> None:
    with serving(saying(whole(ALLOW))) as url:
        assert (await way(url)).allowed


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_an_answer_without_end_is_given_up(way: Callable[[str], Any]) -> None:
    sent = []

    def endless(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n")
        while True:
            sent.append(connection.send(b" " * 65536))

    with serving(endless) as url:
        decision = await way(url)
    assert not decision.allowed
    assert sum(sent) < 4 * MAX_BYTES


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_nobody_elsewhere_is_asked_instead(way: Callable[[str], Any]) -> None:
    asked = []

    def elsewhere(connection: socket.socket) -> None:
        asked.append(connection)
        connection.sendall(whole(ALLOW))

    with serving(elsewhere) as other:
        moved = (
            b"HTTP/1.1 307 Temporary Redirect\r\nContent-Type: application/json\r\nLocation: %s/\r\n" % other.encode()
        )
        with serving(saying(whole(b"{}", moved))) as url:
            decision = await way(url)
    assert (decision.allowed, asked) == (False, [])


async def test_no_proxy_of_the_environment_gets_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(saying(whole(ALLOW))) as url:
        for way in WAYS.values():
            assert (await way(url)).allowed


def test_a_certificate_of_somebody_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ours, theirs = self_signed(tmp_path), self_signed(other)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*theirs)

    def tls(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            take_whole(wrapped)
            wrapped.sendall(whole(ALLOW))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def accept() -> None:
            for _ in range(8):
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                try:
                    tls(connection)
                except OSError:
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        token = tmp_path / "token"
        token.write_text("own")
        found = {}
        for name, (authority, _) in {"trusted": theirs, "stranger": ours}.items():
            with Bailiwick(
                f"https://127.0.0.1:{port}", token=ServiceAccountFile(token), ca=authority, deadline=10.0
            ) as pdp:
                found[name] = pdp.evaluate(CALL).allowed
        listening.shutdown(socket.SHUT_RDWR)
    assert found == {"trusted": True, "stranger": False}
