"""Envoy's ext_authz over HTTP, by the file that ships: what reaches the upstream, and what does not."""

import json
from pathlib import Path

import pytest

from support.objects import AGENT
from support.pdp.standalone import Process
from support.proxies.kinds import PROXIES, envoy_grpc
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import attempt, request, send
from support.proxies.scene import Scene
from support.proxies.servers import Server

# A route before the one that ships, for which Envoy does not ask.
OPEN = {
    "              - match: {prefix: /}\n": """\
              - match: {prefix: /open}
                route: {cluster: crm}
                typed_per_filter_config:
                  envoy.filters.http.ext_authz:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
                    disabled: true
              - match: {prefix: /}
"""
}


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


@pytest.mark.parametrize("kind", ["envoy", "envoy-grpc"])
def test_a_route_that_nobody_is_asked_about_leads_to_no_other(
    scene: Scene, point: Process, upstream: Server, tmp_path: Path, kind: str
) -> None:
    # By itself Envoy takes a path as it comes, so that /open/../customers/42 is one of /open for it.
    port = point.grpc_port if kind == "envoy-grpc" else point.port
    starts = PROXIES[kind]
    assert (starts is envoy_grpc) is (kind == "envoy-grpc")
    with starts(scene, tmp_path, upstream.port, port, OPEN) as proxy:
        assert send(proxy.port, request("GET", "/open/page")).status == 200
        assert [reached.target for reached in upstream.asked] == ["/open/page"]
        for target in (
            "/open/../customers/42",
            "/open/%2e%2e/customers/42",
            "/open%2F..%2Fcustomers/42",
            "/open/../x",
        ):
            answer = attempt(proxy.port, request("GET", target))
            assert answer.status in {400, 401, 403}, target
        assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        # As Express reads it: by the last charset, in which +ACI- is a quote.
        ("application/json; charset=utf-8; charset=utf-7", '"x": "+ACI-,+ACI-to+ACI-:+ACI-you"', "uninspectable"),
        # As an application in Go reads it: by the last member, in any case.
        ("application/json", '"To": "you"', "ambiguous_request"),
    ],
)
def test_a_body_that_upstreams_read_in_another_way_is_denied(
    real_envoy: RunningProxy, scene: Scene, upstream: Server, kind: str, more: str, reason: str
) -> None:
    body = f'{{"fields": ["name"], "to": "me", {more}}}'.encode()
    answer = send(
        real_envoy.port, request("POST", "/customers/42/export", scene.bearer(), ("Content-Type", kind), body=body)
    )
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, reason)
    assert upstream.asked == []
