"""Who is over budget: the ledger, whatever came in which order, says what a plain count of the same policies says."""

import random
from collections.abc import Iterable, Mapping
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings, strategies as st

from bailiwick_engine.budget import ledger as ledgers
from bailiwick_engine.budget.footprint import Footprint
from bailiwick_engine.budget.ledger import Budget, BudgetLedger, Claim, Excess, Limit
from bailiwick_engine.steps import Steps

NAMESPACES: Final = ("a", "b", "c")
NAMES: Final = ("p", "q", "r", "s")

prints: Final = st.builds(Footprint, st.integers(1, 40), st.integers(1, 20))
claims: Final = st.builds(lambda second, made: (second, made), st.sampled_from(["1", "2", "3"]), prints)
moves: Final = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES), claims | claims | claims | st.none())
budgets: Final = st.builds(
    Budget,
    total=st.sampled_from([0, 40, 80, 80, 120]),
    namespace=st.sampled_from([0, 0, 60, 100]),
    policy=st.sampled_from([0, 0, 25, 35]),
    policies=st.sampled_from([0, 0, 2, 3]),
    text=st.sampled_from([0, 0, 15, 40]),
)
Known = Mapping[tuple[str, str], Claim]


def within(budget: Budget, found: Iterable[Claim], most: int) -> dict[str, Claim]:
    """Let policies in by a plain count, the oldest first."""
    taken: dict[str, Claim] = {}
    for claim in sorted(found, key=lambda claim: (claim.created, claim.name)):
        tried = {**taken, claim.name: claim}
        fits = (
            (not budget.policy or claim.footprint.bytes <= budget.policy)
            and (not budget.policies or len(tried) <= budget.policies)
            and (not budget.text or sum(one.footprint.text for one in tried.values()) <= budget.text)
            and (not most or taken_up(tried.values()) <= most)
        )
        if fits:
            taken = tried
    return taken


def taken_up(claims_: Iterable[Claim]) -> int:
    return sum(claim.footprint.bytes for claim in claims_)


def plainly(budget: Budget, known: Known) -> tuple[set[tuple[str, str]], dict[str, int]]:
    """Return who is over, and the demands of the namespaces."""
    spaces = {space: [one for (own, _), one in known.items() if own == space] for space, _ in known}
    demands = {space: taken_up(within(budget, found, budget.namespace).values()) for space, found in spaces.items()}
    level = None
    if budget.total and sum(demands.values()) > budget.total:
        # The most that each may have so that all together fit.
        level = max(one for one in range(budget.total + 1) if fits(demands, one, budget.total))
    over = set()
    for space, found in spaces.items():
        most = budget.namespace if level is None or demands[space] <= level else level
        if most == 0 and level == 0 and demands[space] > 0:
            over |= {(space, one.name) for one in found}
            continue
        kept = within(budget, found, most)
        over |= {(space, one.name) for one in found if one.name not in kept}
    return over, demands


def fits(demands: Mapping[str, int], level: int, total: int) -> bool:
    return sum(min(demand, level) for demand in demands.values()) <= total


def play(ledger: BudgetLedger, known: Known) -> set[tuple[str, str]]:
    return {key for key in known if ledger.excess(*key) is not None}


@given(
    budgets,
    st.lists(st.tuples(moves, st.booleans()), min_size=6, max_size=24)
    | st.lists(st.tuples(moves, st.booleans()), max_size=6),
    st.randoms(use_true_random=False),
)
def test_it_says_what_a_plain_count_says_in_whichever_order_it_heard(
    budget: Budget,
    heard: list[tuple[tuple[str, str, tuple[str, Footprint] | None], bool]],
    chance: random.Random,
) -> None:
    ledger, known, over = BudgetLedger(budget), dict[tuple[str, str], Claim](), set[tuple[str, str]]()
    for (namespace, name, found), settled in heard:
        claim = None if found is None else Claim(found[0], name, found[1])
        known.pop((namespace, name), None)
        if claim is not None:
            known[namespace, name] = claim
        ledger.put(namespace, name, claim)
        if settled:
            turned = ledger.settle()
            # What turned is told: all of what is still there, and nothing else.
            assert {key for key in turned if key in known} == {
                key for key in over ^ play(ledger, known) if key in known
            }
            over = play(ledger, known)
    ledger.settle()
    expected, demands = plainly(budget, known)
    assert play(ledger, known) == expected
    assert ledger.over == len(expected)
    kept = [{one.name: one for (own, _), one in known.items() if own == space} for space in demands]
    used = sum(
        taken_up(one for name, one in found.items() if (space, name) not in expected)
        for space, found in zip(demands, kept, strict=True)
    )
    assert ledger.usage == (used, budget.total)
    # Another process, that heard of the same policies in another order.
    other, items = BudgetLedger(budget), list(known.items())
    chance.shuffle(items)
    for (namespace, _), claim in items:
        other.put(namespace, claim.name, claim)
    other.settle()
    assert play(other, known) == expected


@given(
    st.sampled_from([40, 80]).map(lambda total: Budget(total=total, namespace=0, policy=0, policies=0)),
    st.lists(moves, min_size=12, max_size=24),
    st.integers(0, 1_000_000).map(random.Random),
)
def test_it_says_the_same_where_namespaces_are_settled_side_by_side(
    budget: Budget, heard: list[tuple[str, str, tuple[str, Footprint] | None]], chance: random.Random
) -> None:
    ledger, known, working = BudgetLedger(budget), dict[tuple[str, str], Claim](), dict[str, Steps[set[str]]]()
    waiting = list(heard)
    # A step for each policy, so that a share changes while others are on their way.
    with patch.object(ledgers, "_STEP", 1):
        while waiting or working or ledger.restless:
            free = [move for move in waiting[:1] if move[0] not in working]
            if free and chance.random() < 0.5:
                namespace, name, found = waiting.pop(0)
                known.pop((namespace, name), None)
                if found is not None:
                    known[namespace, name] = Claim(found[0], name, found[1])
                ledger.put(namespace, name, known.get((namespace, name)))
            working |= {
                one: ledger.settle_one(one) for one in ledger.restless - working.keys() if chance.random() < 0.5
            }
            for one in [one for one in working if chance.random() < 0.5]:
                try:
                    next(working[one])
                except StopIteration:
                    del working[one]
    expected, _ = plainly(budget, known)
    assert play(ledger, known) == expected
    assert ledger.over == len(expected)


def test_a_share_that_changes_while_a_namespace_is_being_settled_counts_for_it() -> None:
    made, ledger = Footprint(10, 10), BudgetLedger(Budget(total=40, namespace=0, policy=0, policies=0))
    for namespace in "ab":
        for name in "pqr":
            ledger.put(namespace, name, Claim("1", name, made))
    ledger.settle()
    assert ledger.over == 2
    with patch.object(ledgers, "_STEP", 1):
        ledger.put("a", "q", Claim("2", "q", made))
        working = ledger.settle_one("a")
        next(working)
        # On its way to what the old share lets in, it learns that there is room for all.
        for name in "pqr":
            ledger.put("b", name, None)
        for _ in ledger.settle_one("b"):
            pass
        for _ in working:
            pass
    assert ledger.restless
    ledger.settle()
    assert ledger.over == 0


def test_a_share_that_changes_a_little_concerns_only_those_whom_it_lets_in_or_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled: list[str] = []
    fill = BudgetLedger._filled

    def counted(*of: Any) -> Steps[Any]:  # noqa: ANN401 - whatever it is called with
        filled.append("")
        return fill(*of)

    monkeypatch.setattr(BudgetLedger, "_filled", counted)
    namespaces, made = 200, Footprint(100, 10)
    ledger = BudgetLedger(Budget(total=100 * namespaces, namespace=0, policy=0, policies=0))
    # As a list brings them: one namespace after another, of five policies each, where there is room for one of each.
    for number in range(namespaces):
        for name in "pqrst":
            ledger.put(f"{number:03}", name, Claim("1", name, made))
        ledger.settle()
    assert ledger.over == 4 * namespaces
    # What is told is today's share, also where nobody was let in or out by the last change of it.
    assert {ledger.excess(f"{number:03}", "t") for number in range(namespaces)} == {Excess(Limit.SHARE, 100, 100, 100)}
    # Each is filled anew only when it loses a policy, and not for each namespace that comes.
    assert len(filled) < 12 * namespaces


@given(budgets, st.lists(claims, min_size=1, max_size=8), prints)
def test_in_a_namespace_none_falls_because_a_newer_one_came(
    budget: Budget, found: list[tuple[str, Footprint]], newest: Footprint
) -> None:
    ledger = BudgetLedger(budget)
    for number, (created, made) in enumerate(found):
        ledger.put("a", f"{number}", Claim(created, f"{number}", made))
    ledger.settle()
    before = [ledger.excess("a", f"{number}") is None for number in range(len(found))]
    ledger.put("a", "newest", Claim("9", "newest", newest))
    ledger.settle()
    assert [ledger.excess("a", f"{number}") is None for number in range(len(found))] == before


@given(budgets, st.lists(st.tuples(st.sampled_from(NAMESPACES), claims), min_size=1, max_size=12))
def test_a_namespace_within_its_fair_share_loses_nothing_to_one_that_is_not(
    budget: Budget, found: list[tuple[str, tuple[str, Footprint]]]
) -> None:
    ledger, alone = BudgetLedger(budget), {space: BudgetLedger(budget) for space in NAMESPACES}
    for number, (space, (created, made)) in enumerate(found):
        for one in (ledger, alone[space]):
            one.put(space, f"{number}", Claim(created, f"{number}", made))
    ledger.settle()
    for space, one in alone.items():
        one.settle()
        if budget.total and one.usage.used <= budget.total // len(NAMESPACES):
            for number, (own, _) in enumerate(found):
                if own == space:
                    assert (ledger.excess(space, f"{number}") is None) is (one.excess(space, f"{number}") is None)


@settings(max_examples=300)
@given(budgets, st.lists(moves, min_size=4, max_size=12), st.sampled_from(NAMESPACES), prints)
def test_what_admission_lets_in_is_over_nowhere_and_makes_nobody_of_its_namespace_fall(
    budget: Budget,
    heard: list[tuple[str, str, tuple[str, Footprint] | None]],
    namespace: str,
    made: Footprint,
) -> None:
    ledger, known = BudgetLedger(budget), dict[tuple[str, str], Claim]()
    for space, name, found in heard:
        claim = None if found is None else Claim(found[0], name, found[1])
        # As it comes to be: nothing is stored that admission refuses.
        old = known.get((space, name))
        if claim is not None and ledger.refused(space, name, claim.footprint, old.footprint if old else None) is None:
            # The time of creation stays with a policy for as long as it is there, and new ones are the newest.
            claim = claim._replace(created=old.created if old else f"{len(known):09}{name}")
            known[space, name] = claim
            ledger.put(space, name, claim)
        elif claim is None:
            known.pop((space, name), None)
            ledger.put(space, name, None)
        ledger.settle()
        assert all(ledger.excess(*key) is None or key[0] != space for key in known) or budget.total
    before = play(ledger, known)
    mine = [name for space, name in known if space == namespace]
    for name in ("new", *mine):
        old = known.get((namespace, name))
        refused = ledger.refused(namespace, name, made, old.footprint if old else None)
        ledger.put(namespace, name, Claim(old.created if old else "9", name, made))
        ledger.settle()
        after = {one for one in (*mine, "new") if ledger.excess(namespace, one) is not None}
        fell = after - {one for space, one in before if space == namespace}
        assert refused is not None or not fell
        if refused is not None and (old is None or (namespace, name) not in before):
            # Nothing is refused that would have harmed nobody.
            assert fell
        ledger.put(namespace, name, old)
        ledger.settle()
        assert play(ledger, known) == before


def test_what_takes_no_more_than_before_is_never_refused() -> None:
    ledger = BudgetLedger(Budget(total=10, namespace=10, policy=10, policies=1, text=1))
    small, large = Footprint(20, 20), Footprint(21, 20)
    assert ledger.refused("a", "p", small, large) is None
    assert ledger.refused("a", "p", small, small) is None
    refused = ledger.refused("a", "p", large, small)
    assert refused is not None
    assert refused.limit is Limit.POLICY
