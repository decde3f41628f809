"""A running Bailiwick, and the command line as the people of the cluster."""

from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_kube.paths import policies_path
from support import commandline
from support.commandline import Ran
from support.objects import POLICY, Object, gated_rule
from support.pdp.fixtures import pdp, tenants
from support.pdp.tenant import RULES, STEPS, Tenant, Tenants

__all__ = ["pdp", "tenants"]

# So that the tests of a module do not wait for each other's requests.
LIMITS: Final = {"pendingPerSubject": 50, "requestsPerHour": 1000}
TWO: Final = [*STEPS, {"name": "security", "kind": "Human", "groups": ["sec-oncall"]}]


def _rules() -> list[Object]:
    return [
        RULES[0],
        gated_rule("export", actions=["customers.export"], approval={"steps": STEPS, "limits": LIMITS}),
        gated_rule("merge", actions=["customers.merge"], approval={"steps": TWO, "limits": LIMITS}),
        gated_rule(
            "rotate",
            actions=["customers.rotate"],
            resources=[{"type": "customer", "ids": ["*"], "properties": {"env": ["prod", "test"]}}],
            approval={"steps": STEPS, "limits": LIMITS, "binding": "Scope", "maxUses": 3, "windowSeconds": 1200},
        ),
        gated_rule(
            "seal",
            actions=["customers.seal"],
            approval={"steps": STEPS, "binding": "Scope", "reason": {"pattern": "INC-[0-9]+ .*"}},
        ),
        RULES[-1],
    ]


@pytest.fixture(scope="module")
def tenant(tenants: Tenants, request: pytest.FixtureRequest) -> Tenant:
    """A tenant for a module."""
    return tenants.make(request.module.__name__.rpartition(".")[2], _rules())


@pytest.fixture
def cli(tenant: Tenant) -> Callable[..., Ran]:
    """Runs a command as somebody in the tenant's namespace: `cli("carol", "list", "--mine")`."""

    def run(person: str, *arguments: str) -> Ran:
        return commandline.run("-n", tenant.namespace, *arguments, kubeconfig=tenant.cluster.kubeconfig(person))

    return run


@pytest.fixture
def live(tenant: Tenant) -> Object:
    """The tenant's policy, as the cluster has it, without what the API server adds."""
    raw = tenant.callers.admin.get(policies_path(tenant.namespace, POLICY)).body
    return {
        "apiVersion": raw["apiVersion"],
        "kind": raw["kind"],
        "metadata": {"namespace": tenant.namespace, "name": raw["metadata"]["name"]},
        "spec": raw["spec"],
    }
