"""A control plane for each module, into which the chart is applied; no pod runs, for want of a node.

Holds: what the fixtures hand out was rendered from the chart; nothing of `crds/` is applied besides.
"""

from collections.abc import Iterator

import pytest

from localcluster import build
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane
from support.callers import Callers


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ControlPlane(build.ensure()) as plane:
        yield plane.cluster


@pytest.fixture(scope="module")
def callers(cluster: Cluster) -> Iterator[Callers]:
    with Callers(cluster) as callers:
        yield callers
