"""The definition of our own kind is deleted and made again: nothing is decided by what was, and it recovers."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from bailiwick_api.manifests import crds
from support.installation import DEFINITIONS, accepted, apply
from support.objects import policy, settings, subject
from support.pdp.processes import Bailiwick, readiness
from support.pdp.tenant import RULES
from support.waits import until

pytestmark = pytest.mark.long

STALE_AFTER: Final = 5.0


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """A control plane of this module alone: its test takes the kinds away from everybody."""
    with ExitStack() as closing:
        yield Bailiwick.begin(closing, replicas=1)


def test_ab_24_without_its_definition_a_decision_point_is_not_ready_and_denies_until_policies_are_back(
    ours: Bailiwick,
) -> None:
    point = ours.start_point("--max-staleness", f"{STALE_AFTER}", "--relist-interval", "1", "--api-timeout", "1")
    tenant = ours.tenants(point).make("definition")
    approved = tenant.approved("customers.notify", "before")
    assert tenant.ask("customers.list").decision is True
    accepted(ours.callers.admin.delete(f"{DEFINITIONS}/{crds.ENDPOINT_POLICIES_CRD}"))
    until(lambda: tenant.ask("customers.list").status == 403, "its policies are gone", 15)
    until(lambda: readiness(point)[0] == 503, "it says that it is not ready", STALE_AFTER + 10)
    assert readiness(point)[1]["checks"]["fresh"] is False
    assert tenant.ask("customers.notify", "before").status == 403
    assert point.process.alive

    apply(ours.callers.admin, [crds.endpoint_policies()])
    until(lambda: readiness(point)[1]["checks"]["fresh"], "it watches again", 30)
    # A definition without policies allows nothing.
    assert tenant.ask("customers.list").status == 403
    body = policy(
        tenant.namespace,
        endpointSettings=settings(tenant.namespace, "api"),
        subjects=[subject(namespace=tenant.namespace, account="agent")],
        rules=list(RULES),
    )
    accepted(ours.callers.admin.create(body))
    until(lambda: tenant.ask("customers.list").decision, "the new policy is served", 15)
    # It is of the same name, and yet another: what was approved under the old one is not approved under it.
    assert tenant.ask("customers.notify", "before").decision is False
    assert tenant.uses(approved) == 0
