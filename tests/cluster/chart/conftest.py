"""A control plane for each module, into which the chart is applied; no pod runs, for want of a node.

Holds: what the fixtures hand out was rendered from the chart; nothing of `crds/` is applied besides.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from localcluster import build
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane
from support.callers import Callers

# Helm by its versions, which users have both of.
HELMS: Final = {"Helm 3": build.helm, "Helm 4": build.helm4}


def pytest_collection_finish(session: pytest.Session) -> None:
    # A first build takes minutes, and the time of a test is limited.
    ours = any("helms" in getattr(item, "fixturenames", ()) for item in session.items)
    if ours and not session.config.option.collectonly:
        for recipe in HELMS.values():
            build.ensure(recipe())


@pytest.fixture(scope="session")
def helms() -> dict[str, Path]:
    """The program of each Helm, by the version's name."""
    return {name: build.ensure(recipe()) / "helm" for name, recipe in HELMS.items()}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ControlPlane(build.ensure()) as plane:
        yield plane.cluster


@pytest.fixture(scope="module")
def callers(cluster: Cluster) -> Iterator[Callers]:
    with Callers(cluster) as callers:
        yield callers
