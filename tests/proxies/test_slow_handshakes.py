"""Calls while new connections to the decision point come up slowly, before every real proxy."""

from pathlib import Path
from typing import Final

from support.pdp.standalone import Process
from support.proxies.kinds import Starts, envoy_grpc
from support.proxies.raw import attempt, request
from support.proxies.scene import Scene
from support.proxies.servers import Server
from support.proxies.slowhandshake import SlowHandshakes

# Shorter than the second that every shipped file gives an answer, by as much as a busy machine needs.
DELAY: Final = 0.6
# One that a busy machine made late proves nothing.
TRIES: Final = 3


def test_a_handshake_that_ends_within_the_time_of_an_answer_is_not_given_up_before(
    before: Starts, scene: Scene, point: Process, upstream: Server, tmp_path: Path
) -> None:
    target = point.grpc_port if before is envoy_grpc else point.port
    with (
        SlowHandshakes(target, DELAY) as slow,
        before(scene, tmp_path, upstream.port, slow.port) as proxy,
    ):
        call = request("GET", "/customers/42", scene.bearer())
        answers = [attempt(proxy.port, call) for _ in range(TRIES)]
    assert (200, b"served") in [(answer.status, answer.body) for answer in answers]
