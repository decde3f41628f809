"""Envoy's ext_authz over gRPC, by the file that ships, before decision points that are slow or gone."""

import json
import signal
from pathlib import Path

import pytest

from support.objects import AGENT
from support.pdp.standalone import Process
from support.proxies.faultygrpc import FaultyGrpcPoint
from support.proxies.kinds import envoy_grpc
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import request, send
from support.proxies.scene import Scene
from support.proxies.servers import Server
from support.waits import until

JSON = ("Content-Type", "application/json")


def test_a_body_gives_arguments(grpc_envoy: RunningProxy, scene: Scene, upstream: Server) -> None:
    body = b'{"fields": ["name"], "to": "me"}'
    answer = send(grpc_envoy.port, request("POST", "/customers/42/export", scene.bearer(), JSON, body=body))
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "approval_required")
    said = json.loads(answer.body)
    assert answer.header("x-bailiwick-evaluation") == said["evaluation_id"]
    assert upstream.asked == []


def test_a_call_without_a_credential_is_401(grpc_envoy: RunningProxy, upstream: Server) -> None:
    answer = send(grpc_envoy.port, request("GET", "/customers/42"))
    assert (answer.status, answer.header("x-bailiwick-reason")) == (401, "identity_invalid")
    assert (answer.header("www-authenticate") or "").startswith("Bearer")
    assert upstream.asked == []


def test_a_client_that_says_that_its_body_is_whole_or_cut_changes_nothing(
    grpc_envoy: RunningProxy, scene: Scene, upstream: Server
) -> None:
    answer = send(
        grpc_envoy.port, request("GET", "/customers/42", scene.bearer(), ("X-Envoy-Auth-Partial-Body", "true"))
    )
    assert answer.status == 200
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("packing", ["pack_as_bytes: true", "pack_as_bytes: false"])
def test_a_body_of_which_envoy_sends_another_text_is_denied(
    scene: Scene, point: Process, upstream: Server, tmp_path: Path, packing: str
) -> None:
    # As a text, Envoy sends ! in place of what is no UTF-8, and passes on what came.
    body = b'{"fields": ["name"], "to": "me\xff"}'
    with envoy_grpc(scene, tmp_path, upstream.port, point.grpc_port, {"pack_as_bytes: true": packing}) as proxy:
        answer = send(proxy.port, request("POST", "/customers/42/export", scene.bearer(), JSON, body=body))
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "uninspectable")
    assert upstream.asked == []


def test_a_slow_decision_point_denies_and_one_that_is_gone_and_none_is_let_through_until_it_is_back(
    scene: Scene, upstream: Server, tmp_path: Path
) -> None:
    asked = request("GET", "/customers/42", scene.bearer())
    with (tmp_path / "point.log").open("wb") as log:
        point = scene.point(log, grpc=True)
        with envoy_grpc(scene, tmp_path, upstream.port, point.grpc_port) as proxy:
            try:
                assert send(proxy.port, asked).status == 200
                (reached,) = upstream.asked
                assert reached.all("x-bailiwick-subject") == [AGENT]
                point.process.send_signal(signal.SIGSTOP)
                assert send(proxy.port, asked).status == 503
                point.process.send_signal(signal.SIGCONT)
                assert point.stop() == 0
                assert send(proxy.port, asked).status == 503
            finally:
                point.process.kill()
    assert len(upstream.asked) == 1


class TestADecisionPointThat:
    @pytest.mark.parametrize("fault", sorted(FaultyGrpcPoint.FAULTS))
    def test_gives_no_answer_denies(
        self,
        faulty_grpc_envoy: RunningProxy,
        faulty_grpc_point: FaultyGrpcPoint,
        scene: Scene,
        upstream: Server,
        fault: str,
    ) -> None:
        faulty_grpc_point.fault, faulty_grpc_point.delay = fault, 0.0
        faulty_grpc_point.asked.clear()

        def is_heard() -> bool:
            assert send(faulty_grpc_envoy.port, request("GET", "/customers/42", scene.bearer())).status == 503
            return faulty_grpc_point.asked != []

        # It is not if Envoy still has the connection that the fault before closed.
        until(is_heard, "the fault is what Envoy hears")
        assert upstream.asked == []

    def test_is_slow_denies(
        self, faulty_grpc_envoy: RunningProxy, faulty_grpc_point: FaultyGrpcPoint, scene: Scene, upstream: Server
    ) -> None:
        faulty_grpc_point.fault, faulty_grpc_point.delay = "allow", 3.0
        assert send(faulty_grpc_envoy.port, request("GET", "/customers/42", scene.bearer())).status == 503
        assert upstream.asked == []

    def test_is_not_there_denies_and_does_not_once_it_is_back(
        self, faulty_grpc_envoy: RunningProxy, faulty_grpc_point: FaultyGrpcPoint, scene: Scene, upstream: Server
    ) -> None:
        faulty_grpc_point.fault, faulty_grpc_point.delay = "nothing", 0.0
        asked = request("GET", "/customers/42", scene.bearer())
        # So that no connection is kept.
        assert send(faulty_grpc_envoy.port, asked).status == 503
        faulty_grpc_point.stop()
        try:
            assert send(faulty_grpc_envoy.port, asked).status == 503
            assert upstream.asked == []
        finally:
            faulty_grpc_point.start()
        faulty_grpc_point.fault = "allow"
        assert send(faulty_grpc_envoy.port, asked).status == 200
        assert len(upstream.asked) == 1
