"""What is recognised as a plain request, aiohttp's parser reads as the same: no byte sequence means two things.

Holds: the bytes are those of a plain request with a few of them replaced, put in, left out or sent twice.
"""

import asyncio
from typing import Final

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpVersion11
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given, strategies as st

from bailiwick_webhook.http.transport.plainrequest import head_of

BODY: Final = b'{"subject":{"type":"serviceAccount","id":"a"}}'
LINES: Final = (
    b"POST /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1",
    b"Host: pdp.example",
    b"Authorization: Bearer abc.def.ghi",
    b"Content-Type: application/json",
    b"Content-Length: %d" % len(BODY),
    b"X-Request-ID: one two",
    b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
    b"Connection: keep-alive",
    b"Accept: */*",
)
MORE: Final = (
    *LINES[1:],
    b"Transfer-Encoding: chunked",
    b"content-length: 3",
    b"CONTENT-LENGTH: 46",
    b"Content-Length: +46",
    b"Content-Length: 046",
    b"Expect: 100-continue",
    b"Upgrade: h2c",
    b"Connection: close",
    b"Host:",
    b" folded",
    b"Accept:*/*",
    b"Accept : */*",
    b"aCCept-eNcoding: gzip",
)
PIECES: Final = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"%", b"?", b"/", b"\x80", b"\xc3\xa9", b"0", b"\r\n\r\n"]
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    first, *lines = LINES
    lines = draw(st.permutations(lines))
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(MORE)))
    for _ in range(draw(st.integers(0, 1))):
        lines.pop(draw(st.integers(0, len(lines) - 1)))
    raw = b"\r\n".join([first, *lines, b"", b""]) + BODY
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(PIECES) + raw[at + draw(st.integers(0, 1)) :]
    return raw


@given(messages())
@example(b"\r\n".join([*LINES, b"", b""]) + BODY)
def test_what_is_plain_is_the_same_to_both(raw: bytes) -> None:
    head = head_of(raw)
    if head is None or head.missing(raw):
        return
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, auto_decompress=False)
        ((message, payload),), upgraded, tail = parser.feed_data(raw)
        assert (message.method, message.version) == ("POST", HttpVersion11)
        assert message.path == f"/endpoints/{head.of.namespace}/{head.of.endpoint}/access/v1/evaluation"
        assert (message.should_close, message.chunked, message.compression, message.upgrade) == (
            False,
            False,
            None,
            False,
        )
        assert (upgraded, tail, payload.is_eof()) == (False, b"", True)
        sent = head.request(raw)
        assert payload.read_nowait() == sent.body
        assert len(message.headers) == len({name.lower() for name in message.headers})
        assert message.headers["Authorization"] == sent.authorization
        assert message.headers["Content-Type"] == "application/json"
        assert message.headers.get("X-Request-ID") == sent.marked.request_id
        assert "Expect" not in message.headers
    finally:
        loop.close()


@given(messages(), st.integers(1, 400))
def test_a_part_of_a_message_is_never_taken_for_all_of_it(raw: bytes, less: int) -> None:
    head, part = head_of(raw), raw[:-less]
    beginning = head_of(part)
    if head is not None and beginning is not None:
        assert beginning == head
        assert beginning.missing(part) == head.missing(raw) + len(raw) - len(part)
