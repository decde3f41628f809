"""Fixtures of the tests that need pods: a namespace under the restricted profile, and its pods."""

from collections.abc import Iterator

import pytest

from demo.incluster import Images, InCluster
from localcluster import build
from localcluster.node import images
from localcluster.node.cluster import NodeCluster
from localcluster.progress import Silent
from support.callers import Callers
from support.namespaces import Namespaces
from support.node.pods import RESTRICTED, Pods


@pytest.fixture
def pods(node: NodeCluster, callers: Callers, namespaces: Namespaces, request: pytest.FixtureRequest) -> Pods:
    """The pods of a fresh namespace, which takes only what the restricted profile lets run."""
    return Pods(callers.admin, namespaces.make(request.node.name, RESTRICTED))


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
