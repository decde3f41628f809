"""In which order the loop takes what comes from many connections: each sender in turn, and enforcers beside the others.

A crowd is there before the server has had a turn at all, and one more comes last. What is looked at is how many of the
crowd were served before that one.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Final

import pytest

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport import connections, pace
from bailiwick_webhook.http.transport.scheduler import Scheduler
from bailiwick_webhook.http.transport.server import Server, serve
from bailiwick_webhook.metrics.table import Handshake, Port
from contract.asking_alone import PEP, STRANGER, body, stored
from support.pdp.alone import Alone
from support.pdp.tlsprocess import NAME, both_ends

CROWD: Final = 100
ELSEWHERE: Final = "127.0.0.9"


def request(token: str = PEP, endpoint: str = "crm-api") -> bytes:
    sent = json.dumps(body()).encode()
    lines = [
        f"POST /endpoints/crm/{endpoint}/access/v1/evaluation HTTP/1.1",
        "Host: elsewhere.example",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(sent)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + sent


class Crowd:
    """Sockets that were connected, and wrote, without a turn of the loop."""

    def __init__(self, closing: ExitStack, port: int) -> None:
        self._closing, self._port = closing, port

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        found = self._closing.enter_context(socket.create_connection(("127.0.0.1", self._port), 5, (source, 0)))
        found.setblocking(False)
        return found

    @staticmethod
    def served(sockets: list[socket.socket]) -> int:
        """Return how many of them have something to read."""
        count = 0
        for one in sockets:
            try:
                count += bool(one.recv(1, socket.MSG_PEEK))
            except BlockingIOError:
                continue
        return count


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Alone, Server, Crowd]]:
    alone = Alone([stored()], bounds=Bounds(connections=8 * CROWD))
    server = await serve(alone.application, "127.0.0.1", 0, tls)
    with ExitStack() as closing:
        yield alone, server, Crowd(closing, server.port)
    await server.stop()


async def answered(one: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(one, 65_536), 20)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server shakes hands with, and a client."""
    return both_ends(tmp_path_factory.mktemp("pair"))


def greeting(trust: ssl.SSLContext) -> bytes:
    """Return the first words of a client."""
    said, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
    shaking = trust.wrap_bio(heard, said, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        shaking.do_handshake()
    return said.read()


async def test_ab_35_a_handshake_waits_for_few_of_a_crowd_from_another_address(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with serving(tls[0]) as (alone, _, crowd):
        first = [crowd.connect() for _ in range(CROWD)]
        for one in first:
            one.send(greeting(tls[1]))
        last = crowd.connect(ELSEWHERE)
        last.send(greeting(tls[1]))
        assert await answered(last)
        # Those that came while the others were accepted, and one in turn.
        assert crowd.served(first) < CROWD / 2
        # And the crowd is served as well.
        for one in first:
            assert await answered(one)
        assert alone.pdp.counts.handshakes_waiting[Port.DECISIONS] == 0


async def test_ab_35_from_where_an_enforcer_was_proven_a_handshake_waits_for_no_crowd_of_addresses(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with serving(tls[0]) as (_, server, crowd):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=tls[1], server_hostname=NAME, local_addr=(ELSEWHERE, 0)
        )
        writer.write(request())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        first = [crowd.connect(f"127.0.1.{number + 1}") for number in range(CROWD)]
        for one in first:
            one.send(greeting(tls[1]))
        last = crowd.connect(ELSEWHERE)
        last.send(greeting(tls[1]))
        assert await answered(last)
        assert crowd.served(first) < CROWD / 2


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n"], ids=["nothing", "something else"])
async def test_who_goes_away_or_speaks_no_tls_costs_no_handshake(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tls[0]) as (alone, server, crowd):
        handler = server.connections
        assert isinstance(handler, connections.Connections)
        monkeypatch.setattr(handler, "accept", None)
        for _ in range(10):
            with crowd.connect() as one:
                one.send(said)
        counts = alone.pdp.counts
        async with asyncio.timeout(10):
            while counts.handshakes[Port.DECISIONS, Handshake.FAILED] < 10:  # noqa: ASYNC110 - of a socket
                await asyncio.sleep(0.01)
        assert set(counts.connections.values()) == {0}


@pytest.mark.parametrize("token", [STRANGER, "nobody"])
async def test_ab_35_a_request_waits_for_few_of_a_crowd_that_enforces_nothing(token: str) -> None:
    async with serving() as (_, server, crowd):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        first = [crowd.connect() for _ in range(CROWD)]
        # All of them are connected, and nothing is under way.
        await asyncio.sleep(0.2)
        for one in first:
            one.send(request(token))
        writer.write(request())
        rest = await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 200"), 20)
        assert rest
        assert crowd.served(first) < CROWD / 2
        for one in first:
            assert (await answered(one)).startswith((b"HTTP/1.1 401", b"HTTP/1.1 403"))
        writer.close()


@pytest.mark.parametrize("at_once", [1, 2, 8])
async def test_what_comes_in_pieces_is_put_together_in_order_however_it_is_paced(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(pace, "_FROM_OTHERS", at_once)
    monkeypatch.setattr(pace, "_FROM_ENFORCERS", at_once)
    monkeypatch.setattr(pace, "_FEW", 0)

    async def ask(port: int, number: int) -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        token = PEP if number % 2 else STRANGER
        # Several requests in one stream, cut at places that mean nothing.
        stream = request(token) * 5
        step = 97 + number
        for start in range(0, len(stream), step):
            writer.write(stream[start : start + step])
            await asyncio.sleep(0)
        found = []
        for _ in range(5):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            found.append(head[:12] + await reader.readexactly(int(length.split(b":")[1])))
        writer.close()
        return found

    async with serving() as (_, server, _crowd):
        answers = await asyncio.gather(*(ask(server.port, number) for number in range(30)))
        for number, found in enumerate(answers):
            assert len(found) == 5
            status = b"HTTP/1.1 200" if number % 2 else b"HTTP/1.1 403"
            assert all(one.startswith(status) for one in found)
            assert all(b'"decision":true' in one for one in found) == bool(number % 2)


class Piece:
    """A piece of work that tells when it was done."""

    def __init__(self, name: str, done: list[str]) -> None:
        self._name, self._done = name, done

    def turn(self) -> None:
        self._done.append(self._name)


class TestAPacer:
    @staticmethod
    def make(at_once: int, knows: Callable[[str], bool] = lambda _: False) -> Scheduler:
        return Scheduler(at_once, knows)

    async def test_lets_so_much_through_in_a_turn_and_the_next_turn_begins_anew(self) -> None:
        scheduler = self.make(3)
        for _ in range(4):
            assert [scheduler.free() for _ in range(5)] == [True, True, True, False, False]
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def test_does_what_waits_before_what_comes(self) -> None:
        scheduler, done = self.make(2), list[str]()
        assert scheduler.free()
        for name in "abc":
            scheduler.wait(Piece(name, done), name, name)
        assert not scheduler.free()
        await asyncio.sleep(0)
        assert done == ["a", "b"]
        await asyncio.sleep(0)
        assert done == ["a", "b", "c"]

    async def test_gives_who_is_known_three_turns_of_four(self) -> None:
        scheduler, done = self.make(1, lambda address: address == "known"), list[str]()
        for _ in range(6):
            scheduler.wait(Piece("known", done), "known", "known")
            scheduler.wait(Piece("other", done), "other", "other")
        for _ in range(20):
            await asyncio.sleep(0)
        assert done[:8] == [*["known"] * 3, "other", *["known"] * 3, "other"]
        assert sorted(done) == ["known"] * 6 + ["other"] * 6

    async def test_forgets_what_was_dropped(self) -> None:
        scheduler, done = self.make(1), list[str]()
        pieces = {name: Piece(name, done) for name in "abc"}
        for name, piece in pieces.items():
            scheduler.wait(piece, name, name)
        scheduler.drop(pieces["b"], "b")
        assert scheduler.waiting == 2
        for _ in range(5):
            await asyncio.sleep(0)
        assert (done, scheduler.waiting) == (["a", "c"], 0)
