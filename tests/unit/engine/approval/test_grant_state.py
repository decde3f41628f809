"""What a grant is known by, and what its status says: its rules, when it was denied, whether it proves anything."""

from typing import Final

import pytest

from bailiwick_api.kinds.approvalgrant import GUARD_UNPROVEN
from support.objects import Object, changed, gated_rule
from unit.engine.cases import NOW, OPENED_AGO, approved, at, governed, read

ACTIVE: Final = approved(governed(gated_rule()))
DIGEST: Final = "v1:" + "a" * 64
OTHER: Final = "v1:" + "b" * 64
FIRST: Final = {"policy": "p", "uid": "p-uid", "rule": "first", "ruleDigest": DIGEST}
SECOND: Final = {"policy": "q", "uid": "q-uid", "rule": "second", "ruleDigest": OTHER}


def asking_for(*rules: Object) -> Object:
    return changed(ACTIVE, "spec.request.rules", list(rules))


def by_hand(*rules: Object, resolved: list[Object] | None) -> Object:
    """Return a grant that somebody wrote ahead of time; `resolved` is what the operator found, None: nothing yet."""
    written = changed(asking_for(*rules), "spec.request.origin", "PreApproved")
    if resolved is None:
        return written
    return changed(written, "status.resolved", {"subjectUID": "agent-uid", "rules": resolved})


def without(rule: Object, *names: str) -> Object:
    return {name: value for name, value in rule.items() if name not in names}


class TestRulesOfAGrantThatWasRequested:
    def test_are_known_by_uid_and_digest(self) -> None:
        assert read(asking_for(FIRST, SECOND)).rules == {("p-uid", DIGEST), ("q-uid", OTHER)}

    @pytest.mark.parametrize("missing", ["uid", "ruleDigest"])
    def test_are_not_known_without_either(self, missing: str) -> None:
        assert read(asking_for(without(FIRST, missing), SECOND)).rules == {("q-uid", OTHER)}


class TestRulesOfAGrantByHand:
    def test_are_what_the_operator_resolved(self) -> None:
        named = [without(FIRST, "uid", "ruleDigest"), without(SECOND, "uid", "ruleDigest")]
        assert read(by_hand(*named, resolved=[FIRST, SECOND])).rules == {("p-uid", DIGEST), ("q-uid", OTHER)}

    def test_are_not_known_before_that(self) -> None:
        assert read(by_hand(FIRST, resolved=None)).rules == frozenset()

    @pytest.mark.parametrize(
        ("stated", "known"),
        [
            ({}, True),
            ({"uid": "p-uid"}, True),
            ({"ruleDigest": DIGEST}, True),
            ({"uid": "p-uid", "ruleDigest": DIGEST}, True),
            ({"uid": "q-uid"}, False),
            ({"ruleDigest": OTHER}, False),
            ({"uid": "p-uid", "ruleDigest": OTHER}, False),
            ({"rule": "another"}, False),
            ({"policy": "another"}, False),
        ],
    )
    def test_are_those_only_where_nothing_that_was_written_says_otherwise(self, stated: Object, *, known: bool) -> None:
        written = {"policy": "p", "rule": "first", **stated}
        expected = {("p-uid", DIGEST)} if known else frozenset()
        assert read(by_hand(written, resolved=[FIRST])).rules == expected

    def test_are_not_known_where_the_operator_found_more_than_was_written(self) -> None:
        assert read(by_hand(FIRST, resolved=[FIRST, SECOND])).rules == frozenset()

    def test_are_not_known_where_the_operator_found_less(self) -> None:
        assert read(by_hand(FIRST, SECOND, resolved=[FIRST])).rules == frozenset()


def condition(kind: str, status: str = "True", reason: str = "Because", seconds: float = -60) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": "m", "lastTransitionTime": at(seconds)}


def told(*conditions: Object) -> Object:
    return changed(ACTIVE, "status.conditions", list(conditions))


class TestWhenItWasDenied:
    def test_is_when_the_condition_turned(self) -> None:
        assert read(told(condition("Ready", seconds=-90), condition("Denied"))).denied_at == NOW - 60

    @pytest.mark.parametrize(
        "conditions", [[], [condition("Denied", "False")], [condition("Denied", "Unknown")], [condition("Approved")]]
    )
    def test_is_not_known_where_no_condition_says_so(self, conditions: list[Object]) -> None:
        assert read(told(*conditions)).denied_at is None

    def test_is_not_known_without_conditions(self) -> None:
        assert read(ACTIVE).denied_at is None

    @pytest.mark.parametrize(("after", "known"), [(0, True), (1, True), (-1, False)])
    def test_is_not_before_the_grant_was_made(self, after: float, *, known: bool) -> None:
        denied = read(told(condition("Denied", seconds=after - OPENED_AGO))).denied_at
        assert (denied is not None) is known


@pytest.mark.parametrize(
    ("conditions", "void"),
    [
        ([condition("Ready", "False", GUARD_UNPROVEN)], True),
        ([condition("Approved"), condition("Ready", "False", GUARD_UNPROVEN)], True),
        ([condition("Ready", "True", "Active")], False),
        ([condition("Approved", "False", GUARD_UNPROVEN)], False),
        ([], False),
    ],
)
def test_a_grant_is_void_where_its_readiness_says_that_the_guards_were_not_proven(
    conditions: list[Object], *, void: bool
) -> None:
    assert read(told(*conditions)).void is void


def test_a_grant_without_conditions_is_not_void() -> None:
    assert not read(ACTIVE).void
