"""Calls by HTTP/2, whose first line is headers too: what was asked about reaches the upstream, or nothing does."""

import pytest

from support.proxies import frames
from support.proxies.frames import Field
from support.proxies.proxyprocess import RunningProxy
from support.proxies.scene import Scene
from support.proxies.servers import Server

HOST = "crm.example.com"
OTHER = "other.example.com"
ALLOWED = "/customers/42"


def call(*changes: Field, path: str = ALLOWED, method: str = "GET", authority: str | None = HOST) -> list[Field]:
    fields = [(":method", method), (":scheme", "http"), (":path", path)]
    fields += [] if authority is None else [(":authority", authority)]
    return [*fields, *changes]


def served(proxy: RunningProxy, scene: Scene, fields: list[Field], body: bytes = b"") -> bool:
    name, value = scene.bearer()
    pseudo = [field for field in fields if field[0].startswith(":")]
    return frames.send(proxy.port, [*pseudo, (name.lower(), value), *fields[len(pseudo) :]], body)


@pytest.mark.parametrize("before", ["envoy", "envoy-grpc"], indirect=True)
def test_a_call_by_http2_is_decided_like_any_other(proxy: RunningProxy, scene: Scene, upstream: Server) -> None:
    assert served(proxy, scene, call())
    (reached,) = upstream.asked
    assert (reached.method, reached.target, reached.all("host")) == ("GET", ALLOWED, [HOST])
    assert not served(proxy, scene, call(method="DELETE"))
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("before", ["nginx", "haproxy", "caddy"], indirect=True)
def test_http2_is_not_spoken_where_trailers_could_not_be_dropped(
    proxy: RunningProxy, scene: Scene, upstream: Server
) -> None:
    assert not served(proxy, scene, call())
    assert upstream.asked == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(call(("host", OTHER)), id="another Host beside the authority"),
        pytest.param(call(("host", HOST), authority=OTHER), id="another authority beside the Host"),
        pytest.param(call(("host", OTHER), ("host", HOST)), id="two Hosts"),
        pytest.param(call(("host", HOST), authority=None), id="no authority"),
        pytest.param(call(authority=None), id="neither authority nor Host"),
        pytest.param(call(authority=f"user@{HOST}"), id="an authority with a user"),
        pytest.param(call(authority=f"{HOST},{OTHER}"), id="two authorities in one"),
        pytest.param([*call()[:3], (":authority", OTHER), (":authority", HOST)], id="two authorities"),
        pytest.param([(":path", "/admin"), *call()], id="two paths, the other one first"),
        pytest.param([*call(), (":path", "/admin")], id="two paths, the other one last"),
        pytest.param([(":method", "DELETE"), *call()], id="two methods, the other one first"),
        pytest.param([*call(), (":method", "DELETE")], id="two methods, the other one last"),
        pytest.param([*call(), ("x-one", "x"), (":path", "/admin")], id="a pseudo-header behind a header"),
        pytest.param(call(path=f"http://{HOST}/admin"), id="a path with a scheme"),
        pytest.param(call(path="customers/42"), id="a path that is not absolute"),
        pytest.param(call(path="*"), id="a path that is none"),
        pytest.param(call(path=""), id="an empty path"),
        pytest.param(call(path="/customers/42 HTTP/1.1\r\nX: y"), id="a path that ends the line"),
        pytest.param(call(path="/customers/../admin"), id="a path with two readings"),
        pytest.param(call(method="GET /admin HTTP/1.1\r\nX: y\r\n\r\nGET"), id="a method that ends the line"),
        pytest.param(call(method="get"), id="a method in small letters"),
        pytest.param(call(("x-one", "x\r\nx-bailiwick-subject: forged")), id="a value that ends the line"),
        pytest.param(call(("X-Upper", "x")), id="a name in capitals"),
        pytest.param(call(("connection", "authorization")), id="a header of a connection"),
        pytest.param(call(("transfer-encoding", "chunked")), id="chunks"),
        pytest.param(call(("x-http-method-override", "DELETE")), id="another method in a header"),
        pytest.param(call(("authorization", "Bearer x.y.z")), id="two credentials"),
        pytest.param(call(("x-bailiwick-subject", "forged")), id="an answer of ours"),
        pytest.param(call(("x-bailiwick-issuer", "forged")), id="another answer of ours"),
        pytest.param(call((":status", "200")), id="a status"),
    ],
)
def test_what_reaches_the_upstream_is_what_was_asked_about(
    proxy: RunningProxy, scene: Scene, upstream: Server, fields: list[Field]
) -> None:
    served(proxy, scene, fields)
    for reached in upstream.asked:
        assert (reached.method, reached.target, reached.all("host")) == ("GET", ALLOWED, [HOST])
        assert "forged" not in str(reached.headers)
        assert len(reached.all("authorization")) == 1


@pytest.mark.parametrize("length", ["0", "3", "9999999"])
def test_a_length_that_is_not_that_of_the_body_reaches_nobody_otherwise(
    proxy: RunningProxy, scene: Scene, upstream: Server, length: str
) -> None:
    served(proxy, scene, call(("content-length", length)), b"GET /admin HTTP/1.1\r\n\r\n")
    assert [reached.target for reached in upstream.asked] in ([], [ALLOWED])
    assert all(len(reached.body) == int(dict(reached.headers).get("content-length", "0")) for reached in upstream.asked)
