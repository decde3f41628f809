"""What is left of connections that have ended: nothing for which the collector of cycles is needed.

The collector is kept from what is old (see `collector`), so that a flood of connections would stay in memory for long.
"""

import asyncio
import gc
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
import uvloop

from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.conntable import TableEntry
from bailiwick_webhook.http.transport.connections import Connection
from bailiwick_webhook.http.transport.decisionprotocol import DecisionProtocol
from bailiwick_webhook.http.transport.handshakes import Arrival
from bailiwick_webhook.http.transport.server import serve
from contract.asking_alone import PEP, body, stored
from support.pdp.alone import Alone
from support.pdp.tlsprocess import NAME, both_ends

pytestmark = pytest.mark.long

BODY: Final = json.dumps(body()).encode()
CALL: Final = (
    f"POST /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {PEP}\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY
MANY: Final = 20
_OURS: Final = (Connection, DecisionProtocol, Arrival, TableEntry)


@pytest.fixture
def before() -> Iterator[list[object]]:
    """What other tests left. Cycles stay where they are; asyncio's own TLS leaves some, so that the loop is uvloop."""
    gc.collect()
    gc.disable()
    yield ours()
    gc.enable()


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server shakes hands with, and a client."""
    return both_ends(tmp_path_factory.mktemp("pair"))


@asynccontextmanager
async def serving(bounds: Bounds, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    server = await serve(Alone([stored()], bounds=bounds).application, "127.0.0.1", 0, tls)
    try:
        yield server.port
    finally:
        await server.stop()


async def ask(port: int, tls: ssl.SSLContext | None) -> None:
    """Connect, ask once, and go."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=tls and NAME)
    writer.write(CALL)
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.transport.abort()


async def say(port: int, words: bytes) -> None:
    """Connect, say something that is no request, and go."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words)
    await asyncio.sleep(0)
    writer.transport.abort()


def ours() -> list[object]:
    return [each for each in gc.get_objects() if isinstance(each, _OURS)]


async def left(before: list[object]) -> list[str]:
    """Return the names of what came since and is still there, once there is nothing or a few seconds have passed."""
    known = set(map(id, before))
    names: list[str] = []
    for _ in range(40):
        names = [type(each).__name__ for each in ours() if id(each) not in known]
        if not names:
            break
        await asyncio.sleep(0.05)
    return names


@pytest.mark.parametrize("encrypted", [False, True], ids=["in the clear", "with TLS"])
@pytest.mark.parametrize("bounds", [Bounds(), Bounds(connections=20)], ids=["with room", "where they make room"])
def test_connections_that_asked_leave_nothing(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], before: list[object], bounds: Bounds, encrypted: bool
) -> None:
    served, client = contexts if encrypted else (None, None)

    async def asked() -> list[str]:
        async with serving(bounds, served) as port:
            for _ in range(MANY):
                await ask(port, client)
            return await left(before)

    assert uvloop.run(asked()) == []


@pytest.mark.parametrize("words", [b"", b"hello", b"\x16\x03\x01"], ids=["nothing", "no TLS", "the beginning of TLS"])
def test_connections_on_which_hands_were_not_shaken_leave_nothing(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], before: list[object], words: bytes
) -> None:
    async def said() -> list[str]:
        async with serving(Bounds(connections=20), contexts[0]) as port:
            for _ in range(MANY):
                await say(port, words)
            return await left(before)

    assert uvloop.run(said()) == []


def test_connections_that_made_room_while_hands_were_shaken_leave_nothing(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], before: list[object]
) -> None:
    async def begun() -> list[str]:
        async with serving(Bounds(connections=20), contexts[0]) as port:
            writers = []
            for _ in range(4 * MANY):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"\x16\x03\x01")
                writers.append(writer)
                # Until its handshake has begun, which then waits for the rest.
                await asyncio.sleep(0.02)
            for writer in writers:
                writer.transport.abort()
            return await left(before)

    assert uvloop.run(begun()) == []
