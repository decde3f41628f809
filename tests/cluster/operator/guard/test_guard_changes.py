"""An operator that looks seldom learns of a changed guard at once, and proves one that was put back within seconds.

Holds: the proof interval is longer than every wait here, so what is seen is seen by the watches alone.
"""

from collections.abc import Iterator, Sequence

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.guards import REVIEW
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import Operator
from support.callers import Callers
from support.guards.sabotage import ADMISSION, Guards, record_path, routes
from support.installation import accepted
from support.waits import until

UNPROVEN = "the guards over grants are not proven: no grant is approved"


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return ("--proof-interval", "3600", "--guard-settle", "1")


@pytest.fixture
def guards(callers: Callers, installed: Installation, operator: Operator) -> Iterator[Guards]:
    guards = Guards(callers, installed)
    guards.await_recorded()
    yield guards
    guards.restore()
    guards.await_recorded()


@pytest.mark.invariant(26)
def test_a_guard_that_is_loosened_is_reported_and_one_that_is_put_back_proven(
    operator: Operator, grants: Grants, guards: Guards
) -> None:
    said = len(operator.said(UNPROVEN))
    guards.loosen(REVIEW)
    assert f"{REVIEW} differs from the shipped version" in operator.await_said(UNPROVEN, said + 1)[-1]["problem"]
    guards.restore()
    guards.await_recorded()
    assert grants.approved()["status"]["phase"] == "Active"


@pytest.mark.invariant(26)
def test_what_changes_without_being_weaker_is_proven_again_too(
    operator: Operator, guards: Guards, callers: Callers, installed: Installation
) -> None:
    def proven_time() -> str:
        return str(accepted(callers.admin.get(record_path(installed)))["data"]["provenTime"])

    before = proven_time()
    path = f"{ADMISSION}/validatingadmissionpolicies/{REVIEW}"
    accepted(callers.admin.patch(path, {"metadata": {"labels": {"seen": "yes"}}}))
    until(lambda: proven_time() > before, "it is proven again")
    # The API server serves the group itself, by another object than before.
    accepted(callers.admin.delete("/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.bailiwick.dev"))
    until(lambda: len(routes(callers.admin)) > 0, "the group is there again")
    guards.await_recorded()
