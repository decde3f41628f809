"""A policy of an administrator changes on admission what the operator writes into the status of a grant.

Holds: what was written in somebody else's name while the guard of reviews was lifted never counts, and a Deny stays in
the way, whatever becomes of the operator's own writes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from abuse.approvals.test_guard import forge_review
from bailiwick_api.manifests.guards import REVIEW
from support.admission.statusmutation import changing_status
from support.guards.sabotage import Guards
from support.installation import accepted
from support.objects import stamp
from support.pdp.oftenproven import often_proven
from support.pdp.processes import Bailiwick, await_ready
from support.pdp.tenant import RULES, Tenant
from support.waits import until


@pytest.fixture(scope="module")
def ours() -> Iterator[Bailiwick]:
    """A control plane of this module alone, whose guards its tests break; the operator proves often."""
    with often_proven() as ours:
        yield ours


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    return ours.tenants().make("undone-voids", list(RULES))


VOID: Final = "object.?status.?conditions.orValue([]).exists(c, c.reason == 'GuardUnproven')"
UNDONE: Final = (
    "[JSONPatch{op: 'replace', path: '/status/phase', value: 'Pending'},"
    " JSONPatch{op: 'remove', path: '/status/voided'}, JSONPatch{op: 'remove', path: '/status/conditions'}]"
)
DENIED: Final = "object.?status.?counted.orValue([]).exists(c, c.reviewer == 'carol')"
MADE_VOID: Final = (
    "[JSONPatch{op: 'replace', path: '/status/phase', value: 'Pending'},"
    " JSONPatch{op: 'remove', path: '/status/counted'}, JSONPatch{op: 'remove', path: '/status/conditions'},"
    " JSONPatch{op: 'add', path: '/status/voided', value: [{'reviewer': 'carol'}]}]"
)


def dropped(now: datetime) -> str:
    """Return a patch by which a Deny does not count, and an Approve beside it opens the grant."""
    times = {"approvedTime": stamp(now), "notAfterTime": stamp(now + timedelta(minutes=5))}
    added = "".join(f", JSONPatch{{op: 'add', path: '/status/{name}', value: '{at}'}}" for name, at in times.items())
    return (
        "object.status.counted.exists(c, c.reviewer == 'dave')"
        " ? [JSONPatch{op: 'replace', path: '/status/phase', value: 'Active'},"
        " JSONPatch{op: 'replace', path: '/status/counted', value: [{'reviewer': 'dave'}]},"
        f" JSONPatch{{op: 'remove', path: '/status/conditions'}}{added}]"
        " : [JSONPatch{op: 'replace', path: '/status/phase', value: 'Pending'},"
        " JSONPatch{op: 'remove', path: '/status/counted'}, JSONPatch{op: 'remove', path: '/status/conditions'}]"
    )


@pytest.mark.invariant(26, 27)
def test_a_forged_review_never_counts_though_the_write_that_makes_it_void_is_undone(
    ours: Bailiwick, tenant: Tenant
) -> None:
    await_ready(ours.points[0])
    guards = Guards(ours.callers, ours.installation)
    admin = ours.callers.admin
    name = tenant.opened("customers.notify", "undone")
    until(lambda: "status" in tenant.grant(name), "the operator has seen it")
    with changing_status(admin, tenant.namespace, VOID, UNDONE):
        guards.loosen(REVIEW)
        until(lambda: forge_review(tenant, name), "the guard lets a forged review through", 20)
        guards.restore()
        guards.await_recorded()
        await_ready(ours.points[0])
        honest = tenant.approved("customers.notify", "honest")
        assert tenant.phase(honest) == "Active"
        assert tenant.ask("customers.notify", "undone").decision is False
        assert tenant.phase(name) != "Active"
    until(lambda: tenant.phase(name) == "Expired", "it is void by its status once that can be written", 30)
    assert tenant.ask("customers.notify", "undone").decision is False


@pytest.mark.invariant(13)
def test_a_denial_that_is_made_void_is_approved_by_nobody(ours: Bailiwick, tenant: Tenant) -> None:
    await_ready(ours.points[0])
    name = tenant.opened("customers.notify", "void denial")
    until(lambda: "status" in tenant.grant(name), "the operator has seen it")
    with changing_status(ours.callers.admin, tenant.namespace, DENIED, MADE_VOID):
        accepted(tenant.review(name, decision="Deny"))
        until(lambda: "voided" in tenant.grant(name)["status"], "the denial is void")
        accepted(tenant.review(name, by="dave"))
        until(lambda: "the Deny by carol is void" in str(tenant.grant(name)["status"]), "the approval was judged", 30)
        assert tenant.phase(name) == "Pending"
        assert tenant.ask("customers.notify", "void denial").decision is False


@pytest.mark.invariant(13)
def test_a_denial_that_is_dropped_from_what_counts_lets_nothing_through(ours: Bailiwick, tenant: Tenant) -> None:
    await_ready(ours.points[0])
    name = tenant.opened("customers.notify", "dropped denial")
    until(lambda: "status" in tenant.grant(name), "the operator has seen it")
    with changing_status(ours.callers.admin, tenant.namespace, DENIED, dropped(datetime.now(UTC))):
        accepted(tenant.review(name, decision="Deny"))
        accepted(tenant.review(name, by="dave"))
        until(lambda: tenant.phase(name) == "Active", "the policy opens it", 30)
        assert tenant.ask("customers.notify", "dropped denial").decision is False
    until(lambda: tenant.phase(name) == "Denied", "it is denied once that can be written", 90)
