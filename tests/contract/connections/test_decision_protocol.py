"""The decision port's own protocol over a front of the tests': what it sends, when it reads, and when it ends.

Holds: on both loops, in the clear and over TLS.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import pytest
import uvloop
from aiohttp import web  # noqa: TID251 - the application behind the front

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport import server as servers
from bailiwick_webhook.http.transport.answers import WholeAnswer, whole
from bailiwick_webhook.http.transport.connections import BOUNDED, ConnectionBounds, Connections, note_caller
from bailiwick_webhook.http.transport.decisionshortcut import ConnectionOrigin
from bailiwick_webhook.http.transport.plainrequest import PlainRequest
from bailiwick_webhook.http.transport.server import Server, serve
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Port
from bailiwick_webhook.steps import Need
from support.pdp.tlsprocess import NAME, both_ends

LARGE: Final = b'"' + b"x" * 100_000 + b'"'


def request(what: bytes, *lines: bytes) -> bytes:
    head = (
        b"POST /endpoints/a/b/access/v1/evaluation HTTP/1.1",
        b"Host: x",
        b"Authorization: Bearer me",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(what),
        *lines,
    )
    return b"\r\n".join((*head, b"", what))


class NamedFront:
    """Answers with the body that it was sent, in a way that the body names."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.ended: list[bytes] = []
        self.goes_on = asyncio.Event()
        self.draining = False

    def begin(self, sent: PlainRequest, origin: ConnectionOrigin) -> WholeAnswer | Need[WholeAnswer] | None:
        self.begun.append(sent.body)
        if sent.body.startswith(b"theirs"):
            return None
        if sent.body.startswith(b"defect"):
            raise RuntimeError("secret")
        if b"enforcer" in sent.body:
            note_caller(origin, "me", enforces=True)
        if sent.body.startswith(b"wait"):
            return Need(partial(self._answer, sent.body))
        return whole(LARGE if sent.body.startswith(b"large") else b'"%s"' % sent.body, None)

    async def _answer(self, body: bytes) -> WholeAnswer:
        try:
            await self.goes_on.wait()
            if b"defect" in body:
                raise RuntimeError("secret")
            return whole(b'"%s"' % body, None)
        finally:
            self.ended.append(body)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[bytes, bytes]:
        """Return head and body of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        assert length is not None
        return head, await self.reader.readexactly(int(length[1]))

    async def ask(self, what: bytes, *lines: bytes) -> bytes:
        self.writer.write(request(what, *lines))
        return (await self.answer())[1]

    async def closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), 10) == b""


class ServedFront:
    def __init__(self, front: NamedFront, server: Server, counts: Counts, tls: ssl.SSLContext | None) -> None:
        self.front, self.server, self.counts, self._tls = front, server, counts, tls
        self._clients: list[Client] = []
        assert isinstance(server.connections, Connections)
        self.connections = server.connections

    async def client(self) -> Client:
        name = None if self._tls is None else NAME
        made = Client(
            *await asyncio.open_connection("127.0.0.1", self.server.port, ssl=self._tls, server_hostname=name)
        )
        self._clients.append(made)
        return made

    def close(self) -> None:
        for client in self._clients:
            client.writer.transport.abort()


@asynccontextmanager
async def served(
    bounds: Bounds | None = None, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None
) -> AsyncIterator[ServedFront]:
    app, front, counts = web.Application(), NamedFront(), Counts()

    async def theirs(asked: web.Request) -> web.Response:
        return web.Response(body=b"aiohttp: " + await asked.read())

    app.router.add_route("*", "/{rest:.*}", theirs)
    app[BOUNDED] = ConnectionBounds(Port.DECISIONS, bounds or Bounds(), counts, lambda: front.draining, front)
    server = await serve(app, "127.0.0.1", 0, None if tls is None else tls[0])
    it = ServedFront(front, server, counts, None if tls is None else tls[1])
    try:
        yield it
    finally:
        front.goes_on.set()
        it.close()
        await server.stop()


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return both_ends(tmp_path_factory.mktemp("pair"))


Scenario = Callable[[ServedFront], Coroutine[Any, Any, None]]


@pytest.fixture(params=["asyncio", "uvloop", "asyncio, TLS", "uvloop, TLS"])
def play(request: pytest.FixtureRequest, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Callable[[Scenario], None]:
    """What plays a scenario."""

    def played(scenario: Scenario) -> None:
        async def run() -> None:
            async with served(getattr(scenario, "bounds", None), contexts if "TLS" in request.param else None) as it:
                await scenario(it)

        (uvloop if "uvloop" in request.param else asyncio).run(run())

    return played


Play = Callable[[Scenario], None]


def test_a_connection_goes_to_aiohttp_for_good_with_all_that_came(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        assert await one.ask(b"first") == b'"first"'
        one.writer.write(request(b"theirs") + request(b"second") + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [(await one.answer())[1] for _ in range(3)] == [b"aiohttp: theirs", b"aiohttp: second", b"aiohttp: "]
        assert it.front.begun == [b"first", b"theirs"]
        assert it.counts.responses == [0, 4, 0, 0, 0]
        assert not it.connections.shared.open

    play(scenario)


def test_what_is_no_plain_request_is_aiohttps_in_pieces_too(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        raw = request(b"x" * 100_000, b"TE: trailers")
        for begin in range(0, len(raw), 20_000):
            one.writer.write(raw[begin : begin + 20_000])
            await asyncio.sleep(0.01)
        assert (await one.answer())[1] == b"aiohttp: " + b"x" * 100_000

    play(scenario)


def test_what_is_awaited_is_answered_before_what_comes_behind_it(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(request(b"wait") + request(b"plain") + request(b"theirs"))
        await asyncio.sleep(0.1)
        assert it.front.begun == [b"wait"]
        it.front.goes_on.set()
        assert [(await one.answer())[1] for _ in range(3)] == [b'"wait"', b'"plain"', b"aiohttp: theirs"]

    play(scenario)


def test_while_something_is_awaited_no_more_is_read_than_came_at_once(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(request(b"wait"))
        while not it.front.begun:  # noqa: ASYNC110 - of a socket
            await asyncio.sleep(0.01)
        for _ in range(2_000):
            one.writer.write(request(b"x" * 5_000))
        await asyncio.sleep(0.3)
        assert it.front.begun == [b"wait"]
        (connection,) = it.connections.shared.open
        assert len(connection._kept) <= 512 * 1024
        it.front.goes_on.set()
        assert (await one.answer())[1] == b'"wait"'
        assert (await one.answer())[1] == b'"%s"' % (b"x" * 5_000)

    play(scenario)


def test_a_client_that_goes_away_has_what_it_asked_driven_to_its_end(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(request(b"wait"))
        while not it.front.begun:  # noqa: ASYNC110 - of a socket
            await asyncio.sleep(0.01)
        (connection,) = it.connections.shared.open
        assert connection.transport is not None
        one.writer.transport.abort()
        connection.transport.abort()
        await asyncio.sleep(0.1)
        assert not it.connections.shared.open
        assert it.front.ended == []
        assert set(it.counts.connections.values()) == {0}
        it.front.goes_on.set()
        await asyncio.sleep(0.05)
        assert it.front.ended == [b"wait"]
        assert connection.task is None

    play(scenario)


@pytest.mark.parametrize("what", [b"defect", b"wait, defect"])
def test_a_defect_is_500_says_nothing_and_ends_the_connection(play: Play, what: bytes) -> None:
    async def scenario(it: ServedFront) -> None:
        it.front.goes_on.set()
        one = await it.client()
        one.writer.write(request(what, b"X-Request-ID: one-1"))
        head, body = await one.answer()
        assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n")
        assert b"\r\nX-Request-ID: one-1\r\n" in head
        assert b"secret" not in body
        assert await one.closed()
        assert it.counts.responses == [0, 0, 0, 0, 1]

    play(scenario)


@pytest.mark.parametrize("what", [b"plain", b"wait"])
def test_while_we_drain_an_answer_ends_its_connection(play: Play, what: bytes) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        it.front.draining = what == b"plain"
        one.writer.write(request(what))
        while not it.front.begun:  # noqa: ASYNC110 - of a socket
            await asyncio.sleep(0.01)
        it.front.draining = True
        it.front.goes_on.set()
        head, body = await one.answer()
        assert (b"\r\nConnection: close\r\n" in head, body) == (True, b'"%s"' % what)
        assert await one.closed()

    play(scenario)


def test_a_stop_waits_for_what_is_awaited_whose_answer_ends_its_connection(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one, idle = await it.client(), await it.client()
        one.writer.write(request(b"wait"))
        assert await idle.ask(b"plain") == b'"plain"'
        stopping = asyncio.create_task(it.server.stop())
        assert await idle.closed()
        await asyncio.sleep(0.1)
        assert not stopping.done()
        it.front.goes_on.set()
        head, body = await one.answer()
        assert (b"\r\nConnection: close\r\n" in head, body) == (True, b'"wait"')
        assert await one.closed()
        await stopping

    play(scenario)


def test_a_stop_does_not_wait_for_ever(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_STOP_SECONDS", 0.3)

    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(request(b"wait"))
        while not it.front.begun:  # noqa: ASYNC110 - of a socket
            await asyncio.sleep(0.01)
        await asyncio.wait_for(it.server.stop(), 5)
        assert await one.closed()
        assert it.front.ended == [b"wait"]

    play(scenario)


def test_whoever_does_not_read_its_answers_is_not_read_from_and_gets_all_of_them_once_it_reads(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.reader._transport.pause_reading()  # type: ignore[attr-defined]  # nobody offers it
        for number in range(300):
            one.writer.write(request(b"large %d" % number))
        before = -1
        while before != len(it.front.begun):
            before = len(it.front.begun)
            await asyncio.sleep(0.2)
        assert 0 < before < 300
        one.reader._transport.resume_reading()  # type: ignore[attr-defined]  # likewise
        for _ in range(300):
            assert (await one.answer())[1] == LARGE
        assert it.front.begun == [b"large %d" % number for number in range(300)]
        assert await one.ask(b"plain") == b'"plain"'

    play(scenario)


def test_a_connection_that_waits_for_an_answer_is_not_idle(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(request(b"wait"))
        await asyncio.sleep(1)
        it.front.goes_on.set()
        assert (await one.answer())[1] == b'"wait"'
        assert await one.closed()

    scenario.bounds = Bounds(idle=0.4)  # type: ignore[attr-defined]  # read by `play`
    play(scenario)


def test_a_connection_that_says_close_is_closed_after_its_answer(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(request(b"plain", b"Connection: close"))
        head, _ = await one.answer()
        assert b"\r\nConnection: close\r\n" in head
        assert await one.closed()

    play(scenario)


def test_each_request_of_many_in_one_piece_has_a_turn_of_its_own(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one, other = await it.client(), await it.client()
        assert await other.ask(b"enforcer") == b'"enforcer"'
        one.writer.write(b"".join(request(b"%d" % number) for number in range(200)))
        while not it.front.begun[1:]:  # noqa: ASYNC110 - of a socket
            await asyncio.sleep(0)
        begun = len(it.front.begun)
        await asyncio.sleep(0)
        assert len(it.front.begun) <= begun + 1
        assert [(await one.answer())[1] for _ in range(200)] == [b'"%d"' % number for number in range(200)]

    play(scenario)


def test_whose_a_connection_is_goes_along_with_it(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        assert await one.ask(b"enforcer") == b'"enforcer"'
        open_ = it.counts.connections
        assert (open_[Port.DECISIONS, CallerClass.ENFORCERS], open_[Port.DECISIONS, CallerClass.OTHERS]) == (1, 0)
        assert await one.ask(b"theirs") == b"aiohttp: theirs"
        assert (open_[Port.DECISIONS, CallerClass.ENFORCERS], open_[Port.DECISIONS, CallerClass.OTHERS]) == (1, 0)
        one.writer.transport.abort()
        async with asyncio.timeout(5):
            while set(open_.values()) != {0}:  # noqa: ASYNC110 - of a socket
                await asyncio.sleep(0.01)

    play(scenario)
