"""WebSocket is opened on the one path for which the page of a proxy says how, and on no other."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import indent
from typing import Final, NamedTuple

import pytest
import yaml

from proxies.configurations import EXAMPLES
from support.pdp.standalone import Process
from support.proxies.kinds import PROXIES, envoy_grpc
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import Answer, attempt
from support.proxies.reports import ReportingUpstream
from support.proxies.scene import Scene

PAGES: Final = EXAMPLES.parents[1] / "docs" / "how-to"
ASKED: Final = ("Connection: Upgrade", "Upgrade: websocket", "HTTP2-Settings: AAMAAABkAAQAAP__")


def blocks(page: str) -> list[str]:
    """Return the blocks of code of a page behind the sentence on WebSocket, and up to the next heading."""
    told = (PAGES / page).read_text(encoding="utf-8").partition("For WebSocket on one path")[2].partition("\n## ")[0]
    return [one.partition("\n")[2] for one in told.split("```")[1::2]]


def nginx() -> Mapping[str, str]:
    maps, headers = blocks("nginx.md")
    upgrade, connection = headers.splitlines()
    location = 'proxy_set_header Connection "";\n      proxy_set_header Upgrade "";'
    return {"  server {\n    listen": f"{maps}  server {{\n    listen", location: f"{upgrade}\n{connection}"}


def haproxy() -> Mapping[str, str]:
    before, behind = blocks("haproxy.md")
    first, last = "  http-request del-header Upgrade\n", "  http-request del-header Trailer\n"
    return {first: f"{indent(before, '  ')}{first}", last: f"{last}{indent(behind, '  ')}"}


def caddy() -> Mapping[str, str]:
    (lines,) = blocks("caddy.md")
    return {"\t\trequest_header -Upgrade\n": "", "\t\trequest_header -Connection\n": indent(lines, "\t\t")}


def envoy() -> Mapping[str, str]:
    (route,) = blocks("envoy.md")
    return {"              - match: {prefix: /}\n": f"{indent(route, ' ' * 14)}              - match: {{prefix: /}}\n"}


OPENED: Final = {"nginx": nginx, "haproxy": haproxy, "caddy": caddy, "envoy": envoy, "envoy-grpc": envoy}


class SocketScene(Scene):
    """A policy under which the caller may open a socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        policy = yaml.safe_load((EXAMPLES / "policy.yaml").read_text(encoding="utf-8"))
        own = policy["spec"]["endpointSettings"]["http"]
        socket = {"type": "customer", "id": "socket"}
        own["routes"].append({"methods": ["GET"], "path": "/socket", "action": "customers.get", "resource": socket})
        (self.policies / "policy.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")


class SocketBed(NamedTuple):
    """A proxy that opens a socket."""

    scene: Scene
    proxy: RunningProxy
    upstream: ReportingUpstream

    def ask(self, target: str, *lines: str) -> Answer:
        """Ask for a socket, and say something behind that."""
        name, value = self.scene.bearer()
        head = [f"GET {target} HTTP/1.1", "Host: crm.example.com", f"{name}: {value}", *lines]
        raw = "\r\n".join(
            [*head, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
        ).encode()
        return attempt(self.proxy.port, raw, 1.0)


@pytest.fixture(scope="module")
def socket_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return SocketScene(tmp_path_factory.mktemp("sockets"))


@pytest.fixture(scope="module")
def socket_point(socket_scene: Scene) -> Iterator[Process]:
    with (socket_scene.folder / "point.log").open("wb") as log:
        point = socket_scene.point(log, grpc=True)
        yield point
        point.stop()


@pytest.fixture(scope="module", params=list(PROXIES))
def opened(
    request: pytest.FixtureRequest,
    socket_scene: Scene,
    socket_point: Process,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SocketBed]:
    starts = PROXIES[request.param]
    port = socket_point.grpc_port if starts is envoy_grpc else socket_point.port
    with ReportingUpstream() as upstream:
        folder = tmp_path_factory.mktemp("proxy")
        with starts(socket_scene, folder, upstream.port, port, OPENED[request.param]()) as proxy:
            yield SocketBed(socket_scene, proxy, upstream)


def test_a_socket_is_opened_on_its_path_and_keeps_our_headers(opened: SocketBed) -> None:
    opened.upstream.calls.clear()
    assert opened.ask("/socket", *ASKED).status == 101
    (call,) = opened.upstream.calls
    assert (call.target, call.all("upgrade")) == ("/socket", ["websocket"])
    assert [value.lower() for value in call.all("connection")] == ["upgrade"]
    assert len(call.all("x-bailiwick-subject")) == len(call.all("x-bailiwick-decision")) == 1


def test_no_header_of_ours_is_taken_away_where_a_socket_is_opened(opened: SocketBed) -> None:
    opened.upstream.calls.clear()
    opened.ask("/socket", "Connection: Upgrade, X-Bailiwick-Subject", *ASKED[1:])
    for call in opened.upstream.calls:
        assert all("bailiwick" not in value.lower() for value in call.all("connection"))
        assert len(call.all("x-bailiwick-subject")) == len(call.all("x-bailiwick-decision")) == 1


@pytest.mark.parametrize(
    ("target", "upgrade"),
    [("/customers/42", "websocket"), ("/socket", "h2c"), ("/customers/42?x=/socket", "websocket"), ("/socket", "x/1")],
)
def test_nothing_else_is_opened(opened: SocketBed, target: str, upgrade: str) -> None:
    opened.upstream.calls.clear()
    assert opened.ask(target, "Connection: Upgrade", f"Upgrade: {upgrade}").status != 101
    assert all(not call.all("upgrade") for call in opened.upstream.calls)


@pytest.mark.parametrize("others", [("h2c",), ("x/1", "h2c"), ("websocket, h2c",), ("h2c, websocket",)])
@pytest.mark.parametrize("first", [True, False])
def test_a_socket_that_is_opened_is_one_of_websocket(opened: SocketBed, others: tuple[str, ...], first: bool) -> None:
    opened.upstream.calls.clear()
    upgrades = [f"Upgrade: {one}" for one in (*others, "websocket")]
    opened.ask("/socket", "Connection: Upgrade", *(upgrades if first else upgrades[::-1]))
    for call in opened.upstream.calls:
        assert call.all("upgrade") in ([], ["websocket"])
