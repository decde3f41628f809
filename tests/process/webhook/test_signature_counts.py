"""How many signatures the decision point verifies for a proxy that asks again and again: those that are new to it."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import grpc
import pytest

from bailiwick_webhook.grpc import messages
from support.pdp import signaturecounts
from support.pdp.signaturecounts import CERTIFICATE, TOKEN
from support.pdp.standalone import Process
from support.proxies import checks
from support.proxies.authority import TestAuthority
from support.proxies.checks import CHECK
from support.proxies.scene import SERVER_NAME, Scene
from support.waits import until

CALLS: Final = 25
PATH: Final = "/ext-authz/crm/crm-api/customers/42"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("signatures"))


@pytest.fixture(scope="module")
def notes(scene: Scene) -> Path:
    return scene.folder / "signatures"


@pytest.fixture(scope="module")
def point(scene: Scene, notes: Path) -> Iterator[Process]:
    with pytest.MonkeyPatch.context() as patch, (scene.folder / "point.log").open("wb") as log:
        patch.setenv(signaturecounts.NOTES, str(notes))
        process = scene.point(log, grpc=True, command=signaturecounts.COMMAND)
        yield process
        assert process.stop() == 0


class Connections:
    """Connections of TLS 1.2 of one client, each after the first by the session of the first, as Envoy makes them."""

    def __init__(self, scene: Scene, point: Process) -> None:
        self._port = point.port
        self._tls = ssl.create_default_context(cafile=scene.authority.bundle)
        self._tls.maximum_version = ssl.TLSVersion.TLSv1_2
        self._tls.load_cert_chain(*scene.proxy)
        self._session: ssl.SSLSession | None = None
        self._open: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            connection.close()

    def open(self) -> http.client.HTTPConnection:
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        connection.sock = self._tls.wrap_socket(plain, server_hostname="127.0.0.1", session=self._session)
        self._open.append(connection)
        assert connection.sock.session_reused is (self._session is not None)
        # A session ends with its connection unless that is closed in order: so all of them stay open.
        self._session = connection.sock.session
        return connection


def asked(connection: http.client.HTTPConnection, bearer: tuple[str, str]) -> tuple[int, str | None]:
    connection.request("GET", PATH, headers=dict([bearer, ("Host", "crm.example.com")]))
    answer = connection.getresponse()
    said = answer.read()
    return answer.status, json.loads(said)["reason"] if said else None


def since(before: Mapping[str, int], notes: Path) -> dict[str, int]:
    return {kind: count - before[kind] for kind, count in signaturecounts.counted(notes).items()}


def test_over_http_each_is_verified_once_although_connections_take_a_session_up_again(
    scene: Scene, point: Process, notes: Path
) -> None:
    bearer = scene.bearer()
    before = signaturecounts.counted(notes)
    with Connections(scene, point) as connections:
        for _ in range(3):
            connection = connections.open()
            assert {asked(connection, bearer) for _ in range(CALLS)} == {(200, None)}
    found = since(before, notes)
    assert found[TOKEN] == 1
    # OpenSSL verified the first handshake; a session that is taken up again is held against the authorities of now.
    assert found[CERTIFICATE] <= 1


def test_over_grpc_each_is_verified_once(scene: Scene, point: Process, notes: Path) -> None:
    pair = scene.proxy.key.read_bytes(), scene.proxy.certificate.read_bytes()
    credentials = grpc.ssl_channel_credentials(Path(scene.authority.bundle).read_bytes(), *pair)
    options = [("grpc.ssl_target_name_override", SERVER_NAME), ("grpc.use_local_subchannel_pool", 1)]
    check = checks.one_by_one("GET", "/customers/42", scene.bearer())
    before = signaturecounts.counted(notes)
    for _ in range(3):
        with grpc.secure_channel(f"127.0.0.1:{point.grpc_port}", credentials, options) as channel:
            call: Any = channel.unary_unary(
                CHECK, lambda sent: sent.SerializeToString(), messages.CheckResponse.FromString
            )
            for _ in range(CALLS):
                assert checks.told(call(check.request, timeout=10, metadata=check.metadata)).status == 200
    found = since(before, notes)
    assert found[TOKEN] == 1
    assert found[CERTIFICATE] <= 1


def test_what_is_remembered_of_a_token_ends_with_it_and_serves_no_other_audience(scene: Scene, point: Process) -> None:
    ending = "Authorization", f"Bearer {scene.token(seconds=3)}"
    elsewhere = "Authorization", f"Bearer {scene.token(audience='other.crm')}"
    with Connections(scene, point) as connections:
        connection = connections.open()
        assert asked(connection, ending) == (200, None)
        until(lambda: asked(connection, ending)[0] != 200, "its token has ended", 10)
        assert asked(connection, ending) == (401, "identity_invalid")
        assert [asked(connection, elsewhere) for _ in range(2)] == [(401, "audience_mismatch")] * 2


def test_what_is_remembered_of_a_certificate_ends_with_the_authorities_that_it_was_held_against(
    scene: Scene, point: Process
) -> None:
    bearer = scene.bearer()
    newer = TestAuthority(scene.folder / "newer", "clients")
    with Connections(scene, point) as connections:
        connections.open()
        again = connections.open()
        assert asked(again, bearer) == (200, None)
        try:
            scene.client_ca.write_bytes(newer.pem)
            until(lambda: asked(again, bearer)[0] == 403, "its authority is not trusted any more", 10)
        finally:
            scene.client_ca.write_bytes(scene.clients.pem)
            until(lambda: asked(again, bearer)[0] == 200, "its authority is trusted again", 10)
