"""What is stored already: what is broken can be labelled, repaired and deleted, and no other policy holds it up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from cluster.admission.test_reviewing import BROKEN, refusal, warnings
from demo.stack import DecisionPoint
from localcluster.rest import Rest
from support.admission.registration import registered, registration
from support.installation import accepted
from support.namespaces import Namespaces
from support.objects import Object, gated_rule, policy, rule, settings
from support.pdp.processes import Bailiwick
from support.waits import until

FINALIZER: Final = "tests.bailiwick.dev/holds"
UNMAPPED: Final = {
    "subjects": [{"name": "agent", "user": {"issuer": "partners", "name": "pat"}}],
    "rules": [gated_rule()],
}


@pytest.fixture(scope="module")
def old(pdp: Bailiwick, point: DecisionPoint, certificate: tuple[Path, Path]) -> Iterator[str]:
    """A namespace whose policies were written before there was anybody to review them."""
    admin, namespaces = pdp.callers.admin, Namespaces(pdp.callers.admin)
    namespace = namespaces.make("old")
    for body in (
        policy(namespace, "broken", rules=[BROKEN]),
        policy(namespace, "labelled", endpoint="labelled", rules=[BROKEN]),
        policy(namespace, "held", endpoint="held", rules=[BROKEN]),
        policy(namespace, "one", endpoint="twice", endpointSettings=settings()),
        policy(namespace, "two", endpoint="twice", endpointSettings=settings()),
        policy(namespace, "unmapped", endpoint="unmapped", **UNMAPPED),
    ):
        accepted(admin.create(body))
    with registered(admin, registration(point.admission_port, certificate[0], namespace), namespace):
        yield namespace
    namespaces.clean()


@pytest.fixture
def admin(pdp: Bailiwick) -> Rest:
    return pdp.callers.admin


def path(namespace: str, name: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{ENDPOINT_POLICIES}/{name}"


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"app.kubernetes.io/part-of": "crm"}},
        {"annotations": {"argocd.argoproj.io/tracking-id": "crm:bailiwick.dev/EndpointPolicy:old/labelled"}},
        {"finalizers": [FINALIZER]},
        {"finalizers": None},
        {"ownerReferences": None},
    ],
    ids=["labels", "annotations", "a finalizer", "no finalizer", "no owner"],
)
def test_what_leaves_the_spec_as_it_is_passes(admin: Rest, old: str, metadata: Object) -> None:
    accepted(admin.patch(path(old, "labelled"), {"metadata": metadata}))


def test_one_that_a_finalizer_holds_can_be_deleted_and_let_go(admin: Rest, old: str) -> None:
    accepted(admin.patch(path(old, "held"), {"metadata": {"finalizers": [FINALIZER]}}))
    accepted(admin.delete(path(old, "held")))
    assert "deletionTimestamp" in accepted(admin.get(path(old, "held")))["metadata"]
    accepted(admin.patch(path(old, "held"), {"metadata": {"finalizers": None}}))
    until(lambda: admin.get(path(old, "held")).status == 404, "it is gone")


def test_a_change_that_leaves_it_broken_is_refused_and_a_repair_passes(admin: Rest, old: str) -> None:
    assert refusal(admin.patch(path(old, "broken"), {"spec": {"suspend": True}})).startswith("InvalidPolicy: ")
    accepted(admin.patch(path(old, "broken"), {"spec": {"rules": [rule()]}}))


def test_server_side_apply_of_what_is_there_passes(admin: Rest, old: str) -> None:
    accepted(admin.apply(policy(old, "labelled", endpoint="labelled", rules=[BROKEN]), "argocd-controller", force=True))


def test_a_conflict_that_was_there_holds_up_no_edit_and_is_told(admin: Rest, old: str) -> None:
    answer = admin.patch(path(old, "one"), {"spec": {"suspend": True}})
    accepted(answer)
    assert "Conflicted, as it was before: endpointSettings for twice are also in two" in warnings(answer)
    accepted(admin.patch(path(old, "two"), {"spec": {"endpointSettings": None}}))
    # Now it would be a new one.
    until(
        lambda: not admin.patch(path(old, "two"), {"spec": {"endpointSettings": settings()}}, dry_run=True).ok,
        "it is refused",
    )


def test_an_issuer_that_was_not_mapped_holds_up_no_deny(admin: Rest, old: str) -> None:
    tighter = [gated_rule(), rule("never", effect="Deny", actions=["customers.purge"])]
    answer = admin.patch(path(old, "unmapped"), {"spec": {"rules": tighter}})
    accepted(answer)
    assert "UnmappedIssuer, as it was before" in warnings(answer)
    looser = [gated_rule(), gated_rule("another", actions=["customers.get"])]
    accepted(admin.patch(path(old, "unmapped"), {"spec": {"rules": looser}}))
