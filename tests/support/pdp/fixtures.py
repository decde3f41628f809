"""Fixtures of a running Bailiwick, for each folder's conftest to import."""

from collections.abc import Iterator

import pytest

from support.pdp.processes import Bailiwick, shared
from support.pdp.tenant import Tenant, Tenants

__all__ = ["pdp", "tenant", "tenants"]


@pytest.fixture(scope="session")
def pdp(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator[Bailiwick]:
    """An operator and three decision points, shared by all tests that do not disturb them.

    In the end their logs are judged. Folders share it, so whichever ends first ends it: none has a test left then.
    """
    running = shared(pytestconfig, request)
    yield running
    running.end()


@pytest.fixture(scope="module")
def tenants(pdp: Bailiwick) -> Iterator[Tenants]:
    """For tests that need a policy of their own, or several tenants."""
    tenants = pdp.tenants()
    yield tenants
    tenants.namespaces.clean()


@pytest.fixture(scope="module")
def tenant(tenants: Tenants, request: pytest.FixtureRequest) -> Tenant:
    """One tenant for a module: its tests use resource ids of their own."""
    return tenants.make(request.module.__name__.rpartition(".")[2])
