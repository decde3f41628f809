"""`bailiwick-webhook --grpc-port`, the real process: who may connect, whose word counts, how it stops."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from bailiwick_webhook.grpc import messages
from support.pdp.standalone import Process
from support.proxies import checks
from support.proxies.authority import PairFiles
from support.proxies.checks import CHECK, Check
from support.proxies.raw import Answer
from support.proxies.scene import PROXY_ACCOUNT, PROXY_URI, SERVER_NAME, Scene
from support.waits import until

GET = ("GET", "/customers/42")
DEADLINE = 10


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("grpc"))


@pytest.fixture(scope="module")
def point(scene: Scene) -> Iterator[Process]:
    with (scene.folder / "point.log").open("wb") as log:
        process = scene.point(log, grpc=True)
        yield process
        assert process.stop() == 0


class Client:
    """One connection, with a certificate or without."""

    def __init__(self, scene: Scene, port: int, shown: PairFiles | None) -> None:
        pair = (None, None) if shown is None else (shown.key.read_bytes(), shown.certificate.read_bytes())
        credentials = grpc.ssl_channel_credentials(Path(scene.authority.bundle).read_bytes(), *pair)
        options = [("grpc.ssl_target_name_override", SERVER_NAME), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)
        self._call: Any = self.channel.unary_unary(
            CHECK, lambda asked: asked.SerializeToString(), messages.CheckResponse.FromString
        )

    def ask(self, check: Check) -> Answer:
        return checks.told(self._call(check.request, timeout=DEADLINE, metadata=check.metadata))

    def fails(self, check: Check) -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as failed:
            self.ask(check)
        code: grpc.StatusCode = failed.value.code()
        return code


def reason(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.header("x-bailiwick-reason")


def asked(scene: Scene, *headers: checks.Header) -> Check:
    return checks.one_by_one(*GET, scene.bearer(), *headers)


def test_a_proxy_with_a_certificate_that_the_policy_names_is_answered(scene: Scene, point: Process) -> None:
    assert Client(scene, point.grpc_port, scene.proxy).ask(asked(scene)).status == 200


def test_one_whose_certificate_no_policy_names_is_a_stranger(scene: Scene, point: Process) -> None:
    assert reason(Client(scene, point.grpc_port, scene.stranger).ask(asked(scene))) == (403, "forbidden")


def test_no_client_connects_without_a_certificate_of_these_authorities(scene: Scene, point: Process) -> None:
    other = scene.authority.client("other", uris=(PROXY_URI,))
    for shown in (None, other):
        assert Client(scene, point.grpc_port, shown).fails(asked(scene)) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    "extension", [None, "", "crm", "crm/", "/crm-api", "crm/crm-api/x", "crm/nothing", "CRM/crm-api"]
)
def test_an_endpoint_that_is_not_named_exactly_is_none(scene: Scene, point: Process, extension: str | None) -> None:
    check = asked(scene, ("bailiwick", "crm/crm-api"))
    check.request.attributes.ClearField("context_extensions")
    if extension is not None:
        check.request.attributes.context_extensions["bailiwick"] = extension
    assert reason(Client(scene, point.grpc_port, scene.proxy).ask(check)) == (403, "forbidden")


def test_a_message_that_is_too_large_is_not_read(scene: Scene, point: Process) -> None:
    check = checks.one_by_one("POST", "/customers/42/export", scene.bearer(), body=b"x" * 2_000_000)
    assert Client(scene, point.grpc_port, scene.proxy).fails(check) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_without_authorities_a_token_in_the_metadata_proves_a_proxy_and_a_clients_header_does_not(
    tmp_path: Path,
) -> None:
    own = Scene(tmp_path)
    token = f"Bearer {own.token(PROXY_ACCOUNT, 'bailiwick')}"
    with (tmp_path / "point.log").open("wb") as log:
        flags = ["--issuers", str(tmp_path / "issuers.yaml")]
        flags += ["--tls-cert-file", str(own.serving.certificate), "--tls-key-file", str(own.serving.key)]
        process = Process(tmp_path, own.policies, log, *flags, grpc=True)
        client = Client(own, process.grpc_port, None)
        proven = asked(own, ("X-Bailiwick-Enforcer", token))
        assert reason(client.ask(proven))[0] == 200
        claimed = asked(own)
        claimed.request.attributes.request.http.header_map.headers.add(
            key="x-bailiwick-enforcer", raw_value=token.encode()
        )
        assert reason(client.ask(claimed)) == (403, "unauthenticated")
        twice = Check(proven.request, proven.metadata * 2)
        assert reason(client.ask(twice)) == (403, "unauthenticated")
        client.channel.close()
        assert process.stop() == 0


def test_a_certificate_counts_no_more_once_its_authority_is_taken_out_also_on_open_connections(tmp_path: Path) -> None:
    own = Scene(tmp_path)
    with (tmp_path / "point.log").open("wb") as log:
        process = own.point(log, grpc=True)
        client = Client(own, process.grpc_port, own.proxy)
        assert client.ask(asked(own)).status == 200
        swapped = own.folder / "swapped"
        swapped.write_bytes(own.authority.pem)
        shutil.move(swapped, own.client_ca)
        until(lambda: reason(client.ask(asked(own))) == (403, "unauthenticated"), "the certificate counts no more")
        # The handshakes of new connections learn of it a moment later, and no call of theirs is let through meanwhile.
        until(lambda: not is_answered(own, process.grpc_port), "a new connection is refused")
        client.channel.close()
        assert process.stop() == 0


def is_answered(scene: Scene, port: int) -> bool:
    """Tell whether a new connection of the proxy still gets an answer, which can only be a refusal."""
    client = Client(scene, port, scene.proxy)
    try:
        assert reason(client.ask(asked(scene))) == (403, "unauthenticated")
    except grpc.RpcError as error:
        return error.code() is not grpc.StatusCode.UNAVAILABLE
    finally:
        client.channel.close()
    return True
