"""What a process answers about the generations that it serves, and to whatever else is sent to its status port."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event
from typing import Any, Final, cast
from uuid import uuid4

import aiohttp
import pytest

from bailiwick_engine.circumstances import Freshness
from bailiwick_webhook.http.status import health
from bailiwick_webhook.http.status.exposition import Exposition
from bailiwick_webhook.http.status.pairs import MOST_BYTES, MOST_PAIRS
from bailiwick_webhook.http.status.ration import Ration
from bailiwick_webhook.http.status.served import MOST_WAITING
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.http.transport.statusserver import MOST
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload
from support.pdp.alone import StaticStore
from unit.engine.cases import stored
from unit.policystore.test_controller import named

POLICIES: Final = (named("a", 3), stored("broken", {"name": "not a rule"}))


class Writer:
    """What a writer of records tells of itself."""

    written, lost, held, held_bytes, failing, chain = 0, 0, 0, 0, None, None


class Port:
    """A status port of a store that a test may let grow old."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.store = StaticStore(POLICIES)
        self.counts = Counts()
        self.serving = True
        self.session = session
        self.number = 0
        self.url = ""

    async def ask(self, body: bytes) -> tuple[int, Any]:
        async with self.session.post(f"{self.url}/served", data=io.BytesIO(body)) as answer:
            return answer.status, json.loads(await answer.read()) if answer.ok else await answer.text()


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        port = Port(session)
        exposition = Exposition(port.store, cast("Any", Writer()), port.counts)
        server = await serve(
            health.build(port.store, lambda: port.serving, {}, exposition, port.counts), "127.0.0.1", 0
        )
        port.number = server.port
        port.url = f"http://127.0.0.1:{server.port}"
        yield port
        await server.stop()


async def test_it_says_which_of_those_asked_about_it_decides_by_broken_ones_too(port: Port) -> None:
    asked = [["a-uid", 3], ["a-uid", 2], ["broken-uid", 1], ["nobody", 1]]
    assert await port.ask(json.dumps(asked).encode()) == (
        200,
        {"ready": True, "served": [["a-uid", 3], ["broken-uid", 1]]},
    )


async def test_nothing_is_told_that_was_not_asked_about(port: Port) -> None:
    assert await port.ask(b"[]") == (200, {"ready": True, "served": []})


@pytest.mark.parametrize("why", ["stopping", "stale", "not synced"])
async def test_it_says_where_it_is_not_ready(port: Port, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "stopping":
        port.serving = False
    elif why == "stale":
        monkeypatch.setattr(port.store, "freshness", Freshness.STALE)
    else:
        monkeypatch.setattr(port.store, "synced", False)
    assert await port.ask(b'[["a-uid",3]]') == (200, {"ready": False, "served": [["a-uid", 3]]})


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[1]", b'[["a"]]', b'[["a","3"]]', b'[["a",3,4]]', b"[[null,3]]", b'[["a",3]', b"\xff", b"[" * 5000],
    ids=repr,
)
async def test_anything_else_is_told_what_is_asked_with(port: Port, body: bytes) -> None:
    status, said = await port.ask(body)
    assert (status, "[uid, generation]" in said) == (400, True)


async def test_no_more_are_answered_than_a_cluster_should_hold(port: Port) -> None:
    asked = [["u" * 36, 1]] * MOST_PAIRS
    assert (await port.ask(json.dumps(asked).encode()))[0] == 200
    assert (await port.ask(json.dumps([*asked, ["u", 1]]).encode()))[0] == 400


def test_the_longest_question_that_an_operator_can_have_is_read() -> None:
    asked = [[str(uuid4()), 2**63 - 1]] * MOST_PAIRS
    assert len(json.dumps(asked, separators=(",", ":"))) <= MOST_BYTES


async def test_of_a_longer_one_no_more_is_read_whether_it_says_so_or_not(port: Port) -> None:
    assert (await port.ask(b"[" + b" " * MOST_BYTES + b"]"))[0] == 413

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * (MOST_BYTES // 10)

    async with port.session.post(f"{port.url}/served", data=chunks()) as answer:
        assert answer.status == 413


async def test_what_costs_more_than_a_moment_is_done_in_its_turn(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    @asynccontextmanager
    async def turn(_: Ration) -> AsyncIterator[None]:
        turns.append("begins")
        yield
        turns.append("ends")

    def collect(_: Exposition) -> tuple[()]:
        turns.append("collected")
        return ()

    monkeypatch.setattr(Ration, "turn", turn)
    monkeypatch.setattr(port.store, "serves", lambda *_: turns.append("looked up"))
    monkeypatch.setattr(Exposition, "collect", collect)
    assert (await port.ask(b'[["a-uid",3]]'))[0] == 200
    async with port.session.get(f"{port.url}/metrics") as answer:
        assert answer.status == 200
    assert turns == ["begins", "looked up", "ends", "begins", "collected", "ends"]


class TestAFlood:
    @pytest.fixture
    async def flooded(self, port: Port, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
        """As many questions as may wait, whose turn does not come until it is let."""
        let, turn = asyncio.Event(), Ration.turn

        @asynccontextmanager
        async def waiting(ration: Ration) -> AsyncIterator[None]:
            if ration._most == MOST_WAITING:
                await let.wait()
            async with turn(ration):
                yield

        monkeypatch.setattr(Ration, "turn", waiting)
        asked = [asyncio.create_task(port.ask(b"[]")) for _ in range(MOST_WAITING + 1)]
        async with asyncio.timeout(20):
            while not any(task.done() for task in asked):  # noqa: ASYNC110 - of the other side of a socket
                await asyncio.sleep(0.01)
        yield let
        let.set()
        assert sorted([status for status, _ in await asyncio.gather(*asked)]) == [200] * MOST_WAITING + [429]

    @pytest.mark.usefixtures("flooded")
    async def test_is_refused_beyond_a_few_and_counted(self, port: Port) -> None:
        before = port.counts.overloads[Overload.STATUS, CallerClass.OTHERS]
        async with port.session.post(f"{port.url}/served", data=b"[]") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert port.counts.overloads[Overload.STATUS, CallerClass.OTHERS] == before + 1

    async def test_of_bodies_that_do_not_come_holds_no_place(self, port: Port) -> None:
        writers = []
        for _ in range(3 * MOST_WAITING):
            _, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(b"POST /served HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[")
            writers.append(writer)
        assert [(await port.ask(b"[]"))[0] for _ in range(15)] == [200] * 15
        for writer in writers:
            writer.close()

    @pytest.mark.usefixtures("flooded")
    @pytest.mark.parametrize("path", ["healthz", "readyz", "metrics"])
    async def test_never_keeps_anybody_from_hearing_whether_we_live_and_are_ready(self, port: Port, path: str) -> None:
        for _ in range(3):
            async with port.session.get(f"{port.url}/{path}") as answer:
                assert answer.status == 200

    async def test_is_over_once_they_are_answered(self, port: Port, flooded: asyncio.Event) -> None:
        flooded.set()
        async with asyncio.timeout(20):
            while (await port.ask(b"[]"))[0] != 200:  # noqa: ASYNC110 - of the other side of a socket
                await asyncio.sleep(0.01)

    async def test_of_connections_leaves_the_newest_few_and_a_probe_is_one_of_them(self, port: Port) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(3 * MOST)]
        for path in ("healthz", "readyz"):
            async with aiohttp.ClientSession() as session, session.get(f"{port.url}/{path}") as answer:
                assert answer.status == 200
        async with asyncio.timeout(20):
            while sum(reader.at_eof() for reader, _ in silent) < 2 * MOST:  # noqa: ASYNC110 - of the other side
                await asyncio.sleep(0.01)
        # Those that are left are the newest, and not one more was closed than had to be.
        ended = [reader.at_eof() for reader, _ in silent]
        assert ended == sorted(ended, reverse=True)
        assert sum(ended) <= 2 * MOST + 2
        for _, writer in silent:
            writer.close()

    async def test_of_connections_that_all_have_asked_leaves_room_for_a_probe_too(
        self, port: Port, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        let = Event()
        monkeypatch.setattr(Exposition, "collect", lambda _: let.wait(30) and ())
        asked = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(MOST)]
        for number, (_, writer) in enumerate(asked):
            path = b"metrics" if number < 16 else b"healthz"
            writer.write(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        for _ in range(3):
            async with aiohttp.ClientSession() as session, session.get(f"{port.url}/readyz") as answer:
                assert answer.status == 200
        let.set()
        for _, writer in asked:
            writer.close()

    async def test_of_connections_at_once_is_cut_by_as_many_as_are_too_many(self, port: Port) -> None:
        opened = await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", port.number) for _ in range(MOST + MOST // 2))
        )
        async with asyncio.timeout(20):
            while sum(reader.at_eof() for reader, _ in opened) < MOST // 2:  # noqa: ASYNC110 - of the other side
                await asyncio.sleep(0.01)
        for _, writer in opened:
            writer.close()

    async def test_of_probes_that_ended_takes_no_room(self, port: Port) -> None:
        kept, keeper = await asyncio.open_connection("127.0.0.1", port.number)
        for _ in range(MOST + 1):
            async with aiohttp.ClientSession() as session, session.get(f"{port.url}/healthz") as answer:
                assert answer.status == 200
        keeper.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await kept.readline()).startswith(b"HTTP/1.1 200")
        keeper.close()

    async def test_of_answers_that_nobody_reads_makes_room_as_well(self) -> None:
        answer = bytes(32 * 2**20)
        counts = Counts()

        class Long(Exposition):
            def text(self) -> bytes:
                return answer

        store = StaticStore(POLICIES)
        exposition = Long(store, cast("Any", Writer()), counts)
        server = await serve(health.build(store, lambda: True, {}, exposition, counts), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        others = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MOST)]
        # The last of them is there once it is answered, and then the first had to go.
        others[-1][1].write(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await others[-1][0].readline()).startswith(b"HTTP/1.1 404")
        read = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := await asyncio.wait_for(reader.read(2**20), 20):
                read += len(chunk)
        assert read < len(answer)
        for _, other in others:
            other.close()
        writer.close()
        await server.stop()

    async def test_of_scrapes_never_keeps_anybody_from_it_either(
        self, port: Port, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        let = Event()
        monkeypatch.setattr(Exposition, "collect", lambda _: let.wait(30) and ())

        async def scrape() -> int:
            async with port.session.get(f"{port.url}/metrics") as answer:
                return answer.status

        scrapes = [asyncio.create_task(scrape()) for _ in range(42)]
        async with asyncio.timeout(20):
            while port.counts.overloads[Overload.STATUS, CallerClass.OTHERS] < 26:  # noqa: ASYNC110 - of the other side of a socket
                await asyncio.sleep(0.01)
        for path in ("healthz", "readyz"):
            async with port.session.get(f"{port.url}/{path}") as answer:
                assert answer.status == 200
        let.set()
        assert sorted(await asyncio.gather(*scrapes)) == [200] * 16 + [429] * 26
