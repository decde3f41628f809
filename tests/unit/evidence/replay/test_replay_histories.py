"""Calls stay as they were made: a candidate is judged by the recorded numbers, or not at all."""

from typing import Final

import pytest

from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.versions import engine_versions
from property.evidence.test_replays import book_of
from support.derivations import texts_of
from support.objects import Object
from unit.evidence.derive.test_derive_histories import known, limiting, served
from unit.evidence.replay.test_replay import replay

LIMIT: Final = limiting("history.exports.count <= 5")
UNLIMITED: Final = limiting("true")
NOT_RECORDED: Final = "not_replayable:history_not_recorded"


@pytest.mark.parametrize(
    ("old", "count", "new", "code"),
    [
        (LIMIT, 5, limiting("history.exports.count <= 4"), "allow→deny"),
        (LIMIT, 4, limiting("history.exports.count <= 4"), "unchanged"),
        (LIMIT, 6, limiting("history.exports.count <= 9"), "deny→allow"),
        (LIMIT, 6, UNLIMITED, "deny→allow"),
        (UNLIMITED, 6, LIMIT, "allow→deny"),
        # Members that no rule read for the record are in it too.
        (LIMIT, 5, limiting("history.exports.sum <= 2.5"), "unchanged"),
        (LIMIT, 5, limiting("history.exports.age > 60"), "allow→deny"),
        (LIMIT, 5, limiting("has(history.exports.age)"), "unchanged"),
        (LIMIT, 5, limiting("history.others.count <= 5"), "allow→deny"),
        # Another definition counted other calls.
        (LIMIT, 5, limiting("history.exports.count <= 5", window="2h"), NOT_RECORDED),
        (LIMIT, 5, limiting("history.exports.count <= 5", key=[]), NOT_RECORDED),
        (LIMIT, 5, limiting("true", window="2h"), "unchanged"),
        (LIMIT, 5, limiting("history.exports.count > 5", effect="Deny", window="2h"), NOT_RECORDED),
        # No number can lift this.
        (LIMIT, 5, limiting("history.exports.count <= 5", "false", window="2h"), "allow→deny"),
    ],
)
def test_a_candidate_is_judged_by_the_recorded_numbers(old: Object, count: int, new: Object, code: str) -> None:
    record, _ = served(old, known(count))
    assert replay(record, [old], [new]).code == code


def test_a_history_that_no_rule_read_and_that_did_not_count_the_call_is_not_recorded() -> None:
    old, new = (
        limiting(text, counts={"actions": ["customers.list"]}) for text in ("true", "history.exports.count <= 5")
    )
    record, _ = served(old, known(1))
    assert "history" not in record
    assert replay(record, [old], [new]).code == NOT_RECORDED


def test_what_could_not_be_counted_says_nothing_of_the_rules() -> None:
    record, verdict = served(LIMIT, HistoryReadings(refusal=Reason.HISTORY_UNAVAILABLE))
    assert verdict.reason is Reason.HISTORY_UNAVAILABLE
    assert replay(record, [LIMIT], [UNLIMITED]).code == "not_replayable:state"


def test_records_that_differ_by_a_number_are_replayed_each_and_others_once() -> None:
    # Of the age the record has no attribute.
    book = book_of(texts_of([LIMIT["spec"]]), [limiting("history.exports.age > 50")])
    codes: list[str] = []
    for age in (60, 40, 60, 40):
        record, _ = served(LIMIT, known(3, age=age))
        record["history"][0]["seq"] += len(codes)
        outcome = book.outcome(record, engine_versions())
        assert outcome is not None
        codes.append(outcome.code)
    assert codes == ["unchanged", "allow→deny", "unchanged", "allow→deny"]
    assert book.evaluated == 2
