"""Laws of decisions that read and count histories, over drawn rules, numbers and knowledge of them."""

from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.historynumbers import UNREAD, HistoryNumbers
from bailiwick_engine.reasons import Reason
from property.decisions.historyworld import EXPORT, OPENS, HistoryWorld, every_number, some_names, subset, worlds

Numbers = dict[str, HistoryNumbers]


@given(worlds(), every_number, some_names, st.booleans(), st.sampled_from((None, *Reason)))
def test_taking_knowledge_away_never_turns_a_denial_into_an_allow(
    world: HistoryWorld, known: Numbers, left: frozenset[str], counting: bool, refusal: Reason | None
) -> None:
    whole = world.verdict(world.readings(known))
    less = world.verdict(replace(world.readings(subset(known, left), counted=counting), refusal=refusal))
    assert whole.outcome in OPENS or less.outcome not in OPENS


@given(worlds(), every_number)
def test_what_a_history_may_count_is_let_through_only_where_it_is_counted(world: HistoryWorld, known: Numbers) -> None:
    uncounted = world.verdict(world.readings(known, counted=False))
    needs = world.verdict(world.readings(known)).needs
    assert uncounted.outcome not in OPENS or needs is None or not needs.counts
    certain = [one for one in world.endpoint.histories if one.counts(world.call)]
    assert not certain or uncounted.outcome not in OPENS


@given(worlds(), every_number)
def test_a_denial_that_needs_nothing_is_one_whatever_the_numbers_are(world: HistoryWorld, known: Numbers) -> None:
    first = world.verdict(UNREAD)
    if first.needs is None and first.outcome not in OPENS:
        assert world.verdict(world.readings(known)).outcome not in OPENS


@given(worlds(), every_number)
def test_what_a_verdict_needs_is_enough_for_the_verdict_of_all_numbers(world: HistoryWorld, known: Numbers) -> None:
    first = world.verdict(UNREAD)
    objects = first.needs.objects if first.needs is not None else ()
    names = frozenset(history.name for need in objects for history in need.reads)
    second, whole = (world.verdict(world.readings(one)) for one in (subset(known, names), known))
    assert second.outcome is whole.outcome
    assert second.needs is None or second.needs == first.needs
    if first.needs is not None:
        told = [(one.reason, one.rule, one.hop, one.audit) for one in (second, whole)]
        assert told[0] == told[1]
        # What has to be counted was counted: no second reading is asked for.
        assert second.reason is not Reason.HISTORY_UNAVAILABLE


@given(worlds(), every_number)
def test_the_rules_alone_say_what_they_say_where_everything_is_counted(world: HistoryWorld, known: Numbers) -> None:
    readings = world.readings(known)
    served, alone = world.verdict(readings), world.verdict(replace(readings, counted=False, rules_alone=True))
    if served.reason is not Reason.HISTORY_UNCOUNTABLE and served.reason is not Reason.HISTORY_UNAVAILABLE:
        assert (served.outcome, served.reason, served.rule) == (alone.outcome, alone.reason, alone.rule)
    assert world.call.action.name == EXPORT
