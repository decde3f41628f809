"""Bodies before every real proxy: one that comes along, and those by which one call could be taken for two."""

import pytest

from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import attempt, request
from support.proxies.scene import Scene
from support.proxies.servers import Server

TYPED = ("Content-Type", "text/plain")
HIDDEN = b"GET /admin HTTP/1.1\r\nHost: crm.example.com\r\n\r\n"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)


def raw(scene: Scene, *lines: bytes, body: bytes = b"", method: bytes = b"GET") -> bytes:
    name, value = scene.bearer()
    head = [method + b" /customers/42 HTTP/1.1", b"Host: crm.example.com", f"{name}: {value}".encode(), *lines]
    return b"\r\n".join([*head, b"", b""]) + body


def test_a_denied_call_with_a_body_is_answered_at_once(proxy: RunningProxy, scene: Scene, upstream: Server) -> None:
    # Else nginx would wait for a body that it never sends on, and its client with it.
    answer = attempt(
        proxy.port, request("POST", "/customers/42/notice?template=x", scene.bearer(), TYPED, body=b"x" * 60_000)
    )
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "approval_required")
    assert upstream.asked == []


def test_the_body_of_an_allowed_call_reaches_the_upstream_whole(
    proxy: RunningProxy, scene: Scene, upstream: Server
) -> None:
    body = b"y" * 60_000
    assert attempt(proxy.port, request("GET", "/customers/42", scene.bearer(), TYPED, body=body)).status == 200
    (reached,) = upstream.asked
    assert reached.body == body


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        pytest.param([b"Content-Length: 5", b"Transfer-Encoding: chunked"], CHUNKED, id="a length beside chunks"),
        pytest.param([b"Transfer-Encoding: chunked", b"Content-Length: 5"], CHUNKED, id="chunks beside a length"),
        pytest.param([b"Content-Length: 0", b"Transfer-Encoding: chunked"], CHUNKED, id="no length beside chunks"),
        pytest.param([b"Content-Length: 0", b"Content-Length: 52"], HIDDEN, id="two lengths"),
        pytest.param([b"Content-Length: 52", b"Content-Length: 0"], HIDDEN, id="two lengths in the other order"),
        pytest.param([b"Content-Length: 0, 52"], HIDDEN, id="two lengths in one"),
        pytest.param([b"Content-Length: +52"], HIDDEN, id="a length with a sign"),
        pytest.param([b"Content-Length: 0x34"], HIDDEN, id="a length that is no decimal"),
        pytest.param([b"Content-Length : 52"], HIDDEN, id="a length whose name ends in a blank"),
        pytest.param([b"Content-Length: -1"], HIDDEN, id="a negative length"),
        pytest.param([b"Transfer-Encoding: identity, chunked"], CHUNKED, id="two codings"),
        pytest.param([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], CHUNKED, id="two codings in two"),
        pytest.param([b"Transfer-Encoding: xchunked"], CHUNKED, id="a coding that nobody knows"),
        pytest.param([b"Transfer-Encoding:\x0bchunked"], CHUNKED, id="a coding behind a control character"),
        pytest.param([b"X: y", b" Transfer-Encoding: chunked"], CHUNKED, id="a coding on a folded line"),
        pytest.param([b"Transfer-Encoding : chunked"], CHUNKED, id="a coding whose name ends in a blank"),
        pytest.param([b"X: y\nTransfer-Encoding: chunked"], CHUNKED, id="a coding behind a bare line feed"),
        pytest.param([b"Transfer-Encoding: chunked"], b"-1\r\n" + HIDDEN, id="a chunk of a negative length"),
        pytest.param([b"Transfer-Encoding: chunked"], b"0;\n" + HIDDEN, id="a chunk that ends otherwise"),
        pytest.param([b"Transfer-Encoding: chunked"], b"100000000000000000\r\n" + HIDDEN, id="a chunk too long"),
        pytest.param([], HIDDEN, id="a second call behind the first"),
    ],
)
def test_one_call_is_never_taken_for_two(
    proxy: RunningProxy, scene: Scene, upstream: Server, lines: list[bytes], body: bytes
) -> None:
    attempt(proxy.port, raw(scene, *lines, b"Connection: close", body=body))
    attempt(proxy.port, raw(scene, *lines, body=body + request("GET", "/nothing")))
    for reached in upstream.asked:
        assert (reached.method, reached.target) == ("GET", "/customers/42")
        lengths, chunks = reached.all("content-length"), reached.all("transfer-encoding")
        assert (len(lengths) < 2 and not chunks) or (lengths, chunks) == ([], ["chunked"])


def test_each_call_of_a_connection_is_asked_about(proxy: RunningProxy, scene: Scene, upstream: Server) -> None:
    twice = raw(scene) + raw(scene, b"Connection: close", method=b"DELETE")
    assert attempt(proxy.port, twice).status == 200
    assert [reached.method for reached in upstream.asked] == ["GET"]
