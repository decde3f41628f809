"""The ledger at its edges: a share of nothing, and questions in the midst of a change."""

from bailiwick_engine.budget.footprint import Footprint
from bailiwick_engine.budget.ledger import Budget, BudgetLedger, Claim, Limit


def sized(size: int) -> Footprint:
    return Footprint(size, size)


def test_where_the_share_of_each_is_nothing_nobody_is_let_in_and_settling_ends() -> None:
    ledger = BudgetLedger(Budget(total=2, namespace=0, policy=0))
    for namespace in "abc":
        ledger.put(namespace, "p", Claim("1", "p", sized(5)))
    ledger.settle()
    assert (ledger.restless, ledger.over, ledger.usage.used) == (set(), 3, 0)
    excess = ledger.excess("a", "p")
    assert excess is not None
    assert (excess.limit, excess.most) == (Limit.SHARE, 0)


def test_what_may_be_stored_is_known_before_a_change_is_settled() -> None:
    ledger = BudgetLedger(Budget(total=0, namespace=10, policy=0))
    ledger.put("a", "old", Claim("1", "old", sized(20)))
    ledger.settle()
    ledger.put("a", "new", Claim("2", "new", sized(3)))
    before = [ledger.refused("a", "new", sized(size), sized(3)) for size in (8, 12)]
    ledger.settle()
    after = [ledger.refused("a", "new", sized(size), sized(3)) for size in (8, 12)]
    assert before == after
    assert [found is None for found in after] == [True, False]


def test_what_is_replaced_is_taken_out_as_it_was_counted() -> None:
    ledger = BudgetLedger(Budget(total=0, namespace=10, policy=0))
    ledger.put("a", "large", Claim("1", "large", sized(20)))
    ledger.put("a", "small", Claim("2", "small", sized(4)))
    ledger.settle()
    ledger.put("a", "small", Claim("2", "small", sized(6)))
    assert ledger.refused("a", "small", sized(10)) is None
    assert ledger.refused("a", "small", sized(11)) is not None
