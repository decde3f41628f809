"""Cases of the fold of histories: what is derived, a gap or contradicted, and what is not."""

import json
from typing import Any, Final

import pytest

from bailiwick_engine.policy.histories import CalendarWindow, CompiledHistory, SlidingWindow
from bailiwick_evidence.audit.historyfold import HistoryFold, HistoryReport
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.objectfold import HistoryCode
from bailiwick_evidence.chain import ChainLink
from support.histories import DAY, HOUR, history

NOW: Final = 1_764_439_200.0
HOURLY: Final = {"exports": history("exports", SlidingWindow(HOUR))}
DAILY: Final = {"exports": history("exports", CalendarWindow("Day", "UTC"))}
Line = dict[str, Any]


def line(
    seq: int,
    count: int,
    after: float = 0,
    age: int | None = None,
    *,
    name: str = "h-1",
    **more: Any,  # noqa: ANN401
) -> Line:
    """Return the record of an allowed call that was counted, so many seconds after the beginning."""
    member = {"name": "exports", "object": name, "seq": seq, "count": count, "sum": None, "age": age, "added": True}
    changes = {key: more.pop(key) for key in [*more] if key in {"added", "awaited", "repeated", "sum"}}
    record = {"kind": "evaluation", "endpoint": "crm/crm-api", "decision": True, "now": NOW + after}
    return record | {"history": [member | changes]} | more


def read(seq: int, count: int, after: float = 0, age: int | None = None, **more: Any) -> Line:  # noqa: ANN401
    """Return the record of a denied call that read a state."""
    return line(seq, count, after, age, decision=False, added=False, **more)


def folded(*lines: Line, known: dict[str, CompiledHistory] | None = None, **bounds: int) -> HistoryReport:
    fold = HistoryFold(**bounds)
    for number, record in enumerate(lines):
        fold.add_record(record, ("chain", number), known)
    return fold.report({})


def test_names_in_escapes_hide_no_number() -> None:
    fold = HistoryFold()
    for number, record in enumerate([line(10, 1), line(11, 5, 600, 600)]):
        text = json.dumps(record).replace('"history"', '"h\\u0069story"').encode()
        fold.add(ChainLine(ChainLink("chain", number, None), text))
    assert fold.report({}).findings


def test_a_line_that_no_witness_saw_explains_no_number() -> None:
    fold = HistoryFold()
    for number, record in enumerate([line(10, 1), line(11, 5, 600, 600)]):
        fold.add_record(record, ("witnessed", number), None)
    # By itself it begins another life of the object, in which anything may have been counted.
    fold.add_record(line(1, 1, 300), ("invented", 0), None)
    assert codes(fold.report({"witnessed": 2, "invented": 1})) == ["gap"]
    report = fold.report({"witnessed": 2})
    assert codes(report) == ["gap", "contradicted"]
    assert (report.lines, report.derived) == (3, 2)
    # Nor does a line of the chain itself that came after the witness.
    later = HistoryFold()
    for number, record in enumerate([line(10, 1), line(11, 5, 600, 600), line(1, 1, 300)]):
        later.add_record(record, ("witnessed", number), None)
    assert codes(later.report({"witnessed": 2})) == ["gap", "contradicted"]


def codes(report: HistoryReport) -> list[str]:
    return [one.code.value for one in report.findings]


def test_numbers_that_follow_are_derived() -> None:
    report = folded(line(1, 1), line(2, 2, 5, 5), read(2, 3, 6, 1), line(3, 3, 9, 4), known=HOURLY)
    assert (report.findings, report.derived, report.lines, report.objects) == ((), 4, 4, 1)
    assert report.known
    assert not folded(line(1, 1)).known


@pytest.mark.parametrize(
    "lines",
    [
        # The log begins in the midst of a history.
        [line(117, 40, 0, 3), line(118, 41, 1, 1)],
        [read(117, 40, 0, 3), line(118, 41, 1, 1)],
        # Calls dropped out of the window.
        [line(5, 5, 0, 9), line(6, 1, 4000)],
        # A call was sent again: its number moved, or it was settled before.
        [line(1, 1), line(2, 1, 3, repeated=True), line(3, 2, 4, 1)],
        [line(1, 1), line(2, 2, 3, 3), line(2, 2, 4, 3, repeated=True)],
        # A call was taken out again, since its approval was used up, or another object was full.
        [line(1, 1), line(2, 2, 3, 3, decision=False), line(4, 2, 9, 9)],
        # Others were counted before the call that read, which did not add itself.
        [line(1, 1), line(2, 2, 3, 3), read(2, 3, 4, 1), read(2, 3, 50, 47)],
        # The operator deleted the object when nothing stood in it.
        [line(1, 1), line(2, 2, 3, 3), line(1, 1, 2 * DAY), line(2, 2, 2 * DAY + 9, 9)],
        [line(1, 1), read(1, 1, 7000), line(1, 1, 7001)],
        # There was no object.
        [read(0, 1), line(1, 1, 1)],
        # A dry run, by an older state.
        [line(1, 1), line(2, 2, 3, 3), read(9, 1, 4, dry_run=True)],
        # A line of another kind has the number.
        [
            line(1, 1),
            {"kind": "history", "endpoint": "crm/crm-api", "history": [{"object": "h-1", "seq": 2}]},
            line(3, 2, 2, 2),
        ],
        # A call was noted down, and counted when its outcome was reported; denied calls are counted together.
        [
            line(1, 0, added=False, awaited=True),
            {"kind": "outcome", "endpoint": "crm/crm-api", "history": [{"object": "h-1", "seq": 2}]},
            {
                "kind": "history",
                "event": "denied",
                "calls": 40,
                "endpoint": "crm/crm-api",
                "history": [{"object": "h-1", "seq": 3}],
            },
            read(3, 40, 20, 1),
            line(4, 1, 30, 20, added=False, awaited=True),
        ],
        # A call was taken out, and counted again later, so that no line has its first number.
        [
            line(1, 1),
            {
                "kind": "history",
                "event": "released",
                "calls": 1,
                "endpoint": "crm/crm-api",
                "history": [{"object": "h-1", "seq": 3}],
            },
            line(4, 2, 9, 9),
        ],
        # Another object, and one of another endpoint.
        [line(1, 1), line(1, 1, name="h-2"), line(1, 1, endpoint="crm/other")],
    ],
)
def test_what_an_honest_process_writes_is_no_finding(lines: list[Line]) -> None:
    for order in (lines, lines[::-1]):
        for known in (None, HOURLY):
            assert codes(folded(*order, known=known)) == []


DENIED: Final[Line] = {
    "kind": "history",
    "event": "denied",
    "calls": 40,
    "endpoint": "crm/crm-api",
    "history": [{"object": "h-1", "seq": 2}],
}


@pytest.mark.parametrize(
    "lines",
    [
        # A history of this name counts denied calls since.
        [line(1, 1, policies={"a": "1"}), DENIED, read(2, 40, 20, 1, policies={"a": "2"})],
        [line(1, 1, policies={"a": "1"}), read(2, 40, 20, 1, policies={"a": "2"}), line(3, 1, 30, policies={"a": "3"})],
        # The log begins after a change of the definition that was taken back.
        [line(50, 1, policies={"a": "2"}), line(51, 41, 5, 9, policies={"a": "1"})],
    ],
)
def test_a_definition_that_is_not_known_may_be_another_one_under_other_policies(lines: list[Line]) -> None:
    assert [one.said for one in folded(*lines).findings if one.bad] == []


def test_a_call_that_only_awaits_its_outcome_and_is_sent_again_is_no_gap() -> None:
    noted: Line = {"added": False, "awaited": True}
    lines = [line(1, 0, **noted), line(2, 0, 3, repeated=True, **noted), line(3, 0, 4, **noted)]
    assert codes(folded(*lines)) == []


def test_a_number_that_is_missing_is_a_gap_and_not_bad() -> None:
    report = folded(line(1, 1), line(4, 4, 9, 2), read(6, 5, 10, 1))
    assert codes(report) == ["gap", "gap"]
    assert [one.said for one in report.findings] == [
        "no line has the numbers 2 to 3",
        "no line has the numbers 5 to 6",
    ]
    assert not any(one.bad for one in report.findings)
    assert (report.gaps, report.contradicted) == (2, 0)


def test_after_a_deletion_the_first_numbers_belong_to_the_log() -> None:
    assert codes(folded(line(7, 7, 0, 1), line(3, 3, 2 * DAY, 1))) == ["gap"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line(1, 1), line(1, 1, 4)], "number 1 stands in line 0 of chain chain too"),
        ([line(5, 5, 100, 1), line(6, 6, 0, 1)], "is older than"),
        ([line(1, 1), line(2, 3, 4, 4)], "it can be 2 at most"),
        ([line(2, 3, 0, 1)], "it can be 2 at most"),
        ([line(1, 1), read(1, 3, 4, 4)], "it can be 2 at most"),
        ([line(1, 1), line(2, 2, 3)], "no age"),
        ([line(1, 1), line(2, 0, 3, 3)], "an age"),
        ([line(1, 1), line(2, 2, 1000, 3)], "1000 seconds have passed"),
        ([line(1, 1, sum="5.00"), line(2, 2, 1, 1, sum="4.00")], "is less than before"),
        ([line(1, 1, sum="5.00"), line(2, 2, 1, 1)], "has a sum in one line"),
    ],
)
def test_lines_that_cannot_both_be_true_are_contradicted(lines: list[Line], said: str) -> None:
    for known in (None, HOURLY):
        report = folded(*lines, known=known)
        assert report.contradicted == 1
        assert said in report.findings[0].said
        assert report.derived == len(lines) - 1


class TestWithWindows:
    """What is found only where the window of a history is known."""

    @pytest.mark.parametrize("known", [HOURLY, DAILY])
    def test_a_count_that_is_too_small_is_contradicted(self, known: dict[str, CompiledHistory]) -> None:
        lines = [line(1, 1), line(2, 2, 600, 600), line(3, 1, 900)]
        assert codes(folded(*lines, known=known)) == ["contradicted"]
        assert codes(folded(*lines)) == []

    def test_a_count_is_too_small_only_where_nothing_can_have_dropped_out(self) -> None:
        assert codes(folded(line(1, 1), line(2, 2, 10, 10), line(3, 1, 3700), known=HOURLY)) == []

    def test_of_a_number_that_is_missing_a_call_may_have_been_taken_out(self) -> None:
        assert codes(folded(line(1, 1), line(2, 2, 10, 10), line(4, 2, 20, 15), known=HOURLY)) == ["gap"]

    def test_an_object_that_begins_anew_while_its_window_holds_calls_is_contradicted(self) -> None:
        lines = [line(1, 1), line(2, 2, 3, 3), line(1, 1, 1800)]
        assert codes(folded(*lines, known=HOURLY)) == ["contradicted"]
        assert codes(folded(*lines)) == []


@pytest.mark.parametrize(
    "member",
    [
        {"seq": -1},
        {"seq": "1"},
        {"count": -1},
        {"sum": "1e3"},
        {"added": None},
        {"object": 3},
        {"age": 1.5},
    ],
)
def test_a_line_of_another_shape_is_unreadable(member: dict[str, object]) -> None:
    record = line(1, 1)
    record["history"][0].update(member)
    report = folded(record)
    assert codes(report) == [HistoryCode.UNREADABLE]
    assert report.contradicted == 1


@pytest.mark.parametrize("now", [-1, 1e12, 1e300])
def test_a_line_of_no_moment_is_unreadable(now: float) -> None:
    assert codes(folded({**line(1, 1), "now": now})) == [HistoryCode.UNREADABLE]


def test_the_word_history_elsewhere_in_a_line_is_none() -> None:
    record = {"kind": "evaluation", "endpoint": "crm/crm-api", "attributes": {"context.of": {"history": [1]}}}
    assert folded(record).findings == ()
    assert folded({"kind": "history", "endpoint": "crm/crm-api"}).findings == ()


def test_what_there_is_no_room_for_is_counted_and_not_half_folded() -> None:
    lines = [line(seq, seq, seq, None if seq == 1 else 1, name=f"h-{place}") for place in range(5) for seq in (1, 2)]
    report = folded(*lines, most_objects=3)
    assert (report.objects, report.left_out, report.lines) == (3, 2, 6)
    report = folded(*lines, most_events=5)
    assert report.left_out >= 1
    assert codes(report) == []
    assert report.lines <= 5


def by_chain(chains: dict[str, list[Line]], clusters: dict[str, frozenset[str]] | None) -> HistoryReport:
    """Fold the lines of several chains, each of these clusters."""
    fold = HistoryFold()
    for chain, lines in chains.items():
        for number, record in enumerate(lines):
            fold.add_record(record, (chain, number), HOURLY)
    return fold.report({}, None if clusters is None else lambda chain: clusters.get(chain, frozenset()))


def test_objects_of_one_name_in_two_clusters_are_counted_apart() -> None:
    chains = {"A": [line(1, 1), line(2, 2, 5, 5)], "B": [line(1, 1), line(2, 2, 5, 5)]}
    assert "contradicted" in codes(by_chain(chains, None))
    apart = by_chain(chains, {"A": frozenset({"east"}), "B": frozenset({"west"})})
    assert (apart.findings, apart.objects, apart.lines, apart.derived) == ((), 2, 4, 4)


@pytest.mark.parametrize("other", [frozenset({"west"}), frozenset(), frozenset({"east", "west"})])
def test_a_line_that_is_not_of_the_cluster_hides_no_count_that_cannot_be(other: frozenset[str]) -> None:
    # The line of the other chain would begin a new life of the object.
    chains = {"A": [line(10, 1), line(11, 5, 86_400)], "B": [line(1, 1, 43_200)]}
    (found,) = by_chain({"A": chains["A"]}, {"A": frozenset({"east"})}).findings
    assert (found.bad, found.cluster) == (True, "east")
    assert found in by_chain(chains, {"A": frozenset({"east"}), "B": other}).findings


def test_a_line_of_another_cluster_fills_no_gap() -> None:
    chains = {"A": [line(1, 1), line(4, 4, 9, 9)], "B": [line(2, 2, 1, 1), line(3, 3, 2, 1)]}
    assert codes(by_chain(chains, None)) == []
    (found,) = by_chain(chains, {"A": frozenset({"east"}), "B": frozenset({"west"})}).findings
    assert (found.code, found.cluster, found.said) == (HistoryCode.GAP, "east", "no line has the numbers 2 to 3")
