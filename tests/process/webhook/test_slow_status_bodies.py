"""Slow bodies on the status port of a real process: whoever sends them keeps nobody else from being answered."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest
import requests
import yaml

from bailiwick_webhook.http.status.checkpoint import MOST_WAITING
from support.objects import policy, rule, settings
from support.pdp.standalone import Process

ASKED: Final = {"/checkpoint": b'{"from":0}', "/served": b"[]", "/usage": b"[]"}


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("slow")
    policies = folder / "policies"
    policies.mkdir()
    (policies / "crm.yaml").write_text(yaml.safe_dump(policy("crm", endpointSettings=settings(), rules=[rule()])))
    with (folder / "log").open("wb") as log:
        process = Process(folder, policies, log, "--development", "--witness-wait-seconds", "0")
        yield process
        assert process.stop() == 0


def begun(point: Process, path: str, size: int) -> socket.socket:
    """Return a connection on which a request has come but for the last bytes of its body."""
    sent = socket.create_connection(("127.0.0.1", point.status_port))
    sent.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n{{".encode())
    return sent


@pytest.mark.parametrize("path", ASKED)
def test_slow_bodies_keep_nobody_from_being_answered(point: Process, path: str) -> None:
    with ExitStack() as open_:
        for _ in range(3 * MOST_WAITING):
            open_.enter_context(begun(point, path, 100))
        found = [
            requests.post(f"http://127.0.0.1:{point.status_port}{path}", data=ASKED[path], timeout=5).status_code
            for _ in range(15)
        ]
    assert found == [200] * 15


def test_a_body_that_does_not_come_is_not_waited_for(point: Process) -> None:
    with begun(point, "/checkpoint", 100) as sent:
        sent.settimeout(6)
        answer = json.loads(sent.recv(4096).partition(b"\r\n\r\n")[2])
    assert (answer["status"], answer["detail"]) == (400, "the body is incomplete")
