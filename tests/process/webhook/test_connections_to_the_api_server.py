"""The connections of both processes to the API server, to a server that answers on a socket as it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bailiwick_kube.access import Access
from bailiwick_kube.connections import HttpTransport
from bailiwick_kube.transport import ApiRequest, TooLongError, UnreachableError

DATE = "Date: Wed, 25 Nov 2026 12:00:00 GMT\r\n"


class Server:
    """Answers each request with the same bytes, and keeps what it was sent."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self.url

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self.answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def answer(status: str, body: bytes = b"{}", *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\n{DATE}{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def asking(access: Access) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(access, 5.0, "test")
    try:
        yield transport
    finally:
        await transport.close()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirection_is_not_followed_and_the_token_goes_nowhere_else(status: str) -> None:
    elsewhere = Server(answer("200 OK"))
    async with elsewhere.running() as target:
        server = Server(answer(status, b"{}", f"Location: {target}/x"))
        async with server.running() as url, asking(Access(url, static_token="open-sesame")) as transport:
            response = await transport.call(ApiRequest("GET", "/x"))
    assert (response.unanswered, len(server.heads), elsewhere.heads) == (True, 1, [])


async def test_no_proxy_that_the_environment_names_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server(answer("200 OK"))
    server = Server(answer("200 OK"))
    async with proxy.running() as where, server.running() as url:
        monkeypatch.setenv("HTTP_PROXY", where)
        monkeypatch.setenv("http_proxy", where)
        async with asking(Access(url, static_token="open-sesame")) as transport:
            assert (await transport.call(ApiRequest("GET", "/x"))).ok
    assert (len(server.heads), proxy.heads) == (1, [])


async def test_a_token_that_was_rotated_is_sent_at_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    server = Server(answer("200 OK"))
    async with server.running() as url, asking(Access(url, token_file=token)) as transport:
        with pytest.raises(UnreachableError, match="cannot be read"):
            await transport.call(ApiRequest("GET", "/x"))
        for text in ("one", "two"):
            token.write_text(text)
            await transport.call(ApiRequest("GET", "/x"))
    assert ["Bearer one" in server.heads[0], "Bearer two" in server.heads[1], len(server.heads)] == [True, True, 2]


async def test_an_answer_that_does_not_come_is_none(unused_tcp_port: int) -> None:
    async with asking(Access(f"http://127.0.0.1:{unused_tcp_port}", static_token="x")) as transport:
        with pytest.raises(UnreachableError, match="GET /x: "):
            await transport.call(ApiRequest("GET", "/x"))
    server = Server(b"")
    server.answer = f"HTTP/1.1 200 OK\r\n{DATE}Content-Length: 9\r\n\r\n{{".encode()
    async with server.running() as url, asking(Access(url, static_token="x")) as transport:
        with pytest.raises(UnreachableError, match="POST /x: "):
            await transport.call(ApiRequest("POST", "/x", body={"a": 1}))
        # A write that may have happened is not made again here.
        assert len(server.heads) == 1


async def test_an_answer_is_read_up_to_what_the_caller_can_bear() -> None:
    server = Server(answer("200 OK", b'"' + b"x" * 98 + b'"'))
    async with server.running() as url, asking(Access(url, static_token="x")) as transport:
        assert (await transport.call(ApiRequest("GET", "/x"), most=100)).readable
        with pytest.raises(TooLongError):
            await transport.call(ApiRequest("GET", "/x"), most=99)


async def test_every_answer_tells_the_time_and_the_query_is_encoded() -> None:
    server = Server(answer("404 Not Found"))
    async with server.running() as url, asking(Access(url, static_token="x")) as transport:
        assert transport.clock.ahead is None
        response = await transport.call(ApiRequest("GET", "/x", {"labelSelector": "a=b&c"}))
        assert transport.clock.ahead is not None
        async with transport.stream(ApiRequest("GET", "/y"), silence=5.0) as stream:
            assert (stream.status, [line async for line in stream.lines]) == (404, [b"{}"])
    assert (response.missing, response.date) == (True, 1795608000.0)
    assert server.heads[0].startswith("GET /x?labelSelector=a%3Db%26c HTTP/1.1\r\n")
