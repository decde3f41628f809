"""Connections of the decision port: how much one may ask, how long it may wait, and how many there may be."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

import pytest

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken
from bailiwick_webhook.metrics.table import CallerClass, Port
from contract.asking_alone import PEP, STRANGER, body, stored
from support.pdp.alone import Alone, NamedTokens
from support.pdp.tlsprocess import NAME, both_ends

OTHER: Final = {"enforcers": [{"namespace": "crm", "name": "another"}]}
PATHS: Final = {
    "the front's": "/endpoints/crm/crm-api/access/v1/evaluation",
    "the application's": "/endpoints/crm/%63rm-api/access/v1/evaluation",
    "nobody's": "/nothing",
}


def request(path: str = PATHS["the front's"]) -> bytes:
    sent = json.dumps(body()).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: elsewhere.example",
        f"Authorization: Bearer {PEP}",
        "Content-Type: application/json",
        f"Content-Length: {len(sent)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + sent


class Connection:
    """A connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def proven(cls, port: int, tls: ssl.SSLContext | None = None) -> Self:
        """Connect, and ask once as an enforcer."""
        connection = await cls.to(port, tls)
        assert (await connection.ask())[0] == 200
        return connection

    @classmethod
    async def to(cls, port: int, tls: ssl.SSLContext | None = None) -> Self:
        name = None if tls is None else NAME
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name))

    async def ask(self, raw: bytes = request()) -> tuple[int, bool]:
        """Return the status of an answer, and whether it is said to be the last one."""
        self.writer.write(raw)
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        assert length is not None
        await self.reader.readexactly(int(length[1]))
        return int(head.split(b" ")[1]), b"\r\nconnection: close" in head.lower()

    async def until_last(self, raw: bytes = request(), pause: float = 0.0) -> int:
        """Ask until an answer says that it is the last one, and the connection ends; return how many there were."""
        for count in range(1, 1000):
            _, last = await self.ask(raw)
            if last:
                assert await asyncio.wait_for(self.reader.read(), 5) == b""
                self.writer.close()
                return count
            await asyncio.sleep(pause)
        raise AssertionError

    async def ended_after(self) -> float:
        """Wait until the other side closes it, without an answer; return how long that took."""
        began = time.monotonic()
        assert await asyncio.wait_for(self.reader.read(), 10) == b""
        self.writer.close()
        return time.monotonic() - began

    def open(self) -> bool:
        return not self.reader.at_eof() and self.reader.exception() is None


@asynccontextmanager
async def serving(bounds: Bounds, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    server = await serve(Alone([stored()], bounds=bounds).application, "127.0.0.1", 0, tls)
    try:
        yield server.port
    finally:
        await server.stop()


@pytest.mark.parametrize("path", PATHS)
async def test_a_connection_is_closed_after_so_many_answers_of_which_the_last_says_so(path: str) -> None:
    async with serving(Bounds(requests=20)) as port:
        counts = [await (await Connection.to(port)).until_last(request(PATHS[path])) for _ in range(30)]
    assert min(counts) >= 16
    assert max(counts) <= 20
    # By chance, so that clients that began together do not come again together.
    assert len(set(counts)) > 1


async def test_a_connection_is_closed_with_the_first_answer_after_so_long() -> None:
    async with serving(Bounds(seconds=0.5)) as port:
        began = time.monotonic()
        count = await (await Connection.to(port)).until_last(pause=0.02)
    assert 0.4 <= time.monotonic() - began < 2
    assert count > 3


@pytest.mark.parametrize("sent", [b"", b"POST", request().partition(b"\r\n\r\n")[0]], ids=["nothing", "some", "most"])
async def test_a_head_that_does_not_come_in_time_is_not_waited_for(sent: bytes) -> None:
    async with serving(Bounds(first=0.4)) as port:
        connection = await Connection.to(port)
        connection.writer.write(sent)
        assert 0.3 < await connection.ended_after() < 3


async def test_ab_35_a_head_that_comes_a_byte_at_a_time_is_not_waited_for() -> None:
    async with serving(Bounds(first=0.5)) as port:
        connection, began = await Connection.to(port), time.monotonic()
        for letter in request():
            connection.writer.write(bytes([letter]))
            await asyncio.sleep(0.02)
            if not connection.open():
                break
        assert 0.4 < time.monotonic() - began < 3
        connection.writer.close()


async def test_a_body_may_take_longer_than_a_head() -> None:
    async with serving(Bounds(first=0.3)) as port:
        connection = await Connection.to(port)
        head, end, sent = request().partition(b"\r\n\r\n")
        connection.writer.write(head + end)
        await asyncio.sleep(0.7)
        assert await connection.ask(sent) == (200, False)
        # And whoever asked once may be silent for longer than before.
        await asyncio.sleep(0.7)
        assert await connection.ask() == (200, False)
        connection.writer.close()


async def test_an_idle_connection_is_closed() -> None:
    async with serving(Bounds(idle=0.5)) as port:
        connection = await Connection.to(port)
        for _ in range(3):
            assert await connection.ask() == (200, False)
            await asyncio.sleep(0.2)
        assert 0.1 < await connection.ended_after() < 3


def test_what_is_usual_is_as_the_practice_of_api_servers_wants_it() -> None:
    usual = Bounds()
    assert 60 <= usual.idle <= 90
    assert (usual.requests, usual.seconds) == (1_000, 300)


# Of these 15 are the enforcers', of whom one alone may have 8, and 5 are all others'.
FEW: Final = Bounds(connections=20)
SHARE: Final = 8
OTHERS: Final = 5


async def test_ab_35_silent_connections_make_room_for_new_ones_and_take_none_from_those_who_ask() -> None:
    async with serving(FEW) as port:
        asking = [await Connection.proven(port) for _ in range(5)]
        silent = [await Connection.to(port) for _ in range(60)]
        await asyncio.sleep(0.2)
        for connection in asking:
            assert (await connection.ask())[0] == 200
        late = await Connection.to(port)
        assert (await late.ask())[0] == 200
        still = [connection for connection in silent if connection.open()]
        # The latest of them, and as many as there is room for: the one that proved somebody is no longer among them.
        assert still == silent[-len(still) :]
        assert len(still) == OTHERS - 1
        for connection in (*asking, *silent, late):
            connection.writer.close()


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server shakes hands with, and a client."""
    return both_ends(tmp_path_factory.mktemp("pair"))


class TestWithTls:
    @pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "some", "more"])
    async def test_hands_that_are_not_shaken_in_time_are_not_waited_for(
        self, contexts: tuple[ssl.SSLContext, ssl.SSLContext], sent: bytes
    ) -> None:
        async with serving(Bounds(first=0.4), contexts[0]) as port:
            connection = await Connection.to(port)
            connection.writer.write(sent)
            assert 0.3 < await connection.ended_after() < 5

    async def test_ab_35_silent_connections_make_room_for_those_who_ask(
        self, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    ) -> None:
        async with serving(FEW, contexts[0]) as port:
            asking = [await Connection.proven(port, contexts[1]) for _ in range(5)]
            silent = [await Connection.to(port) for _ in range(30)]
            shaken = [await Connection.to(port, contexts[1]) for _ in range(30)]
            late = await Connection.to(port, contexts[1])
            assert (await late.ask())[0] == 200
            for connection in asking:
                assert (await connection.ask())[0] == 200
            await asyncio.sleep(0.2)
            assert [connection.open() for connection in silent] == [False] * len(silent)
            still = [connection for connection in shaken if connection.open()]
            assert still == shaken[-len(still) :]
            assert len(still) == OTHERS - 1
            for connection in (*asking, *silent, *shaken, late):
                connection.writer.close()

    async def test_ab_35_who_speaks_no_tls_or_goes_away_takes_no_room(
        self, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    ) -> None:
        async with serving(FEW, contexts[0]) as port:
            for sent in (b"", request(), b"\x16\x03\x01") * 20:
                connection = await Connection.to(port)
                connection.writer.write(sent)
                connection.writer.close()
            asking = [await Connection.proven(port, contexts[1]) for _ in range(SHARE)]
            for connection in asking:
                assert (await connection.ask())[0] == 200
                connection.writer.close()

    async def test_an_address_that_is_taken_is_told(self, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
        async with serving(Bounds(), contexts[0]) as port:
            with pytest.raises(OSError, match="in use"):
                await serve(Alone([stored()]).application, "127.0.0.1", port, contexts[0])


async def test_an_enforcer_whose_share_is_used_up_is_answered_on_connections_that_make_room() -> None:
    async with serving(FEW) as port:
        asking = [await Connection.proven(port) for _ in range(SHARE)]
        more = [await Connection.proven(port) for _ in range(3 * OTHERS)]
        await asyncio.sleep(0.1)
        assert [connection.open() for connection in asking] == [True] * SHARE
        assert [connection.open() for connection in more] == [False] * 2 * OTHERS + [True] * OTHERS
        # Where one of its share ends, another one takes its place.
        asking.pop().writer.close()
        await asyncio.sleep(0.1)
        assert (await more[-1].ask())[0] == 200
        strangers = [await Connection.to(port) for _ in range(2 * OTHERS)]
        await asyncio.sleep(0.1)
        assert more[-1].open()
        for connection in (*asking, *more, *strangers):
            connection.writer.close()


STRANGERS: Final = {
    "nobody's path": request(PATHS["nobody's"]),
    "no proof": request().replace(PEP.encode(), b"nobody"),
    # Proven, and lists nowhere: after a 403 it is as idle as any.
    "an account without a right": request().replace(PEP.encode(), STRANGER.encode()),
    "an enforcer elsewhere": request().replace(b"/crm-api/", b"/other-api/"),
}


@pytest.mark.parametrize("who", STRANGERS)
async def test_ab_35_strangers_that_ask_make_room_for_those_who_enforce(who: str) -> None:
    async with serving(FEW) as port:
        first = await Connection.proven(port)
        strangers = []
        for _ in range(40):
            strangers.append(await Connection.to(port))
            assert (await strangers[-1].ask(STRANGERS[who]))[0] in {401, 403, 404}
        late = [await Connection.proven(port) for _ in range(SHARE - 1)]
        assert (await first.ask())[0] == 200
        await asyncio.sleep(0.1)
        assert sum(connection.open() for connection in strangers) <= OTHERS
        for connection in (first, *strangers, *late):
            connection.writer.close()


async def test_whose_a_connection_is_is_asked_anew_with_each_request() -> None:
    alone = Alone([stored()], bounds=FEW)
    server = await serve(alone.application, "127.0.0.1", 0)
    open_ = alone.pdp.counts.connections
    kept = await Connection.proven(server.port)
    assert (open_[Port.DECISIONS, CallerClass.ENFORCERS], open_[Port.DECISIONS, CallerClass.OTHERS]) == (1, 0)
    before, alone.store.snapshot = alone.store.snapshot, Alone([stored(endpointSettings=OTHER)]).store.snapshot
    assert (await kept.ask())[0] == 403
    assert (open_[Port.DECISIONS, CallerClass.ENFORCERS], open_[Port.DECISIONS, CallerClass.OTHERS]) == (0, 1)
    alone.store.snapshot = before
    assert (await kept.ask())[0] == 200
    assert (open_[Port.DECISIONS, CallerClass.ENFORCERS], open_[Port.DECISIONS, CallerClass.OTHERS]) == (1, 0)
    kept.writer.close()
    await asyncio.sleep(0.1)
    assert set(open_.values()) == {0}
    await server.stop()


class Slow(NamedTokens):
    """Tells who somebody is once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.told = asyncio.Event(), asyncio.Event()

    async def _prove(self, token: str) -> AuthenticatedAccount | RefusedToken:
        self.reached.set()
        await self.told.wait()
        return await super()._prove(token)


async def test_who_waits_for_an_answer_makes_room_for_nobody() -> None:
    tokens = Slow()
    server = await serve(Alone([stored()], tokens=tokens, bounds=FEW).application, "127.0.0.1", 0)
    waits = await Connection.to(server.port)
    answer = asyncio.create_task(waits.ask())
    await tokens.reached.wait()
    others = [await Connection.to(server.port) for _ in range(3 * OTHERS)]
    await asyncio.sleep(0.1)
    assert sum(connection.open() for connection in others) == OTHERS - 1
    tokens.told.set()
    assert (await answer)[0] == 200
    for connection in (waits, *others):
        connection.writer.close()
    await server.stop()


async def test_who_does_not_read_its_answers_makes_room() -> None:
    async with serving(FEW) as port:
        deaf = [await Connection.to(port) for _ in range(OTHERS)]
        asked = b"GET /.well-known/authzen-configuration/endpoints/crm/crm-api HTTP/1.1\r\nHost: x\r\n\r\n"
        for connection in deaf:
            # Its client reads no more.
            connection.reader._transport.pause_reading()  # type: ignore[attr-defined]  # nobody offers it
            connection.writer.write(asked * 800)
        await asyncio.sleep(0.5)
        late = await Connection.to(port)
        assert (await late.ask())[0] == 200
        for connection in (*deaf, late):
            connection.writer.close()


@asynccontextmanager
async def from_address(address: str, port: int) -> AsyncIterator[Connection]:
    yield Connection(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))


async def test_ab_35_of_two_addresses_the_one_with_more_connections_makes_room() -> None:
    async with serving(FEW) as port, from_address("127.0.0.2", port) as quiet:
        crowd = [await Connection.to(port) for _ in range(10 * OTHERS)]
        await asyncio.sleep(0.1)
        assert quiet.open()
        assert (await quiet.ask())[0] == 200
        for connection in (quiet, *crowd):
            connection.writer.close()
