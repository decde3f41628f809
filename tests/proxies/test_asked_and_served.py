"""What reaches an upstream is what was asked about, before every real proxy by the file that ships, whatever is sent.

The oracle is an upstream that reports what it received, beside the questions as the proxy put them.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings

from support.objects import AGENT
from support.proxies import frames
from support.proxies.bed import FORGED, HIDDEN, HOST, LAST, OTHER, TRAILERS, Bed, Call, chunked
from support.proxies.drawncalls import UPGRADES, calls
from support.proxies.frames import Field
from support.proxies.kinds import PROXIES, envoy_grpc
from support.proxies.lawscene import LawScene
from support.proxies.reports import FAILING, ReportingUpstream
from support.proxies.scene import Scene
from support.proxies.witness import witness


@pytest.fixture(scope="module")
def law_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return LawScene(tmp_path_factory.mktemp("law"))


@pytest.fixture(scope="module", params=list(PROXIES))
def bed(request: pytest.FixtureRequest, law_scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
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
    "a part of the path that is taken off": Call(lines=("X-Script-Name: /customers",)),
}


@pytest.mark.parametrize("what", HOSTS)
def test_the_host_that_is_served_is_the_one_that_was_asked_about(bed: Bed, what: str) -> None:
    bed.send(HOSTS[what].raw(bed.scene))
    bed.verify()


@pytest.mark.parametrize("types", [("",), ("", ""), ("", "text/plain"), ("text/plain", ""), (" ",), ("\t",)])
def test_a_body_that_is_served_has_a_type(bed: Bed, types: tuple[str, ...]) -> None:
    # Rack takes a body of an empty type for a form, as one without a type.
    lines = (*(f"Content-Type: {one}" for one in types), "Content-Length: 14")
    bed.send(Call("POST", "/customers/42/notice", lines=lines, body=b"_method=DELETE").raw(bed.scene))
    bed.verify()


@pytest.mark.parametrize("sign", [*"!#$%&'*+.^_`|~"])
def test_no_sign_in_a_name_makes_it_another_one(bed: Bed, sign: str) -> None:
    # PHP takes a dot for an underscore, and some gateways of CGI any sign of RFC 9110, 5.6.2.
    names = ("X-Bailiwick-Subject", "X-HTTP-Method-Override", "X-Forwarded-Host")
    for name in names:
        for spelled in (name.replace("-", sign), name.replace("-", sign, 1), sign.join(name.rsplit("-", 1))):
            bed.send(Call(lines=(f"{spelled}: {FORGED}",)).raw(bed.scene), 0.2)
            bed.verify()


@pytest.mark.parametrize("internal", [(), ("x-envoy-internal: true",)])
def test_no_header_of_a_clients_has_a_call_repeated(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, internal: tuple[str, ...]
) -> None:
    monkeypatch.setattr(bed.upstream, "answer", FAILING)
    asked = ("x-envoy-retry-on: 5xx,retriable-status-codes", "x-envoy-max-retries: 3", "Retry-After: 0")
    told = ("x-envoy-retriable-status-codes: 503", "x-envoy-hedge-on-per-try-timeout: true")
    assert bed.answered(Call(lines=(*internal, *asked, *told, LAST)).raw(bed.scene)).startswith(b"HTTP/1.1 503")
    assert len(bed.verify()) == 1


def test_a_plain_call_of_each_kind_is_served(bed: Bed) -> None:
    # Else nothing here would show anything.
    json = ("Content-Type: application/json", "Content-Length: 2")
    posted = Call("POST", "/customers/42/notice", lines=json, body=b"{}")
    for call in (Call(), Call(target="/customers?region=x"), posted):
        last = replace(call, lines=(*call.lines, LAST))
        assert bed.answered(last.raw(bed.scene)).startswith(b"HTTP/1.1 200")
        (reported,) = bed.verify()
        assert (reported.method, reported.target, reported.body) == (call.method, call.target, call.body)
        assert reported.all("x-bailiwick-subject") == [AGENT]


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
    "with trailers that are announced": (
        [("content-type", "text/plain"), ("trailer", "x-bailiwick-subject"), ("te", "trailers")],
        b"x",
        [NAME_OF_OURS],
    ),
    "with pseudo-headers behind the body": ([("content-type", "text/plain")], b"x", [(":path", "/admin/5")]),
    "with a body of no type": ([], b"_method=DELETE", []),
    "with a form": ([("content-type", "application/x-www-form-urlencoded")], b"_method=DELETE", []),
    "with another host": ([("host", OTHER)], b"", []),
    "with an alias of the host": (
        [("x-forwarded-host", OTHER), ("forwarded", f"host={OTHER}"), ("x-host", OTHER)],
        b"",
        [],
    ),
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
