"""Bailiwick, installed by Helm, while its pods are exchanged, drained, upgraded, rolled back and removed."""

import contextlib
import gzip
import json
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.kinds.meta import API_VERSION
from demo import oncluster
from demo.ground import KUBECTL, output
from demo.incluster import NAMESPACE, RELEASE, SERVICE, InCluster
from demo.narrator import Silent
from localcluster.node import images
from localcluster.node.cluster import NodeCluster
from localcluster.progress import Silent as NoProgress
from support import commandline
from support.callers import Callers
from support.installation import accepted
from support.node.load import Load
from support.objectstore import s3_server
from support.waits import until, until_ok

AT_LEAST: Final = 2000
TEAM: Final = "shop"
POLICIES: Final = f"/apis/{API_VERSION}/namespaces/{TEAM}/endpointpolicies"
PODS: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"
_MINUTES: Final = 300
# The kubelet brings a changed Secret into a pod within about a minute and a half.
_PROJECTED_SECONDS: Final = 180

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def callers(bed: NodeCluster) -> Iterator[Callers]:
    """Clients by username, of this node's API server."""
    with Callers(bed.cluster) as callers:
        yield callers


@pytest.fixture
def release(ground: InCluster, callers: Callers) -> InCluster:
    """The chart, installed once; a test that takes it away leaves that to the next."""
    code, _ = helm(ground, "status", RELEASE)
    if code != 0:
        ground.install(Silent(), values(ground))
    accepted(callers.admin.apply(namespace(), "tests"))
    for account in ("shop-api", "agent"):
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": TEAM, "name": account}}
        accepted(callers.admin.apply(body, "tests"))
    until_ok(lambda: callers.admin.apply(policy("shop"), "tests"), "the policy is admitted", _MINUTES)
    until(lambda: ready(callers, "shop"), "every decision point serves the policy", _MINUTES)
    return ground


@pytest.fixture
def load(release: InCluster) -> Load:
    """A load on the Service, not begun."""
    enforcer = release.cluster.service_account_token(TEAM, "shop-api", [ENFORCER_AUDIENCE])
    subject = release.cluster.service_account_token(TEAM, "agent", ["shop-api.shop"])
    service = release.cluster.rest().get(f"/api/v1/namespaces/{NAMESPACE}/services/bailiwick-webhook").body
    question = {
        "subject": {"type": "serviceAccount", "id": f"system:serviceaccount:{TEAM}:agent"},
        "action": {"name": "orders.list"},
        "resource": {"type": "order", "id": "1"},
        "context": {"evidence": {"subject_token": subject}},
    }
    return Load(
        f"{SERVICE}/endpoints/{TEAM}/shop-api/access/v1/evaluation",
        service["spec"]["clusterIP"],
        release.authority(),
        {"Authorization": f"Bearer {enforcer}"},
        question,
    )


def test_the_pod_of_helm_test_runs_and_passes(release: InCluster) -> None:
    code, said = helm(release, "test", RELEASE, "--timeout=3m")
    assert (code, "Succeeded" in said) == (0, True), said


def test_a_rolling_restart_under_load_loses_no_request(release: InCluster, load: Load) -> None:
    with load:
        kubectl(release, "rollout", "restart", "deployment/bailiwick-webhook")
        rolled_out(release)
        load.until_asked(AT_LEAST)
    assert (load.lost, load.errors) == (0, [])


def test_a_new_certificate_under_load_loses_no_request(release: InCluster, callers: Callers, load: Load) -> None:
    before = serials(callers)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with load:
        kubectl(release, "annotate", "secret", "bailiwick-serving", "--overwrite", f"bailiwick.dev/renew-before={at}")
        until(lambda: not serials(callers) & before, "every pod serves the new certificate", _PROJECTED_SECONDS)
        load.until_asked(AT_LEAST)
    assert (load.lost, load.errors) == (0, [])


def test_a_decision_point_that_stands_still_leaves_the_service_and_is_restarted(release: InCluster) -> None:
    rolled_out(release)
    still = webhooks(release)[0]["metadata"]["name"]

    def state() -> tuple[bool, int]:
        """Tell whether the kubelet takes it for ready, and how often it was restarted."""
        (pod,) = [one for one in webhooks(release) if one["metadata"]["name"] == still]
        (container,) = pod["status"]["containerStatuses"]
        return container["ready"], container["restartCount"]

    ready_before, restarts = state()
    assert ready_before
    for pid in deciding(still):
        os.kill(pid, signal.SIGSTOP)
    until(lambda: state() == (False, restarts), "it is not ready, and not restarted for that", 60)
    until(lambda: state()[1] == restarts + 1, "it is restarted", _MINUTES)
    until(lambda: state()[0], "it is ready again", _MINUTES)


def test_an_upgrade_and_a_rollback_under_load_lose_no_request_and_no_policy(release: InCluster, load: Load) -> None:
    with load:
        newer = values(release)
        newer["webhook"] = {**newer["webhook"], "logLevel": "debug", "podAnnotations": {"upgraded": "yes"}}
        release.install(Silent(), newer)
        rolled_out(release)
        assert {pod["metadata"]["annotations"].get("upgraded") for pod in webhooks(release)} == {"yes"}
        code, said = helm(release, "rollback", RELEASE, "--wait", "--timeout=5m")
        assert code == 0, said
        rolled_out(release)
        assert {pod["metadata"].get("annotations", {}).get("upgraded") for pod in webhooks(release)} == {None}
        load.until_asked(AT_LEAST)
    assert (load.lost, load.errors) == (0, [])


def test_the_sidecar_stores_each_line_of_pods_that_come_and_go(
    release: InCluster, bed: NodeCluster, callers: Callers, load: Load, tmp_path: Path
) -> None:
    (image,) = images.ensure(NoProgress(), ("cli",))
    bed.load(image.archive)
    with s3_server(tmp_path, host=str(bed.network.host)) as server:
        bucket = server.bucket("bailiwick-records")
        metadata = {"namespace": NAMESPACE, "name": "store-credentials"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": server.environment}
        accepted(callers.admin.apply(secret, "tests"))
        release.install(Silent(), shipping(release, f"s3://{bucket}/decisions"))
        rolled_out(release)
        with load:
            kubectl(release, "rollout", "restart", "deployment/bailiwick-webhook")
            rolled_out(release)
            load.until_asked(AT_LEAST)
        # With the pods also what they had not stored yet.
        kubectl(release, "scale", "deployment/bailiwick-webhook", "--replicas=0")
        until(lambda: not webhooks(release), "no decision point is left", _MINUTES)
        ran = commandline.run("audit", "verify", f"s3://{bucket}/decisions", "-o", "json", env=server.environment)
        objects = server.objects(bucket, f"decisions/prod-eu/{NAMESPACE}/")
        release.install(Silent(), values(release))
    rolled_out(release)
    lines = [line for content in objects.values() for line in gzip.decompress(content).splitlines()]
    assert len({key.split("/")[3] for key in objects}) == 6
    assert sum(b'"orders.list"' in line for line in lines) == load.asked
    assert (load.lost, load.errors) == (0, [])
    # Down to the line by which a process ends its chain. That no witness saw them is all that is wrong.
    chains = json.loads(ran.out)["chains"]
    assert [chain["closed"] for chain in chains] == [True] * 6
    assert {finding["code"] for chain in chains for finding in chain["findings"]} == {"unknown"}


def test_ab_40_with_no_decision_point_pods_start_and_it_comes_back_by_itself(
    release: InCluster, callers: Callers
) -> None:
    kubectl(release, "scale", "deployment/bailiwick-webhook", "--replicas=0")
    until(lambda: not webhooks(release), "no decision point is left", _MINUTES)
    refused = callers.admin.create(policy("late"))
    assert (refused.status, "endpointpolicies.bailiwick.dev" in refused.message) == (500, True)
    kubectl(release, "delete", "pod", "--selector=app.kubernetes.io/component=operator", "--wait=true")
    kubectl(release, "rollout", "status", "deployment/bailiwick-operator", "--timeout=120s")
    kubectl(release, "scale", "deployment/bailiwick-webhook", "--replicas=3")
    rolled_out(release)
    until(lambda: callers.admin.create(policy("late"), dry_run=True).message.find("Conflict") > 0, "it judges again")


def test_ab_41_two_evictions_at_once_take_one_decision_point(release: InCluster, callers: Callers) -> None:
    rolled_out(release)
    names = [pod["metadata"]["name"] for pod in webhooks(release)]
    assert len(names) == 3
    answers = [callers.admin.create(eviction(name), f"{PODS}/{name}/eviction").status for name in names[:2]]
    assert answers == [201, 429]
    rolled_out(release)


def test_ab_42_uninstalling_keeps_the_definitions_and_leaves_nothing_that_blocks(
    release: InCluster, callers: Callers
) -> None:
    release.uninstall(Silent())
    for kind in (
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    ):
        listed = accepted(callers.admin.get(f"/apis/admissionregistration.k8s.io/v1/{kind}"))
        assert [one["metadata"]["name"] for one in listed["items"] if "bailiwick" in one["metadata"]["name"]] == []
    kept = accepted(callers.admin.get(f"{POLICIES}/shop"))
    assert "finalizers" not in kept["metadata"]
    accepted(callers.admin.create(policy("late")))
    accepted(callers.admin.delete(f"{POLICIES}/late"))
    until(lambda: not pods(release), "its pods are gone", _MINUTES)
    accepted(callers.admin.delete(f"/api/v1/namespaces/{TEAM}"))
    until(lambda: callers.admin.get(f"/api/v1/namespaces/{TEAM}").status == 404, "a namespace with policies ends", 60)


def values(ground: InCluster) -> dict[str, Any]:
    return oncluster.values(ground.cluster.server)


def shipping(ground: InCluster, url: str) -> dict[str, Any]:
    """Return the values of docs/how-to/ship-logs.md, with this node's image of the command line."""
    given = values(ground)
    record = {
        "file": "/var/lib/bailiwick/decisions.jsonl",
        "volume": {"emptyDir": {"sizeLimit": "1Gi"}},
        "shipper": {"url": url, "secretName": "store-credentials"},
    }
    given |= {"clusterName": "prod-eu", "console": {"image": {"tag": images.TAG}}}
    given["webhook"] |= {"record": record}
    return given


def helm(ground: InCluster, *arguments: str) -> tuple[int, str]:
    where = (f"--kubeconfig={ground.cluster.admin_kubeconfig}", f"--namespace={NAMESPACE}")
    code, out, errors = output(ground.helm, *arguments, *where, seconds=330)
    return code, out + errors


def kubectl(ground: InCluster, *arguments: str) -> str:
    where = (f"--kubeconfig={ground.cluster.admin_kubeconfig}", f"--namespace={NAMESPACE}")
    code, out, errors = output(KUBECTL, *where, *arguments, seconds=330)
    assert code == 0, errors
    return out


def rolled_out(ground: InCluster) -> None:
    kubectl(ground, "rollout", "status", "deployment/bailiwick-webhook", "--timeout=300s")
    until(lambda: len(webhooks(ground)) == 3, "those that go are gone", 120)


def pods(ground: InCluster, selector: str = "") -> list[dict[str, Any]]:
    listed = json.loads(kubectl(ground, "get", "pods", "--output=json", f"--selector={selector}"))
    return list(listed["items"])


def webhooks(ground: InCluster) -> list[dict[str, Any]]:
    return pods(ground, "app.kubernetes.io/component=webhook")


def deciding(pod: str) -> list[int]:
    """Return the processes of the decision point in a pod, by its name, as this machine numbers them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment, command = (folder / "environ").read_bytes().split(b"\0"), (folder / "cmdline").read_bytes()
            if f"HOSTNAME={pod}".encode() in environment and b"bailiwick_webhook" in command:
                found.append(int(folder.name))
    assert found
    return found


def serials(callers: Callers) -> set[int]:
    """What each pod serves with, by its own address."""
    listed = accepted(callers.admin.get(PODS, labelSelector="app.kubernetes.io/component=webhook"))
    stay = [pod for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"]]
    return {serial(pod["status"]["podIP"]) for pod in stay}


def serial(address: str) -> int:
    context = ssl.create_default_context()
    # Which certificate it is, is all that is asked here.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, 8443), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=SERVICE.removeprefix("https://")) as connection,
    ):
        certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return hash(certificate)


def ready(callers: Callers, name: str) -> bool:
    status = callers.admin.get(f"{POLICIES}/{name}").body.get("status", {})
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))


def namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}


def policy(name: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointPolicy",
        "metadata": {"namespace": TEAM, "name": name},
        "spec": {
            "endpoint": "shop-api",
            "endpointSettings": {"enforcers": [{"namespace": TEAM, "name": "shop-api"}]},
            "subjects": [{"name": "agent", "serviceAccount": {"namespace": TEAM, "name": "agent"}}],
            "rules": [
                {
                    "name": "read",
                    "effect": "Allow",
                    "subjects": ["agent"],
                    "actions": ["orders.list"],
                    "resources": [{"type": "order", "ids": ["*"]}],
                }
            ],
        },
    }


def eviction(name: str) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"namespace": NAMESPACE, "name": name}}
