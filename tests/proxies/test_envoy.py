"""Envoy's ext_authz over HTTP, by the file that ships: what reaches the upstream, and what does not."""

import json

from support.objects import AGENT
from support.proxies.raw import request, send
from support.proxies.running import RunningProxy
from support.proxies.scene import Scene
from support.proxies.servers import Server


def test_an_allowed_call_reaches_the_upstream_with_whom_it_is_for(
    real_envoy: RunningProxy, scene: Scene, upstream: Server
) -> None:
    answer = send(real_envoy.port, request("GET", "/customers/42?x=1", scene.bearer()))
    assert (answer.status, answer.body) == (200, b"served")
    (reached,) = upstream.asked
    assert (reached.method, reached.target) == ("GET", "/customers/42?x=1")
    assert reached.all("x-bailiwick-subject") == [AGENT]
    assert reached.all("x-bailiwick-decision")[0].startswith("eval_")


def test_a_denied_call_does_not_reach_the_upstream_and_says_why(
    real_envoy: RunningProxy, scene: Scene, upstream: Server
) -> None:
    body = b'{"fields": ["name"], "to": "me"}'
    answer = send(
        real_envoy.port,
        request("POST", "/customers/42/export", scene.bearer(), ("Content-Type", "application/json"), body=body),
    )
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "approval_required")
    said = json.loads(answer.body)
    assert (said["reason"], said["status"]) == ("approval_required", 403)
    assert answer.header("x-bailiwick-evaluation") == said["evaluation_id"]
    assert upstream.asked == []


def test_a_call_that_no_route_names_is_denied_as_unmapped(
    real_envoy: RunningProxy, scene: Scene, upstream: Server
) -> None:
    answer = send(real_envoy.port, request("DELETE", "/customers/42", scene.bearer()))
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "unmapped")
    assert upstream.asked == []


def test_a_call_without_a_credential_is_401(real_envoy: RunningProxy, upstream: Server) -> None:
    answer = send(real_envoy.port, request("GET", "/customers/42"))
    assert (answer.status, answer.header("x-bailiwick-reason")) == (401, "identity_invalid")
    assert (answer.header("www-authenticate") or "").startswith("Bearer")
    assert upstream.asked == []
