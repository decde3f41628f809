"""A list is taken in steps, between which others work: nothing of half a list is served, and nothing is lost."""

from collections.abc import Iterator
from typing import Final

from bailiwick_engine.budget.datasize import data_claim
from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.steps import Steps, whole
from bailiwick_policystore.controller import PolicyController
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


def listing(policies: PolicyController, *objects: Object) -> Steps[None]:
    """Return the steps in which a list of these is taken up; it is taken in at once."""
    listed = policies.listing()
    for obj in objects:
        listed.take((obj["metadata"]["namespace"], obj["metadata"]["name"]), obj)
    return listed.finish()


def data_listed(policies: PolicyController, *objects: Object) -> None:
    listed = policies.data.listing()
    for obj in objects:
        listed.take(("crm", obj["metadata"]["name"]), obj)
    whole(listed.finish())


def beside(policies: PolicyController, steps: Steps[None]) -> Iterator[None]:
    """Take steps, and let others work after each."""
    for _ in steps:
        step(policies)
        yield


def served(policies: PolicyController) -> set[str]:
    """Return whose rules an endpoint has."""
    assert policies.snapshot is not None
    endpoint = policies.snapshot.endpoints.get(("crm", ENDPOINT))
    return set() if endpoint is None else {one.policy.name for one in endpoint.rules}


def test_no_snapshot_of_half_a_first_list_is_served() -> None:
    policies = PolicyController(Budget(policies=4), clock=StepClock())
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
    policies = PolicyController(Budget(policies=4), clock=StepClock())
    data_listed(policies)
    others = [stored(f"m{number}", endpoint=f"e{number}", rules=conditional(6)) for number in range(8)]
    deny, slow = stored("z", 0, rules=[rule(effect="Deny")]), stored("y", 0, endpoint="slow", rules=conditional(6))
    allow = stored("a", 0, endpointSettings=settings())
    # It is broken off in the midst of what it ends with.
    ends = listing(policies, allow, *others, slow, deny)
    while not policies._listed:
        next(ends)
    ends.close()
    step(policies)
    assert policies.snapshot is None
    more = [policy("aa", f"x{number}", endpoint=f"e{number}") for number in range(100)]
    for _ in beside(policies, listing(policies, allow, *more, *others, slow, deny)):
        assert policies.snapshot is None or served(policies) == {"a", "z"}
    finish(policies)
    assert served(policies) == {"a", "z"}


def test_a_policy_that_data_put_over_while_the_first_list_was_taken_up_is_withheld() -> None:
    held = data(["x" * ONE])
    policies = PolicyController(Budget(namespace=data_claim(held).footprint.bytes + ONE // 2), clock=StepClock())
    data_listed(policies, held)
    finish(policies)
    # Data is counted between this one and the next.
    before = policy("aaa", "before")
    for _ in beside(policies, listing(policies, before, stored("a", endpointSettings=settings()))):
        pass
    finish(policies)
    assert policies.ledger.excess("crm", "a") is not None
    assert is_withheld(policies, ("crm", "a"))


def test_a_policy_that_was_over_on_the_way_of_the_first_list_and_is_not_in_the_end_is_read_again() -> None:
    large = stored("b", 2, rules=conditional(4))
    policies = PolicyController(Budget(namespace=footprint(large["spec"]).bytes + ONE // 2), clock=StepClock())
    data_listed(policies)
    # The older and large one is in before the oldest is heard of: then it is over, and what came after it fits.
    listed = policies.listing()
    for obj in (stored("a", 3), large, stored("z", 1)):
        listed.take(("crm", obj["metadata"]["name"]), obj)
        finish(policies)
    whole(listed.finish())
    finish(policies)
    assert [policies.ledger.excess("crm", name) is None for name in "abz"] == [True, False, True]
    assert is_withheld(policies, ("crm", "a"))
    assert [*policies.missing()] == [("crm", "a")]


def test_what_a_list_says_while_a_namespace_builds_at_its_end_is_taken_up() -> None:
    policies = PolicyController(clock=StepClock())
    one = stored("a", endpointSettings=settings())
    whole(listing(policies, one))
    data_listed(policies)
    finish(policies)
    two = stored("a", generation=2, endpointSettings=settings(), rules=conditional(2))
    deny, third = stored("b", rules=[rule(effect="Deny")]), stored("c", endpoint="other")
    for obj in (two, deny):
        policies.apply("MODIFIED", ("crm", obj["metadata"]["name"]), obj)
    while policies._heard.get("crm") or not policies._unbuilt:
        step(policies)
    steps = listing(policies, two, deny, third)
    while policies._unbuilt.get("crm"):
        step(policies)
    whole(steps)
    finish(policies)
    assert [policies.serves(name, generation) for name, generation in (("a", 2), ("b", 1), ("c", 1))] == [True] * 3
    assert not policies.waiting


def test_a_list_does_not_make_what_waited_look_new() -> None:
    clock = StepClock()
    policies = PolicyController(clock=clock)
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


def test_a_change_waits_until_it_is_in_force_though_its_policy_is_withheld_meanwhile() -> None:
    policies = PolicyController(Budget(policies=1), clock=StepClock())
    whole(listing(policies, stored("a", endpointSettings=settings())))
    data_listed(policies)
    finish(policies)
    newer = stored("a", generation=2, endpointSettings=settings(), rules=[rule(effect="Deny")])
    policies.apply("MODIFIED", ("crm", "a"), newer)
    # It is older, and there is room for one.
    policies.data.apply("ADDED", ("crm", "d"), data(1))
    others = [policy("aa", f"p{number}") for number in range(60)]
    for _ in beside(policies, listing(policies, *others, newer)):
        assert policies.serves("a", 2) or policies.waiting.since("crm", ENDPOINT) is not None
    while step(policies):
        assert policies.serves("a", 2) or policies.waiting.since("crm", ENDPOINT) is not None
    finish(policies)
    assert (policies.serves("a", 2), is_withheld(policies, ("crm", "a"))) == (True, True)


def test_an_endpoint_that_begins_to_read_data_waits_for_what_was_heard_of_it_before() -> None:
    clock = StepClock()
    policies = PolicyController(clock=clock)
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


def test_a_policy_that_a_list_holds_is_let_in_again_while_the_list_goes_on() -> None:
    policies = PolicyController(Budget(policies=1), clock=StepClock())
    policy_ = stored("a", endpointSettings=settings())
    older = data(1)
    data_listed(policies, older)
    whole(listing(policies, policy_))
    finish(policies)
    assert is_withheld(policies, ("crm", "a"))
    listed = policies.listing()
    listed.take(("crm", "a"), policy_)
    policies.data.apply("DELETED", ("crm", "d"), older)
    for number in range(60):
        listed.take(("hr", f"p{number}"), policy("hr", f"p{number}"))
        step(policies)
    whole(listed.finish())
    finish(policies)
    assert policies.ledger.excess("crm", "a") is None
    assert [*policies.missing()] == [("crm", "a")]


def test_a_list_that_breaks_off_has_taken_nothing_away_and_what_it_said_is_in_force() -> None:
    policies = PolicyController(clock=StepClock())
    allow, deny = stored("a", endpointSettings=settings()), stored("z", rules=[rule(effect="Deny")])
    whole(listing(policies, allow, deny))
    data_listed(policies)
    finish(policies)
    newer = stored("a", generation=2, endpointSettings=settings(), rules=[rule(effect="Deny")])
    policies.listing().take(("crm", "a"), newer)
    finish(policies)
    assert (served(policies), policies.serves("a", 2), policies.waiting.oldest) == ({"a", "z"}, True, None)


def test_a_list_that_is_broken_off_at_its_end_leaves_nothing_waiting_for_ever() -> None:
    policies = PolicyController(clock=StepClock())
    others = [stored(f"o{number}") for number in range(4)]
    whole(listing(policies, stored("a", endpointSettings=settings()), *others))
    data_listed(policies)
    finish(policies)
    policies.apply("MODIFIED", ("crm", "a"), stored("a", generation=2, endpointSettings=settings()))
    ends = listing(policies, stored("a", generation=2, endpointSettings=settings()))
    next(ends)
    ends.close()
    finish(policies)
    assert (policies.serves("a", 2), policies.waiting.oldest, policies.settled) == (True, None, True)
