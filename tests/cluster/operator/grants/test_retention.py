"""Retention: what has ended is deleted after its time, and nothing else ever is."""

import time
from collections.abc import Sequence

import pytest

from bailiwick_api.accounts import CANARY_GRANT, Installation
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import Operator
from support.callers import Callers
from support.installation import accepted
from support.objects import Object
from support.waits import until

pytestmark = pytest.mark.long

KEPT_SECONDS = 4


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return ("--proof-interval", "3", "--grant-retention-seconds", str(KEPT_SECONDS))


def gone(grants: Grants, body: Object) -> bool:
    return grants.admin.get(body).status == 404


@pytest.mark.invariant(22)
def test_what_has_ended_is_deleted_after_its_time_and_the_log_keeps_what_it_was(
    operator: Operator, grants: Grants
) -> None:
    body = grants.approved()
    accepted(grants.revoke(body))
    grants.await_phase(body, "Revoked")
    ended = time.monotonic()
    until(lambda: gone(grants, body), "the grant is deleted", 20)
    assert KEPT_SECONDS - 1 <= time.monotonic() - ended < KEPT_SECONDS + 5
    name = "/".join((grants.namespace, body["metadata"]["name"]))

    def lines() -> list[Object]:
        return [entry for entry in operator.said("grant deleted") if entry["grant"] == name]

    until(lambda: lines() != [], "the log says so", 5)
    (line,) = lines()
    assert (line["phase"], line["uid"], line["reviews"]) == ("Revoked", body["metadata"]["uid"], ["dave: Approve"])


@pytest.mark.invariant(22)
def test_a_denial_stays_as_long_as_a_cooldown_may_last(operator: Operator, grants: Grants) -> None:
    denied, withdrawn = grants.open(), grants.open()
    grants.await_phase(denied, "Pending")
    accepted(grants.review(denied, "dave", decision="Deny"))
    grants.await_phase(denied, "Denied")
    accepted(grants.revoke(withdrawn))
    until(lambda: gone(grants, withdrawn), "one that ended later is deleted", 20)
    assert grants.phase(denied) == "Denied"


@pytest.mark.invariant(22)
def test_what_has_not_ended_stays(
    operator: Operator, grants: Grants, callers: Callers, installed: Installation
) -> None:
    pending, active, over = grants.open(), grants.approved(), grants.open()
    accepted(grants.revoke(over))
    until(lambda: gone(grants, over), "the withdrawn one is deleted", 20)
    assert (grants.phase(pending), grants.phase(active)) == ("Pending", "Active")
    canary = f"/apis/bailiwick.dev/v1alpha1/namespaces/{installed.namespace}/approvalgrants/{CANARY_GRANT}"
    assert accepted(callers.admin.get(canary))["metadata"]["name"] == CANARY_GRANT


def test_what_ended_while_no_operator_was_there_is_deleted_by_the_next(operator: Operator, grants: Grants) -> None:
    body = grants.open()
    grants.await_phase(body, "Pending")
    accepted(grants.revoke(body))
    grants.await_phase(body, "Withdrawn")
    assert operator.stop() == 0
    time.sleep(KEPT_SECONDS)
    assert not gone(grants, body)
    operator.start().await_leading()
    until(lambda: gone(grants, body), "the grant is deleted", 20)
