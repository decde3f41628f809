"""A running Bailiwick for every test below, and one decision point of it behind a proxy that injects faults."""

from collections.abc import Iterator

import pytest

from demo.stack import DecisionPoint
from localcluster import process
from support.faultproxy import FaultProxy
from support.pdp.fixtures import pdp, tenant, tenants
from support.pdp.processes import API_SECONDS, Bailiwick
from support.pdp.tenant import Tenants

__all__ = ["pdp", "tenant", "tenants"]


@pytest.fixture(scope="session")
def proxy(pdp: Bailiwick, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    """The proxy; tests take `faults`."""
    with FaultProxy(pdp.cluster, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def faults(proxy: FaultProxy) -> Iterator[FaultProxy]:
    """The proxy without faults; none outlives its test."""
    yield proxy
    proxy.clear()


@pytest.fixture(scope="session")
def behind(pdp: Bailiwick, proxy: FaultProxy) -> Iterator[DecisionPoint]:
    """The decision point behind the proxy."""
    point = pdp.start_point("--api-timeout", f"{API_SECONDS}", proxy=proxy)
    yield point
    process.stop([point.process.id])


@pytest.fixture(scope="module")
def both(pdp: Bailiwick, behind: DecisionPoint) -> Iterator[Tenants]:
    """Tenants whose first decision point is the one behind the proxy, and whose second is not."""
    tenants = pdp.tenants(behind, pdp.points[0])
    yield tenants
    tenants.namespaces.clean()
