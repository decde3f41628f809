"""Fixtures of the tests that need pods: a namespace under the restricted profile, and its pods."""

import pytest

from localcluster.node.cluster import NodeCluster
from support.callers import Callers
from support.namespaces import Namespaces
from support.node.pods import RESTRICTED, Pods


@pytest.fixture
def pods(node: NodeCluster, callers: Callers, namespaces: Namespaces, request: pytest.FixtureRequest) -> Pods:
    """The pods of a fresh namespace, which takes only what the restricted profile lets run."""
    return Pods(callers.admin, namespaces.make(request.node.name, RESTRICTED))
