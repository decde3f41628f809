"""The index takes no more room than the rules list, and counts how much a call would have to look at."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import pytest

from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy import index as policy_index
from bailiwick_engine.policy.index import MOST_WORK, SPREAD, RuleIndex
from bailiwick_engine.policy.model import CompiledResource, CompiledRule
from bailiwick_engine.steps import whole
from support.objects import rule
from unit.engine.cases import sound, stored

(RULE,) = sound(stored("p", rule())).rules
# Four for the rule, and one for each resource that it lists.
RESOURCES: Final = RULE.resources[0]
WORK_OF_NONE: Final = 4


def made(name: str, subjects: Iterable[str], actions: Iterable[str] = ("read",), resources: int = 1) -> CompiledRule:
    """Return a rule of these subjects and actions, whose work is four more than its resources."""
    entries: tuple[CompiledResource, ...] = (RESOURCES,) * resources
    keys = frozenset(map(key, subjects))
    return replace(RULE, name=name, subjects=keys, actions=NameSet.of(tuple(actions)), resources=entries)


def key(name: str) -> Key:
    return Key(name)


def index(*rules: CompiledRule) -> RuleIndex:
    return whole(RuleIndex.steps(rules))


def names(found: Iterable[CompiledRule]) -> list[str]:
    return sorted(one.name for one in found)


@pytest.mark.parametrize(
    ("actions", "spread"),
    [(SPREAD // 2, True), (SPREAD // 2 + 1, False)],
    ids=["as many entries as a rule may take", "two more"],
)
def test_a_rule_that_would_take_too_many_entries_is_tried_by_name(actions: int, *, spread: bool) -> None:
    found = index(made("wide", ["a", "b"], [f"action-{number}" for number in range(actions)]))
    assert bool(found.exact) is spread
    assert bool(found.tried) is not spread
    assert names(found.speaking_of(frozenset({key("b")}), "action-1")) == ["wide"]


@pytest.mark.parametrize(
    ("over", "much"), [(0, False), (1, True)], ids=["as much as a decision may look at", "one more"]
)
@pytest.mark.parametrize("actions", [("read",), ("*",)], ids=["listed", "tried"])
def test_rules_are_too_much_beyond_the_work_of_one_decision(actions: tuple[str, ...], over: int, *, much: bool) -> None:
    rules = [
        made("first", ["a"], actions, 300),
        made("second", ["b"], actions, MOST_WORK - 300 - 2 * WORK_OF_NONE + over),
    ]
    found = index(*rules)
    assert found.too_much([key("a"), key("b")]) is much
    assert not found.too_much([key("a")])
    assert not found.too_much([key("c")])


def test_of_what_is_listed_by_action_only_the_most_laden_action_counts() -> None:
    half = MOST_WORK // 2
    apart = index(made("r", ["a"], ["read"], half), made("w", ["a"], ["write"], half))
    together = index(made("r", ["a"], ["read"], half), made("w", ["a"], ["read"], half))
    assert not apart.too_much([key("a")])
    assert together.too_much([key("a")])


def test_what_is_listed_and_what_is_tried_count_together() -> None:
    half = MOST_WORK // 2
    found = index(made("r", ["a"], ["read"], half), made("w", ["a"], ["*"], half))
    assert found.too_much([key("a")])


def test_a_subject_of_little_work_takes_no_room_in_the_count() -> None:
    assert index(made("small", ["a"])).laden == {}
    assert set(index(made("large", ["a"], resources=MOST_WORK)).laden) == {key("a")}


def test_work_is_counted_from_a_little_on_and_of_the_most_laden_action(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [made("r", ["a"], ["read"], 10), made("w", ["a"], ["write"], 2)]
    most = 10 + WORK_OF_NONE
    for bound, counted in ((most - 1, {key("a"): most}), (most, {})):
        monkeypatch.setattr(policy_index, "_LADEN", bound)
        assert index(*rules).laden == counted


def test_a_subject_that_is_not_counted_adds_nothing() -> None:
    found = RuleIndex({}, {}, {key("a"): MOST_WORK})
    assert not found.too_much([key("a"), key("b"), key("c")])
    assert RuleIndex({}, {}, {key("a"): MOST_WORK + 1}).too_much([key("a")])
