"""What the guard's proof is for: whoever loosens a guard, if only for a second, forges nothing.

Holds: the attacker here is the administrator: may change admission policies, write grants past them, and stop the
operator. What must never come out is a grant that is Active, or a review that counts, by what was written meanwhile.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.canary import probes
from bailiwick_api.manifests.guards import REVIEW, STATUS
from bailiwick_api.manifests.historyguards import HISTORY_DELETE, HISTORY_WRITE
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator, Operator
from localcluster.rest import Rest
from support.callers import Callers
from support.guards.sabotage import Guards, record_path
from support.installation import accepted
from support.objects import Object, active_status, later
from support.waits import until, until_ok
from unit.operator.cases import condition

COUNTED = [{"reviewer": "dave"}]
RECORD_CHANGED = "the record of proofs was changed by somebody else"


@pytest.fixture(scope="module")
def lowered() -> Sequence[str]:
    return ("--proof-interval", "3", "--guard-settle", "1")


@pytest.fixture
def guards(callers: Callers, installed: Installation, operator: Operator) -> Iterator[Guards]:
    """The guards, to be tampered with; afterwards they are as shipped, and the module's operator has recorded them."""
    guards = Guards(callers, installed)
    yield guards
    guards.restore()
    if operator.process.poll() is not None:
        operator.start()
    guards.await_recorded()


def forged(grants: Grants, body: Object) -> Object:
    """Write a review in Dave's name as soon as no guard keeps us from it."""
    until_ok(lambda: grants.forge_review(body), "the review guard lets a forged review through")
    return grants.read(body)


def forged_status(grants: Grants, body: Object, status: Object) -> Object:
    """Write a status as soon as no guard keeps us from it."""
    until_ok(lambda: grants.forge_status(body, status), "the status guard lets a forged status through")
    return grants.read(body)


def record(admin: Rest, installed: Installation) -> dict[str, str]:
    """Return what is recorded of the last proof."""
    found: dict[str, str] = accepted(admin.get(record_path(installed)))["data"]
    return found


def never_active(grants: Grants, body: Object, seconds: float) -> None:
    """Watch a grant for a while; fails as soon as it is Active or the review counts."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = grants.read(body).get("status", {})
        assert status.get("phase") != "Active"
        assert "counted" not in status
        time.sleep(0.05)


@pytest.mark.invariant(27)
class TestWhileTheOperatorRuns:
    def test_a_review_forged_in_a_moment_without_guard_is_void(
        self, operator: Operator, grants: Grants, guards: Guards
    ) -> None:
        body = grants.open()
        grants.await_phase(body, "Pending")
        guards.loosen(REVIEW)
        forged(grants, body)
        guards.restore()
        void = grants.await_phase(body, "Expired")
        assert void["status"]["voided"] == COUNTED
        assert "counted" not in void["status"]
        assert condition(void["status"], "Ready")["reason"] == "GuardUnproven"

    def test_a_review_is_void_though_somebody_fits_the_record_to_the_guards_that_were_put_back(
        self, operator: Operator, grants: Grants, guards: Guards
    ) -> None:
        body = grants.open()
        grants.await_phase(body, "Pending")
        told = len(operator.said(RECORD_CHANGED))
        guards.loosen(REVIEW)
        forged(grants, body)
        guards.put_back()
        guards.fit_record()
        assert grants.await_phase(body, "Expired")["status"]["voided"] == COUNTED
        operator.await_said(RECORD_CHANGED, told + 1)

    @pytest.mark.long
    def test_a_status_forged_in_a_moment_without_guard_is_void(
        self, operator: Operator, grants: Grants, guards: Guards
    ) -> None:
        body = grants.open()
        grants.await_phase(body, "Pending")
        guards.loosen(REVIEW, STATUS)
        forged(grants, body)
        forged_status(grants, body, active_status(counted=COUNTED))
        guards.restore()
        assert condition(grants.await_phase(body, "Lapsed")["status"], "Ready")["reason"] == "GuardUnproven"

    @pytest.mark.long
    def test_an_honest_grant_from_before_survives(
        self, operator: Operator, grants: Grants, guards: Guards, callers: Callers, installed: Installation
    ) -> None:
        body = grants.approved()
        version = int(body["metadata"]["resourceVersion"])
        until(lambda: int(record(callers.admin, installed)["resourceVersion"]) >= version, "a proof after the approval")
        guards.loosen(REVIEW)
        guards.restore()
        guards.await_recorded()
        assert grants.phase(body) == "Active"

    def test_honest_reviews_count_again_afterwards(self, operator: Operator, grants: Grants, guards: Guards) -> None:
        guards.loosen(REVIEW)
        guards.restore()
        guards.await_recorded()
        assert [entry["reviewer"] for entry in grants.approved()["status"]["counted"]] == ["dave"]

    @pytest.mark.long
    def test_a_request_changed_under_a_loosened_definition_is_void(
        self, operator: Operator, grants: Grants, guards: Guards, callers: Callers
    ) -> None:
        body = grants.approved()
        guards.loosen_definition()
        # The guard alone would refuse it too: it takes no write by others that reviews nothing.
        guards.loosen(REVIEW)
        wider = [{"op": "replace", "path": "/spec/request/action/name", "value": "customers.delete"}]
        until_ok(lambda: callers.admin.patch(body, wider, "json"), "the definition lets the request be changed")
        guards.put_back()
        assert condition(grants.await_phase(body, "Lapsed")["status"], "Ready")["reason"] == "GuardUnproven"

    @pytest.mark.long
    def test_without_guards_nothing_becomes_active_and_nothing_is_recorded(
        self, operator: Operator, grants: Grants, guards: Guards, callers: Callers, installed: Installation
    ) -> None:
        body = grants.open()
        grants.await_phase(body, "Pending")
        before = record(callers.admin, installed)["fingerprint"]
        told = len(operator.said("the guards over grants are not proven: no grant is approved"))
        guards.remove()
        accepted(grants.review(body))
        never_active(grants, body, 4)
        assert record(callers.admin, installed)["fingerprint"] == before
        said = operator.await_said("the guards over grants are not proven: no grant is approved", told + 1)
        assert "is missing" in said[-1]["problem"]
        guards.restore()
        assert grants.await_phase(body, "Expired")["status"]["voided"] == COUNTED

    @pytest.mark.long
    @pytest.mark.invariant(29)
    @pytest.mark.parametrize("name", [HISTORY_WRITE, HISTORY_DELETE])
    def test_a_loosened_guard_of_histories_lets_its_dry_run_pass_and_is_reported(
        self, name: str, operator: Operator, guards: Guards, callers: Callers, installed: Installation
    ) -> None:
        guards.await_recorded()
        reports = len(operator.said("the guards over grants are not proven: no grant is approved"))
        guards.loosen(name)
        (probe,) = (one for one in probes(installed, datetime.now(UTC)) if one.guard == name)
        until_ok(lambda: callers(installed.operator).create(probe.body, dry_run=True), "the dry run passes")
        said = operator.await_said("the guards over grants are not proven: no grant is approved", reports + 1)
        assert name in said[-1]["problem"]
        guards.restore()
        guards.await_recorded()

    @pytest.mark.long
    def test_without_guards_a_revocation_still_ends_a_grant(
        self, operator: Operator, grants: Grants, guards: Guards
    ) -> None:
        body = grants.approved()
        guards.remove()
        accepted(grants.revoke(body))
        grants.await_phase(body, "Revoked")

    @pytest.mark.long
    def test_without_guards_time_still_ends_a_grant(self, operator: Operator, grants: Grants, guards: Guards) -> None:
        body = grants.approved(windowSeconds=15)
        waiting = grants.open(pendingUntilTime=later(seconds=15))
        grants.await_phase(waiting, "Pending")
        guards.remove()
        grants.await_phase(waiting, "Expired")
        grants.await_phase(body, "Lapsed")

    @pytest.mark.long
    def test_a_record_that_somebody_deletes_makes_everything_void(
        self, operator: Operator, grants: Grants, guards: Guards, callers: Callers, installed: Installation
    ) -> None:
        body = grants.approved()
        accepted(callers.admin.delete(record_path(installed)))
        assert condition(grants.await_phase(body, "Lapsed")["status"], "Ready")["reason"] == "GuardUnproven"
        guards.await_recorded()
        assert grants.approved()["status"]["phase"] == "Active"

    @pytest.mark.long
    def test_a_canary_that_somebody_wrote_to_is_made_anew(
        self, operator: Operator, grants: Grants, guards: Guards, callers: Callers, installed: Installation
    ) -> None:
        path = f"/apis/bailiwick.dev/v1alpha1/namespaces/{installed.namespace}/approvalgrants/bailiwick-canary"
        old = accepted(callers.admin.get(path))
        guards.loosen(STATUS)
        forged_status(grants, old, active_status())
        # Whoever restores them now cannot wait by their dry runs, which other rules refuse on such a canary.
        guards.put_back()
        guards.await_recorded()
        assert accepted(callers.admin.get(path))["metadata"]["uid"] != old["metadata"]["uid"]
        assert grants.approved()["status"]["phase"] == "Active"


@pytest.mark.long
@pytest.mark.invariant(27)
class TestWhileTheOperatorIsStopped:
    @pytest.fixture
    def stopped(self, new_operator: NewOperator, operator: Operator, waiting: Object) -> Operator:
        """An operator that can be started; the module's has stopped when the grant was pending."""
        assert operator.stop() == 0
        return new_operator("--proof-interval", "3", "--guard-settle", "1")

    @pytest.fixture
    def waiting(self, grants: Grants, operator: Operator, guards: Guards) -> Object:
        """A grant that waits for its reviews, from before the operator was stopped."""
        body = grants.open()
        return grants.await_phase(body, "Pending")

    def test_an_honest_review_counts(self, waiting: Object, stopped: Operator, grants: Grants) -> None:
        accepted(grants.review(waiting))
        opened = grants.open()
        accepted(grants.review(opened, "erin"))
        with stopped:
            grants.await_phase(waiting, "Active")
            grants.await_phase(opened, "Active")
            assert stopped.said("grant made void") == []

    def test_guards_that_a_new_version_brings_are_proven_and_keep_what_was_approved_before(
        self,
        new_operator: NewOperator,
        operator: Operator,
        grants: Grants,
        guards: Guards,
        callers: Callers,
        installed: Installation,
    ) -> None:
        body = grants.approved()
        version = int(body["metadata"]["resourceVersion"])
        until(lambda: int(record(callers.admin, installed)["resourceVersion"]) >= version, "a proof after the approval")
        assert operator.stop() == 0
        guards.remove(HISTORY_WRITE, HISTORY_DELETE)
        started = new_operator("--proof-interval", "3", "--guard-settle", "1").start()
        said = started.await_said("the guards over grants are not proven: no grant is approved")
        assert f"ValidatingAdmissionPolicy {HISTORY_WRITE} is missing" in said[-1]["problem"]
        guards.restore()
        guards.await_recorded()
        assert grants.phase(body) == "Active"
        assert grants.approved()["status"]["phase"] == "Active"
        assert started.stop() == 0

    def test_a_forged_review_is_void(self, waiting: Object, stopped: Operator, grants: Grants, guards: Guards) -> None:
        guards.loosen(REVIEW)
        forged(grants, waiting)
        guards.restore()
        with stopped:
            void = grants.await_phase(waiting, "Expired")
            assert void["status"]["voided"] == COUNTED
            never_active(grants, waiting, 3)

    def test_a_forged_status_is_void(self, waiting: Object, stopped: Operator, grants: Grants, guards: Guards) -> None:
        guards.loosen(REVIEW, STATUS)
        forged(grants, waiting)
        forged_status(grants, waiting, active_status(counted=COUNTED))
        guards.restore()
        with stopped:
            assert condition(grants.await_phase(waiting, "Lapsed")["status"], "Ready")["reason"] == "GuardUnproven"

    def test_a_review_under_guards_that_were_put_back_before_is_void_too(
        self, waiting: Object, stopped: Operator, grants: Grants, guards: Guards
    ) -> None:
        guards.loosen(REVIEW)
        guards.restore()
        # Honest, but nobody can tell it from one that was forged.
        accepted(grants.review(waiting))
        with stopped:
            assert grants.await_phase(waiting, "Expired")["status"]["voided"] == COUNTED
