"""What is recognised as a plain request, aiohttp's parser reads as the same: no byte sequence means two things.

Holds: the bytes are those of a plain request with a few of them replaced, put in, left out or sent twice.
"""

import asyncio
from typing import Final

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpVersion11
from aiohttp.http_parser import HttpRequestParser
from aiohttp.test_utils import make_mocked_request
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
    b"Connection: Keep-Alive",
    b"Proxy-Connection: close",
    b"Content-Encoding: gzip",
    b"Content-Type: application/json; charset=utf-8",
    b"Sec-WebSocket-Key1: x",
    b"User-Agent: a",
    b"Etag: b",
    b"Max-Forwards: 1",
    b"Host:x: y",
)
# Names that some program reads, and any others; of each the values that it may have, and any others.
NAMES: Final = st.one_of(
    st.sampled_from(
        [
            *("TE", "Trailer", "Expect", "Upgrade", "Range", "Cookie", "Via", "Forwarded", "X-Forwarded-For", "Date"),
            *("Keep-Alive", "Transfer-Encoding", "transfer_encoding", "Content_Length", "HTTP2-Settings", "Connection"),
            *(
                "Content-MD5",
                "Content-Range",
                "Content-Location",
                "Server",
                "Priority",
                "Proxy-Authorization",
                "Origin",
            ),
            *("Sec-WebSocket-Key", "X-HTTP-Method-Override", "X-Bailiwick-Enforcer", "Accept", "x-b3-traceid", "DPoP"),
        ]
    ),
    st.text("!#$%&'*+-.^_`|~aZ09", min_size=1, max_size=70),
    st.text('aZ-: ()<>@,;\\"/[]?={}\t\x7f\xe9', min_size=1, max_size=8),
)
VALUES: Final = st.one_of(
    st.sampled_from(
        ["close", "keep-alive", "chunked", "100-continue", "trailers", "gzip", "h2c", "websocket", "1", ""]
    ),
    st.text('aZ09 :,;="*/\t\x00\x7f\xe9', max_size=12),
)
PIECES: Final = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"%", b"?", b"/", b"\x80", b"\xc3\xa9", b"0", b"\r\n\r\n"]
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    first, *lines = LINES
    if draw(st.booleans()):
        lines = draw(st.permutations(lines))
    others = {
        b"abc.def": draw(st.sampled_from([b"abc.def", b"abc.def", b"abd.def"])),
        b"one": b"%d" % draw(st.integers(0, 9)),
    }
    for old, new in others.items():
        lines = [line.replace(old, new) for line in lines]
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(MORE)))
    for _ in range(draw(st.integers(0, 3))):
        name, value = draw(NAMES), draw(VALUES)
        line = f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{value}".encode("latin-1")
        lines.insert(draw(st.integers(0, len(lines))), line)
    for _ in range(draw(st.integers(0, 2))):
        # The same to aiohttp, however it is spaced.
        at = draw(st.integers(0, len(lines) - 1))
        field, _, rest = lines[at].partition(b": ")
        lines[at] = field + draw(st.sampled_from([b":", b":  ", b":\t", b": \t"])) + rest
    if draw(st.integers(0, 20)) == 0:
        lines += [b"X-%d: y" % number for number in range(draw(st.integers(90, 140)))]
    for _ in range(draw(st.integers(0, 1))):
        lines.pop(draw(st.integers(0, len(lines) - 1)))
    if draw(st.booleans()):
        first = first.replace(b"evaluation ", b"evaluations ")
    raw = b"\r\n".join([first, *lines, b"", b""]) + BODY
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(PIECES) + raw[at + draw(st.integers(0, 1)) :]
    return raw


def content_type(header: str) -> str:
    """Return what aiohttp reads of the header."""
    request = make_mocked_request("POST", "/", headers={"Content-Type": header})
    return request.content_type


@given(messages())
@example(b"\r\n".join([*LINES, b"", b""]) + BODY)
@example(b"\r\n".join([*LINES, b"", b""]).replace(b"Authorization: ", b"Authorization:") + BODY)
@example(b"\r\n".join([*LINES, b"", b""]).replace(b"X-Request-ID: ", b"X-Request-ID:") + BODY)
def test_what_is_plain_is_the_same_to_both(raw: bytes) -> None:
    head = head_of(raw)
    if head is None or head.missing(raw):
        return
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, auto_decompress=False)
        ((message, payload),), upgraded, tail = parser.feed_data(raw)
        assert (message.method, message.version) == ("POST", HttpVersion11)
        assert message.path == f"/endpoints/{head.of.namespace}/{head.of.endpoint}/access/v1/{head.operation}"
        assert (message.should_close, message.chunked, message.compression, message.upgrade) == (
            head.closes,
            False,
            None,
            False,
        )
        assert (upgraded, tail, payload.is_eof()) == (False, b"", True)
        sent = head.request(raw)
        assert payload.read_nowait() == sent.body
        assert len(message.headers) == len({name.lower() for name in message.headers})
        assert message.headers.get("Authorization") == sent.authorization
        assert content_type(message.headers["Content-Type"]) == "application/json"
        assert message.headers.get("X-Request-ID") == sent.marked.request_id
        assert not {"Expect", "Upgrade", "Content-Encoding", "Trailer", "TE"} & {*message.headers}
    finally:
        loop.close()


@given(messages(), st.integers(1, 400))
def test_a_part_of_a_message_is_never_taken_for_all_of_it(raw: bytes, less: int) -> None:
    head, part = head_of(raw), raw[:-less]
    beginning = head_of(part)
    if head is not None and beginning is not None:
        assert beginning == head
        assert beginning.missing(part) == head.missing(raw) + len(raw) - len(part)
