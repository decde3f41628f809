"""What reaches an upstream is what was asked about, before every real proxy by the file that ships, whatever is sent.

The oracle is an upstream that reports what it received, beside the questions as the proxy put them.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from proxies.configurations import EXAMPLES
from support.objects import AGENT
from support.proxies import frames
from support.proxies.frames import Field
from support.proxies.kinds import PROXIES, envoy_grpc
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import exchange
from support.proxies.reports import FAILING, ReportedCall, ReportingUpstream
from support.proxies.scene import Scene
from support.proxies.witness import NotedQuestion, Witness, witness

HOST: Final = "crm.example.com"
OTHER: Final = "other.example.com"
HIDDEN: Final = b"GET /hidden HTTP/1.1\r\nHost: crm.example.com\r\n\r\n"
FORGED: Final = "forged"
# Of an answer that is not there yet: a call that a proxy waits for the rest of gets none.
IDLE: Final = 0.4
TRAILERS: Final = b"0\r\nX-Bailiwick-Subject: forged\r\nX_Bailiwick_Subject: forged\r\nAuthorization: forged\r\n\r\n"
# By which some upstreams take a call for another one: of another method, path or host.
REPLACING: Final = (
    *("x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"),
    *("forwarded", "x-forwarded-method", "x-forwarded-uri", "x-forwarded-path", "x-forwarded-prefix"),
    *("x-original-uri", "x-original-method", "x-original-host", "x-host", "x-forwarded-server", "x-http-host-override"),
)


@dataclass(frozen=True)
class Bed:
    """One proxy between its parts."""

    scene: Scene
    proxy: RunningProxy
    upstream: ReportingUpstream
    witness: Witness
    only_http1: bool

    def send(self, raw: bytes, idle: float = IDLE) -> bytes:
        """Send bytes on a connection of their own; return what comes until it is closed, or nothing more comes."""
        with contextlib.suppress(OSError):
            return exchange(self.proxy.port, raw, idle)
        return b""

    def verify(self) -> list[ReportedCall]:
        """Hold what was reported against what was asked; return it, and begin anew."""
        reported, odd = self.upstream.calls[:], self.upstream.odd[:]
        asked = {one.decision: one for one in self.witness.noted if one.decision}
        del self.upstream.calls[: len(reported)], self.upstream.odd[: len(odd)]
        assert odd == []
        seen = [verify(call, asked) for call in reported]
        assert len(seen) == len(set(seen)), "one decision, two calls"
        return reported


def verify(call: ReportedCall, asked: dict[str | None, NotedQuestion]) -> str:
    """Hold a call that reached the upstream against the question that let it through; return its decision."""
    assert not call.tunnel, call
    (decision,) = call.all("x-bailiwick-decision")
    question = asked[decision]
    assert (call.method, call.all("host"), call.target) == (question.method, [question.host], question.target)
    assert call.all("x-bailiwick-subject") == [question.subject]
    # No other name that some reader takes for one of ours, and no list by which the next proxy takes ours away.
    ours = [name for name, _ in call.headers if "bailiwick" in name.lower()]
    assert sorted(name.lower() for name in ours) == ["x-bailiwick-decision", "x-bailiwick-subject"]
    assert all(value.lower() in {"close", "keep-alive"} for value in call.all("connection"))
    assert not call.trailers
    names = [name.lower() for name, _ in call.headers]
    assert not {"upgrade", "http2-settings", "trailer", *REPLACING} & set(names)
    assert not [name for name in names if "_" in name]
    assert call.all("x-forwarded-host") in ([], [question.host])
    verify_no_other_method(call)
    # The caller may not touch what an upstream that knows no case takes these for.
    assert not call.target.lower().startswith("/admin")
    lengths, codings = call.all("content-length"), call.all("transfer-encoding")
    assert (len(lengths) < 2 and not codings) or (lengths, codings) == ([], ["chunked"])
    return decision


def verify_no_other_method(call: ReportedCall) -> None:
    """Hold that no name in the query, and no form, can say another method."""
    parameters = parse_qsl(urlsplit(call.target).query, keep_blank_values=True)
    names = {name.strip().lower().replace("_", "-").replace(".", "-") for name, _ in parameters}
    assert not {"-method", *REPLACING} & names, call.target
    kinds = call.all("content-type")
    assert len(kinds) < 2
    assert not any("form" in kind.lower() or kind.lower().startswith("multipart") for kind in kinds)
    assert kinds or not call.body, "the type of the body is not said"


class LawScene(Scene):
    """A policy under which calls of several methods pass, and two of its paths are alike but for their case."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        policy = yaml.safe_load((EXAMPLES / "policy.yaml").read_text())
        own = policy["spec"]["endpointSettings"]["http"]
        own["routes"] += [
            route("GET POST PUT", "/{id}/{part}", "parts.touch"),
            route("GET POST PUT", "/admin/{id}", "admin.touch"),
            route("POST", "/uploads/{id}", "uploads.make"),
        ]
        policy["spec"]["rules"] = [
            {
                **policy["spec"]["rules"][0],
                "actions": ["customers.list", "customers.get", "customers.notify", "parts.touch", "uploads.make"],
                "resources": [{"type": "customer", "ids": ["*"]}],
            }
        ]
        (self.policies / "policy.yaml").write_text(yaml.safe_dump(policy))


def route(methods: str, path: str, action: str) -> dict[str, object]:
    return {"methods": methods.split(), "path": path, "action": action, "resource": {"type": "customer", "id": "{id}"}}


@pytest.fixture(scope="module")
def law_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return LawScene(tmp_path_factory.mktemp("law"))


@pytest.fixture(scope="module", params=list(PROXIES))
def bed(
    request: pytest.FixtureRequest, law_scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bed]:
    starts, folder = PROXIES[request.param], tmp_path_factory.mktemp("bed")
    over_grpc = starts is envoy_grpc
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "point.log").open("wb"))
        point = law_scene.point(log, grpc=True)
        stack.callback(point.stop)
        between = stack.enter_context(
            witness(law_scene, point.grpc_port if over_grpc else point.port, over_grpc=over_grpc)
        )
        upstream = stack.enter_context(ReportingUpstream())
        proxy = stack.enter_context(starts(law_scene, folder, upstream.port, between.port))
        yield Bed(law_scene, proxy, upstream, between, request.param in {"nginx", "haproxy", "caddy"})


@dataclass(frozen=True)
class Call:
    """A request, part by part, as it is written."""

    method: str = "GET"
    target: str = "/customers/42"
    version: str = "HTTP/1.1"
    hosts: tuple[str, ...] = (HOST,)
    lines: tuple[str, ...] = ()
    body: bytes = b""
    behind: bytes = b""

    def raw(self, scene: Scene) -> bytes:
        name, value = scene.bearer()
        lines = [f"{self.method} {self.target} {self.version}", *(f"Host: {host}" for host in self.hosts)]
        lines += [f"{name}: {value}", *self.lines]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body + self.behind


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%s\r\n%s" % (len(body), body, end)


KEY: Final = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
UPGRADES: Final = {
    "of websockets": ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY),
    "to HTTP/2": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "to anything": ("Connection: upgrade", "Upgrade: anything/1.0"),
    "without a list": ("Upgrade: h2c",),
    "in two lines": ("Connection: keep-alive", "Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    "to TLS": ("Connection: Upgrade", "Upgrade: TLS/1.2, HTTP/1.1"),
}


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_an_upgrade_opens_no_way_past_the_decision_point(bed: Bed, upgrade: str) -> None:
    bed.send(Call(lines=UPGRADES[upgrade], behind=HIDDEN).raw(bed.scene))
    bed.verify()


@pytest.mark.parametrize("target", [HOST, f"{HOST}:80", "127.0.0.1:80", "/customers/42"])
def test_connect_opens_no_way_past_the_decision_point(bed: Bed, target: str) -> None:
    bed.send(Call("CONNECT", target, behind=HIDDEN).raw(bed.scene))
    bed.verify()


@pytest.mark.parametrize(
    "line",
    [
        *("Connection: X-Bailiwick-Subject", "Connection: close, X-Bailiwick-Subject, X-Bailiwick-Decision"),
        *("Connection: Host", "Connection: Authorization", "Keep-Alive: X-Bailiwick-Subject", "TE: trailers"),
        *("Proxy-Connection: X-Bailiwick-Subject", "Trailer: X-Bailiwick-Subject", "Connection: Content-Length"),
    ],
)
def test_a_list_of_a_clients_takes_no_header_of_ours_away(bed: Bed, line: str) -> None:
    bed.send(Call(lines=(line,)).raw(bed.scene))
    bed.verify()


@pytest.mark.parametrize("announced", [("Trailer: X-Bailiwick-Subject", "TE: trailers", "Connection: TE"), ()])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_trailers_carry_no_name_of_ours(bed: Bed, announced: tuple[str, ...], method: str) -> None:
    lines = (*announced, "Transfer-Encoding: chunked", "Content-Type: application/json")
    bed.send(Call(method, "/customers/42/notice", lines=lines, body=chunked(b"{}", TRAILERS)).raw(bed.scene))
    bed.verify()


HOSTS: Final = {
    "absolute form of another host": Call(target=f"http://{OTHER}/customers/42"),
    "absolute form of our host beside another": Call(target=f"http://{HOST}/customers/42", hosts=(OTHER,)),
    "absolute form of our host": Call(target=f"http://{HOST}/customers/42"),
    "absolute form with a user": Call(target=f"http://{OTHER}@{HOST}/customers/42"),
    "absolute form with a port": Call(target=f"http://{HOST}:8080/customers/42"),
    "absolute form without a path": Call(target=f"http://{OTHER}"),
    "absolute form of another scheme": Call(target=f"https://{OTHER}/customers/42"),
    "absolute form in capitals": Call(target=f"HTTP://{OTHER.upper()}/customers/42"),
    "absolute form of HTTP/1.0": Call(target=f"http://{OTHER}/customers/42", version="HTTP/1.0"),
    "two hosts": Call(hosts=(HOST, OTHER)),
    "two hosts in the other order": Call(hosts=(OTHER, HOST)),
    "one host twice": Call(hosts=(HOST, HOST)),
    "no host": Call(hosts=()),
    "no host of HTTP/1.0": Call(hosts=(), version="HTTP/1.0"),
    "an empty host": Call(hosts=("",)),
    "capitals": Call(hosts=(HOST.upper(),)),
    "a port": Call(hosts=(f"{HOST}:8080",)),
    "an empty port": Call(hosts=(f"{HOST}:",)),
    "a dot at its end": Call(hosts=(f"{HOST}.",)),
    "a user": Call(hosts=(f"{OTHER}@{HOST}",)),
    "a list": Call(hosts=(f"{HOST}, {OTHER}",)),
    "an address of IPv6": Call(hosts=("[::1]:80",)),
    "a blank before the colon": Call(hosts=(), lines=(f"Host : {HOST}",)),
    "a path in the host": Call(hosts=(f"{HOST}/x",)),
    "an alias": Call(lines=(f"X-Forwarded-Host: {OTHER}", f"Forwarded: host={OTHER}", f"X-Host: {OTHER}")),
    "an alias with an underscore": Call(lines=(f"X_Forwarded_Host: {OTHER}",)),
    "others before which it stands": Call(lines=("X-Forwarded-Prefix: /admin", "X-Forwarded-Path: /admin")),
}


@pytest.mark.parametrize("what", HOSTS)
def test_the_host_that_is_served_is_the_one_that_was_asked_about(bed: Bed, what: str) -> None:
    bed.send(HOSTS[what].raw(bed.scene))
    bed.verify()


@pytest.mark.parametrize("prefix", ["", "x-envoy-internal: true;"])
def test_no_header_of_a_clients_has_a_call_repeated(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setattr(bed.upstream, "answer", FAILING)
    asked = ("x-envoy-retry-on: 5xx,retriable-status-codes", "x-envoy-max-retries: 3", "x-envoy-hedge-on-per-try-timeout: true")
    told = ("x-envoy-retriable-status-codes: 503", "x-envoy-upstream-rq-per-try-timeout-ms: 1", "Retry-After: 0")
    bed.send(Call(lines=(*filter(None, prefix.split(";")), *asked, *told)).raw(bed.scene), idle=1.0)
    bed.verify()


def test_a_plain_call_of_each_kind_is_served(bed: Bed) -> None:
    # Else nothing here would show anything.
    json = ("Content-Type: application/json", "Content-Length: 2")
    for call in (Call(), Call(target="/customers?region=x"), Call("POST", "/customers/42/notice", lines=json, body=b"{}")):
        assert bed.send(call.raw(bed.scene)).startswith(b"HTTP/1.1 200")
        (reported,) = bed.verify()
        assert (reported.method, reported.target, reported.body) == (call.method, call.target, call.body)
        assert reported.all("x-bailiwick-subject") == [AGENT]


PATHS: Final = (
    *("/customers", "/customers/42", "/customers/42/notice", "/rooms/5", "/uploads/5", "/ADMIN/5", "/Admin/5", "/admin/5"),
    *("/customers/..", "/customers/%2e%2e/admin/5", "//customers/42", "/rooms/./5", "/rooms%2F5", "/", "*", ""),
)
ENDS: Final = ("/", "%0A", "%00", "%7F", "%0a", "#x", "%23", ";x=1", ".json", "%20", "%FF", "%C0%AF", "\\x", "?", "%3F")
QUERIES: Final = (
    *("?a=1", "?_method=DELETE", "?X-HTTP-Method-Override=DELETE", "?a=1&x-http-method=PUT", "?%5Fmethod=PUT"),
    *("?a=1;_method=PUT", "?+_method=PUT", "?_method", "?a#b", "??_method=PUT", "?a=%0D%0AX:%20y", "?a=\x00", "?.method=PUT"),
)
FORMS: Final = (
    *(f"http://{HOST}", f"http://{OTHER}", f"HTTPS://{HOST}:443", f"http://{OTHER}@{HOST}", f"//{OTHER}"),
    *(OTHER, f"http://{HOST}.", "http://", f"ws://{HOST}", f"http:/{OTHER}", f"\\\\{OTHER}"),
)
HOST_LINES: Final = (
    *(HOST, OTHER, HOST.upper(), f"{HOST}:8080", f"{HOST}:", f"{HOST}.", f"{OTHER}@{HOST}", f"{HOST},{OTHER}"),
    *("", "[::1]", f"{HOST}/x", f"{HOST}?x", f"{HOST} {OTHER}", f"{HOST}\t", f"{HOST}:80:80", "crm%2eexample.com"),
)
NAMES: Final = (
    *("X-Bailiwick-Subject", "X-Bailiwick-Decision", "X-Bailiwick-Reason", "X-Bailiwick-Approval", "X-Bailiwick-Enforcer"),
    *("X-Original-URI", "X-Original-Method", "X-Forwarded-Host", "X-Forwarded-Uri", "X-HTTP-Method-Override", "Host"),
    *("Content-Type", "Content-Length", "Transfer-Encoding", "Authorization", "X-Request-ID", "X-Other"),
)
SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (
    *(str, str, str, str.lower, str.upper, lambda name: name.replace("-", "_"), lambda name: name.replace("-", "_", 1)),
    *(lambda name: f"{name} ", lambda name: f" {name}", lambda name: f"{name}\x00", lambda name: f"{name}\x0b"),
    *(lambda name: f"X: y\r{name}", lambda name: f"X: y\n{name}", lambda name: name.replace("-", "\u2010".encode().decode("latin-1"))),
)
VALUES: Final = (FORGED, "", "DELETE", "/admin/5", HOST, "0", "chunked", "x, y", "application/x-www-form-urlencoded", "\x80")
LINES: Final = (
    *itertools.chain.from_iterable(UPGRADES.values()),
    *("Connection: X-Bailiwick-Subject", "Connection: close, X-Bailiwick-Decision, Host", "Connection: Authorization"),
    *("Keep-Alive: timeout=5", "Proxy-Connection: keep-alive, X-Bailiwick-Subject", "TE: trailers", "Trailer: X-Bailiwick-Subject"),
    *("Expect: 100-continue", f"Forwarded: host={OTHER};proto=https", "X-Forwarded-Prefix: /admin", f"X-Host: {OTHER}"),
    *("X-Envoy-Original-Path: /admin/5", "X-Envoy-Retry-On: 5xx", "X-Rewrite-URL: /admin/5", "Max-Forwards: 0", ":path: /admin"),
    *("Content-Encoding: gzip", "Range: bytes=0-1", "Upgrade-Insecure-Requests: 1", "Content-Type: multipart/form-data; boundary=x"),
)
BODIES: Final[tuple[tuple[tuple[str, ...], bytes], ...]] = (
    (("Content-Type: application/json", "Content-Length: 2"), b"{}"),
    (("Content-Length: 14",), b"_method=DELETE"),
    (("Content-Type: application/x-www-form-urlencoded", "Content-Length: 14"), b"_method=DELETE"),
    (("Content-Type: text/plain", f"Content-Length: {len(HIDDEN)}"), HIDDEN),
    (("Content-Type: text/plain", "Transfer-Encoding: chunked"), chunked(HIDDEN)),
    (("Content-Type: text/plain", "Transfer-Encoding: chunked"), chunked(b"x", TRAILERS)),
    (("Transfer-Encoding: chunked",), chunked(b"_method=DELETE")),
    (("Content-Type: text/plain", "Content-Length: 5", "Transfer-Encoding: chunked"), chunked(HIDDEN)),
    (("Content-Type: text/plain", "Transfer-Encoding: xchunked"), chunked(HIDDEN)),
    (("Content-Type: text/plain", "Transfer-Encoding: gzip, chunked"), chunked(HIDDEN)),
    (("Content-Length: 0",), HIDDEN),
    (("Content-Length: 0", "Content-Length: 14"), b"_method=DELETE"),
)
METHODS: Final = ("GET", "POST", "PUT", "HEAD", "DELETE", "get", "OPTIONS", "CONNECT", "TRACE", "Get", "PRI")
VERSIONS: Final = ("HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "HTTP/0.9", "http/1.1", "HTTP/1.2", "")
FOLLOWING: Final = (HIDDEN, b"\r\n" + HIDDEN, b"GET /customers/43 HTTP/1.1\r\nHost: crm.example.com\r\n\r\n", b"\x16\x03\x01")


PARTS: Final = ("method", "form", "path", "end", "query", "version", "hosts", "lines", "body", "behind")


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A request of which up to three parts are odd."""
    odd = draw(st.sets(st.sampled_from(PARTS), max_size=3))
    named = st.builds(
        lambda name, spell, value: f"{spell(name)}: {value}",
        st.sampled_from(NAMES),
        st.sampled_from(SPELLINGS),
        st.sampled_from(VALUES),
    )
    method = draw(st.sampled_from(METHODS)) if "method" in odd else draw(st.sampled_from(["GET", "POST"]))
    path = "/customers/42/notice" if method == "POST" else "/customers/42"
    target = [
        draw(st.sampled_from(FORMS)) if "form" in odd else "",
        draw(st.sampled_from(PATHS)) if "path" in odd else path,
        draw(st.sampled_from(ENDS)) if "end" in odd else "",
        draw(st.sampled_from(QUERIES)) if "query" in odd else "",
    ]
    lines, body = draw(st.sampled_from(BODIES)) if "body" in odd else ((), b"")
    told = draw(st.lists(st.one_of(st.sampled_from(LINES), named), max_size=3)) if "lines" in odd else []
    closing = draw(st.sampled_from([("Connection: close",), ("Connection: close",), ()]))
    return Call(
        method,
        "".join(target),
        draw(st.sampled_from(VERSIONS)) if "version" in odd else "HTTP/1.1",
        draw(st.lists(st.sampled_from(HOST_LINES), max_size=2).map(tuple)) if "hosts" in odd else (HOST,),
        (*told, *lines, *closing),
        body,
        draw(st.sampled_from(FOLLOWING)) if "behind" in odd else b"",
    )


def verify_drawn(bed: Bed, examples: int) -> None:
    reached = 0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(calls())
    def law(call: Call) -> None:
        nonlocal reached
        bed.send(call.raw(bed.scene), 0.2)
        reached += len(bed.verify())

    law()
    # What came late.
    time.sleep(0.5)
    bed.verify()
    assert reached > examples // 10, "hardly any call was let through: the law shows nothing"


def test_whatever_is_sent_what_is_served_was_asked_about(bed: Bed) -> None:
    verify_drawn(bed, 100)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_whatever_is_sent_at_length_what_is_served_was_asked_about(bed: Bed) -> None:
    verify_drawn(bed, 2_000)


NAME_OF_OURS: Final = ("x-bailiwick-subject", FORGED)
BY_HTTP2: Final[dict[str, tuple[list[Field], bytes, list[Field]]]] = {
    "plainly": ([], b"", []),
    "with a list of headers of ours": ([("connection", "x-bailiwick-subject")], b"", []),
    "with an upgrade": ([("upgrade", "h2c"), ("connection", "upgrade")], b"", []),
    "with an upgrade that is not in a list": ([("upgrade", "websocket")], b"", []),
    "with settings": ([("http2-settings", "AAMAAABkAAQAAP__")], b"", []),
    "with a protocol": ([(":protocol", "websocket")], b"", []),
    "with trailers": ([("content-type", "text/plain")], b"x", [NAME_OF_OURS]),
    "with trailers that are announced": ([("content-type", "text/plain"), ("trailer", "x-bailiwick-subject"), ("te", "trailers")], b"x", [NAME_OF_OURS]),
    "with pseudo-headers behind the body": ([("content-type", "text/plain")], b"x", [(":path", "/admin/5")]),
    "with a body of no type": ([], b"_method=DELETE", []),
    "with a form": ([("content-type", "application/x-www-form-urlencoded")], b"_method=DELETE", []),
    "with another host": ([("host", OTHER)], b"", []),
    "with an alias of the host": ([("x-forwarded-host", OTHER), ("forwarded", f"host={OTHER}"), ("x-host", OTHER)], b"", []),
    "with an alias of ours": ([("x_bailiwick_subject", FORGED)], b"", []),
}


@pytest.mark.parametrize("bed", ["envoy", "haproxy", "envoy-grpc"], indirect=True)
@pytest.mark.parametrize("method", ["GET", "POST", "CONNECT"])
@pytest.mark.parametrize("how", BY_HTTP2)
def test_what_is_served_was_asked_about_by_http2_too(bed: Bed, how: str, method: str) -> None:
    more, body, trailers = BY_HTTP2[how]
    target = "/customers/42/notice" if method == "POST" else "/customers/42"
    pseudo = [(":method", method), (":scheme", "http"), (":path", target), (":authority", HOST)]
    own = [field for field in more if field[0].startswith(":")]
    name, value = bed.scene.bearer()
    fields = [*pseudo, *own, (name.lower(), value), *(field for field in more if field not in own)]
    answered = frames.send(bed.proxy.port, fields, body, trailers)
    reported = bed.verify()
    plain = how == "plainly" and method != "CONNECT" and not bed.only_http1
    assert answered or not plain
    assert len(reported) <= 1
