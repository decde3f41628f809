"""The figures of the overview, held against counting by hand."""

import random
from collections import Counter
from typing import Any, Final

import pytest

from bailiwick_console.dashboard.decisionfigures import SLOT_SECONDS, SLOTS, decision_figures
from bailiwick_console.dashboard.requestfigures import AGES, request_figures
from bailiwick_console.grants.inbox import sort
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_governance.apiserver.people import CurrentUser
from support.evidence.logs import ProcessLog
from support.objects import Object
from unit.governance.cases import NOW, at, stored

CAROL: Final = CurrentUser("carol", ("crm-owners",))
# A quarter of an hour begins here.
EVEN: Final = 1_900_000_800.0
CHALLENGES: Final = {"approval_required", "approval_pending", "approval_expired", "approval_consumed"}


def lines(*records: dict[str, Any]) -> list[tuple[str, int, bytes]]:
    log = ProcessLog(2)
    for record in records:
        log.add(**record)
    return [("a.log", number, line.removesuffix(b"\n")) for number, line in enumerate(log.lines, 1)]


def decision(now: float, reason: str) -> dict[str, Any]:
    return {"kind": "evaluation", "now": now, "decision": reason == "allowed", "reason": reason}


def test_each_decision_of_the_day_is_counted_once_where_it_was_and_by_how_it_came_out() -> None:
    random_ = random.Random(7)  # noqa: S311 - draws decisions
    reasons = [reason.value for reason in Reason]
    drawn = [(EVEN - random_.uniform(-SLOT_SECONDS, 90_000), random_.choice(reasons)) for _ in range(3_000)]
    figures = decision_figures(lines(*(decision(*one) for one in drawn)), EVEN + 5)
    first = EVEN - (SLOTS - 1) * SLOT_SECONDS
    counted = [(now, reason) for now, reason in drawn if now >= first]
    assert len(figures.slots) == SLOTS
    assert 0 < len(counted) < len(drawn)
    assert figures.total == len(counted)
    assert figures.allowed == sum(reason == "allowed" for _, reason in counted)
    asked = {reason.value for reason in Reason if EXPLAINED[reason].disposition.name == "CHALLENGE"}
    assert asked >= CHALLENGES
    assert figures.asked == sum(reason in asked for _, reason in counted)
    for slot in figures.slots:
        here = [reason for now, reason in counted if slot.begin <= now < slot.begin + SLOT_SECONDS]
        assert (slot.allowed, slot.asked + slot.denied) == (here.count("allowed"), len(here) - here.count("allowed"))
    expected = Counter(reason for _, reason in counted if reason != "allowed")
    assert all(expected[one.reason] == one.count and one.sentence for one in figures.reasons)
    assert [one.count for one in figures.reasons] == sorted(expected.values(), reverse=True)[: len(figures.reasons)]


def test_rates_are_decisions_a_minute() -> None:
    figures = decision_figures(lines(*[decision(EVEN, "allowed")] * 30, decision(EVEN, "no_rule")), EVEN)
    assert figures.slots[-1].rates == ("2.00", "0.00", "0.07")


def test_what_cannot_be_read_or_says_no_time_is_counted_and_never_guessed() -> None:
    broken = [("a.log", 9, b"{"), ("a.log", 10, b"no line\n"), ("a.log", 11, b"")]
    untimed = {"kind": "evaluation", "decision": True, "reason": "allowed", "time": "late"}
    figures = decision_figures([*lines(untimed, decision(EVEN, "of_a_newer_version")), *broken], EVEN)
    assert (figures.total, figures.unread, figures.untimed) == (1, 2, 1)
    (unheard,) = figures.reasons
    assert (unheard.reason, unheard.count, unheard.sentence) == ("of_a_newer_version", 1, "")


def test_without_a_decision_of_the_day_the_newest_is_told() -> None:
    figures = decision_figures(lines(decision(EVEN - 200_000, "allowed")), EVEN)
    assert (figures.total, figures.newest) == (0, "2030-03-15T10:26:40Z")
    assert decision_figures([], EVEN).newest == ""


def grant(name: str, age: float, **fields: Any) -> Object:  # noqa: ANN401 - as `stored`
    raw = stored(pendingUntilTime=at(90_000_000), **fields)
    raw["metadata"] |= {"name": name, "uid": name, "creationTimestamp": at(-age)}
    return raw


@pytest.mark.parametrize("place", range(len(AGES)))
def test_a_request_is_counted_in_the_age_that_it_has(place: int) -> None:
    begin = 0 if place == 0 else AGES[place - 1][1]
    figures = request_figures(sort([grant("a", begin)], CAROL, lambda *_: True, NOW), 0, NOW)
    assert [(one.mine, one.total) for one in figures.ages] == [(int(at_ == place),) * 2 for at_ in range(len(AGES))]
    assert (figures.review, figures.waiting, figures.most) == (1, 1, 1)


def test_what_waits_for_others_counts_in_all_and_not_for_me() -> None:
    lists = sort([grant("a", 5), grant("b", 5)], CAROL, lambda *_: False, NOW)
    figures = request_figures(lists, 3, NOW)
    assert (figures.review, figures.waiting, figures.left_out) == (0, 2, 3)
    assert (figures.ages[0].mine, figures.ages[0].total) == (0, 2)


def test_uses_of_today_are_those_since_midnight_in_utc() -> None:
    midnight = NOW - NOW % 86_400
    times = [midnight - 1, midnight, NOW - 5]
    records = [{"key": str(number), "time": at(time - NOW), "evaluationID": "e"} for number, time in enumerate(times)]
    status = {"phase": "Active", "notAfterTime": at(600), "uses": 3, "useRecords": records}
    mine = grant("a", 90_000, status=status, maxUses=9, requester="carol")
    figures = request_figures(sort([mine], CAROL, lambda *_: True, NOW), 0, NOW)
    # It stands in two lists, and is counted once.
    assert (figures.uses, figures.active, figures.day) == (2, 1, "2030-03-17")
