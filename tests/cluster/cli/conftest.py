"""A running Bailiwick, and the command line as the people of the cluster."""

from collections.abc import Callable

import pytest

from support import commandline
from support.commandline import Ran
from support.pdp.fixtures import pdp, tenant, tenants
from support.pdp.tenant import Tenant

__all__ = ["pdp", "tenant", "tenants"]


@pytest.fixture
def cli(tenant: Tenant) -> Callable[..., Ran]:
    """Runs a command as somebody in the tenant's namespace: `cli("carol", "list", "--mine")`."""

    def run(person: str, *arguments: str) -> Ran:
        return commandline.run("-n", tenant.namespace, *arguments, kubeconfig=tenant.cluster.kubeconfig(person))

    return run
