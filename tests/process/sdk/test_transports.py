"""What a server can do to a client: drip, swell, redirect, compress, stall. Each transport ends it in time."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from bailiwick import AsyncBailiwick, Bailiwick, Call, Decision, Resource, ServiceAccountFile
from bailiwick.transports.aiohttp import AiohttpTransport
from bailiwick.transports.base import MAX_BYTES
from bailiwick.transports.http import AsyncHttpTransport, SyncHttpTransport
from support.certificates import self_signed

CALL: Final = Call(action="a", resource=Resource("t", "i"))
# Where an answer says to which request it is.
ID: Final = b"{id}"
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-ID: %s\r\n" % ID
ALLOW: Final = b'{"decision": true}'
DEADLINE: Final = 0.6


# What a server does with an accepted connection, once it has read a request with this X-Request-ID.
Handle = Callable[[socket.socket, bytes], None]


def whole(body: bytes, head: bytes = HEAD) -> bytes:
    return head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


def take_whole(connection: socket.socket) -> bytes:
    """Read a request to its end: head and body may come apart, and what is left unread resets the connection.

    Return its X-Request-ID.
    """
    came = b""
    while b"\r\n\r\n" not in came:
        if not (piece := connection.recv(65536)):
            return b""
        came += piece
    head, _, body = came.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]) and (piece := connection.recv(65536)):
        body += piece
    named = re.search(rb"(?i)x-request-id: *([^\r\n]+)", head)
    return named[1] if named else b""


@contextmanager
def serving(handle: Handle) -> Iterator[str]:
    """Serve with a function of the accepted connection, each in a thread, for one request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            # The client may have gone, as it should.
            with connection, suppress(OSError):
                handle(connection, take_whole(connection))

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def dripping(text: bytes) -> Handle:
    def drip(connection: socket.socket, identifier: bytes) -> None:
        for byte in text.replace(ID, identifier):
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    return drip


def saying(text: bytes) -> Handle:
    def say(connection: socket.socket, identifier: bytes) -> None:
        connection.sendall(text.replace(ID, identifier))
        time.sleep(0.05)

    return say


def stopping(connection: socket.socket, identifier: bytes) -> None:
    connection.sendall(whole(b" " * 200 + ALLOW)[:-150].replace(ID, identifier))
    time.sleep(5)


async def by_threads(url: str, times: int = 1, *, echo: bool = True) -> list[Decision]:
    with Bailiwick(url, token=None, deadline=DEADLINE, transport=SyncHttpTransport(), echo=echo) as pdp:
        return [pdp.evaluate(CALL) for _ in range(times)]


async def by_asyncio(url: str, times: int = 1, *, echo: bool = True) -> list[Decision]:
    async with AsyncBailiwick(url, token=None, deadline=DEADLINE, transport=AsyncHttpTransport(), echo=echo) as pdp:
        return [await pdp.evaluate(CALL) for _ in range(times)]


async def by_aiohttp(url: str, times: int = 1, *, echo: bool = True) -> list[Decision]:
    async with AsyncBailiwick(url, token=None, deadline=DEADLINE, transport=AiohttpTransport(), echo=echo) as pdp:
        return [await pdp.evaluate(CALL) for _ in range(times)]


Way = Callable[..., Awaitable[list[Decision]]]
WAYS: Final[dict[str, Way]] = {"threads": by_threads, "asyncio": by_asyncio, "aiohttp": by_aiohttp}

BAD: Final[dict[str, Handle]] = {
    "drips its headers": dripping(whole(ALLOW)),
    "stops in its body": stopping,
    "says nothing": lambda *_: time.sleep(5),
    "hangs up": lambda *_: None,
    "hangs up in the middle": saying(whole(ALLOW)[:-1]),
    "is no HTTP": saying(b"decision: true\r\n\r\n"),
    "redirects": saying(whole(ALLOW, b"HTTP/1.1 302 Found\r\nContent-Type: application/json\r\nLocation: /x\r\n")),
    "compresses": saying(whole(ALLOW, HEAD + b"Content-Encoding: gzip\r\n")),
}


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("handle", BAD.values(), ids=BAD)
async def test_a_server_that_misbehaves_is_a_denial_within_the_deadline(way: Way, handle: Handle) -> None:
    with serving(handle) as url:
        began = time.monotonic()
        (decision,) = await way(url)
        took = time.monotonic() - began
    assert (decision.allowed, decision.reason, decision.available) == (False, "pdp_unavailable", False)
    assert took < DEADLINE + 1.0


KEPT_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# Everything that somebody who wrote the first answer, but cannot know the next question, may leave behind it.
SURPLUS: Final = {
    "an allow to nobody": KEPT_HEAD + b"Content-Length: 18\r\n\r\n" + ALLOW,
    "an allow to the first question": HEAD + b"Content-Length: 18\r\n\r\n" + ALLOW,
}


def surplus(left: bytes, *, echo: bool, late: bool) -> Handle:
    """Answer each request with a denial, and leave something behind the first, at once or once the client waits."""

    def handle(connection: socket.socket, identifier: bytes) -> None:
        first = identifier
        head = HEAD if echo else KEPT_HEAD
        denial = head + b"Content-Length: 19\r\n\r\n" + b'{"decision": false}'
        connection.sendall((denial + (b"" if late else left)).replace(ID, identifier))
        while identifier := take_whole(connection):
            sent = (left if late else b"") + denial.replace(ID, identifier)
            connection.sendall(sent.replace(ID, first))

    return handle


@pytest.mark.parametrize("late", [False, True], ids=["at once", "before the next answer"])
@pytest.mark.parametrize("echo", [True, False], ids=["it echoes", "it does not"])
@pytest.mark.parametrize("left", SURPLUS.values(), ids=SURPLUS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_what_is_left_on_a_connection_answers_no_later_question(
    way: Way, left: bytes, echo: bool, late: bool
) -> None:
    with serving(surplus(left, echo=echo, late=late)) as url:
        assert [one.allowed for one in await way(url, 3, echo=echo)] == [False] * 3


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_decision_point_that_does_not_echo_is_believed_where_it_is_known_for_that(way: Way) -> None:
    with serving(saying(whole(ALLOW, KEPT_HEAD))) as url:
        assert [one.allowed for one in await way(url, 2, echo=False)] == [True, True]
        assert [one.allowed for one in await way(url, 2)] == [False, False]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_one_that_behaves_is_believed(way: Way) -> None:
    with serving(saying(whole(ALLOW))) as url:
        assert (await way(url))[0].allowed


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_an_answer_without_end_is_given_up(way: Way) -> None:
    sent = []

    def endless(connection: socket.socket, identifier: bytes) -> None:
        connection.sendall(HEAD.replace(ID, identifier) + b"Content-Length: 1000000000\r\n\r\n")
        while True:
            sent.append(connection.send(b" " * 65536))

    with serving(endless) as url:
        (decision,) = await way(url)
    assert not decision.allowed
    assert sum(sent) < 4 * MAX_BYTES


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_nobody_elsewhere_is_asked_instead(way: Way) -> None:
    asked = []

    def elsewhere(connection: socket.socket, identifier: bytes) -> None:
        asked.append(connection)
        connection.sendall(whole(ALLOW).replace(ID, identifier))

    with serving(elsewhere) as other:
        moved = (
            b"HTTP/1.1 307 Temporary Redirect\r\nContent-Type: application/json\r\nLocation: %s/\r\n" % other.encode()
        )
        with serving(saying(whole(b"{}", moved))) as url:
            (decision,) = await way(url)
    assert (decision.allowed, asked) == (False, [])


async def test_no_proxy_of_the_environment_gets_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(saying(whole(ALLOW))) as url:
        for way in WAYS.values():
            assert (await way(url))[0].allowed


def test_a_certificate_of_somebody_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ours, theirs = self_signed(tmp_path), self_signed(other)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*theirs)

    def tls(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            identifier = take_whole(wrapped)
            wrapped.sendall(whole(ALLOW).replace(ID, identifier))

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
