"""What waits keeps nothing of another lane waiting, and a decision point that lives is never left alone."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from bailiwick import AsyncBailiwick, AsyncTransport, Call, HttpRequest, HttpResponse, Resource, TransportError
from bailiwick.breaker import FAILURES
from bailiwick.transports.aiohttp import AiohttpTransport
from bailiwick.transports.http import AsyncHttpTransport, SyncHttpTransport
from bailiwick_webhook.http.transport.server import serve
from contract.asking_alone import AGENT, PEP, stored
from support.objects import rule
from support.pdp.alone import Alone, subject_token

# As many connections as a transport has for one lane.
MANY = 100
CALL = Call(token=subject_token(AGENT), action="customers.list", resource=Resource("customer", "42"))


class SlowServer:
    """Answers GET at once, and POST never. `held` is set when it holds `MANY` of these."""

    def __init__(self) -> None:
        self.url = ""
        self._holds = 0
        self.held = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        else:
            self._holds += 1
            if self._holds == MANY:
                self.held.set()
            await reader.read()
        writer.close()


@pytest.fixture
async def slow() -> AsyncIterator[SlowServer]:
    server = SlowServer()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        yield server


@pytest.mark.parametrize("transport_of", [AsyncHttpTransport, AiohttpTransport])
async def test_requests_that_wait_keep_those_of_another_lane_from_nothing(
    slow: SlowServer, transport_of: Callable[[], AsyncTransport]
) -> None:
    transport = transport_of()
    waiting = [asyncio.create_task(transport.send(HttpRequest(slow.url, {}, b"{}"), 30.0)) for _ in range(MANY)]
    await slow.held.wait()
    answer = await transport.send(HttpRequest(slow.url, {}, None, "another"), 5.0)
    assert answer.status == 200
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await transport.close()


async def test_it_is_the_same_in_threads(slow: SlowServer) -> None:
    transport = SyncHttpTransport()

    def wait() -> None:
        with pytest.raises(TransportError):
            transport.send(HttpRequest(slow.url, {}, b"{}"), 5.0)

    waiting = [threading.Thread(target=wait) for _ in range(MANY)]
    for one in waiting:
        one.start()
    await slow.held.wait()
    answer = await asyncio.to_thread(transport.send, HttpRequest(slow.url, {}, None, "another"), 4.0)
    assert answer.status == 200
    await asyncio.gather(*(asyncio.to_thread(one.join) for one in waiting))
    transport.close()


class LossyTransport:
    """Loses questions on their way, until it is mended."""

    def __init__(self, inner: AsyncTransport, lost: Callable[[HttpRequest], bool]) -> None:
        self._inner = inner
        self.lost = lost

    async def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        if self.lost(request):
            raise TransportError("lost")
        return await self._inner.send(request, seconds)

    async def close(self) -> None:
        await self._inner.close()


async def test_a_decision_point_that_shows_its_metadata_is_asked_after_any_number_of_lost_questions() -> None:
    server = await serve(Alone([stored(rule())]).application, "127.0.0.1", 0)
    losing = LossyTransport(AsyncHttpTransport(), lambda request: request.method == "POST")
    url = f"http://127.0.0.1:{server.port}"
    async with AsyncBailiwick(url, endpoint="crm/crm-api", token=lambda: PEP, transport=losing) as pdp:
        lost = [await pdp.evaluate(CALL) for _ in range(3 * FAILURES)]
        assert {(one.reason, one.attempts) for one in lost} == {("pdp_unavailable", 1)}
        losing.lost = lambda _: False
        assert await pdp.evaluate(CALL)
    await server.stop()


async def test_one_that_shows_none_is_left_alone() -> None:
    losing = LossyTransport(AsyncHttpTransport(), lambda _: True)
    async with AsyncBailiwick("http://127.0.0.1:9", endpoint="crm/crm-api", token=None, transport=losing) as pdp:
        lost = [await pdp.evaluate(CALL) for _ in range(FAILURES + 2)]
    assert [one.attempts for one in lost] == [1] * (FAILURES + 1) + [0]
