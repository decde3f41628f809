"""Which grants written by hand are over a limit of their rules, and what a denial holds for."""

from dataclasses import replace
from typing import Final

import pytest

from bailiwick_api.kinds.approvalrequirement import Limits
from bailiwick_operator.reconcile.grantlimits import HOUR, AskedGrant, RuleLimits, exceeded

NOW: Final = 1_000_000.0
RULES: Final = RuleLimits(
    Limits(pending_per_subject=2, requests_per_hour=3, deny_cooldown_seconds=600), frozenset({"tier"}), intents=False
)
WANTED: Final = AskedGrant(
    name="wanted",
    uid="wanted-uid",
    by_hand=True,
    endpoint="crm-api",
    subject_uid="agent-uid",
    actors=(),
    action="customers.export",
    resource_type="customer",
    resource_id="eu/1",
    properties=(("tier", "gold"),),
    intent="audit",
    created=NOW,
    waits_until=NOW + HOUR,
    denied=False,
    denied_at=None,
)


def before(name: str, **fields: object) -> AskedGrant:
    """Return another grant of the subject, for another customer unless said otherwise."""
    other = replace(WANTED, name=name, uid=f"{name}-uid", resource_id=f"us/{name}", created=NOW - 60)
    return replace(other, **fields)  # type: ignore[arg-type]


def denied(**fields: object) -> AskedGrant:
    return before(
        "denied", **{"resource_id": "eu/1", "waits_until": None, "denied": True, "denied_at": NOW - 60, **fields}
    )


def test_within_all_limits_is_over_none() -> None:
    assert exceeded(WANTED, RULES, [WANTED, before("one")], NOW) is None


def test_as_many_may_wait_as_the_rule_says_and_no_more() -> None:
    waiting = [before("one"), before("two")]
    assert "2 grants for this subject already wait" in str(exceeded(WANTED, RULES, waiting, NOW))
    assert exceeded(WANTED, RULES, [waiting[0], replace(waiting[1], waits_until=None)], NOW) is None
    assert exceeded(WANTED, RULES, [waiting[0], replace(waiting[1], waits_until=NOW)], NOW) is None


def test_as_many_are_written_in_an_hour_as_the_rule_says_and_no_more() -> None:
    ended = [before(name, waits_until=None) for name in ("one", "two", "three")]
    assert "3 grants for this subject were written" in str(exceeded(WANTED, RULES, ended, NOW))
    assert exceeded(WANTED, RULES, [*ended[1:], replace(ended[0], created=NOW - HOUR)], NOW) is None


@pytest.mark.parametrize("fields", [{"subject_uid": "another"}, {"subject_uid": None}, {"by_hand": False}])
def test_of_another_subject_unresolved_or_opened_by_the_decision_point_none_counts(fields: dict[str, object]) -> None:
    others = [before(name, **fields) for name in ("one", "two", "three", "four")]
    assert exceeded(WANTED, RULES, others, NOW) is None


def test_of_two_that_cover_one_call_one_waits() -> None:
    for resource_id in ("eu/1", "eu/*", "*"):
        assert "already waits for reviews" in str(exceeded(WANTED, RULES, [before("x", resource_id=resource_id)], NOW))
    assert exceeded(WANTED, RULES, [before("x", resource_id="eu/1", by_hand=False)], NOW) is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"by_hand": False},
        {"resource_id": "eu/*"},
        {"denied_at": None},
        {"intent": "another"},
        {"intent": None},
        {"properties": ()},
        {"properties": (("tier", "gold"), ("colour", "blue"))},
    ],
)
def test_a_denial_holds_for_whatever_no_rule_reads(fields: dict[str, object]) -> None:
    assert "was denied" in str(exceeded(WANTED, RULES, [denied(**fields)], NOW))


@pytest.mark.parametrize(
    "fields",
    [
        {"resource_id": "eu/2"},
        {"resource_id": "eu/*", "by_hand": False},
        {"action": "customers.delete"},
        {"resource_type": "order"},
        {"actors": (("corp", "dave", "dave-uid"),)},
        {"properties": (("tier", "silver"),)},
        {"denied_at": NOW - 600},
        {"subject_uid": "another"},
    ],
)
def test_a_denial_holds_for_no_other_call_and_no_longer_than_the_rule_says(fields: dict[str, object]) -> None:
    assert exceeded(WANTED, RULES, [denied(**fields)], NOW) is None


def test_a_denial_of_another_intent_does_not_hold_where_rules_list_intents() -> None:
    rules = replace(RULES, intents=True)
    assert exceeded(WANTED, rules, [denied(intent="another")], NOW) is None
    assert "was denied" in str(exceeded(WANTED, rules, [denied()], NOW))
