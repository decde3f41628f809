"""What a proof means for the record, and which grants fall, without any API server."""

from dataclasses import replace

import pytest

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.manifests.canary import canary
from bailiwick_api.voidgrants import NONE, VoidGrant, VoidGrants
from bailiwick_engine.signatures.registrars import NO_FLOOR
from bailiwick_operator.reconcile.guard import (
    Proof,
    Record,
    is_pristine,
    is_recorded_guard,
    must_void,
    new_record,
    read_record,
    void_after,
    void_status,
)
from support.objects import Object, changed
from unit.operator.cases import INSTALLATION, NOW, active, at, condition, grant, reconciled, stored

PROOF = Proof("sha256:now", "store", floor=200)
RECORD = Record("sha256:now", at(), 150, "store")
CANARY = stored(canary(INSTALLATION, NOW))


class TestTheRecord:
    @pytest.mark.parametrize("void", [NONE, VoidGrants({"uid": VoidGrant("crm", "agr-a")}, frozenset({"hr"}))])
    def test_is_read_as_it_was_written(self, void: VoidGrants) -> None:
        record = replace(RECORD, void=void)
        assert read_record({"data": record.data()}) == record

    def test_says_how_many_api_servers_keep_the_guards(self) -> None:
        record = new_record(PROOF, 180, NOW, NONE, "2/3")
        assert (record.data()["keep"], read_record({"data": record.data()})) == ("2/3", record)

    def test_of_an_older_version_names_no_grant(self) -> None:
        data = {key: value for key, value in RECORD.data().items() if key not in {"void", "keep"}}
        assert read_record({"data": data}) == RECORD

    @pytest.mark.parametrize(
        "config_map",
        [
            None,
            {},
            {"data": None},
            {"data": {}},
            {"data": {**RECORD.data(), "resourceVersion": "soon"}},
            {"data": {**RECORD.data(), "void": "everything"}},
            {"data": {key: value for key, value in RECORD.data().items() if key != "storeUID"}},
        ],
        ids=["none", "no data", "null", "empty", "no number", "no list", "no store"],
    )
    def test_that_cannot_be_read_is_none(self, config_map: Object | None) -> None:
        assert read_record(config_map) is None

    def test_of_the_same_guard_lets_everything_count(self) -> None:
        for version in (RECORD.version, PROOF.floor):
            assert is_recorded_guard(replace(RECORD, version=version), PROOF)

    @pytest.mark.parametrize(
        ("record", "after"),
        [
            (None, 0),
            (replace(RECORD, fingerprint="sha256:then"), 150),
            (replace(RECORD, store="of another cluster"), 0),
            (replace(RECORD, version=201), 0),
        ],
        ids=["none", "another guard", "another collection", "from the future"],
    )
    def test_of_anything_else_makes_what_is_newer_void(self, record: Record | None, after: int) -> None:
        assert not is_recorded_guard(record, PROOF)
        assert void_after(record, PROOF) == after

    def test_of_a_proof_says_when_and_up_to_where(self) -> None:
        assert new_record(PROOF, 180, NOW, NONE, reviewers=NO_FLOOR) == Record("sha256:now", at(), 180, "store")


class TestWhatFalls:
    @pytest.mark.parametrize(("version", "falls"), [(150, False), (151, True)])
    def test_is_what_is_newer(self, version: int, falls: bool) -> None:
        assert must_void(changed(grant(), "metadata.resourceVersion", str(version)), 150, INSTALLATION, NOW) is falls

    def test_is_what_is_about_to_be_used_too(self) -> None:
        assert must_void(grant(status=active()), 0, INSTALLATION, NOW)

    @pytest.mark.parametrize("phase", sorted(TERMINAL_PHASES))
    def test_is_not_what_is_over(self, phase: str) -> None:
        assert not must_void(grant(status={"phase": phase}), 0, INSTALLATION, NOW)

    @pytest.mark.parametrize(
        ("records", "falls"),
        [
            ([{"time": at(minutes=-61)}], False),
            ([{"time": at(minutes=-61)}, {"time": at(seconds=-10)}], True),
            ([{"time": at(days=30)}], True),
            ([{"time": "soon"}], True),
            ([{"time": "0001-01-01T00:00:00+23:00"}], True),
            ([{}], True),
            ([1], True),
            ("many", False),
            (None, False),
        ],
        ids=[
            "long ago",
            "just now",
            "ahead",
            "no time",
            "before all calendars",
            "nothing",
            "no record",
            "no list",
            "none",
        ],
    )
    def test_is_what_is_used_up_for_as_long_as_its_call_may_come_again(self, records: object, falls: bool) -> None:
        body = grant(status={"phase": "Consumed", "useRecords": records})
        assert must_void(body, 0, INSTALLATION, NOW) is falls

    def test_is_not_the_canary(self) -> None:
        assert not must_void(CANARY, 0, INSTALLATION, NOW)

    def test_is_a_grant_elsewhere_with_the_canarys_name(self) -> None:
        assert must_void(changed(CANARY, "metadata.namespace", "crm"), 0, INSTALLATION, NOW)

    def test_is_any_other_grant_where_the_canary_is(self) -> None:
        assert must_void(changed(grant(), "metadata.namespace", INSTALLATION.namespace), 0, INSTALLATION, NOW)

    def test_is_a_grant_of_an_api_server_whose_versions_are_no_numbers(self) -> None:
        assert must_void(changed(grant(), "metadata.resourceVersion", "abc"), 150, INSTALLATION, NOW)


class TestAVoidGrant:
    @pytest.mark.parametrize(
        ("before", "phase"),
        [
            (None, "Expired"),
            ({"phase": "Pending"}, "Expired"),
            (active(), "Lapsed"),
            ({"phase": "Consumed"}, "Consumed"),
        ],
        ids=["new", "pending", "active", "used up"],
    )
    def test_is_over_and_says_why(self, before: Object | None, phase: str) -> None:
        status = void_status(grant("dave", status=before), NOW)
        assert status["phase"] == phase
        assert (condition(status, "Ready")["status"], condition(status, "Ready")["reason"]) == (
            "False",
            "GuardUnproven",
        )

    def test_keeps_every_review_that_was_not_counted_from_ever_counting(self) -> None:
        before = {"phase": "Pending", "counted": [{"reviewer": "erin"}], "voided": [{"reviewer": "grace"}]}
        status = void_status(grant("dave", "erin", "grace", status=before), NOW)
        assert status["counted"] == [{"reviewer": "erin"}]
        assert status["voided"] == [{"reviewer": "grace"}, {"reviewer": "dave"}]

    def test_keeps_its_times(self) -> None:
        status = void_status(grant(status=active()), NOW)
        assert {key: status[key] for key in ("approvedTime", "notAfterTime")} == {
            key: active()[key] for key in ("approvedTime", "notAfterTime")
        }

    def test_stays_so_when_it_is_reconciled(self) -> None:
        body = grant("dave")
        body = body | {"status": void_status(body, NOW)}
        assert reconciled(body).status is None

    @pytest.mark.parametrize(
        ("path", "value"),
        [("spec", None), ("spec.reviews", "many"), ("spec.reviews", [1, {}, {"reviewer": "dave"}]), ("status", [1])],
        ids=["no spec", "no list", "no reviews", "no status"],
    )
    def test_may_have_any_shape(self, path: str, value: object) -> None:
        body = changed(grant("dave"), path, value)
        assert void_status(body, NOW)["phase"] == "Expired"

    def test_believes_no_time_that_somebody_wrote_into_its_conditions(self) -> None:
        forged = active(conditions=[{"type": "Ready", "status": "False", "lastTransitionTime": at(days=-1)}])
        assert condition(void_status(grant(status=forged), NOW), "Ready")["lastTransitionTime"] == at()


class TestTheCanary:
    def test_is_pristine_as_it_is_made_whenever_that_was(self) -> None:
        assert is_pristine(changed(CANARY, "spec.request.pendingUntilTime", at(days=-9)), canary(INSTALLATION, NOW))

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("spec.reviews", []),
            ("spec.revocation", {"by": "carol"}),
            ("status", {"phase": "Active"}),
            ("spec.request.maxUses", 50),
        ],
        ids=["reviewed", "revoked", "with a status", "another request"],
    )
    def test_that_somebody_wrote_to_is_not(self, path: str, value: object) -> None:
        assert not is_pristine(changed(CANARY, path, value), canary(INSTALLATION, NOW))
