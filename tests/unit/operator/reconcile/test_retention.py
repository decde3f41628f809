"""Retention: when a grant ended, until when it is kept, and whose end comes nearer when there are too many."""

import itertools
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_operator.reconcile import guard, retention
from bailiwick_operator.reconcile.retention import EndedGrant, RetainedGrants, RetentionPeriods
from support.objects import Object, changed, rule_reference, use_record
from unit.operator.cases import NOW, PENDING_UNTIL, active, applied, at, grant, reconciled

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
COUNTED: Final = [{"reviewer": "dave"}]


def over(body: Object, moment: datetime = NOW) -> Object:
    """Return a grant after it was looked at at this moment."""
    return applied(body, reconciled(body, now=moment))


ENDINGS: Final = {
    "Denied": (grant("dave", decision="Deny", status={"phase": "Pending"}), NOW),
    "Withdrawn": (grant(revoked=True), NOW),
    "Revoked": (grant("dave", revoked=True, status=active(counted=COUNTED)), NOW),
    "Lapsed": (grant("dave", status=active(counted=COUNTED)), NOW + timedelta(minutes=20)),
    "Consumed": (grant("dave", status=active(counted=COUNTED, uses=1, useRecords=[use_record()])), NOW),
    "Expired": (grant(status={"phase": "Pending"}), PENDING_UNTIL + timedelta(hours=5)),
}


class TestWhenItEnded:
    @pytest.mark.parametrize("phase", sorted(TERMINAL_PHASES))
    def test_is_what_its_conditions_say(self, phase: str) -> None:
        body, moment = ENDINGS[phase]
        # It was pending, or active, long before, and its condition says since when it is not, or is, ready.
        quiet = {"request": body["spec"]["request"], "reviews": []}
        before = over({**body, "spec": quiet}, NOW - HOUR)
        status = body["status"] if body.get("status", {}).get("phase") == "Active" else before["status"]
        after = over(body | {"status": status}, moment)
        assert after["status"]["phase"] == phase
        found = retention.ended_grant(after)
        assert found is not None
        # An expired one was not ready before, so its time is that until which it waited.
        assert found.at == (PENDING_UNTIL if phase == "Expired" else moment)
        assert (found.namespace, found.name, found.denied) == ("crm", "agr-wanted", phase == "Denied")

    @pytest.mark.parametrize("body", [grant(), grant(status={"phase": "Pending"}), grant(status=active())])
    def test_is_never_while_it_has_not(self, body: Object) -> None:
        assert retention.ended_grant(body) is None

    def test_is_when_it_was_made_void_though_it_could_have_waited_longer(self) -> None:
        body = grant(status={"phase": "Pending"})
        void = body | {"status": guard.void_status(body, NOW)}
        found = retention.ended_grant(void)
        assert found is not None
        assert found.at == NOW

    def test_is_at_the_latest_that_it_can_have_been_where_nothing_says(self) -> None:
        body = changed(grant(status={"phase": "Consumed"}), "metadata.creationTimestamp", at(days=-3))
        found = retention.ended_grant(body)
        assert found is not None
        assert found.at == NOW - DAY

    def test_is_known_with_each_of_its_policies_once(self) -> None:
        rules = [rule_reference("b", "x"), rule_reference("a", "x"), rule_reference("a", "y")]
        found = retention.ended_grant(over(grant(revoked=True, rules=rules)))
        assert found is not None
        assert found.policies == ("a", "b")


def ended(number: int, *policies: str, denied: bool = False, hours: float = 0) -> EndedGrant:
    return EndedGrant(
        NOW + timedelta(hours=hours, seconds=number), "crm", f"g{number}", f"u{number}", denied, policies or ("p",)
    )


class TestItIsKept:
    def test_for_as_long_as_the_installation_says(self) -> None:
        kept, one = RetainedGrants(RetentionPeriods(2 * DAY, 500)), ended(1)
        assert kept.add(one) == ()
        assert kept.deletion_time(one) == one.at + 2 * DAY

    def test_for_an_hour_where_there_are_too_many_newer_ones(self) -> None:
        kept = RetainedGrants(RetentionPeriods(DAY, 2))
        first, second, third = ended(1), ended(2), ended(3)
        assert kept.add(first) == kept.add(second) == ()
        assert kept.add(third) == (first,)
        assert kept.deletion_time(first) == first.at + HOUR
        assert kept.deletion_time(second) == second.at + DAY

    def test_for_less_than_an_hour_only_where_the_installation_keeps_all_for_less(self) -> None:
        kept, one = RetainedGrants(RetentionPeriods(timedelta(minutes=5), 0)), ended(1)
        kept.add(one)
        assert kept.deletion_time(one) == one.at + timedelta(minutes=5)

    @pytest.mark.invariant(19)
    def test_for_a_day_where_it_was_denied_since_that_is_how_long_it_cannot_be_asked_for_again(self) -> None:
        for keeping in (RetentionPeriods(3 * DAY, 0), RetentionPeriods(HOUR, 0), RetentionPeriods(HOUR, 500)):
            kept, one = RetainedGrants(keeping), ended(1, denied=True)
            kept.add(one)
            assert kept.deletion_time(one) == one.at + DAY

    def test_by_the_policy_that_has_most(self) -> None:
        kept, one = RetainedGrants(RetentionPeriods(DAY, 1)), ended(1, "a", "b")
        kept.add(one)
        assert kept.add(ended(2, "c")) == ()
        assert kept.deletion_time(one) == one.at + DAY
        assert kept.add(ended(3, "b")) == (one,)
        assert kept.deletion_time(one) == one.at + HOUR

    def test_not_by_the_grants_of_another_namespace(self) -> None:
        kept, one = RetainedGrants(RetentionPeriods(DAY, 1)), ended(1)
        kept.add(one)
        kept.add(EndedGrant(NOW + HOUR, "other", "g", "u", denied=False, policies=("p",)))
        assert kept.deletion_time(one) == one.at + DAY

    def test_longer_again_when_a_newer_one_is_gone(self) -> None:
        kept, one = RetainedGrants(RetentionPeriods(DAY, 1)), ended(1)
        kept.add(one)
        kept.add(ended(2))
        kept.remove("crm", "g2")
        assert kept.deletion_time(one) == one.at + DAY

    def test_and_counts_once_however_often_it_is_looked_at(self) -> None:
        kept, one = RetainedGrants(RetentionPeriods(DAY, 1)), ended(1)
        for _ in range(3):
            assert kept.add(one) == ()
        assert len(kept) == 1
        assert kept.deletion_time(one) == one.at + DAY

    def test_anew_under_the_name_of_one_that_is_gone(self) -> None:
        kept, old = RetainedGrants(RetentionPeriods(DAY, 1)), ended(1)
        kept.add(old)
        new = EndedGrant(NOW + 5 * HOUR, "crm", "g1", "another", denied=False, policies=("p",))
        assert kept.add(new) == ()
        assert len(kept) == 1

    def test_not_at_all_once_it_is_taken_out(self) -> None:
        kept = RetainedGrants(RetentionPeriods())
        kept.add(ended(1))
        kept.remove("crm", "g1")
        kept.remove("crm", "g1")
        assert len(kept) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50), st.booleans()), max_size=30), st.integers(0, 3))
def test_whatever_comes_and_goes_those_beyond_are_the_oldest_and_nobody_goes_within_the_hour(
    steps: list[tuple[int, int, bool]], most: int
) -> None:
    kept = RetainedGrants(RetentionPeriods(DAY, most))
    there: dict[int, EndedGrant] = {}
    due: dict[int, datetime] = {}
    for number, seconds, goes in steps:
        if goes:
            there.pop(number, None)
            due.pop(number, None)
            kept.remove("crm", f"g{number}")
            continue
        one = EndedGrant(
            NOW + timedelta(seconds=seconds), "crm", f"g{number}", f"u{seconds}", denied=False, policies=("p",)
        )
        there[number] = one
        for pushed in kept.add(one):
            due[int(pushed.name[1:])] = kept.deletion_time(pushed)
        due[number] = kept.deletion_time(one)
        line = sorted(there.values())
        for other in line:
            surplus = line.index(other) < len(line) - most
            assert kept.deletion_time(other) == other.at + (HOUR if surplus else DAY)
            # Whoever waits for what was told waits for no longer than this.
            assert not surplus or due[int(other.name[1:])] == kept.deletion_time(other)


class TestTheLog:
    def test_keeps_who_asked_for_what_who_said_what_and_how_it_ended(self) -> None:
        body = over(grant("dave", revoked=True, status=active(counted=COUNTED, uses=1, useRecords=[use_record()])))
        found: dict[str, Any] = retention.record(body)
        assert found["phase"] == "Revoked"
        assert found["rules"] == ["crm-agent/export"]
        assert (found["action"], found["resource"]) == ("customers.export", "42")
        assert (found["reviews"], found["counted"], found["revoked_by"]) == (["dave: Approve"], ["dave"], "carol")
        assert found["uses"] == ["evaluation-first"]
        assert datetime.fromisoformat(found["ended"]) == NOW

    def test_keeps_no_words_of_the_requester(self) -> None:
        body = over(grant(revoked=True, reason="please, my iban is x"))
        assert "iban" not in str(retention.record(body))


def test_no_order_of_arrival_changes_who_goes_first() -> None:
    line = [ended(number) for number in range(4)]
    for order in itertools.permutations(line):
        kept = RetainedGrants(RetentionPeriods(DAY, 2))
        for one in order:
            kept.add(one)
        assert [kept.deletion_time(one) - one.at for one in line] == [HOUR, HOUR, DAY, DAY]
