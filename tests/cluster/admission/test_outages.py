"""The decision point is away: no policy is stored, and everything else goes on."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bailiwick_api.accounts import VALIDATING_WEBHOOK
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from localcluster import process
from localcluster.rest import Rest
from support.admission.registration import registered, registration
from support.installation import accepted
from support.objects import policy, settings
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenants
from support.waits import until
from unit.operator.cases import condition

pytestmark = pytest.mark.long


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """What is ended however the test ends."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("how", ["stopped", "hangs"])
def test_policies_are_refused_and_reviews_revocations_statuses_and_deletions_pass(
    pdp: Bailiwick,
    tenants: Tenants,
    flags: tuple[str, ...],
    certificate: tuple[Path, Path],
    closing: ExitStack,
    how: str,
) -> None:
    admin = pdp.callers.admin
    tenant = tenants.make(f"outage-{how}")
    accepted(admin.create(policy(tenant.namespace, "carrier", endpoint="other", endpointSettings=settings())))
    accepted(admin.create(policy(tenant.namespace, "other", endpoint="other")))
    waiting, active = tenant.opened("customers.export", "waits"), tenant.approved("customers.notify", "active")
    point = pdp.start_point(*flags)
    closing.callback(process.stop, [point.process.id])
    raw = registration(point.admission_port, certificate[0], tenant.namespace, timeout=2)
    until(lambda: told(admin, tenant.namespace) == "Enforced", "the policy is in force")
    with registered(admin, raw, tenant.namespace):
        if how == "stopped":
            process.stop([point.process.id])
        else:
            point.process.id.send(signal.SIGSTOP)
        for name in ("new", "another"):
            answer = admin.create(policy(tenant.namespace, name, endpoint=name))
            assert answer.status == 500
            assert f'failed calling webhook "{VALIDATING_WEBHOOK}"' in answer.message
        assert not admin.patch(path(tenant.namespace, "other"), {"spec": {"suspend": True}}).ok
        # A review, which the operator counts; a revocation, which decisions feel; asking for an approval and using it.
        tenant.approve(waiting)
        assert tenant.ask("customers.export", "waits").decision is True
        tenant.revoke(active)
        until(lambda: tenant.ask("customers.notify", "active").decision is False, "the revocation is felt", 5)
        assert tenant.ask("customers.list").decision is True
        # A deletion, and what the operator then says of the policy that is left.
        accepted(admin.delete(path(tenant.namespace, "carrier")))
        until(lambda: told(admin, tenant.namespace) == "EndpointUnconfigured", "the operator writes the status")


def path(namespace: str, name: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{ENDPOINT_POLICIES}/{name}"


def told(admin: Rest, namespace: str) -> str | None:
    """Return why the other policy is ready or not."""
    status = accepted(admin.get(path(namespace, "other"))).get("status", {})
    return condition(status, "Ready")["reason"] if "conditions" in status else None
