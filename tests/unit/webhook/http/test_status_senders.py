"""Who has which places on the status port: the operator by its proof, and strangers together."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Final, cast

import aiohttp
import pytest
from hypothesis import given, strategies as st

from bailiwick_api import statusproof
from bailiwick_api.signingkeys import SigningKey
from bailiwick_api.statusproof import HEADER, LIFETIME, StatusProof, header_for
from bailiwick_operator.keys import make
from bailiwick_webhook.http.status import health
from bailiwick_webhook.http.status.checkpoint import MOST_WAITING, CheckpointHandler
from bailiwick_webhook.http.status.exposition import Exposition
from bailiwick_webhook.http.status.senders import STRANGERS_BYTES, StatusSenders
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.http.transport.statusserver import MOST
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.record.ledgernotes import LedgerNotes
from support.pdp.alone import KeptRecords, StaticStore


def signing_key() -> SigningKey:
    made, now = make(), datetime.now(UTC)
    return SigningKey(made.kid, made.pem, now, now, None)


OURS: Final = signing_key()
THEIRS: Final = signing_key()
PATH: Final = "/served"


def proof(header: str) -> StatusProof:
    found = StatusProof.parse(header)
    assert found is not None
    return found


class TestAProof:
    def test_is_of_whoever_holds_the_key_for_one_path_and_a_while(self) -> None:
        written = proof(header_for(OURS, PATH, b"[]", 1000.0))
        assert written.proves(OURS, PATH, 1000.0)
        assert written.proves(OURS, PATH, 1000.0 + LIFETIME)
        assert written.proves(OURS, PATH, 1000.0 - LIFETIME)
        assert not written.proves(OURS, PATH, 1001.0 + LIFETIME)
        assert not written.proves(OURS, "/usage", 1000.0)
        assert not written.proves(THEIRS, PATH, 1000.0)
        assert written.body == statusproof.body_digest(b"[]")

    @given(st.integers(min_value=0), st.characters())
    def test_with_one_letter_changed_proves_nothing(self, place: int, letter: str) -> None:
        header = header_for(OURS, PATH, b"[]", 1000.0)
        at = place % len(header)
        changed = header[:at] + letter + header[at + 1 :]
        found = StatusProof.parse(changed)
        assert changed == header or found is None or found.kid != OURS.kid or not found.proves(OURS, PATH, 1000.0)

    @given(st.text())
    def test_is_not_any_text(self, text: str) -> None:
        found = StatusProof.parse(text)
        assert found is None or not found.proves(OURS, PATH, 1000.0)

    def test_holds_nothing_of_the_key(self) -> None:
        header = header_for(OURS, PATH, b"[]", 1000.0)
        assert not any(line in header for line in OURS.pem.splitlines() if line)


class StatusPort:
    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.session, self.port = session, port

    async def post(self, body: bytes, key: SigningKey | None = None, signed: bytes | None = None) -> tuple[int, Any]:
        said = body if signed is None else signed
        headers = {} if key is None else {HEADER: header_for(key, PATH, said, time.time())}
        async with self.session.post(f"http://127.0.0.1:{self.port}{PATH}", data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def begin(self, size: int, sent: bytes = b"", key: SigningKey | None = None) -> asyncio.StreamWriter:
        """Send all of a request but the end of its body."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        shown = "" if key is None else f"{HEADER}: {header_for(key, PATH, b'[]', time.time())}\r\n"
        writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{shown}Content-Length: {size}\r\n\r\n".encode() + sent)
        await writer.drain()
        return writer


@pytest.fixture
async def port() -> AsyncIterator[StatusPort]:
    store, counts = StaticStore(()), Counts()
    exposition = Exposition(store, cast("Any", KeptRecords()), counts)
    senders = StatusSenders(counts, lambda: (OURS,))
    async with aiohttp.ClientSession() as session, AsyncExitStack() as stack:
        checkpoints = CheckpointHandler(cast("Any", None), counts, LedgerNotes(lambda: "", "system"), senders)
        server = await serve(
            health.build(store, lambda: True, {}, exposition, counts, checkpoints=checkpoints), "127.0.0.1", 0
        )
        stack.push_async_callback(server.stop)
        yield StatusPort(session, server.port)


async def test_the_operator_has_places_of_its_own_while_strangers_take_all_of_theirs(port: StatusPort) -> None:
    async with asyncio.TaskGroup() as group:
        strangers = [group.create_task(port.post(b"[" + b'["u",1],' * 9_000 + b'["u",1]]')) for _ in range(40)]
        await asyncio.sleep(0.05)
        found = [(await port.post(b"[]", OURS))[0] for _ in range(5)]
    assert found == [200] * 5
    statuses = [task.result()[0] for task in strangers]
    assert statuses.count(429) >= len(strangers) - MOST_WAITING - 5


@pytest.mark.parametrize(("key", "signed"), [(THEIRS, None), (OURS, b"[1]")], ids=["another key", "another body"])
async def test_a_proof_that_is_wrong_makes_a_stranger(port: StatusPort, key: SigningKey, signed: bytes | None) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(port.post(b"[" + b'["u",1],' * 9_000 + b'["u",1]]'))
        await asyncio.sleep(0.05)
        found = [group.create_task(port.post(b"[]", key, signed)) for _ in range(10)]
    assert 429 in {task.result()[0] for task in found}


async def test_bodies_of_strangers_have_a_bound_and_the_operators_are_not_counted(port: StatusPort) -> None:
    size = 600_000
    begun = [await port.begin(size, b" " * (size - 1)) for _ in range(STRANGERS_BYTES // size)]
    await asyncio.sleep(0.3)
    large = b"[]" + b" " * (size - 2)
    status, said = await port.post(large)
    assert (status, json.loads(said)["type"].rpartition("/")[2]) == (429, "overloaded")
    assert (await port.post(large, OURS))[0] == 200
    for writer in begun:
        writer.close()
    await asyncio.sleep(0.3)
    assert (await port.post(large))[0] == 200


async def test_new_connections_of_strangers_do_not_take_the_operators(port: StatusPort) -> None:
    writer = await port.begin(2, key=OURS)
    await asyncio.sleep(0.1)
    others = [(await asyncio.open_connection("127.0.0.1", port.port))[1] for _ in range(2 * MOST)]
    await asyncio.sleep(0.1)
    assert not writer.is_closing()
    writer.write(b"[]")
    await writer.drain()
    for one in (writer, *others):
        one.close()
