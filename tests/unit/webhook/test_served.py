"""What a process answers about the generations that it serves, and to whatever else is sent to its status port."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import aiohttp
import pytest

from bailiwick_engine.circumstances import Freshness
from bailiwick_webhook.http import health
from bailiwick_webhook.http.health import MOST_ASKED
from bailiwick_webhook.http.server import serve
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.exposition import Exposition
from support.pdp.alone import StaticStore
from unit.engine.cases import stored
from unit.webhook.test_policies import named

POLICIES: Final = (named("a", 3), stored("broken", {"name": "not a rule"}))


class Port:
    """A status port of a store that a test may let grow old."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.store = StaticStore(POLICIES)
        self.serving = True
        self.session = session
        self.url = ""

    async def ask(self, body: bytes) -> tuple[int, Any]:
        async with self.session.post(f"{self.url}/served", data=io.BytesIO(body)) as answer:
            return answer.status, json.loads(await answer.read()) if answer.ok else await answer.text()


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async with aiohttp.ClientSession() as session:
        port = Port(session)
        exposition = Exposition(port.store, cast("Any", None), Counts())
        server = await serve(health.build(port.store, lambda: port.serving, {}, exposition), "127.0.0.1", 0)
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
    asked = [["u" * 36, 1]] * MOST_ASKED
    assert (await port.ask(json.dumps(asked).encode()))[0] == 200
    assert (await port.ask(json.dumps([*asked, ["u", 1]]).encode()))[0] == 400
    assert (await port.ask(b"[" + b" " * 2**20 + b"]"))[0] == 413
