"""What comes while a namespace is at work is counted before it is in force, and nobody is left over, or in, by mistake.

Each step is a turn here, and the tests say between which two of them something comes.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from bailiwick_engine.budget.datasize import data_claim
from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.steps import Steps, whole
from bailiwick_policystore.controller import PolicyController
from support.objects import Object, policy, rule
from support.pdp.steppedstore import StepClock, finish, is_withheld, step

ONE: Final = footprint(policy("crm", "p", rules=[rule()])["spec"]).bytes


def sized(namespace: str, name: str) -> Object:
    """Return a policy of which each takes as much as any other."""
    made = policy(namespace, name, rules=[rule()])
    made["metadata"] |= {"uid": f"{namespace}-{name}", "generation": 1, "resourceVersion": "1"}
    return made


def data(namespace: str, name: str, value: object = 1, generation: int = 1) -> Object:
    metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}-{name}", "generation": generation}
    return {"kind": "EndpointData", "metadata": metadata | {"resourceVersion": "1"}, "spec": {"data": {"x": value}}}


def stepping(budget: Budget) -> PolicyController:
    """Return a store that has taken up an empty list, and of which each step is longer than a turn."""
    policies = PolicyController(budget, clock=StepClock())
    whole(policies.listing().finish())
    whole(policies.data.listing().finish())
    finish(policies)
    return policies


def hear(policies: PolicyController, namespace: str, name: str) -> None:
    policies.apply("ADDED", (namespace, name), sized(namespace, name))


def in_force(policies: PolicyController) -> set[str]:
    known = policies._index.keys()
    return {key[1] for key in known if not is_withheld(policies, key)}


def before_each(call: Callable[..., Steps[Any]], happens: Callable[[], None]) -> Callable[..., Steps[Any]]:
    """Have something happen in the first step of some work."""

    def begun(*arguments: object) -> Steps[Any]:
        steps = call(*arguments)
        try:
            next(steps)
        except StopIteration as end:
            happens()
            return end.value
        happens()
        yield
        return (yield from steps)

    return begun


def test_policies_heard_of_while_data_is_taken_up_are_counted_before_they_are_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policies = stepping(Budget(total=0, namespace=4 * ONE, policy=0))
    names = iter([f"p{number}" for number in range(20)])
    monkeypatch.setattr(policies.data, "take_up", before_each(policies.data.take_up, lambda: more(policies, names)))
    for generation in range(1, 30):
        policies.data.apply("MODIFIED", ("crm", "incident"), data("crm", "incident", generation, generation))
        finish(policies)
    monkeypatch.undo()
    assert (len(in_force(policies)), policies.ledger.over) == (3, 17)


def more(policies: PolicyController, names: Iterator[str]) -> None:
    if name := next(names, ""):
        hear(policies, "crm", name)


def test_data_heard_of_while_policies_are_counted_is_counted_before_it_is_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = data("crm", "large", list(range(3_000)))
    policies = stepping(Budget(total=0, namespace=data_claim(large).footprint.bytes - 1, policy=0))
    settle = policies._budget.settle
    told = before_each(settle, lambda: policies.data.apply("ADDED", ("crm", "large"), large))
    monkeypatch.setattr(policies._budget, "settle", told)
    hear(policies, "crm", "p")
    finish(policies)
    held = policies._index.data_of(("crm", "large"))
    assert held is not None
    assert (held.value, policies.ledger.over) == (None, 1)


@pytest.mark.parametrize("moment", range(0, 60, 3))
def test_whose_share_another_changes_while_at_work_is_settled_all_the_same(moment: int) -> None:
    room = 8 * ONE + 20 * data_claim(data("a", "d0")).footprint.bytes + ONE // 2
    policies = stepping(Budget(total=room, namespace=0, policy=0))
    for number in range(8):
        hear(policies, "a", f"p{number}")
    finish(policies)
    for number in range(20):
        policies.data.apply("ADDED", ("a", f"d{number}"), data("a", f"d{number}"))
    for _ in range(moment):
        step(policies)
    hear(policies, "b", "q")
    finish(policies)
    assert policies.ledger.restless == set()
    assert policies.ledger.usage.used <= room
    wanted = BudgetLedger(policies.ledger.budget)
    for namespace, account in policies.ledger._accounts.items():
        for name, claim in account.claims.items():
            wanted.put(namespace, name, claim)
    wanted.settle()
    names = [("a", f"p{number}") for number in range(8)] + [("b", "q")]
    assert in_force(policies) == {name for namespace, name in names if wanted.excess(namespace, name) is None}


def test_data_is_counted_though_a_list_comes_meanwhile() -> None:
    policies = stepping(Budget(total=0, namespace=0, policy=0))
    objects = {("crm", f"d{number}"): data("crm", f"d{number}") for number in range(4)}
    for key, held in objects.items():
        policies.data.apply("ADDED", key, held)
    for _ in range(2):
        step(policies)
    whole(policies.listing().finish())
    finish(policies)
    assert {name for name in objects if policies.ledger.claim(name[0], f"EndpointData/{name[1]}")} == {*objects}


def test_what_could_not_be_counted_is_counted_again_before_it_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = stepping(Budget())

    def broken(_: object) -> Iterator[None]:
        yield
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(policies._budget, "settle", broken)
        hear(policies, "crm", "p")
        with pytest.raises(RuntimeError):
            finish(policies)
        assert in_force(policies) == set()
    policies._rouse_all()
    finish(policies)
    assert in_force(policies) == {"p"}
    assert policies.ledger.claim("crm", "p") is not None


def test_many_small_namespaces_are_settled_one_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    policies, settled = stepping(Budget(total=50 * ONE, namespace=0, policy=0)), 0
    settle_one = BudgetLedger.settle_one

    def counting(ledger: BudgetLedger, namespace: str) -> Steps[set[str]]:
        nonlocal settled
        settled += 1
        return settle_one(ledger, namespace)

    monkeypatch.setattr(BudgetLedger, "settle_one", counting)
    listing = policies.listing()
    for number in range(300):
        listing.take((f"n{number}", "p"), sized(f"n{number}", "p"))
    whole(listing.finish())
    most = before = 0
    while step(policies) or len(policies._queue._rotation):
        most, before = max(most, settled - before), settled
    assert settled > 300
    assert most <= 2
