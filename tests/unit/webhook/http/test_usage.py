"""What a process answers about uses of policies: to who knows their uids, to the day, and only what is news."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from uuid import uuid4

import aiohttp
import pytest

from bailiwick_engine.policy.model import PolicyRef
from bailiwick_webhook.http.status import health
from bailiwick_webhook.http.status.exposition import Exposition
from bailiwick_webhook.http.status.pairs import MOST_BYTES, MOST_PAIRS
from bailiwick_webhook.http.status.ration import Ration
from bailiwick_webhook.http.status.usage import MOST_WAITING
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.metrics import counts
from bailiwick_webhook.metrics.counts import Counts
from support.objects import rule
from support.pdp.alone import StaticStore
from unit.engine.cases import governed, verdict_of
from unit.webhook.http.test_served import Writer

DAY: Final = 20_000


class Port:
    """A status port, and what is counted behind it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.counts = Counts()
        self.session = session
        self.url = ""

    async def ask(self, asked: object) -> tuple[int, Any]:
        body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        async with self.session.post(f"{self.url}/usage", data=body) as answer:
            return answer.status, json.loads(await answer.read()) if answer.ok else await answer.text()


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async with aiohttp.ClientSession() as session:
        port, store = Port(session), StaticStore(())
        exposition = Exposition(store, cast("Any", Writer()), port.counts)
        server = await serve(health.build(store, lambda: True, {}, exposition, port.counts), "127.0.0.1", 0)
        port.url = f"http://127.0.0.1:{server.port}"
        yield port
        await server.stop()


async def test_it_tells_the_day_of_the_last_use_where_that_is_news(port: Port) -> None:
    port.counts.usage.used |= {"a": DAY * 86_400.0 + 7, "b": DAY * 86_400.0 - 1, "c": DAY * 86_400.0}
    status, said = await port.ask([["a", 0], ["b", DAY - 1], ["c", DAY - 1], ["d", 0]])
    assert (status, said["used"], said["shadows"]) == (200, [["a", DAY], ["c", DAY]], [])
    assert said["memory"] == port.counts.usage.memory


async def test_it_tells_what_candidates_came_to(port: Port) -> None:
    for different in (True, False, True):
        port.counts.shadows.compare(PolicyRef("crm", "next", "n", 4), different=different)
    assert (await port.ask([["n", 0], ["live", 0]]))[1]["shadows"] == [["n", 4, 3, 2]]


async def test_what_is_told_of_candidates_is_of_the_same_memory(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_POLICIES", 0)
    port.counts.shadows.compare(PolicyRef("crm", "next", "n", 4), different=True)
    before = (await port.ask([["n", 0]]))[1]
    port.counts.usage.use(verdict_of(governed(rule(actions=["customers.export"]))), None, 1.0)
    after = (await port.ask([["n", 0]]))[1]
    assert (before["shadows"], after["shadows"]) == ([["n", 4, 1, 1]], [])
    assert before["memory"] != after["memory"]


async def test_nothing_is_told_that_was_not_asked_about(port: Port) -> None:
    port.counts.usage.used["a"] = DAY * 86_400.0
    port.counts.shadows.compare(PolicyRef("crm", "next", "n", 4), different=True)
    assert await port.ask([]) == (200, {"memory": port.counts.usage.memory, "used": [], "shadows": []})


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'[["a"]]', b'[["a","3"]]', b"[[null,3]]", b"\xff"], ids=repr)
async def test_anything_else_is_told_what_is_asked_with(port: Port, body: bytes) -> None:
    status, said = await port.ask(body)
    assert (status, "[uid, day]" in said) == (400, True)


async def test_no_more_are_answered_than_an_operator_asks_about(port: Port) -> None:
    asked = [(str(uuid4()), 99_999) for _ in range(MOST_PAIRS)]
    assert len(json.dumps(asked, separators=(",", ":"))) <= MOST_BYTES
    assert (await port.ask(asked))[0] == 200
    assert (await port.ask([*asked, ("u", 1)]))[0] == 400
    # All of them were used: an operator reads so much.
    port.counts.usage.used |= {uid: 86_400.0 * 99_999 for uid, _ in asked}
    said = (await port.ask([[uid, 0] for uid, _ in asked]))[1]
    assert len(said["used"]) == MOST_PAIRS
    assert len(json.dumps(said)) < 2**20
    assert (await port.ask(b"[" + b" " * MOST_BYTES + b"]"))[0] == 413


async def test_it_is_done_in_its_turn(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    @asynccontextmanager
    async def turn(_: Ration) -> AsyncIterator[None]:
        turns.append("begins")
        yield
        turns.append("ends")

    monkeypatch.setattr(Ration, "turn", turn)
    assert (await port.ask([["a", 0]]))[0] == 200
    assert turns == ["begins", "ends"]


async def test_bodies_that_do_not_come_keep_nobody_from_being_answered(port: Port) -> None:
    host, _, number = port.url.removeprefix("http://").partition(":")
    writers = []
    for _ in range(3 * MOST_WAITING):
        _, writer = await asyncio.open_connection(host, int(number))
        writer.write(b"POST /usage HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[")
        writers.append(writer)
    assert [(await port.ask([]))[0] for _ in range(15)] == [200] * 15
    for writer in writers:
        writer.close()
