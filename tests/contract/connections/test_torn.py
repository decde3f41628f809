"""Uploads that break off, and requests that are none: client errors, and never a failure of ours."""

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import pytest
import structlog
from aiohttp.web_request import BaseRequest
from structlog.typing import EventDict

from bailiwick_webhook.http.transport.connections import Connections
from bailiwick_webhook.http.transport.server import Server, serve
from bailiwick_webhook.metrics.table import Port
from contract.asking_alone import PEP, STRANGER, stored
from support.pdp.alone import Alone

# So many positions at which a request is torn, each a connection of its own.
pytestmark = pytest.mark.long
TIMES: Final = 60


class Point:
    def __init__(self, alone: Alone, server: Server, log: list[EventDict]) -> None:
        self.alone, self.server, self.port, self.log = alone, server, server.port, log

    @property
    def malformed(self) -> int:
        return self.alone.pdp.counts.malformed[Port.DECISIONS]

    def wrong(self) -> list[EventDict]:
        return [entry for entry in self.log if entry["log_level"] in {"error", "critical"} or "exc_info" in entry]


@pytest.fixture
async def point() -> AsyncIterator[Point]:
    alone = Alone([stored()])
    server = await serve(alone.application, "127.0.0.1", 0)
    with structlog.testing.capture_logs() as log:
        # What a task of aiohttp's ends with, without anybody who waits for it, is told to the loop.
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: log.append({"log_level": "error", "event": context["message"]})
        )
        yield Point(alone, server, log)
    await server.stop()


def head(token: str, framing: str) -> bytes:
    path = "/endpoints/crm/crm-api/access/v1/evaluation"
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", "Content-Type: application/json"]
    return "\r\n".join([*lines, framing, "", ""]).encode()


LENGTH: Final = "Content-Length: 100000"
CHUNKED: Final = "Transfer-Encoding: chunked"


@pytest.mark.parametrize("token", [PEP, STRANGER, "nobody"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("wait", [0.0, 0.02], ids=["at once", "later"])
@pytest.mark.parametrize(("framing", "sent"), [(LENGTH, b"{"), (CHUNKED, b"1\r\n{\r\n"), (CHUNKED, b"5\r\n{")])
async def test_an_upload_that_breaks_off_is_counted_and_no_error(
    point: Point, token: str, *, reset: bool, wait: float, framing: str, sent: bytes
) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(TIMES // 4):
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", point.port))
            await loop.sock_sendall(client, head(token, framing) + sent)
            if wait:
                await asyncio.sleep(wait)
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    assert point.wrong() == []
    assert point.alone.pdp.counts.under_way == [0, 0]
    assert set(point.alone.pdp.counts.body_bytes.values()) == {0}


@pytest.fixture
def uncollected() -> Iterator[Callable[[], list[object]]]:
    """Collect nothing meanwhile; what is yielded returns the requests that only the collector would free."""

    def requests_in_cycles() -> list[object]:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return [one for one in gc.garbage if isinstance(one, BaseRequest)]

    gc.collect()
    gc.disable()
    try:
        yield requests_in_cycles
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("wait", [0.0, 0.02], ids=["at once", "later"])
async def test_an_upload_that_breaks_off_leaves_nothing_for_the_collector(
    point: Point, uncollected: Callable[[], list[object]], *, reset: bool, wait: float
) -> None:
    # What the collector alone frees stays until it walks over everything, and all calls wait for that.
    loop = asyncio.get_running_loop()
    for _ in range(TIMES // 4):
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", point.port))
            await loop.sock_sendall(client, head(PEP, LENGTH) + b"{")
            await asyncio.sleep(wait)
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await asyncio.sleep(0.2)
    assert uncollected() == []


async def test_nothing_waits_for_long_for_the_rest_of_an_upload_that_is_answered(point: Point) -> None:
    for _ in range(TIMES // 10):
        reader, writer = await asyncio.open_connection("127.0.0.1", point.port)
        writer.write(head("nobody", LENGTH) + b"{")
        assert b" 401 " in await reader.readline()
        writer.transport.abort()
    await asyncio.sleep(2.5)
    assert not [task for task in asyncio.all_tasks() if "RequestHandler.start" in repr(task.get_coro())]


async def test_of_chunks_that_are_none_the_caller_is_told(point: Point) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", point.port)
    writer.write(head(PEP, CHUNKED) + b"nonsense\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 9)
    writer.close()
    assert answer.split(b"\r\n")[0].split(b" ")[1] == b"400"
    assert point.wrong() == []


class Gone(asyncio.Transport):
    """A connection whose client is gone in the very moment in which its request is there."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 1) if name == "peername" else default

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass

    abort = close


@pytest.mark.parametrize("token", [PEP, STRANGER, "nobody"])
@pytest.mark.parametrize(("framing", "sent"), [(LENGTH, b"{"), (CHUNKED, b"1\r\n{\r\n"), (CHUNKED, b"")])
@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_an_upload_that_breaks_off_before_anybody_looks_is_no_error(
    point: Point, token: str, framing: str, sent: bytes, turns: int
) -> None:
    # No socket can be made to show it each time: it has come, its task is there, or its task has just begun.
    connections = point.server.connections
    assert isinstance(connections, Connections)
    connection = connections.accept()
    connection.connection_made(Gone())
    await asyncio.sleep(0.01)
    connection.data_received(head(token, framing) + sent)
    for _ in range(turns):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    del connection
    await asyncio.sleep(0.1)
    gc.collect()
    assert point.wrong() == []


NO_REQUESTS: Final = {
    "no method": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "a blank before a colon": b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer open-sesame\r\n\r\n",
    "a long line": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"open-sesame" * 2000 + b"\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
}


@pytest.mark.parametrize("what", NO_REQUESTS)
async def test_what_is_no_request_is_400_and_closed_and_counted_and_no_error(point: Point, what: str) -> None:
    told = b""
    for number in range(1, 6):
        reader, writer = await asyncio.open_connection("127.0.0.1", point.port)
        writer.write(NO_REQUESTS[what])
        answer = await asyncio.wait_for(reader.read(), 9)
        writer.close()
        assert answer.split(b"\r\n")[0].split(b" ")[1] == b"400"
        assert b"\r\nContent-Type: application/problem+json\r\n" in answer
        assert point.malformed == number
        told += answer
    assert point.wrong() == []
    # One line for all of them, for whoever wants to know, and nothing of what was sent.
    assert len(point.log) <= 1
    assert "open-sesame" not in str(point.log) + told.decode()
