"""A release with images installs from a registry by digest: a node pulls what was signed, and nothing else."""

import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from demo import oncluster
from demo.incluster import NAMESPACE, Images, InCluster
from demo.narrator import Silent
from localcluster import build
from localcluster.node.cluster import NodeCluster
from release.conftest import MadeRelease
from release.registry import Registry
from releasemaker import imageindex
from support.installation import accepted
from support.node.pods import Pods, container, pod_spec
from support.waits import until, until_ok

_PULL_SECONDS: Final = 120


@pytest.fixture(scope="module")
def bed(images: dict[str, str]) -> Iterator[NodeCluster]:
    """A node that has none of the images: one for each Helm, since the cases leave their objects behind."""
    assert images
    with NodeCluster() as bed:
        # The controller manager makes it a moment later, and without it there is no pod.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        until_ok(lambda: bed.cluster.rest().get(account), "the namespace has its account")
        yield bed


@pytest.fixture(scope="module")
def near(bed: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that the node reaches, and whose authority it trusts."""
    program = build.ensure(build.registry()) / "registry"
    with Registry(program, tmp_path_factory.mktemp("near"), str(bed.network.host)) as registry:
        bed.node.trust(registry.host, registry.authority)
        yield registry


@pytest.fixture(scope="module")
def pushed(release: MadeRelease, near: Registry, images: dict[str, str]) -> dict[str, str]:
    """The images by name: each one's reference by digest, in the registry."""
    return {name: near.push(release.file(f"{name}-*.oci.tar"), f"bailiwick/{name}", release.version) for name in images}


@pytest.mark.parametrize(
    ("bed", "helm"), [("Helm 3", build.helm), ("Helm 4", build.helm4)], indirect=["bed"], ids=["Helm 3", "Helm 4"]
)
def test_helm_installs_chart_and_images_by_digest_and_the_cases_come_out_as_told(
    release: MadeRelease,
    bed: NodeCluster,
    near: Registry,
    pushed: dict[str, str],
    tmp_path: Path,
    helm: Callable[[], build.Recipe],
) -> None:
    chart = near.push(release.file("*-chart-*.oci.tar"), "charts/bailiwick", release.version)
    ground = InCluster(
        bed.cluster,
        tmp_path,
        build.ensure(helm()) / "helm",
        Images(pushed["bailiwick-webhook"], pushed["bailiwick-operator"]),
        chart=(f"oci://{chart}", "--ca-file", str(near.authority)),
    )
    given = oncluster.values(bed.cluster.server)
    # The digests are those of the chart itself.
    given["image"] = {"registry": f"{near.host}/bailiwick"}
    for component in ("webhook", "operator"):
        del given[component]["image"]
    try:
        oncluster.play(ground, str(bed.network.host), Silent(), chart_values=given)
        pods = bed.cluster.rest().get(f"/api/v1/namespaces/{NAMESPACE}/pods").body["items"]
        running = {status["imageID"] for pod in pods for status in pod["status"]["containerStatuses"]}
        assert running == {pushed["bailiwick-webhook"], pushed["bailiwick-operator"]}
    finally:
        ground.uninstall(Silent())


def test_the_image_of_the_command_line_starts_on_the_node(
    release: MadeRelease, bed: NodeCluster, pushed: dict[str, str]
) -> None:
    printed = Pods(bed.cluster.rest(), "default").run("cli", once(pushed["bailiwick-cli"], "--version"))
    assert printed.split()[-1] == release.version


def test_an_image_with_a_changed_byte_is_refused_by_name_and_starts_without_it(
    bed: NodeCluster, near: Registry, pushed: dict[str, str]
) -> None:
    # Nothing else on this node is of this image: it would not ask again for a layer that it has.
    reference = pushed["bailiwick-mcp-gateway"]
    repository, _, digest = reference.removeprefix(f"{near.host}/").partition("@")
    (own,) = [one["digest"] for one in json.loads(near.manifest(repository, digest))["manifests"] if ours(one)]
    layer = json.loads(near.manifest(repository, own))["layers"][-1]["digest"]
    pods = Pods(bed.cluster.rest(), "default")
    blob = near.blob_file(layer)
    whole = blob.read_bytes()
    changed = bytearray(whole)
    changed[len(changed) // 2] ^= 1
    blob.write_bytes(changed)
    try:
        accepted(bed.cluster.rest().create(pod("changed", once(reference, "--help"))))
        until(lambda: layer in refusal(pods.get("changed")), "the node refuses the layer", _PULL_SECONDS)
    finally:
        blob.write_bytes(whole)
    assert "--upstream" in pods.run("whole", once(reference, "--help"))


def ours(entry: dict[str, Any]) -> bool:
    """Return whether an entry of an index is of the node's platform, which is that of this machine."""
    return bool(entry["platform"] == imageindex.PLATFORMS[imageindex.platform_word(platform.machine())])


def once(image: str, *arguments: str) -> dict[str, Any]:
    """Return the spec of a pod that runs an image to its end, and pulls it."""
    return pod_spec(container(image, args=list(arguments), imagePullPolicy="IfNotPresent"), restartPolicy="Never")


def pod(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": name}, "spec": spec}


def refusal(stored: dict[str, Any]) -> str:
    """Return why the image of a pod was not pulled."""
    waiting = (stored["status"].get("containerStatuses") or [{}])[0].get("state", {}).get("waiting", {})
    return str(waiting.get("message", "")) if waiting.get("reason", "").startswith(("ErrImage", "ImagePull")) else ""
