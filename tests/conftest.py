"""Fixtures that every test can ask for: a real cluster, Bailiwick's manifests in force on it, a namespace of one's own.

Holds: a folder, not its tests, says that an API server is needed; there is one control plane for each run of pytest.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick_api.accounts import Installation
from localcluster import build
from localcluster.access import Cluster
from localcluster.clusters import NamedCluster
from localcluster.controlplane import ControlPlane
from localcluster.node import images, needs
from localcluster.node.cluster import NodeCluster
from localcluster.node.recipes import Programs
from localcluster.progress import Silent
from support.callers import Callers
from support.installation import install
from support.namespaces import Namespaces, Roles

pytest_plugins = [
    "support.examples",
    "support.failures",
    "support.lastwords",
    "support.lanes",
    "support.leaks",
    "support.parts",
    "support.tracebacks",
]

_HERE = Path(__file__).parent
_ON_A_NODE = "node"
_ON_A_CLUSTER = frozenset({"abuse", "argocd", "browser", "chaos", "cluster", "e2e", "release", "upgrade", _ON_A_NODE})
# Each has a target of its own in the Makefile.
_SLOW = frozenset({"argocd", "browser", "proxies", "release", "upgrade", _ON_A_NODE})
# Part of `make test-all`, not of `make test`.
_LONG = frozenset({"chaos"})
# The limit of pyproject.toml is for what hangs. A long one takes a minute by itself, and more on a busy machine.
_LONG_SECONDS = 1_200
# What comes last. The middle is where workers that began at both ends meet, so the short files are there.
_AT_THE_END = ("property", "process")


# First, so that `-m cluster` already sees the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(_HERE).parts[0]
        if folder in _ON_A_CLUSTER:
            item.add_marker(pytest.mark.cluster)
        if folder in _SLOW:
            item.add_marker(pytest.mark.slow)
        if folder in _LONG:
            item.add_marker(pytest.mark.long)
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_LONG_SECONDS))
        if folder == _ON_A_NODE:
            item.add_marker(pytest.mark.node)


# Last, so that the order within a file stays the one that was drawn. What waits for a cluster takes longest; workers
# end together only if the files that are left in the end are short ones.
@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")
def pytest_order_items(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Here and not in the fixture: a first build takes minutes, and the time of a test is limited.
    if any(item.get_closest_marker("cluster") for item in session.items) and not session.config.option.collectonly:
        build.ensure()
    if _with_node(session) and not session.config.option.collectonly:
        # Everything that takes minutes, likewise. Where this machine cannot run a node, the message says why.
        needs.require()
        Programs.ensure()
        images.ensure(Silent(), images.ALL)


@pytest.fixture(scope="session")
def node() -> Iterator[NodeCluster]:
    """The cluster of this run where one of its tests needs a node: pods run, and Bailiwick's images are loaded."""
    with NodeCluster() as bed:
        bed.load(*(image.archive for image in images.ensure(Silent())))
        yield bed


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A control plane of this run; CLUSTER=current is that of KUBECONFIG, CLUSTER=<name> one of `localcluster up`."""
    match os.environ.get("CLUSTER", ""):
        case _ if _with_node(request.session):
            bed: NodeCluster = request.getfixturevalue("node")
            yield bed.cluster
        case "":
            with ControlPlane(build.ensure()) as plane:
                yield plane.cluster
        case "current":
            yield Cluster.from_kubeconfig()
        case name:
            yield NamedCluster(name).cluster()


@pytest.fixture(scope="session")
def callers(cluster: Cluster) -> Iterator[Callers]:
    """Clients by username, of people and of service accounts; `callers.admin` may do everything."""
    with Callers(cluster) as callers:
        yield callers


@pytest.fixture(scope="session")
def installed(callers: Callers) -> Installation:
    """Bailiwick's definitions, guards, roles and accounts, in force."""
    installation = Installation()
    install(callers, installation)
    return installation


@pytest.fixture
def namespaces(callers: Callers) -> Iterator[Namespaces]:
    """For tests that need more than one namespace, or labels on it."""
    namespaces = Namespaces(callers.admin)
    yield namespaces
    namespaces.clean()


@pytest.fixture
def namespace(namespaces: Namespaces, request: pytest.FixtureRequest) -> str:
    """A fresh namespace, named after the test."""
    return namespaces.make(request.node.name)


@pytest.fixture
def roles(callers: Callers, namespace: str) -> Roles:
    """Gives people rights in the namespace of the test."""
    return Roles(callers.admin, namespace)


def _with_node(session: pytest.Session) -> bool:
    return any(item.get_closest_marker("node") for item in session.items)


def _place(item: pytest.Item) -> int:
    if item.get_closest_marker("cluster"):
        return -1
    folder = item.path.relative_to(_HERE).parts[0]
    return _AT_THE_END.index(folder) + 1 if folder in _AT_THE_END else 0
