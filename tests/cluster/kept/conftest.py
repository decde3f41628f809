"""A control plane whose API server keeps the guards from its own disk, and the fixtures of the guards on it."""

from collections.abc import Iterator

import pytest

from bailiwick_api.accounts import Installation
from cluster.guards.conftest import ground_namespaces, ground_without, lacking, shipped
from localcluster import build
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane, Settings
from support.callers import Callers
from support.installation import install
from support.keepfolder import KeepFolder

__all__ = ["ground_namespaces", "ground_without", "lacking", "shipped"]


@pytest.fixture(scope="session")
def keep_folder(tmp_path_factory: pytest.TempPathFactory) -> KeepFolder:
    """The folder on the disk of the API server, with the shipped file."""
    folder = KeepFolder(tmp_path_factory.mktemp("keep"))
    folder.put()
    return folder


@pytest.fixture(scope="session")
def plane(keep_folder: KeepFolder) -> Iterator[ControlPlane]:
    with ControlPlane(build.ensure(), settings=Settings(apiserver_flags=keep_folder.flags)) as plane:
        yield plane


@pytest.fixture(scope="session")
def cluster(plane: ControlPlane) -> Cluster:
    return plane.cluster


@pytest.fixture(scope="session")
def callers(cluster: Cluster) -> Iterator[Callers]:
    with Callers(cluster) as callers:
        yield callers


@pytest.fixture(scope="session")
def installed(callers: Callers) -> Installation:
    """A new installation, made while the guards are kept: nothing has to be taken away for it."""
    installation = Installation()
    install(callers, installation)
    return installation
