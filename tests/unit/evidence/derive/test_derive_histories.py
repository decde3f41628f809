"""A verdict that hangs on histories derives from the numbers of its record, and an uncounted allow is contradicted."""

import json
from typing import Final

import pytest

from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.historynumbers import UNREAD, HistoryNumbers, HistoryReadings
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.derivation import Derivation, DerivationClass, Obstacle
from bailiwick_evidence.derive.derive import derive, retrace_record
from bailiwick_evidence.derive.differences import differences
from bailiwick_governance.views.nearview import NearView
from bailiwick_webhook.record.line import RecordLines
from support.derivations import texts_of
from support.historyrecords import counts_of
from support.objects import Object, rule, settings
from support.records import lines_of
from unit.engine.cases import CALL, NOW, snapshot, stored, with_context

DERIVED, ATTESTED = DerivationClass.DERIVED, DerivationClass.ATTESTED
CONTRADICTED, UNREADABLE = DerivationClass.CONTRADICTED, DerivationClass.UNREADABLE
EXPORTS: Final[Object] = {
    "name": "exports",
    "key": ["agent"],
    "window": "1h",
    "counts": {"actions": ["customers.export"]},
    "amount": {"of": "context.amount", "digits": 2},
}
AMOUNT: Final = with_context(amount="2.50")


def limiting(*texts: str, effect: str = "Allow", **history: object) -> Object:
    """Return a policy whose exports are counted, with a rule of these conditions."""
    conditions = [{"name": f"c{at}", "expression": text} for at, text in enumerate(texts)]
    rules = [rule("limit", actions=["customers.export"], effect=effect, conditions=conditions)]
    if effect == "Deny":
        rules.append(rule("export", actions=["customers.export"]))
    carrying = {**settings(), "history": [{**EXPORTS, **history}]}
    return stored("crm-agent", *rules, endpointSettings=carrying)


def served(policy: Object, readings: HistoryReadings) -> tuple[Object, Verdict]:
    """Return the record of a call as the pipeline decides it, and the verdict."""
    on = snapshot(policy)
    first = verdict_with(on, UNREAD)
    verdict = first if first.needs is None else verdict_with(on, readings)
    history = counts_of(first.needs, readings, verdict)
    lines = lines_of(RecordLines(b"k" * 32), on, AMOUNT, verdict, now=NOW, history=history)
    found: Object = json.loads(lines[-1])
    return found, verdict


def verdict_with(on: Snapshot, readings: HistoryReadings) -> Verdict:
    return decide(on, AMOUNT, (), Circumstances(NOW, history=readings))


def known(count: int, total: int | None = 250, age: int | None = 60) -> HistoryReadings:
    return HistoryReadings({"exports": HistoryNumbers(count, total, 2, age)}, counted=True)


def derived(policy: Object, record: Object) -> Derivation:
    return derive(record, texts_of([policy["spec"]]))


LIMIT: Final = limiting("history.exports.count <= 5", "!has(history.exports.age) || history.exports.age > 30")


def test_a_record_has_what_was_read_and_counted_and_what_rules_saw() -> None:
    record, _ = served(LIMIT, known(3))
    (history,) = record["history"]
    assert history == {
        "name": "exports",
        "object": history["object"],
        "seq": 7,
        "count": 3,
        "sum": "2.50",
        "age": 60,
        "added": True,
    }
    assert history["object"].startswith("h-")
    assert record["attributes"] == {"history.exports.count": 3, "history.exports.age": 60}


def test_an_age_that_is_absent_stands_as_the_history_that_has_none() -> None:
    record, _ = served(LIMIT, known(1, age=None))
    assert record["attributes"] == {"history.exports.count": 1, "history.exports": {}}
    assert derived(LIMIT, record).kind is DERIVED


@pytest.mark.parametrize(
    ("policy", "readings", "reason", "kind"),
    [
        (LIMIT, known(5), Reason.ALLOWED, DERIVED),
        (LIMIT, known(6), Reason.CONDITION_FALSE, DERIVED),
        (LIMIT, known(5, age=10), Reason.CONDITION_FALSE, DERIVED),
        (LIMIT, HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE), Reason.HISTORY_UNAVAILABLE, ATTESTED),
        (limiting("history.exports.sum <= 2.5"), known(5), Reason.ALLOWED, DERIVED),
        (limiting("history.exports.sum <= 2.5"), known(5, 251), Reason.CONDITION_FALSE, DERIVED),
        (limiting("history.exports.count > 5", effect="Deny"), known(6), Reason.POLICY_DENIED, DERIVED),
        (limiting("history.exports.count > 5", effect="Deny"), known(5), Reason.ALLOWED, DERIVED),
        (limiting("history.others.count > 5", effect="Deny"), known(5), Reason.CONDITION_ERROR, DERIVED),
        (limiting("true", key=["context.lacking"]), known(1), Reason.HISTORY_UNCOUNTABLE, ATTESTED),
        (limiting("true"), known(1), Reason.ALLOWED, DERIVED),
        (limiting("true"), HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE), Reason.HISTORY_UNAVAILABLE, ATTESTED),
    ],
)
def test_it_derives_from_the_numbers(
    policy: Object, readings: HistoryReadings, reason: Reason, kind: DerivationClass
) -> None:
    record, verdict = served(policy, readings)
    assert verdict.reason is reason
    assert derived(policy, record).kind is kind


def edited(record: Object, **members: object) -> Object:
    """Return a record with other members of its one history, and of what rules saw of it."""
    (history,) = record["history"]
    attributes = record["attributes"] | ({"history.exports.count": members["count"]} if "count" in members else {})
    return record | {"history": [history | members], "attributes": attributes}


@pytest.mark.parametrize(
    ("count", "forged"),
    [(5, 6), (6, 5)],
)
def test_another_number_that_gives_another_verdict_is_contradicted(count: int, forged: int) -> None:
    record, _ = served(LIMIT, known(count))
    assert derived(LIMIT, edited(record, count=forged)).kind is CONTRADICTED


def test_an_allowed_call_that_is_not_counted_is_contradicted_and_the_difference_is_named() -> None:
    record, _ = served(LIMIT, known(3))
    for forged in (edited(record, added=False), {**record, "history": [], "attributes": {}}):
        found = derived(LIMIT, forged)
        assert found.kind is CONTRADICTED
    found = derived(LIMIT, edited(record, added=False))
    assert found.answer is not None
    (difference,) = differences(record, found.answer)
    assert str(difference) == "history is without them in the record, but counted in exports by the engine"


@pytest.mark.parametrize(
    "counts", [{"actions": ["customers.export"], "when": "context.amount == '2.50'"}, {"actions": ["customers.list"]}]
)
def test_of_a_history_that_need_not_count_the_call_an_allow_may_be_without_it(counts: Object) -> None:
    policy = limiting("history.exports.count <= 5", counts=counts)
    record, _ = served(policy, known(3))
    assert derived(policy, edited(record, added=False)).kind is DERIVED


def forgeries(record: Object) -> list[Object]:
    """Return the record with two sayings about one history, or with numbers that none has."""
    read = record["attributes"]
    return [
        {**record, "history": record["history"] * 2},
        {**record, "history": []},
        *(
            {**record, "attributes": {**read, **more}}
            for more in (
                {"history.exports.count": 2},
                {"history.exports.age": 61},
                {"history.others.count": 2},
                {"history.exports.sum": {"hmac": "x"}},
            )
        ),
        *(
            edited(record, **members)
            for members in ({"sum": "2.5.0"}, {"sum": "-1"}, {"count": -1}, {"seq": -1}, {"age": -1}, {"seq": "7"})
        ),
    ]


def test_a_record_that_says_two_things_of_a_history_is_unreadable() -> None:
    record, _ = served(LIMIT, known(3))
    for forged in forgeries(record):
        found = derived(LIMIT, forged)
        assert (found.kind, found.obstacle) == (UNREADABLE, Obstacle.RECORD_UNREADABLE), forged["history"]


def test_what_was_denied_for_want_of_a_count_was_let_through_by_the_rules() -> None:
    record, _ = served(LIMIT, HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE))
    assert "history" not in record
    banned = limiting("true", effect="Deny")
    denied, _ = served(banned, UNREAD)
    forged = denied | {"reason": "history_unavailable"}
    assert derived(banned, forged).kind is CONTRADICTED


def test_an_explanation_of_a_record_shows_the_numbers() -> None:
    record, _ = served(LIMIT, known(6))
    _, retrace = retrace_record(record, texts_of([LIMIT["spec"]]))
    assert retrace is not None
    view = NearView.from_retrace(retrace)
    assert view is not None
    shown = "\n".join("".join(text for text, _ in line) for line in view.lines())
    assert "read: history.exports.count = 6" in shown


def test_a_sum_is_written_with_all_its_digits_and_read_back_as_the_same_double() -> None:
    for total, digits in ((9_007_199_254_740_993, 6), (1, 6), (250, 2), (0, 0), (8_999_999_999_999_999, 0)):
        numbers = HistoryNumbers(1, total, digits)
        back = HistoryNumbers.from_record(1, numbers.decimal_sum, None)
        assert back is not None
        assert (back.total, back.members) == (total, numbers.members)


def test_the_call_here_is_one_that_can_be_counted() -> None:
    assert verdict_with(snapshot(LIMIT), known(1)).needs is not None
    assert decide(snapshot(LIMIT), CALL, (), Circumstances(NOW)).reason is Reason.HISTORY_UNCOUNTABLE
