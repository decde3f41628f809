"""The guards hold whatever way a write takes: apply, replace, status, whole collections, whole namespaces."""

from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.guards import NAMES_RESERVED, REVIEW_NAMES_AUTHOR
from bailiwick_api.manifests.historyguards import HISTORIES_ARE_THE_PDPS, ONLY_ENDED_HISTORIES_GO
from support.callers import Callers
from support.guards.ground import OPERATOR, PDP, Ask, Ground, one_use
from support.guards.open_cases import OWNER
from support.installation import accepted
from support.objects import adding_review, changed, history, opened_grant, review, step
from support.waits import until

TWO_REVIEWERS: Final[dict[str, Any]] = {"steps": [step(count=2, groups=["crm-owners"])]}


def said(message: str) -> str:
    """Return what a guard said."""
    return message.partition("denied request: ")[2]


def grants(ground: Ground) -> str:
    return f"/apis/bailiwick.dev/v1alpha1/namespaces/{ground.namespace}/approvalgrants"


def test_people_review_side_by_side_by_server_side_apply(shipped: Ground) -> None:
    stored = shipped.stored(**TWO_REVIEWERS)
    for reviewer in ("carol", "dave"):
        # Each under a field manager of their own, and only their own review.
        entry = review(stored, reviewer, group="crm-owners")
        shipped.done(Ask(reviewer, "apply", stored, {"spec": {"reviews": [entry]}}))
    now = accepted(shipped.callers.admin.get(stored))
    assert [entry["reviewer"] for entry in now["spec"]["reviews"]] == ["carol", "dave"]


@pytest.mark.invariant(2)
def test_a_review_by_server_side_apply_names_its_author(shipped: Ground) -> None:
    stored = shipped.stored()
    answer = shipped.send(Ask("carol", "apply", stored, {"spec": {"reviews": [review(stored, "dave")]}}))
    assert said(answer.message) == f"{REVIEW_NAMES_AUTHOR}: carol"


@pytest.mark.long
@pytest.mark.invariant(2)
def test_a_review_by_merge_patch_names_its_author(shipped: Ground) -> None:
    stored = shipped.stored()
    answer = shipped.send(Ask("carol", "merge", stored, {"spec": {"reviews": [review(stored, "dave")]}}))
    assert said(answer.message) == f"{REVIEW_NAMES_AUTHOR}: carol"


@pytest.mark.invariant(2)
def test_a_review_by_replacing_the_grant_names_its_author(shipped: Ground) -> None:
    stored = shipped.stored()
    answer = shipped.callers("carol").replace(changed(stored, "spec.reviews", [review(stored, "dave")]))
    assert said(answer.message) == f"{REVIEW_NAMES_AUTHOR}: carol"


def test_a_grant_is_opened_by_server_side_apply_under_the_same_rules(shipped: Ground) -> None:
    body = changed(shipped.by_hand(), "metadata.name", "agr-applied")
    assert said(shipped.callers("eve").apply(body, "eve").message) == NAMES_RESERVED
    assert shipped.callers("eve").apply(changed(body, "metadata.name", "applied"), "eve").message == ""


def test_a_grant_is_opened_by_replacing_nothing_under_no_rules_at_all(shipped: Ground) -> None:
    body = changed(shipped.by_hand(), "metadata.name", "from-nothing")
    # A custom resource is never created by PUT, so there is no second way in.
    assert shipped.callers("eve").replace(body).status == 404


@pytest.mark.invariant(5)
def test_one_person_reviews_a_grant_once(shipped: Ground) -> None:
    stored = shipped.stored(steps=[step(), step(name="export.second")])
    shipped.reviewed(stored, "carol")
    second = shipped.review(stored, "carol", step_name="crm-agent.export.second")
    assert shipped.send(second).message.endswith('spec.reviews[1]: Duplicate value: {"reviewer":"carol"}')


@pytest.mark.invariant(6)
@pytest.mark.parametrize("decision", ["Approve", "Deny"])
def test_a_review_stays_as_it_was_written(decision: str, shipped: Ground) -> None:
    stored = shipped.reviewed(shipped.stored(), "carol", decision=decision)
    (entry,) = stored["spec"]["reviews"]
    other = {**entry, "decision": {"Approve": "Deny", "Deny": "Approve"}[decision]}
    for change in (
        {"op": "replace", "path": "/spec/reviews/0", "value": other},
        {"op": "remove", "path": "/spec/reviews/0"},
        {"op": "remove", "path": "/spec/reviews"},
    ):
        answer = shipped.send(Ask("carol", "patch", stored, [change]))
        assert answer.message.endswith("spec: Invalid value: reviews are append-only")
    applied = shipped.send(Ask("carol", "apply", stored, {"spec": {"reviews": [other]}}))
    assert applied.message.endswith("spec: Invalid value: reviews are append-only")


@pytest.mark.invariant(6)
@pytest.mark.parametrize("member", ["requester", "excludedReviewers", "steps", "binding", "maxUses"])
def test_nobody_changes_what_was_asked_for(member: str, shipped: Ground) -> None:
    stored = shipped.opened()
    others: dict[str, Any] = {
        "requester": {"username": "mallory"},
        "excludedReviewers": [],
        "steps": [step("hr-agent")],
        "binding": {"mode": "Scope"},
        "maxUses": 50,
    }
    for who in ("carol", "admin", PDP, OPERATOR):
        answer = shipped.send(Ask(who, "merge", stored, {"spec": {"request": {member: others[member]}}}))
        assert "the request is immutable: request a new grant" in answer.message
        assert answer.status == 422


@pytest.mark.invariant(13)
def test_a_revocation_is_final_for_who_made_it_too(shipped: Ground) -> None:
    stored = shipped.revoked(shipped.stored(), "eve")
    answer = shipped.send(Ask("eve", "patch", stored, [{"op": "remove", "path": "/spec/revocation"}]))
    assert answer.message.endswith("spec: Invalid value: a revocation cannot be changed or removed")


@pytest.mark.invariant(13)
def test_an_ended_grant_can_still_be_revoked(shipped: Ground) -> None:
    # Revocation is never made to wait for a phase that the operator has yet to write.
    for phase in ("Active", "Consumed", "Lapsed", "Expired"):
        shipped.revoked(shipped.in_phase(phase, shipped.opened()), "carol")


@pytest.mark.invariant(18)
def test_what_was_born_with_a_status_has_none(shipped: Ground) -> None:
    body = shipped.by_pdp()
    stored = shipped.done(Ask(PDP, "create", {**body, "status": {"phase": "Active", **one_use()}}))
    assert "status" not in stored


@pytest.mark.invariant(18)
def test_a_write_of_the_status_changes_nothing_else(shipped: Ground) -> None:
    stored = shipped.active()
    forged = changed(stored, "metadata", {**stored["metadata"], "ownerReferences": [OWNER], "labels": {"team": "hr"}})
    forged = changed(forged, "spec.reviews", [review(stored, "dave")])
    shipped.done(Ask(PDP, "put-status", forged, {**stored["status"], **one_use()}))
    now = accepted(shipped.callers.admin.get(stored))
    assert now["spec"] == stored["spec"]
    assert "ownerReferences" not in now["metadata"]
    assert "labels" not in now["metadata"]


@pytest.mark.invariant(18)
def test_a_write_of_the_grant_leaves_the_status_alone(shipped: Ground) -> None:
    stored = shipped.opened()
    shipped.done(Ask("carol", "merge", stored, {"status": {"phase": "Active"}}))
    assert "status" not in accepted(shipped.callers.admin.get(stored))


@pytest.mark.invariant(22)
@pytest.mark.parametrize("who", ["eve", "admin"])
def test_a_whole_collection_is_not_deleted(who: str, shipped: Ground) -> None:
    stored = shipped.in_phase("Expired", shipped.opened())
    answer = shipped.callers(who).request("DELETE", grants(shipped))
    assert said(answer.message) == "a grant is evidence: revoke it instead"
    assert shipped.callers.admin.get(stored).ok


@pytest.mark.long
def test_a_namespace_with_grants_goes_away(callers: Callers, installed: Installation, namespace: str) -> None:
    stored = [accepted(callers(installed.webhook).create(opened_grant(namespace, suffix))) for suffix in ("one", "two")]
    status = {"status": {"phase": "Pending"}}
    accepted(callers(installed.operator).patch(stored[0], status, "merge", "status"))
    accepted(callers.admin.delete(f"/api/v1/namespaces/{namespace}"))
    until(lambda: callers.admin.get(f"/api/v1/namespaces/{namespace}").status == 404, "the namespace is gone", 60)
    assert callers.admin.get(stored[0]).status == 404


@pytest.mark.invariant(29)
def test_a_history_is_counted_further_by_replacing_it_at_its_version(shipped: Ground) -> None:
    pdp, stored = shipped.callers(shipped.installation.webhook), shipped.counted(seq=7)
    further = accepted(pdp.replace(changed(stored, "spec.seq", 8)))
    assert further["spec"]["seq"] == 8
    # Of two that judged by one version, one counts.
    assert pdp.replace(changed(stored, "spec.seq", 8)).status == 409
    assert said(pdp.replace(changed(further, "spec.seq", 7)).message) == "seq and clock of a history never fall"
    for who in ("carol", "admin", OPERATOR):
        answer = shipped.callers(shipped.username(who)).replace(changed(further, "spec.seq", 9))
        assert said(answer.message) == HISTORIES_ARE_THE_PDPS


@pytest.mark.invariant(29)
@pytest.mark.parametrize("who", ["carol", "admin"])
def test_a_history_is_not_written_by_server_side_apply(who: str, shipped: Ground) -> None:
    stored = shipped.counted()
    answer = shipped.send(Ask(who, "apply", stored, {"spec": {**stored["spec"], "seq": 9}}))
    assert said(answer.message) == HISTORIES_ARE_THE_PDPS
    made = shipped.history()
    assert said(shipped.callers(who).apply(made, who).message) == HISTORIES_ARE_THE_PDPS


@pytest.mark.invariant(29)
@pytest.mark.parametrize("who", ["eve", "admin"])
def test_a_whole_collection_of_histories_is_not_deleted(who: str, shipped: Ground) -> None:
    stored = shipped.counted()
    answer = shipped.callers(who).request("DELETE", grants(shipped).replace("approvalgrants", "endpointhistories"))
    assert said(answer.message) == ONLY_ENDED_HISTORIES_GO
    assert shipped.callers.admin.get(stored).ok


@pytest.mark.invariant(29)
def test_an_owner_cannot_take_a_history_with_it(shipped: Ground) -> None:
    # Whoever could set an owner could have the garbage collector delete the history.
    answer = shipped.send(Ask(PDP, "merge", shipped.counted(), {"metadata": {"ownerReferences": [OWNER]}}))
    assert said(answer.message) == "a history cannot have owner references or finalizers"


@pytest.mark.long
def test_a_namespace_with_histories_goes_away(callers: Callers, installed: Installation, namespace: str) -> None:
    stored = accepted(callers(installed.webhook).create(history(namespace, f"h-{'a' * 40}")))
    accepted(callers.admin.delete(f"/api/v1/namespaces/{namespace}"))
    until(lambda: callers.admin.get(f"/api/v1/namespaces/{namespace}").status == 404, "the namespace is gone", 60)
    assert callers.admin.get(stored).status == 404


def test_a_patch_that_adds_where_no_list_is_fails_and_one_that_brings_the_list_passes(shipped: Ground) -> None:
    stored = shipped.resolved(shipped.done(Ask("eve", "create", changed(shipped.by_hand(), "spec.reviews", ...))))
    entry = review(stored, "carol")
    assert shipped.send(Ask("carol", "patch", stored, adding_review(entry))).status == 422
    shipped.done(Ask("carol", "patch", stored, [{"op": "add", "path": "/spec/reviews", "value": [entry]}]))
