"""What a namespace has to do follows from how things are: what was said once or came at a bad moment is not lost."""

from typing import Final

import pytest

from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, Claim
from bailiwick_engine.steps import whole
from bailiwick_policystore import compilememory, controller
from bailiwick_policystore.changes import OUTDATED_SECONDS
from bailiwick_policystore.controller import PolicyController
from support.objects import ENDPOINT, Object, policy, rule, settings
from support.pdp.steppedstore import StepClock, finish, is_withheld, step

ONE: Final = footprint(policy("crm", "a")["spec"]).bytes


def stored(namespace: str, name: str, generation: int = 1, **spec: object) -> Object:
    made = policy(namespace, name, **spec)
    made["metadata"] |= {"uid": name, "generation": generation, "creationTimestamp": "002"}
    return made


def data(generation: int) -> Object:
    metadata = {"namespace": "crm", "name": "d", "uid": "d", "generation": generation, "creationTimestamp": "000"}
    return {"metadata": metadata, "spec": {"data": {"open": [generation] * 2_000}}}


def long(rules: int) -> list[Object]:
    """Return rules that take long to compile."""
    made = []
    for number in range(rules):
        asked = [{"name": f"c{one}", "expression": f"context.x == {16 * number + one}"} for one in range(16)]
        made.append(rule(f"r{number}", conditions=asked))
    return made


def hear(policies: PolicyController, obj: Object) -> None:
    policies.apply("MODIFIED", (obj["metadata"]["namespace"], obj["metadata"]["name"]), obj)


def serving(budget: Budget | None = None) -> PolicyController:
    """Return a store that has taken up an empty list, and of which each step is longer than a turn."""
    policies = PolicyController(budget, clock=StepClock())
    whole(policies.listing().finish())
    whole(policies.data.listing().finish())
    finish(policies)
    return policies


def test_whoever_settles_the_ledger_what_is_over_budget_then_is_withheld() -> None:
    policies = serving(Budget(policies=1))
    hear(policies, stored("crm", "a", endpointSettings=settings()))
    finish(policies)
    policies.ledger.put("crm", "older", Claim("001", "older", footprint({})))
    # It says which objects turned, and the store does not hear it.
    policies.ledger.settle()
    hear(policies, stored("crm", "b", endpoint="other"))
    finish(policies)
    assert is_withheld(policies, ("crm", "a"))
    policies.ledger.put("crm", "older", None)
    policies.ledger.settle()
    hear(policies, stored("crm", "b", 2, endpoint="other"))
    finish(policies)
    assert [*policies.missing()] == [("crm", "a")]


def test_what_waits_for_room_keeps_no_other_change_of_its_namespace_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compilememory, controller):
        monkeypatch.setattr(module, "SMALL", 4 * ONE)
    monkeypatch.setattr(compilememory, "MOST", 5 * ONE)
    policies = serving()
    hear(policies, stored("slow", "s", rules=long(16)))
    while not policies._begun:
        step(policies)
    # The second is large, and there is no room for it until the other namespace is done.
    hear(policies, stored("crm", "a", endpointSettings=settings()))
    hear(policies, stored("crm", "b", endpoint="other", rules=long(4)))
    hear(policies, stored("crm", "c", rules=[rule(effect="Deny")]))
    while policies.waiting.since("crm", ENDPOINT) is not None:
        step(policies)
        assert ("slow", "s") in policies._begun
    assert (policies.serves("a", 1), policies.serves("c", 1)) == (True, True)
    assert not policies.serves("b", 1)
    finish(policies)
    assert policies.serves("b", 1)


def test_a_namespace_whose_policy_and_data_keep_changing_together_gets_on() -> None:
    policies = serving()
    hear(policies, stored("crm", "a", endpointSettings=settings()))
    finish(policies)
    served, longest = set(), 0.0
    for generation in range(2, 600):
        hear(policies, stored("crm", "a", generation, endpointSettings=settings()))
        policies.data.apply("MODIFIED", ("crm", "d"), data(generation))
        step(policies)
        served |= {one for one in range(max(1, generation - 50), generation) if policies.serves("a", one)}
        since = policies.waiting.since("crm", ENDPOINT)
        longest = max(longest, 0.0 if since is None else policies._clock() - since)
    assert len(served) > 10
    assert longest < OUTDATED_SECONDS


def test_a_defect_in_the_midst_of_a_policy_lets_it_wait_and_it_is_taken_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policies = serving()

    def broken(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(controller, "compiled", broken)
        hear(policies, stored("crm", "a", endpointSettings=settings()))
        with pytest.raises(RuntimeError):
            finish(policies)
    assert policies.waiting.since("crm", ENDPOINT) is not None
    # Its siblings need not wait for it.
    hear(policies, stored("crm", "b", endpoint="other"))
    finish(policies)
    assert (policies.serves("a", 1), policies.serves("b", 1), policies.settled) == (True, True, True)
    assert not policies.waiting


def test_an_endpoint_that_a_defect_kept_from_being_built_is_built_later(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = serving()

    def broken(_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(policies._index, "build", broken)
        hear(policies, stored("crm", "a", endpointSettings=settings()))
        with pytest.raises(RuntimeError):
            finish(policies)
    policies._rouse_all()
    finish(policies)
    assert (policies.serves("a", 1), policies.waiting.oldest, policies.settled) == (True, None, True)
