"""A list is taken in steps, between which others work: nothing of half a list is served, and nothing is lost."""

from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick_engine.budget.datasize import data_claim
from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.steps import Steps, whole
from bailiwick_webhook.store.policies import listing as store_listing
from bailiwick_webhook.store.policies.sink import Policies
from support.objects import ENDPOINT, Object, policy, rule, settings
from support.pdp.steppedstore import StepClock, finish, is_withheld, step

ONE: Final = footprint(policy("crm", "a")["spec"]).bytes


def stored(name: str, created: int = 1, generation: int = 1, **spec: object) -> Object:
    made = policy("crm", name, **spec)
    made["metadata"] |= {"uid": name, "generation": generation, "creationTimestamp": f"{created:03}"}
    return made


def data(value: object, generation: int = 1) -> Object:
    metadata = {"namespace": "crm", "name": "d", "uid": "d", "generation": generation, "creationTimestamp": "000"}
    return {"metadata": metadata, "spec": {"data": {"x": value}}}


def conditional(rules: int) -> list[Object]:
    """Return rules that take long to compile."""
    made = []
    for number in range(rules):
        asked = [{"name": f"c{one}", "expression": f"context.x == {16 * number + one}"} for one in range(16)]
        made.append(rule(f"r{number}", conditions=asked))
    return made


def listing(policies: Policies, *objects: Object) -> Steps[None]:
    """Return the steps in which a list of these is taken up; it is taken in at once."""
    listed = policies.listing()
    for obj in objects:
        whole(listed.take((obj["metadata"]["namespace"], obj["metadata"]["name"]), obj))
    return listed.done()


def data_listed(policies: Policies, *objects: Object) -> None:
    listed = policies.data.listing()
    for obj in objects:
        listed.take(("crm", obj["metadata"]["name"]), obj)
    whole(listed.done())


def beside(policies: Policies, steps: Steps[None]) -> Iterator[None]:
    """Take steps, and let others work after each."""
    for _ in steps:
        step(policies)
        yield


def served(policies: Policies) -> set[str]:
    """Return whose rules an endpoint has."""
    assert policies.snapshot is not None
    endpoint = policies.snapshot.endpoints.get(("crm", ENDPOINT))
    return set() if endpoint is None else {one.policy.name for one in endpoint.rules}


def test_no_snapshot_of_half_a_first_list_is_served() -> None:
    policies = Policies(Budget(policies=4), clock=StepClock())
    data_listed(policies, data(1))
    finish(policies)
    others = [stored(f"m{number}", endpoint=f"e{number}") for number in range(8)]
    deny = stored("z", 0, rules=[rule(effect="Deny")])
    allow = stored("a", 0, endpointSettings=settings())
    for _ in beside(policies, listing(policies, allow, *others, deny)):
        assert policies.snapshot is None or served(policies) == {"a", "z"}
    finish(policies)
    assert served(policies) == {"a", "z"}


def test_nor_is_one_of_half_a_second_list_that_comes_before_the_first_is_served() -> None:
    policies = Policies(Budget(policies=4), clock=StepClock())
    data_listed(policies)
    others = [stored(f"m{number}", endpoint=f"e{number}", rules=conditional(6)) for number in range(8)]
    deny, slow = stored("z", 0, rules=[rule(effect="Deny")]), stored("y", 0, endpoint="slow", rules=conditional(6))
    allow = stored("a", 0, endpointSettings=settings())
    whole(listing(policies, allow, *others, slow, deny))
    step(policies)
    assert policies.snapshot is None
    more = [policy("aa", f"x{number}", endpoint=f"e{number}") for number in range(100)]
    for _ in beside(policies, listing(policies, allow, *more, *others, slow, deny)):
        assert policies.snapshot is None or served(policies) == {"a", "z"}
    finish(policies)
    assert served(policies) == {"a", "z"}


def test_a_policy_that_data_put_over_while_the_first_list_was_taken_up_is_withheld() -> None:
    held = data(["x" * ONE])
    policies = Policies(Budget(namespace=data_claim(held).print.bytes + ONE // 2), clock=StepClock())
    data_listed(policies, held)
    finish(policies)
    # Data is counted between this one and the next.
    before = policy("aaa", "before")
    for _ in beside(policies, listing(policies, before, stored("a", endpointSettings=settings()))):
        pass
    finish(policies)
    assert policies.ledger.excess("crm", "a") is not None
    assert is_withheld(policies, ("crm", "a"))


def test_a_policy_that_was_over_on_the_way_of_the_first_list_and_is_not_in_the_end_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_listing, "_OFTEN", 2)
    large = stored("b", 2, rules=conditional(4))
    policies = Policies(Budget(namespace=footprint(large["spec"]).bytes + ONE // 2), clock=StepClock())
    data_listed(policies)
    # The older and large one is in before the oldest is heard of: then it is over, and what came after it fits.
    whole(listing(policies, stored("a", 3), large, stored("z", 1)))
    finish(policies)
    assert [policies.ledger.excess("crm", name) is None for name in "abz"] == [True, False, True]
    assert is_withheld(policies, ("crm", "a"))
    assert ("crm", "a") in policies._missing._keys


def test_what_a_list_tells_while_a_namespace_builds_at_its_end_is_taken_up() -> None:
    policies = Policies(clock=StepClock())
    one = stored("a", endpointSettings=settings())
    whole(listing(policies, one))
    data_listed(policies)
    finish(policies)
    two = stored("a", generation=2, endpointSettings=settings(), rules=conditional(2))
    deny, third = stored("b", rules=[rule(effect="Deny")]), stored("c", endpoint="other")
    for obj in (two, deny):
        policies.apply("MODIFIED", ("crm", obj["metadata"]["name"]), obj)
    while not policies._changes._compiling:
        step(policies)
    policies.apply("ADDED", ("crm", "c"), third)
    while not policies._unbuilt:
        step(policies)
    steps = listing(policies, two, deny, third)
    while policies._changes.backlog.first("crm"):
        next(steps)
    while policies._unbuilt.get("crm"):
        step(policies)
    whole(steps)
    finish(policies)
    assert [policies.serves(name, generation) for name, generation in (("a", 2), ("b", 1), ("c", 1))] == [True] * 3
    assert not policies.waiting


def test_a_list_does_not_make_what_waited_look_new() -> None:
    clock = StepClock()
    policies = Policies(clock=clock)
    old = stored("a", endpointSettings=settings())
    whole(listing(policies, old))
    data_listed(policies)
    finish(policies)
    deny = stored("a", generation=2, endpointSettings=settings(), rules=[rule(effect="Deny")])
    policies.apply("MODIFIED", ("crm", "a"), deny)
    since = policies.waiting.since("crm", ENDPOINT)
    assert since is not None
    for _ in range(2):
        clock.now += 5
        for _ in listing(policies, *[policy(f"n{number}", "p") for number in range(10)], deny):
            assert policies.waiting.since("crm", ENDPOINT) == since
    finish(policies)
    assert policies.waiting.since("crm", ENDPOINT) is None


def test_a_change_waits_for_the_list_to_come_to_it_though_its_policy_is_withheld_meanwhile() -> None:
    policies = Policies(Budget(policies=1), clock=StepClock())
    whole(listing(policies, stored("a", endpointSettings=settings())))
    data_listed(policies)
    finish(policies)
    newer = stored("a", generation=2, endpointSettings=settings(), rules=[rule(effect="Deny")])
    policies.apply("MODIFIED", ("crm", "a"), newer)
    # It is older, and there is room for one.
    policies.data.apply("ADDED", ("crm", "d"), data(1))
    others = [policy("aa", f"p{number}") for number in range(60)]
    steps = listing(policies, *others, newer)
    while not policies._changes.forgot(("crm", "a")):
        next(steps)
    for _ in beside(policies, steps):
        assert policies.serves("a", 2) or policies.waiting.since("crm", ENDPOINT) is not None
    finish(policies)
    assert (policies.serves("a", 2), is_withheld(policies, ("crm", "a"))) == (True, True)


def test_an_endpoint_that_begins_to_read_data_waits_for_what_was_heard_of_it_before() -> None:
    clock = StepClock()
    policies = Policies(clock=clock)
    whole(listing(policies))
    data_listed(policies, data("old"))
    finish(policies)
    reads = rule(conditions=[{"name": "c", "expression": "data.d.x == 'old'"}])
    policies.apply("ADDED", ("crm", "a"), stored("a", endpointSettings=settings(), data=[{"name": "d"}], rules=[reads]))
    # Data is taken up between two policies, so what is large keeps it waiting.
    policies.apply("ADDED", ("crm", "b"), stored("b", endpoint="other", rules=conditional(6)))
    for number in range(3):
        policies.apply("ADDED", (f"n{number}", "p"), policy(f"n{number}", "p", rules=conditional(2)))
    for _ in range(24):
        step(policies)
    policies.data.apply("MODIFIED", ("crm", "d"), data("new", 2))
    heard, looked = clock.now, 0
    while step(policies):
        endpoint = policies.snapshot.endpoints.get(("crm", ENDPOINT)) if policies.snapshot else None
        if endpoint is not None and endpoint.data["d"].value == {"x": "old"}:
            since, looked = policies.waiting.since("crm", ENDPOINT), looked + 1
            assert since is not None
            assert since <= heard
    assert looked


def test_a_policy_that_the_list_has_come_to_is_let_in_again_while_the_list_goes_on() -> None:
    policies = Policies(Budget(policies=1), clock=StepClock())
    policy_ = stored("a", endpointSettings=settings())
    older = data(1)
    data_listed(policies, older)
    whole(listing(policies, policy_))
    finish(policies)
    assert is_withheld(policies, ("crm", "a"))
    # Read again as it is, and not taken up yet when the list comes.
    policies._missing._take(("crm", "a"), policy_)
    steps = listing(policies, policy_, *[policy("hr", f"p{number}") for number in range(60)])
    while not policies._changes.forgot(("crm", "a")):
        next(steps)
    while policies._changes.forgot(("crm", "a")):
        next(steps)
    policies.data.apply("DELETED", ("crm", "d"), older)
    for _ in beside(policies, steps):
        pass
    finish(policies)
    assert policies.ledger.excess("crm", "a") is None
    assert ("crm", "a") in policies._missing._keys
