"""A connection whose plain requests are answered by its own protocol says what one of aiohttp's says, whatever comes.

Holds: requests, some of them odd, are sent to two servers of the same application: to ours in one stream that is cut at
any places, and to one of which every connection is aiohttp's from the beginning, each request after the answer to the
one before. The answers are the same, in the same order. Of requests that come in one piece with what is none, aiohttp
answers none: these alone may be left out.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from bailiwick_webhook.http.transport.connections import BOUNDED
from bailiwick_webhook.http.transport.server import serve
from contract.asking_alone import PEP, STRANGER, body, stored
from contract.connections.test_front import PLAIN, SPELLED, alike, request, whole
from support.pdp.alone import Alone

LAST: Final = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LINES: Final = (
    "Accept: */*",
    "Connection: keep-alive",
    "Connection: close",
    "Content-Encoding: gzip",
    "Content-Length: 3",
    "Cookie: a=b",
    "Expect: miracles",
    "Host: twice.example",
    "Transfer-Encoding: chunked",
    "Upgrade: websocket",
    "User-Agent: a",
    "X-Forwarded-For: 10.0.0.1",
    "X-Any:thing",
    "X-Odd : thing",
    "X-Odd\t: thing",
    " folded",
)
BODIES: Final = (
    body(),
    body(action="customers.purge"),
    body(explain=True),
    b"{",
    b"",
    b'{"subject":1}',
    {"evaluations": [body(), body(action="customers.purge")]},
)
Answer = tuple[list[bytes], bytes]
# Stands for the end of what comes where a connection was reset.
_RESET: Final = b"\0reset"
RESET: Final[Answer] = ([], b"")
MALFORMED: Final = b"This is not a valid HTTP/1.1 request"
# For what should come, and for what may not come at all.
_LONG: Final = 0.6
_SHORT: Final = 0.15
BYTES: Final = st.sampled_from([b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"\xe9", b"0", b"\r\n\r\n", b"POST "])


@st.composite
def requests(draw: st.DrawFn, number: int) -> bytes:
    path = draw(st.sampled_from([PLAIN, PLAIN, PLAIN, PLAIN + "s", SPELLED, "/nothing"]))
    sent = draw(st.sampled_from(BODIES))
    lines = draw(st.lists(st.sampled_from(LINES), max_size=2))
    raw = request(
        path, sent, f"X-Request-ID: n{number}", *lines, caller=draw(st.sampled_from([PEP, PEP, STRANGER, "nobody"]))
    )
    for _ in range(draw(st.sampled_from([0, 0, 0, 1]))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(BYTES) + raw[at + draw(st.integers(0, 1)) :]
    return raw


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], tuple[int, ...]]:
    """Return what is sent, and where it is cut."""
    sent = [*(draw(requests(number)) for number in range(draw(st.integers(1, 4)))), LAST]
    return sent, tuple(sorted(draw(st.lists(st.integers(1, sum(map(len, sent)) - 1), max_size=4))))


class BothServers:
    """Servers of one application, of which one leaves everything to aiohttp."""

    def __init__(self, runner: asyncio.Runner, ours: int, aiohttps: int) -> None:
        self._runner = runner
        self._ours, self._aiohttps = ours, aiohttps

    def talk(self, sent: list[bytes], cuts: tuple[int, ...]) -> list[list[Answer]]:
        """Return what each of them answers."""

        async def both() -> list[bytes]:
            return list(await asyncio.gather(_in_pieces(self._ours, sent, cuts), _in_turn(self._aiohttps, sent)))

        return [_answers(one) for one in self._runner.run(both())]


async def _in_pieces(port: int, sent: list[bytes], cuts: tuple[int, ...]) -> bytes:
    raw = b"".join(sent)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for begin, end in zip((0, *cuts), (*cuts, len(raw)), strict=True):
            writer.write(raw[begin:end])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return await _read(reader, lambda _: False, _LONG)
    finally:
        writer.transport.abort()


async def _in_turn(port: int, sent: list[bytes]) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    out = b""
    try:
        for one in sent:
            writer.write(one)
            out += await _read(reader, whole, _LONG if one is LAST else _SHORT)
            if out.endswith(_RESET):
                return out
        return out + await _read(reader, lambda _: False, _SHORT)
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, done: Callable[[bytes], bool], seconds: float) -> bytes:
    """Return what comes until it is done, or for so many seconds nothing comes."""
    out = b""
    try:
        while not done(out):
            chunk = await asyncio.wait_for(reader.read(65_536), seconds)
            if not chunk:
                break
            out += chunk
    except TimeoutError:
        return out
    except ConnectionError:
        return out + _RESET
    return out


def _answers(out: bytes) -> list[Answer]:
    """Return head and body of each."""
    found: list[Answer] = []
    while out:
        if out == _RESET:
            return [*found, RESET]
        head, _, rest = out.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\nContent-Length: (\d+)", head)
        size = 0 if length is None else int(length[1])
        found.append(alike(head + b"\r\n\r\n" + rest[:size]))
        out = rest[size:]
    return found


@pytest.fixture(scope="module")
def servers() -> Iterator[BothServers]:
    @asynccontextmanager
    async def serving() -> AsyncIterator[list[int]]:
        async with AsyncExitStack() as stack:
            ports = []
            for ours in (True, False):
                application = Alone([stored()]).application
                if not ours:
                    application[BOUNDED] = application[BOUNDED]._replace(shortcut=None)
                server = await serve(application, "127.0.0.1", 0)
                stack.push_async_callback(server.stop)
                ports.append(server.port)
            yield ports

    with asyncio.Runner() as runner:
        context = serving()
        ours, aiohttps = runner.run(context.__aenter__())
        yield BothServers(runner, ours, aiohttps)
        runner.run(context.__aexit__(None, None, None))


@settings(deadline=None)
@given(stream=streams())
def test_what_is_answered_is_what_aiohttp_alone_would_answer(
    servers: BothServers, stream: tuple[list[bytes], tuple[int, ...]]
) -> None:
    ours, aiohttps = servers.talk(*stream)
    aiohttps = [one for one in aiohttps if one is not RESET]
    if RESET in ours:
        # It was closed after an answer that said so, with more behind it: what was sent may be lost with that.
        ours.remove(RESET)
        assert ours == aiohttps[: len(ours)]
    elif aiohttps and MALFORMED in aiohttps[-1][1]:
        assert ours[-1] == aiohttps[-1]
        both = min(len(ours), len(aiohttps)) - 1
        assert ours[:both] == aiohttps[:both]
    else:
        assert ours == aiohttps


def test_the_streams_are_answered_by_both(servers: BothServers) -> None:
    sent = [*(request(PLAIN, None, f"X-Request-ID: n{number}") for number in range(3)), LAST]
    ours, aiohttps = servers.talk(sent, (5, 700))
    assert ours == aiohttps
    assert [b'"decision":true' in said for _, said in ours] == [True] * 3 + [False]
