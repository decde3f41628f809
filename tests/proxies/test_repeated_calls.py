"""One decision is one call: an upstream that reads a call and ends the connection is not sent it again.

The oracle is the upstream, which counts the calls that carry one decision, behind each proxy by the file that ships.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from support.proxies.bed import Call
from support.proxies.kinds import PROXIES, envoy_grpc
from support.proxies.lawscene import LawScene
from support.proxies.raw import exchange
from support.proxies.reports import ReportedCall, ReportingUpstream
from support.proxies.scene import Scene

IDLE: Final = 8
LAST: Final = "Connection: close"
JSON: Final = ("Content-Type: application/json", "Content-Length: 2")
# Two addresses of one name, as of a headless Service.
CRM: Final = "server crm-api.crm.svc:8080 max_fails=0;"
CALLS: Final = {
    "PUT": Call("PUT", "/ends/42", lines=JSON, body=b"{}"),
    "GET": Call("GET", "/ends/42"),
    "POST": Call("POST", "/ends/42", lines=JSON, body=b"{}"),
    "POST with a key": Call("POST", "/ends/42", lines=("Content-Length: 0", "Idempotency-Key: mine")),
    "POST with another key": Call("POST", "/ends/42", lines=("Content-Length: 0", "X-Idempotency-Key: mine")),
}


class EndingUpstream(ReportingUpstream):
    """Ends the connections of calls of `/ends`, as Go does where a handler panics.

    Others wait until so many are there, so that the proxy keeps as many connections.
    """

    def __init__(self) -> None:
        super().__init__()
        self._there = threading.Barrier(IDLE)

    def ends(self, call: ReportedCall) -> bool:
        if call.target.startswith("/ends"):
            return True
        with contextlib.suppress(threading.BrokenBarrierError):
            self._there.wait(2)
        return False


class EndingBed(NamedTuple):
    """A proxy in front of one upstream, or of two that have one name."""

    scene: Scene
    port: int
    upstreams: tuple[EndingUpstream, EndingUpstream]

    def send(self, call: Call) -> None:
        exchange(self.port, replace(call, lines=(*call.lines, LAST)).raw(self.scene), 6.0)


@contextlib.contextmanager
def ending(kind: str, folder: Path, changes: dict[str, str]) -> Iterator[EndingBed]:
    """Start one in a folder. `changes`: what is another in the file that ships."""
    starts, scene = PROXIES[kind], LawScene(folder)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "point.log").open("wb"))
        point = scene.point(log, grpc=True)
        stack.callback(point.stop)
        upstreams = stack.enter_context(EndingUpstream()), stack.enter_context(EndingUpstream())
        if kind == "nginx":
            changes = {CRM: " ".join(f"server 127.0.0.1:{one.port} max_fails=0;" for one in upstreams)}
        port = point.grpc_port if starts is envoy_grpc else point.port
        proxy = stack.enter_context(starts(scene, folder, upstreams[0].port, port, changes))
        yield EndingBed(scene, proxy.port, upstreams)


@pytest.fixture(scope="module", params=list(PROXIES))
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndingBed]:
    with ending(request.param, tmp_path_factory.mktemp("ending"), {}) as made:
        yield made


@pytest.mark.parametrize("kind", CALLS)
def test_a_call_whose_connection_ends_without_an_answer_is_made_once(bed: EndingBed, kind: str) -> None:
    idle = [threading.Thread(target=bed.send, args=(Call("GET", "/customers/7"),)) for _ in range(IDLE)]
    for thread in idle:
        thread.start()
    for thread in idle:
        thread.join()
    for upstream in bed.upstreams:
        upstream.calls.clear()
    bed.send(CALLS[kind])
    made = [call for upstream in bed.upstreams for call in upstream.calls if call.target.startswith("/ends")]
    assert Counter(decision for call in made for decision in call.all("x-bailiwick-decision")).most_common(1)[0][1] == 1
    assert len(made) == 1


# Each pod is internal to Envoy before 1.33, and to any Envoy that is given the pods' addresses.
INTERNAL: Final = {
    "          use_remote_address: true\n": """\
          use_remote_address: true
          internal_address_config: {cidr_ranges: [{address_prefix: 127.0.0.0, prefix_len: 8}]}
"""
}
# By which an internal client has Envoy call again.
AGAIN: Final = ("X-Envoy-Retry-On: 5xx,reset,retriable-4xx,gateway-error,connect-failure", "X-Envoy-Max-Retries: 3")


@pytest.fixture(scope="module", params=["envoy", "envoy-grpc"])
def internal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndingBed]:
    """Envoy, to which its clients are internal."""
    with ending(request.param, tmp_path_factory.mktemp("internal"), INTERNAL) as made:
        yield made


def test_a_client_that_is_internal_to_envoy_has_it_call_once(internal: EndingBed) -> None:
    for upstream in internal.upstreams:
        upstream.calls.clear()
    internal.send(Call("GET", "/ends/42", lines=AGAIN))
    assert [call.target for upstream in internal.upstreams for call in upstream.calls] == ["/ends/42"]
