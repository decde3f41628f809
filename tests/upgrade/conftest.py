"""The last release, as `hack/releases.toml` names it, and an API server for each way to upgrade from it.

Holds: whoever collects no test of this folder prepares no release.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from localcluster import build
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane
from releasemaker import releaselist
from releasemaker.releaselist import PreparedRelease
from upgrade import story
from upgrade.story import Story
from upgrade.ways import Chart, Manifests, Way

_FOLDER: Final = Path(__file__).parent
_ROOT: Final = _FOLDER.parents[1]


def _by_helm_3(cluster: Cluster) -> Way:
    return Chart(cluster, build.ensure(build.helm()) / "helm")


def _by_helm_4(cluster: Cluster) -> Way:
    return Chart(cluster, build.ensure(build.helm4()) / "helm")


_WAYS: Final[dict[str, Callable[[Cluster], Way]]] = {
    "manifests": Manifests,
    "Helm 3": _by_helm_3,
    "Helm 4": _by_helm_4,
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The first test of a way waits until all of it has been played.
    for item in items:
        if _FOLDER in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


def pytest_collection_finish(session: pytest.Session) -> None:
    # A first build takes minutes, and the time of a test is limited.
    ours = any(_FOLDER in item.path.parents for item in session.items)
    if ours and not session.config.option.collectonly:
        build.ensure(build.helm())
        build.ensure(build.helm4())
        releaselist.prepare(_ROOT, releaselist.read(_ROOT)[-1])


@pytest.fixture(scope="session")
def old() -> PreparedRelease:
    """The last release."""
    return releaselist.prepare(_ROOT, releaselist.read(_ROOT)[-1])


@pytest.fixture(scope="module", params=list(_WAYS))
def way(request: pytest.FixtureRequest) -> str:
    """How the release is installed, upgraded and rolled back."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def played(way: str, old: PreparedRelease, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """An upgrade and a roll back, on an API server of their own; in the end all logs are judged."""
    with ControlPlane(build.ensure()) as plane:
        by, folder = _WAYS[way](plane.cluster), tmp_path_factory.mktemp(way)
        with story.begin(plane.cluster, folder, by, old) as (began, tenants):
            yield story.play(began, tenants, old, _ROOT, sys.executable)
