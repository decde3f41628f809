"""The connection's own protocol answers like the application, whatever is sent and whatever goes wrong."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp.compression_utils import ZLibDecompressor

from bailiwick_webhook.http import app
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.identity.jwt.issuers import Issuers
from bailiwick_webhook.identity.subject import ByToken
from contract.asking_alone import PEP, STRANGER, body, stored
from support.pdp.alone import Alone, KeptRecords, NamedTokens, NamedWorkloads

PLAIN: Final = "/endpoints/crm/crm-api/access/v1/evaluation"
# The same path to the application, and no path of the front's.
SPELLED: Final = "/endpoints/crm/%63rm-api/access/v1/evaluation"
CHANGING: Final = re.compile(
    rb'"evaluation_id":"eval_[0-9a-f]{32}"|"evaluated_at":"[^"]*"|(?<=Date:) [^\r]*|"expires_at":"[^"]*"'
)


def whole(answer: bytes) -> bool:
    """Tell whether what came is all of an answer, by the length that it says; that to HEAD says one, and has none."""
    head, _, said = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return length is not None and (not said or len(said) >= int(length[1]))


class FrontConnection:
    """A decision point and a connection to it."""

    def __init__(self, alone: Alone, port: int) -> None:
        self.alone = alone
        self.draining = False
        self._port = port

    async def talk(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send bytes; return all that comes until the connection is closed, or nothing more comes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        out = b""
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            # Long for an answer, and a moment for what should not follow it.
            while chunk := await asyncio.wait_for(reader.read(65536), 0.3 if whole(out) else 10.0):
                out += chunk
        except TimeoutError:
            return out + b"<open>"
        finally:
            writer.close()
        return out


@asynccontextmanager
async def talking(alone: Alone | None = None, bounds: Bounds | None = None) -> AsyncIterator[FrontConnection]:
    alone = alone or Alone([stored()])
    tokens: Any = NamedTokens()
    workloads: Any = NamedWorkloads()
    it = FrontConnection(alone, 0)
    application = app.build(
        alone.pdp, ByToken(tokens, Issuers(()), workloads), "https://pdp.example", lambda: it.draining, bounds=bounds
    )
    server = await serve(application, "127.0.0.1", 0)
    it._port = server.port
    try:
        yield it
    finally:
        await server.stop()


def request(
    path: str = PLAIN,
    sent: object = None,
    *headers: str,
    method: str = "POST",
    version: str = "1.1",
    caller: str = PEP,
    length: int | None = None,
) -> bytes:
    raw = sent if isinstance(sent, bytes) else json.dumps(body() if sent is None else sent).encode()
    lines = [
        f"{method} {path} HTTP/{version}",
        "Host: elsewhere.example",
        f"Authorization: Bearer {caller}",
        "Content-Type: application/json",
        f"Content-Length: {len(raw) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + raw


def alike(answer: bytes) -> tuple[list[bytes], bytes]:
    """Return an answer's lines in order of name, and its body, without what is new in each."""
    head, _, said = CHANGING.sub(b"", answer).partition(b"\r\n\r\n")
    return sorted(head.split(b"\r\n")), said


BODIES: Final[dict[str, object]] = {
    "allowed": body(),
    "denied": body(action="customers.purge"),
    "no JSON": b"{",
    "a member twice": b'{"subject":{},"subject":{}}',
    "an empty one": b"",
    "a wrong type": {**body(), "subject": 1},
    "someone else's token": body(subject="system:serviceaccount:agents:other"),
}
HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "nothing else": (),
    "a request id": ("X-Request-ID: one-1",),
    "a request id of words": ("X-Request-ID: two words",),
    "a request id that is none": (f"X-Request-ID: {'x' * 257}",),
    "to be closed": ("Connection: close", "X-Request-ID: one-1"),
    "to be kept": ("Connection: keep-alive",),
    "to be told to go on": ("Expect: 100-continue",),
    "another expectation": ("Expect: miracles",),
    "compressed": ("Content-Encoding: gzip",),
    "an upgrade": ("Connection: Upgrade", "Upgrade: websocket"),
}


@pytest.mark.long
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("headers", HEADERS)
async def test_the_front_and_the_application_give_the_same_answer(headers: str, version: str) -> None:
    async with talking() as it:
        for sent in BODIES.values():
            front, behind = await asyncio.gather(
                *(it.talk(request(path, sent, *HEADERS[headers], version=version)) for path in (PLAIN, SPELLED))
            )
            assert alike(front) == alike(behind)
            assert front.startswith(b"HTTP/")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("last", ["evaluation", "evaluations"])
async def test_another_method_is_answered_by_the_application(last: str, method: str) -> None:
    async with talking() as it:
        answer = await it.talk(request(PLAIN.replace("evaluation", last), b"", method=method))
    assert b" 405 " in answer
    assert b"\r\nAllow: POST\r\n" in answer


@pytest.mark.parametrize(
    "path",
    [
        "/endpoints/crm/crm-api/access/v1/evaluation/",
        "/endpoints/crm/crm-api/access/v1/evaluation;v=2",
        "/endpoints/crm/crm-api/access/v1/evaluationss",
        "/endpoints/crm//access/v1/evaluation",
        "//endpoints/crm/crm-api/access/v1/evaluation",
    ],
)
async def test_a_path_that_is_no_path_of_ours_is_404(path: str) -> None:
    async with talking() as it:
        assert b" 404 " in await it.talk(request(path))


@pytest.mark.parametrize(
    "path",
    [f"{PLAIN}?v=2", f"{PLAIN}#x", f"http://elsewhere.example{PLAIN}", SPELLED, PLAIN.replace("access", "%61ccess")],
)
async def test_a_path_that_comes_to_the_same_gets_the_same_decision(path: str) -> None:
    async with talking() as it:
        assert b'"decision":true' in await it.talk(request(path))


async def test_requests_that_are_sent_at_once_are_answered_in_order() -> None:
    sent = b"".join(request(PLAIN, None, f"X-Request-ID: n{number}") for number in range(20))
    async with talking() as it:
        answer = await it.talk(sent)
    assert re.findall(rb"X-Request-ID: n(\d+)\r\n", answer) == [b"%d" % number for number in range(20)]
    assert answer.count(b'"decision":true') == 20
    assert answer.endswith(b"<open>")


@pytest.mark.parametrize("cut", [1, 30, 300, -1])
async def test_a_request_that_comes_in_pieces_is_answered(cut: int) -> None:
    whole = request()
    async with talking() as it:
        answer = await it.talk(whole[:cut], whole[cut:], request(), pause=0.02)
    assert answer.count(b'"decision":true') == 2


async def test_a_body_in_chunks_is_read() -> None:
    raw = json.dumps(body()).encode()
    head = request(PLAIN, b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    async with talking() as it:
        for chunks in ([raw], [raw[:50], raw[50:]]):
            coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
            assert b'"decision":true' in await it.talk(head, coded)
            assert b'"decision":true' in await it.talk(head + coded)


async def test_a_body_that_does_not_fit_is_refused_whole_or_in_pieces() -> None:
    padded = b" " * (1024 * 1024 + 1)
    async with talking() as it:
        assert b"larger than 1048576 bytes" in await it.talk(request(PLAIN, b"", length=len(padded)))
        head = request(PLAIN, b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
        assert b"larger than 1048576 bytes" in await it.talk(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(padded), padded))


async def test_a_body_that_ends_early_harms_nobody() -> None:
    async with talking() as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it._port)
        writer.write(request(PLAIN, b"{", length=100))
        await writer.drain()
        writer.close()
        assert await reader.read() == b""
        assert b'"decision":true' in await it.talk(request())


@pytest.mark.parametrize("path", [PLAIN, SPELLED])
async def test_while_we_drain_an_answer_ends_its_connection(path: str) -> None:
    async with talking() as it:
        it.draining = True
        answer = await it.talk(request(path))
    assert b'"decision":true' in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert not answer.endswith(b"<open>")


@pytest.mark.parametrize("path", [PLAIN, SPELLED, PLAIN + "s"])
async def test_a_defect_is_500_and_says_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking() as it:

        def broken(*_: object) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(it.alone.pdp, "evaluate", broken)
        answer = await it.talk(request(path, None, "X-Request-ID: one-1"))
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"secret" not in answer
    assert b"\r\nX-Request-ID: one-1\r\n" in answer
    assert b"\r\nCache-Control: no-store\r\n" in answer


@pytest.mark.parametrize("path", [PLAIN, SPELLED, PLAIN + "s"])
async def test_a_stranger_is_told_the_same_everywhere(path: str) -> None:
    async with talking() as it:
        answer = await it.talk(request(path, None, caller=STRANGER))
        unknown = await it.talk(request(path.replace("crm/", "nowhere/"), None, caller=STRANGER))
    assert b" 403 Forbidden\r\n" in answer
    assert alike(answer) == alike(unknown)


async def test_a_decision_that_cannot_be_recorded_is_a_denial() -> None:
    async with talking(Alone([stored()], records=KeptRecords(lambda _: True))) as it:
        assert b'"decision":false' in await it.talk(request())


async def _send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(request() * 64)
        await writer.drain()


@pytest.mark.long
async def test_whoever_reads_no_answers_is_not_read_from_for_ever() -> None:
    # More than it can send: what ends this is not how often it asked.
    async with talking(bounds=Bounds(requests=10**9)) as it:
        _, writer = await asyncio.open_connection("127.0.0.1", it._port, limit=1)
        stuck = asyncio.create_task(_send_for_ever(writer))
        await asyncio.sleep(1)
        while (before := len(it.alone.records.lines)) is not None:
            await asyncio.sleep(1)
            if len(it.alone.records.lines) == before:
                break
        assert before > 0
        assert not stuck.done()
        stuck.cancel()
        writer.transport.abort()
        assert b'"decision":true' in await it.talk(request())


@pytest.mark.long
@pytest.mark.parametrize("caller", [PEP, "nobody's"])
@pytest.mark.parametrize("encodings", [("gzip",), ("identity", "gzip"), ("gzip", "identity"), ("deflate",)])
async def test_a_compressed_body_is_never_unpacked_since_one_megabyte_of_it_would_stop_all_answers_for_seconds(
    monkeypatch: pytest.MonkeyPatch, encodings: tuple[str, ...], caller: str
) -> None:
    unpacked: list[bytes] = []

    def unpack(_: object, data: bytes, **__: object) -> bytes:
        unpacked.append(data)
        raise ValueError

    monkeypatch.setattr(ZLibDecompressor, "decompress_sync", unpack)
    sent = gzip.compress(json.dumps(body()).encode())
    async with talking() as it:
        for path in (PLAIN, SPELLED):
            headers = [f"Content-Encoding: {encoding}" for encoding in encodings]
            answer = await it.talk(request(path, sent, *headers, caller=caller))
            assert answer.startswith(b"HTTP/1.1 400 " if caller == PEP else b"HTTP/1.1 401 ")
    assert not unpacked


async def test_a_body_that_is_said_to_be_compressed_twice_over_is_400_though_the_first_word_is_identity() -> None:
    async with talking() as it:
        answer = await it.talk(request(PLAIN, None, "Content-Encoding: identity", "Content-Encoding: gzip"))
    assert b'"field":"Content-Encoding"' in answer
