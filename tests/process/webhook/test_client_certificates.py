"""`bailiwick-webhook --client-ca-file`, the real process: a proxy, or any enforcer, proves itself by a certificate."""

import datetime
import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import pytest
import yaml

from support.pdp.standalone import Process
from support.proxies.authority import PairFiles, TestAuthority
from support.proxies.scene import PROXY_ACCOUNT, PROXY_URI, Scene
from support.waits import until

PATH: Final = "/ext-authz/crm/crm-api/customers/42"
DNS: Final = "envoy.gateways.svc"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    made = Scene(tmp_path_factory.mktemp("certificates"))
    (file,) = made.policies.iterdir()
    policy = yaml.safe_load(file.read_text())
    policy["spec"]["endpointSettings"]["enforcers"].append({"certificate": {"dns": DNS}})
    file.write_text(yaml.safe_dump(policy))
    return made


@pytest.fixture(scope="module")
def point(scene: Scene) -> Iterator[Process]:
    with (scene.folder / "point.log").open("wb") as log:
        process = scene.point(log)
        yield process
        assert process.stop() == 0


class Client:
    """One connection, with a certificate or without."""

    opened: ClassVar[list["Client"]] = []

    def __init__(
        self, scene: Scene, point: Process, shown: PairFiles | None, version: ssl.TLSVersion | None = None
    ) -> None:
        tls = ssl.create_default_context(cafile=scene.authority.bundle)
        if version is not None:
            tls.maximum_version = version
        if shown is not None:
            tls.load_cert_chain(*shown)
        self._connection = http.client.HTTPSConnection("127.0.0.1", point.port, context=tls, timeout=20)
        self.opened.append(self)

    def close(self) -> None:
        self._connection.close()

    def ask(self, path: str = PATH, body: Any = None, **headers: str) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        sent = None if body is None else json.dumps(body)
        own = {} if body is None else {"Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        method = "GET" if body is None else "POST"
        self._connection.request(method, path, sent, {**own, "Host": "crm.example.com", **named})
        answer = self._connection.getresponse()
        raw = answer.read()
        return answer.status, (json.loads(raw) if raw else None)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while Client.opened:
        Client.opened.pop().close()


def reason(answer: tuple[int, Any]) -> tuple[int, str | None]:
    status, said = answer
    return status, None if said is None else said["reason"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_proxy_with_a_certificate_that_is_listed_is_answered(
    scene: Scene, point: Process, version: ssl.TLSVersion
) -> None:
    client = Client(scene, point, scene.proxy, version)
    assert reason(client.ask(Authorization=scene.bearer()[1])) == (200, None)
    assert reason(client.ask(Authorization=scene.bearer()[1])) == (200, None)


def test_a_name_among_several_is_enough(scene: Scene, point: Process) -> None:
    shown = scene.clients.client("several", uris=("spiffe://other/x",), names=("other.example", DNS))
    assert reason(Client(scene, point, shown).ask(Authorization=scene.bearer()[1])) == (200, None)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param({"uris": ("spiffe://cluster.local/ns/gateways/sa/other",)}, id="another id"),
        pytest.param({"uris": (PROXY_URI + "/x",)}, id="a longer one"),
        pytest.param({"uris": (PROXY_URI.upper(),)}, id="another case"),
        pytest.param({"names": ("x." + DNS,)}, id="a name below it"),
        pytest.param({"names": ("*.gateways.svc",)}, id="a wildcard"),
        pytest.param({"uris": (f"https://{DNS}",)}, id="another kind of name"),
        pytest.param({}, id="none"),
    ],
)
def test_a_certificate_of_any_other_name_is_a_strangers(
    scene: Scene, point: Process, names: dict[str, tuple[str, ...]]
) -> None:
    shown = scene.clients.client("other", **names)  # type: ignore[arg-type]  # names only
    status, _ = Client(scene, point, shown).ask(Authorization=scene.bearer()[1])
    assert status == 403


def test_nobody_is_asked_for_more_than_a_certificate_that_is_not_there(scene: Scene, point: Process) -> None:
    assert reason(Client(scene, point, None).ask(Authorization=scene.bearer()[1])) == (403, "unauthenticated")


def test_a_proxy_without_a_certificate_shows_its_token_in_a_header_of_its_own(scene: Scene, point: Process) -> None:
    proof = f"Bearer {scene.token(PROXY_ACCOUNT, 'bailiwick')}"
    client = Client(scene, point, None)
    assert reason(client.ask(Authorization=scene.bearer()[1], X_Bailiwick_Enforcer=proof)) == (200, None)
    # Never by the credential of its client.
    assert reason(client.ask(Authorization=proof)) == (403, "unauthenticated")


def test_a_header_of_a_client_changes_nothing_where_the_proxy_has_a_certificate(scene: Scene, point: Process) -> None:
    forged = f"Bearer {scene.token('system:serviceaccount:x:y', 'bailiwick')}"
    client = Client(scene, point, scene.proxy)
    assert reason(client.ask(Authorization=scene.bearer()[1], X_Bailiwick_Enforcer=forged)) == (200, None)
    stranger = Client(scene, point, scene.stranger)
    proof = f"Bearer {scene.token(PROXY_ACCOUNT, 'bailiwick')}"
    assert stranger.ask(Authorization=scene.bearer()[1], X_Bailiwick_Enforcer=proof)[0] == 403


class TestOnThePathsOfAuthZEN:
    URL: Final = "/endpoints/crm/crm-api/access/v1/evaluation"

    def _body(self, scene: Scene) -> dict[str, Any]:
        agent = "system:serviceaccount:agents:crm-agent"
        return {
            "subject": {"type": "serviceAccount", "id": agent},
            "action": {"name": "customers.get"},
            "resource": {"type": "customer", "id": "42"},
            "context": {"evidence": {"subject_token": scene.token(agent)}},
        }

    def test_an_enforcer_proves_itself_by_a_certificate_too(self, scene: Scene, point: Process) -> None:
        status, said = Client(scene, point, scene.proxy).ask(self.URL, self._body(scene))
        assert (status, said["decision"]) == (200, True)

    def test_its_token_comes_first_where_there_is_one(self, scene: Scene, point: Process) -> None:
        client = Client(scene, point, scene.proxy)
        assert client.ask(self.URL, self._body(scene), Authorization="Bearer x.y.z")[0] == 401

    def test_a_certificate_is_no_subject(self, scene: Scene, point: Process) -> None:
        body = self._body(scene)
        body["subject"]["id"] = f"bailiwick:certificate:{PROXY_URI}"
        del body["context"]
        _, said = Client(scene, point, scene.proxy).ask(self.URL, body)
        assert (said["decision"], said["context"]["reason"]) == (False, "identity_invalid")


def test_a_certificate_of_an_authority_that_is_not_trusted_ends_the_handshake(scene: Scene, point: Process) -> None:
    other = TestAuthority(scene.folder / "elsewhere", "clients")
    shown = other.client("proxy", uris=(PROXY_URI,))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(scene, point, shown).ask(Authorization=scene.bearer()[1])


def test_a_certificate_that_ended_ends_the_handshake(scene: Scene, point: Process) -> None:
    shown = scene.clients.client("ended", uris=(PROXY_URI,), life=datetime.timedelta(seconds=-1))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(scene, point, shown).ask(Authorization=scene.bearer()[1])


def test_a_certificate_that_ends_while_its_connection_is_open_counts_no_more(scene: Scene, point: Process) -> None:
    shown = scene.clients.client("ending", uris=(PROXY_URI,), life=datetime.timedelta(seconds=3))
    client = Client(scene, point, shown)
    assert reason(client.ask(Authorization=scene.bearer()[1])) == (200, None)
    until(lambda: client.ask(Authorization=scene.bearer()[1])[0] == 403, "it counts no more", 10)


def test_an_authority_that_is_taken_out_of_the_file_counts_no_more_also_on_open_connections(
    scene: Scene, point: Process
) -> None:
    client = Client(scene, point, scene.proxy)
    assert reason(client.ask(Authorization=scene.bearer()[1])) == (200, None)
    newer = TestAuthority(scene.folder / "newer", "clients")
    renewed = newer.client("proxy", uris=(PROXY_URI,))
    try:
        # Both for a while, as a rotation does it.
        scene.client_ca.write_bytes(scene.clients.pem + newer.pem)

        def accepted() -> bool:
            try:
                return Client(scene, point, renewed).ask(Authorization=scene.bearer()[1])[0] == 200
            except (ssl.SSLError, ConnectionError):
                return False

        until(accepted, "the newer authority is trusted", 10)
        assert reason(client.ask(Authorization=scene.bearer()[1])) == (200, None)
        scene.client_ca.write_bytes(newer.pem)
        until(lambda: client.ask(Authorization=scene.bearer()[1])[0] == 403, "the older one is not any more", 10)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            Client(scene, point, scene.proxy).ask(Authorization=scene.bearer()[1])
        # What cannot be read leaves the last good one in place.
        scene.client_ca.write_bytes(b"no certificate")
        until(lambda: b"is not used" in point.log.read_bytes(), "it says so", 10)
        assert accepted()
    finally:
        scene.client_ca.write_bytes(scene.clients.pem)
        until(lambda: client.ask(Authorization=scene.bearer()[1])[0] == 200, "the first is trusted again", 10)


@pytest.mark.parametrize("held", [b"no certificate", None], ids=["unreadable", "missing"])
def test_an_authority_that_is_taken_out_counts_no_more_although_the_serving_certificate_cannot_be_used(
    scene: Scene, point: Process, held: bytes | None
) -> None:
    client = Client(scene, point, scene.proxy)
    assert reason(client.ask(Authorization=scene.bearer()[1])) == (200, None)
    newer = TestAuthority(scene.folder / "newest", "clients")
    served = scene.serving.certificate.read_bytes()
    try:
        if held is None:
            scene.serving.certificate.unlink()
        else:
            scene.serving.certificate.write_bytes(held)
        scene.client_ca.write_bytes(newer.pem)
        until(lambda: client.ask(Authorization=scene.bearer()[1])[0] == 403, "it is not trusted any more", 10)
        # The last good pair goes on to shake hands with it, and it is nobody.
        assert Client(scene, point, scene.proxy).ask(Authorization=scene.bearer()[1])[0] == 403
    finally:
        scene.serving.certificate.write_bytes(served)
        scene.client_ca.write_bytes(scene.clients.pem)
        until(lambda: client.ask(Authorization=scene.bearer()[1])[0] == 200, "the first is trusted again", 10)
