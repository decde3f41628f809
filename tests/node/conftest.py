"""Fixtures of the tests that need pods: a namespace under the restricted profile, and its pods."""

from collections.abc import Iterator

import pytest

from bailiwick_api.accounts import Installation
from demo.incluster import Images, InCluster
from localcluster import build
from localcluster.node import images
from localcluster.node.cluster import NodeCluster
from localcluster.progress import Silent
from support.callers import Callers
from support.installation import install
from support.namespaces import Namespaces
from support.node import bailiwick
from support.node.pods import RESTRICTED, Pods


@pytest.fixture
def pods(node: NodeCluster, callers: Callers, namespaces: Namespaces, request: pytest.FixtureRequest) -> Pods:
    """The pods of a fresh namespace, which takes only what the restricted profile lets run."""
    return Pods(callers.admin, namespaces.make(request.node.name, RESTRICTED))


@pytest.fixture(scope="module")
def installed(node: NodeCluster, callers: Callers) -> Iterator[Installation]:
    """Bailiwick's manifests, for the tests of one file alone: others on this node install the chart."""
    installation = Installation()
    bailiwick.remove(callers.admin, installation)
    install(callers, installation)
    yield installation
    bailiwick.remove(callers.admin, installation)


@pytest.fixture(scope="session")
def bed() -> Iterator[NodeCluster]:
    """A node of its own for what is installed by Helm, which takes nothing over that somebody else applied."""
    with NodeCluster() as bed:
        bed.load(*(image.archive for image in images.ensure(Silent())))
        yield bed


@pytest.fixture(scope="session")
def ground(bed: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> InCluster:
    """What the chart is installed on."""
    helm = build.ensure(build.helm()) / "helm"
    named = Images(images.reference("webhook"), images.reference("operator"))
    return InCluster(bed.cluster, tmp_path_factory.mktemp("release"), helm, named)
