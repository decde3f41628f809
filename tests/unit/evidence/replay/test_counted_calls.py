"""Where a candidate's history has no numbers on record, the allowed calls of the log are counted, as they were made."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pytest

from bailiwick_engine.call import Party
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.history.commit import ClockBounds, WaitingCall, commit, numbers_at
from bailiwick_engine.history.needs import HistoryNeeds, history_needs
from bailiwick_engine.history.state import KeyState
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.replay.countedcalls import CountedCalls
from bailiwick_evidence.replay.projections import Projection, ReplayBook
from property.evidence.test_replays import book_of
from support.derivations import texts_of
from support.objects import Object
from support.work import lines_run
from unit.engine.cases import NOW, snapshot, with_context
from unit.evidence.derive.test_derive_histories import known, limiting, served

ALL: Final = limiting("true")
NOT_RECORDED: Final = "not_replayable:history_not_recorded"


def unsummed(text: str, **changes: Any) -> Object:  # noqa: ANN401 - members of a history
    """Return a candidate whose history has no amount."""
    made = limiting(text, **changes)
    made["spec"]["endpointSettings"]["history"][0].pop("amount")
    return made


READING: Final = limiting("context.amount != ''")
OTHER: Final = unsummed("history.exports.count <= 2", window="2h")


def record(after: float, name: str, of: Object = ALL, **changes: Any) -> Object:  # noqa: ANN401 - members of a record
    """Return the record of an allowed call, so many seconds after the first."""
    made, _ = served(of, known(1))
    return {**made, "now": NOW + after, "evaluation_id": name, **changes}


def replayed(records: Sequence[Object], new: Object, *, before: Sequence[Object] | None = None) -> list[str]:
    """Return the class of each record. `before`: what is counted, if it is not all of them."""
    book = book_of(texts_of([ALL["spec"]]), [new])
    for one in records if before is None else before:
        book.count(one)
    return codes(book, records)


def codes(book: ReplayBook, records: Sequence[Object]) -> list[str]:
    found = [book.outcome(one, engine_versions()) for one in records]
    return [one.code for one in found if one is not None]


def test_a_limit_of_another_definition_is_judged_by_the_calls_of_the_log() -> None:
    records = [record(at, str(at)) for at in (0, 10, 20, 8000, 8010)]
    assert replayed(records, OTHER) == ["unchanged", "unchanged", "allow→deny", "unchanged", "unchanged"]


def test_calls_stay_as_they_were_made_whatever_the_candidate_makes_of_them() -> None:
    """The two that the candidate denies are counted, so it denies the last one too."""
    records = [record(at, str(at)) for at in (0, 10, 4000, 4010, 7400)]
    assert replayed(records, OTHER)[2:] == ["allow→deny"] * 3


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_lines_does_not_matter(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    records = [record(at, str(at)) for at in chance.sample(range(20_000), 12)]
    found = dict(zip((one["evaluation_id"] for one in records), replayed(records, OTHER), strict=True))
    chance.shuffle(records)
    assert dict(zip((one["evaluation_id"] for one in records), replayed(records, OTHER), strict=True)) == found


def test_calls_that_were_denied_or_that_only_asked_are_not_counted() -> None:
    records = [record(at, str(at)) for at in (0, 10)]
    others = [record(5, "d", decision=False), record(6, "r", kind="request"), record(7, "t", dry_run=True)]
    assert replayed(records, OTHER, before=[*records, *others]) == ["unchanged", "unchanged"]


def test_a_call_that_was_sent_again_counts_once_and_is_not_compared() -> None:
    first, again, third = (record(at, str(at)) for at in (0, 1, 2))
    again["history"] = [{**again["history"][0], "repeated": True}]
    assert replayed([first, again, third], OTHER) == ["unchanged", NOT_RECORDED, "unchanged"]


def test_agents_are_counted_apart() -> None:
    records = [record(at, str(at)) for at in (0, 10, 20)]
    stranger = {**records[0]["subject"], "uid": "another"}
    others = [record(at, f"s{at}", subject=stranger) for at in (1, 2, 3)]
    assert replayed(records, OTHER, before=[*records, *others])[:2] == ["unchanged", "unchanged"]


def test_without_the_calls_of_the_log_nothing_is_compared() -> None:
    book = book_of(texts_of([ALL["spec"]]), [OTHER])
    assert codes(book, [record(0, "0")]) == [NOT_RECORDED]


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ["context.tenant"]},
        {"amount": {"of": "context.other", "digits": 2}},
        {"counts": {"actions": ["*"], "when": "!has(context.free)"}},
    ],
)
def test_what_a_record_does_not_say_makes_a_history_unknown(changes: Object) -> None:
    new = {**unsummed("history.exports.count <= 2", window="2h")}
    new["spec"]["endpointSettings"]["history"][0].update(changes)
    assert set(replayed([record(at, str(at)) for at in (0, 10)], new)) == {NOT_RECORDED}


def test_what_there_is_no_room_for_makes_a_history_unknown() -> None:
    book = book_of(texts_of([ALL["spec"]]), [OTHER])
    book._counted = CountedCalls(most=2)
    records = [record(at, str(at)) for at in (0, 10, 20)]
    for one in records:
        book.count(one)
    assert codes(book, records) == [NOT_RECORDED] * 3


@pytest.mark.parametrize(
    "window",
    [{"window": "2h"}, {"window": "1d"}, {"window": None, "calendar": {"unit": "Hour", "timeZone": "Europe/Berlin"}}],
)
@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_the_numbers_are_those_that_the_engine_would_have_counted(window: Object, seed: int, *, summed: bool) -> None:
    """The oracle is the commit of the decision point, given the same calls in order."""
    changes = {name: value for name, value in window.items() if value is not None}
    new = (limiting if summed else unsummed)("history.exports.count <= 2", **changes)
    if window["window"] is None:
        del new["spec"]["endpointSettings"]["history"][0]["window"]
    (endpoint,) = snapshot(new).endpoints.values()
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    amounts = {at: f"{chance.randrange(10**9)}.{chance.randrange(100):02}" for at in chance.sample(range(30_000), 15)}
    amounts = dict(sorted(amounts.items()))
    records = [with_amount(at, amount) for at, amount in amounts.items()]
    book = book_of(texts_of([READING["spec"]]), [new])
    for one in chance.sample(records, len(records)):
        book.count(one)
    counted = book._counted
    assert counted is not None
    (pair,) = (one.pair for one in book._projections.values() if isinstance(one, Projection))
    found = [counted.numbers(one, pair)["exports"] for one in records]
    assert found == engine_numbers(endpoint, amounts)


def test_the_numbers_of_a_call_are_the_same_work_however_many_calls_are_in_the_window() -> None:
    few, many = (lines_run(summing(count)) for count in (250, 1_000))
    assert many < 1.1 * few


def summing(count: int) -> Callable[[], object]:
    """Return the reading of the numbers of a few calls behind so many of one key, all in one window."""
    records = [with_amount(at, "1.37") for at in range(count)]
    book = book_of(texts_of([READING["spec"]]), [limiting("history.exports.sum <= 9.0", window="30d")])
    for one in records:
        book.count(one)
    counted = book._counted
    assert counted is not None
    (pair,) = (one.pair for one in book._projections.values() if isinstance(one, Projection))
    # What is done once for all of them is done.
    counted.numbers(records[0], pair)
    return lambda: [counted.numbers(one, pair) for one in records[-10:]]


def with_amount(at: int, amount: str) -> Object:
    return record(at, f"{at:05}", READING, attributes={"context.amount": amount})


def engine_numbers(endpoint: CompiledEndpoint, amounts: Mapping[int, str]) -> list[HistoryNumbers]:
    state, numbers = None, []
    for at, amount in amounts.items():
        call = with_context(amount=amount)
        subject = call.subject
        assert isinstance(subject, Party)
        needs = history_needs(endpoint.histories, call, subject, seen(endpoint, call, subject, NOW), ["exports"])
        assert isinstance(needs, HistoryNeeds)
        (need,) = needs.objects
        state = state or KeyState("crm-api", need.key)
        moment = int((NOW + at) * 1000)
        clock = ClockBounds(moment, moment)
        numbers.append(numbers_at(state, need, clock, with_this=True)["exports"])
        state, _ = commit(state, [WaitingCall(need, f"{at:032x}", lambda _: True)], clock)
    return numbers
