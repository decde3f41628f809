"""AB-35: whoever only opens connections takes no decision point away from those who ask, over TLS as in the clear.

Holds: this is the process as it runs in a pod, behind its certificate; of those who only open connections nobody has
proven anything.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from typing import Final

import pytest
import requests
import yaml

from bailiwick_webhook.http.shares.bounds import Bounds
from support.objects import AGENT
from support.pdp.questions import evaluation
from support.pdp.tlsprocess import NAME, TlsProcess, authority, entries, leaf, secured, trusting
from support.waits import until

pytestmark = pytest.mark.long

ROOT: Final = Path(__file__).parents[2]
CA: Final = authority()
MOST: Final = 40
MANY: Final = 400
# What a process has open besides, with room.
OTHERS: Final = 60
ASKED: Final = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"
_CALL: Final = json.dumps(evaluation(AGENT, "customers.list"))
# Whoever sends it is believed here, see `--development`.
DECIDE: Final = (
    "POST /endpoints/crm/crm-api/access/v1/evaluation HTTP/1.1\r\nHost: elsewhere.example\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(_CALL)}\r\n\r\n{_CALL}"
).encode()
SAID: Final = {
    "nothing": b"",
    "half a greeting": b"\x16\x03\x01\x02\x00\x01\x00",
    "something else": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProcess]:
    with secured(
        tmp_path_factory.mktemp("point"), entries(leaf(CA), CA), "--tls-server-name", NAME, "--connections", f"{MOST}"
    ) as point:
        point.await_ready()
        yield point


def test_ab_35_as_many_connections_as_there_may_be_leave_half_of_a_pods_memory_alone(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "charts" / "bailiwick" / "values.yaml").read_text())["webhook"]
    assert values["connections"]["most"] == Bounds().connections
    limit = int(values["resources"]["limits"]["memory"].removesuffix("Mi")) * 1024
    with ExitStack() as closing:
        point = closing.enter_context(secured(tmp_path, entries(leaf(CA), CA)))
        point.await_ready()
        before = resident(point)
        for _ in range(MANY):
            asking = closing.enter_context(point.connect(trusting([CA])))
            asking.sendall(ASKED)
            assert asking.recv(12) == b"HTTP/1.1 200"
        assert (resident(point) - before) / MANY * Bounds().connections < limit / 2


def resident(point: TlsProcess) -> int:
    """Return how much memory a process has, in KiB."""
    status = Path(f"/proc/{point.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def opened(port: int, said: bytes = b"") -> list[socket.socket]:
    """Open many connections, and say the same on each."""
    found = []
    for _ in range(MANY):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        found.append(connection)
        try:
            connection.sendall(said)
        except OSError:
            # It had to go already.
            continue
    return found


def answered(connection: ssl.SSLSocket) -> int:
    """Read an answer whole, and return its status."""
    answer = HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def descriptors(point: TlsProcess) -> int:
    return len(list(Path(f"/proc/{point.process.pid}/fd").iterdir()))


@pytest.mark.parametrize("said", SAID)
def test_ab_35_connections_on_which_no_hands_are_shaken_are_bounded_like_others(point: TlsProcess, said: str) -> None:
    with point.connect(trusting([CA])) as asking:
        asking.sendall(DECIDE)
        assert answered(asking) == requests.codes.ok
        idle = opened(point.port, SAID[said])
        try:
            until(lambda: descriptors(point) <= MOST + OTHERS, "no more are open than there may be")
            with point.connect(trusting([CA])) as late:
                late.sendall(ASKED)
                assert late.recv(12) == b"HTTP/1.1 200"
        finally:
            for connection in idle:
                connection.close()
        # Whoever was proven before is not among those that had to go.
        asking.sendall(DECIDE)
        assert answered(asking) == requests.codes.ok


def test_ab_35_connections_to_the_status_port_are_bounded_too(point: TlsProcess) -> None:
    with requests.Session() as probe:
        url = f"http://127.0.0.1:{point.status_port}/readyz"
        assert probe.get(url, timeout=10).status_code == requests.codes.ok
        idle = opened(point.status_port)
        try:
            until(lambda: descriptors(point) <= MOST + 64 + OTHERS, "no more are open than there may be")
            assert probe.get(url, timeout=10).status_code == requests.codes.ok
            assert requests.get(url, timeout=10).status_code == requests.codes.ok
        finally:
            for connection in idle:
                connection.close()
