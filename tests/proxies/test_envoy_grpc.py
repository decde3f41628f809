"""Envoy's ext_authz over gRPC, by the file that ships, before decision points that are slow or gone."""

import json
import signal
from pathlib import Path

from support.objects import AGENT
from support.proxies.kinds import envoy_grpc
from support.proxies.raw import request, send
from support.proxies.running import RunningProxy
from support.proxies.scene import Scene
from support.proxies.servers import Server

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
