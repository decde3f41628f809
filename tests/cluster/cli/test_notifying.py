"""`notify test` with a real API server and a receiver that listens; and docs/how-to/notifications.md, typed."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick_api.accounts import Installation
from localcluster.access import Cluster
from localcluster.ports import free_ports
from support import commandline
from support.callers import Callers
from support.commandline import Ran
from support.installation import accepted
from support.pages import blocks
from support.receiver import Receiver
from support.shell import Shell
from support.waits import until, until_ok

PAGE = "how-to/notifications.md"
KEY = "whsec_" + base64.b64encode(bytes(32)).decode()
HIDDEN = "never-printed"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def has(callers: Callers, namespace: str, **entries: str) -> None:
    metadata = {"name": "bailiwick-notifications", "namespace": namespace}
    data = {name.replace("_secret", ".secret"): text for name, text in entries.items()}
    accepted(callers.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}))


def run(cluster: Cluster, namespace: str, *arguments: str, person: str = "admin") -> Ran:
    words = ("notify", "test", "-n", namespace, *arguments)
    return commandline.run(*words, kubeconfig=cluster.kubeconfig(person))


def test_sends_one_message_to_each_target_and_says_what_came_of_it(
    cluster: Cluster, callers: Callers, namespace: str, receiver: Receiver
) -> None:
    events = f"cloudevents+http://127.0.0.1:{receiver.port}/{HIDDEN}"
    has(callers, namespace, audit=events, audit_secret=KEY, chat=f"json://127.0.0.1:{receiver.port}/{HIDDEN}")
    ran = run(cluster, namespace, "--allowed-cidr", "127.0.0.1/32")
    assert ran.code == 0, ran
    assert [line.split()[:3] for line in ran.out.splitlines()[1:]] == [
        ["audit", "http://127.0.0.1", "delivered"],
        ["chat", "json://", "delivered"],
    ]
    assert len(receiver.received) == 2
    (event,) = receiver.events()
    assert event["type"] == "dev.bailiwick.test"
    assert f"{namespace}/bailiwick-notifications" in event["data"]["note"]
    assert HIDDEN not in ran.out + ran.err


def test_tries_one_target_alone(cluster: Cluster, callers: Callers, namespace: str, receiver: Receiver) -> None:
    events = f"cloudevents+http://127.0.0.1:{receiver.port}/"
    has(callers, namespace, audit=events, audit_secret=KEY, other=events, other_secret=KEY)
    ran = run(cluster, namespace, "--allowed-cidr", "127.0.0.1/32", "--target", "other", "-o", "json")
    assert ran.code == 0, ran
    said = json.loads(ran.out)
    assert said["kind"] == "NotificationTest"
    assert said["targets"] == [
        {"name": "other", "result": "delivered", "via": "cloudevents", "service": "http://127.0.0.1"}
    ]
    assert len(receiver.received) == 1


def test_exits_1_where_a_target_is_wrong_or_is_not_called(
    cluster: Cluster, callers: Callers, namespace: str, receiver: Receiver
) -> None:
    events = f"cloudevents+http://127.0.0.1:{receiver.port}/"
    has(callers, namespace, audit=events, audit_secret=KEY, files=f"file:///{HIDDEN}")
    ran = run(cluster, namespace, "-o", "json")
    assert ran.code == 1, ran
    files, audit = json.loads(ran.out)["targets"]
    assert "the scheme is none of those that are allowed" in files["why"]
    assert "the address 127.0.0.1 is not called" in audit["why"]
    assert receiver.received == []
    assert HIDDEN not in ran.out + ran.err


def test_a_dry_run_shows_all_and_sends_nothing(
    cluster: Cluster, callers: Callers, namespace: str, receiver: Receiver
) -> None:
    has(callers, namespace, audit=f"cloudevents+http://127.0.0.1:{receiver.port}/{HIDDEN}", audit_secret=KEY)
    ran = run(
        cluster,
        namespace,
        "--dry-run",
        "-o",
        "json",
        "--console-url",
        "https://console.example",
        "--cluster-name",
        "east",
    )
    assert ran.code == 0, ran
    said = json.loads(ran.out)
    assert (said["event"]["data"]["cluster"], said["message"]["title"]) == ("east", "east: Test notification")
    assert said["event"]["data"]["url"] == "https://console.example/"
    assert "This message cannot approve anything." in said["message"]["body"]
    plain = run(cluster, namespace, "--dry-run")
    assert "would be sent" in plain.out
    assert receiver.received == []
    assert HIDDEN not in plain.out + ran.out
    assert KEY not in plain.out + ran.out


def test_exits_2_where_there_is_nothing_to_try(cluster: Cluster, callers: Callers, namespace: str) -> None:
    none = run(cluster, namespace)
    assert (none.code, f"there is no Secret {namespace}/bailiwick-notifications" in none.err) == (2, True), none
    has(callers, namespace, chat="slack://a/b/c")
    assert "has no target nobody: it has chat" in run(cluster, namespace, "--target", "nobody").err
    forbidden = run(cluster, namespace, person="mallory")
    assert (forbidden.code, "forbidden" in forbidden.err) == (2, True), forbidden
    assert run(cluster, namespace, "--allowed-cidr", "10.0.0.1/8").code == 2


def test_without_a_namespace_the_targets_are_the_installations(
    cluster: Cluster, callers: Callers, namespace: str, receiver: Receiver
) -> None:
    has(callers, namespace, audit=f"cloudevents+http://127.0.0.1:{receiver.port}/", audit_secret=KEY)
    words = ("notify", "test", "--installation", namespace)
    ran = commandline.run(*words, kubeconfig=cluster.kubeconfig("admin"))
    assert ran.code == 0, ran
    assert receiver.events()[0]["source"] == f"/bailiwick/{namespace}"


def test_the_page_works_as_it_is_typed(
    cluster: Cluster, callers: Callers, installed: Installation, namespace: str, tmp_path: Path
) -> None:
    making, binding, trying, sending = blocks(PAGE, "sh")
    (program,) = blocks(PAGE, "python")
    (port,) = free_ports(1)
    shell = Shell(cluster, PAGE)

    def typed(text: str, **replaced: str) -> subprocess.CompletedProcess[str]:
        for old, new in {"-n crm": f"-n {namespace}", **replaced}.items():
            text = text.replace(old, new)
        done = shell.type(text)
        assert done.returncode == 0, done.stderr
        return done

    here = {"https://hooks.example.com/bailiwick": f"http://127.0.0.1:{port}/bailiwick"}
    secret = typed(making + "echo $secret", **here).stdout.splitlines()[-1]
    typed(binding)
    path = f"/api/v1/namespaces/{namespace}/secrets"
    until_ok(lambda: callers(installed.operator).get(f"{path}/bailiwick-notifications"), "the operator may read it")
    assert not callers(installed.operator).get(path).ok
    assert "audit" in typed(trying).stdout
    source = tmp_path / "receiver.py"
    source.write_text(program)
    environment = {**os.environ, "SECRET": secret, "PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, str(source)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as receiver:
        try:
            until(
                lambda: (
                    shell.type(sending.replace("-n crm", f"-n {namespace} --allowed-cidr 127.0.0.1/32")).returncode == 0
                ),
                "the receiver takes it",
            )
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == "dev.bailiwick.test Test notification\n"
            receiver.kill()
        finally:
            receiver.kill()
