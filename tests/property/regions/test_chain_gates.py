"""Gates before chains, held against every chain of a small world that the engine decides on both sides.

Holds: a chain is anybody who may be acted for, with any others as actors, as many as the endpoint lets act. What a gate
asks for is counted here: reviews by owners, and reviews at all. What lets a chain further is said to be wider or that
it may be.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_regions.change import ChangeClass
from bailiwick_regions.compare import compare, worst
from property.worlds.strategies import compiled_of, mostly
from support.objects import Object
from unit.engine.cases import ENFORCER, NAMESPACE, NOW

LETTERS: Final = "abcde"
PEOPLE: Final = {"alice": ("staff",), "bob": ("staff", "leads"), "carol": ("staff", "leads")}
NAMES: Final = (*LETTERS, *PEOPLE, "staff", "leads")
SUBJECTS: Final[list[Object]] = [
    *({"name": one, "serviceAccount": {"namespace": "agents", "name": one}} for one in LETTERS),
    *({"name": one, "user": {"issuer": "corp", "name": one}} for one in PEOPLE),
    *({"name": one, "group": {"issuer": "corp", "name": one}} for one in ("staff", "leads")),
]
PARTIES: Final = (
    *(Party("serviceAccount", f"system:serviceaccount:agents:{one}", f"{one}-uid") for one in LETTERS),
    *(Party("user", one, f"corp#{one}", issuer="corp", groups=groups) for one, groups in PEOPLE.items()),
)
DEMANDS: Final[dict[str, list[Object]]] = {
    "any": [{"name": "s", "kind": "Human", "count": 1}],
    "owner": [{"name": "s", "kind": "Human", "count": 1, "groups": ["owners"]}],
    "two": [{"name": name, "kind": "Human", "count": 1} for name in ("s", "t")],
}
WIDE: Final = {ChangeClass.WIDER, ChangeClass.MAY_WIDEN}
Gates = Sequence[tuple[Sequence[str], str]]


def policy_of(depth: int, gates: Gates, *, wide: bool = True) -> Object:
    """Return a policy with one rule for each gate: before whom it stands, and what it asks for.

    `wide`: everybody is let through beside.
    """
    rule = {"actions": ["a"], "resources": [{"type": "t", "ids": ["*"]}]}
    rules = [
        {**rule, "name": f"r{at}", "effect": "RequireApproval", "subjects": list(who), "approval": approval(demand)}
        for at, (who, demand) in enumerate(gates)
    ]
    if wide:
        rules.append({**rule, "name": "wide", "effect": "Allow", "subjects": list(NAMES)})
    delegation = {"maxDepth": depth, "principals": list(NAMES), "ceiling": [rule]}
    settings = {"enforcers": [{"namespace": "crm", "name": "crm-api"}], "delegation": delegation}
    spec = {"endpoint": "api", "endpointSettings": settings, "subjects": SUBJECTS, "rules": rules}
    return {"metadata": {"namespace": NAMESPACE, "name": "a", "uid": "a-uid", "generation": 1}, "spec": spec}


def approval(demand: str) -> Object:
    """Return what an approval takes."""
    return {"steps": DEMANDS[demand]}


def chains(depth: int) -> Iterator[Call]:
    """Yield a call by each chain. The order of its actors is nothing that a gate knows."""
    for subject in PARTIES:
        others = [one for one in PARTIES if one is not subject]
        for count in range(depth + 1):
            for actors in combinations(others, count):
                yield Call(
                    namespace=NAMESPACE,
                    endpoint="api",
                    caller=ServiceAccount(ENFORCER.username, "~"),
                    subject=subject,
                    action=Action("a"),
                    resource=Resource("t", "1"),
                    context={},
                    actors=actors,
                )


def reviews_for(verdict: Verdict) -> tuple[int, int]:
    """Return how many reviews by owners a call takes, and how many at all: very many for what nothing lets through."""
    if verdict.outcome is Outcome.ALLOW:
        return 0, 0
    if verdict.gate is None:
        return 1000, 1000
    steps = verdict.gate.steps
    return sum(step.count for step in steps if step.groups), sum(step.count for step in steps)


def find_widened(base: Object, head: Object, depth: int) -> Call | None:
    """Return a call that takes less than before."""
    sides = [Snapshot.of([compiled_of(raw)]) for raw in (base, head)]
    for call in chains(depth):
        before, after = (reviews_for(decide(one, call, (), Circumstances(now=NOW), "sha256:")) for one in sides)
        if after[0] < before[0] or after[1] < before[1]:
            return call
    return None


def verdict_on(base: Object, head: Object) -> ChangeClass:
    """Return what the comparison says."""
    before, after = (Snapshot.of([compiled_of(raw)]) for raw in (base, head))
    return worst(compare(before, after, NOW))


@st.composite
def whom(draw: st.DrawFn) -> list[str]:
    """Draw before whom a gate stands."""
    return draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))


@st.composite
def gates(draw: st.DrawFn) -> list[tuple[list[str], str]]:
    """Draw up to six gates, that often ask for the same."""
    demands = draw(mostly(("any",), ("any", "owner"), tuple(DEMANDS)))
    return draw(st.lists(st.tuples(whom(), st.sampled_from(demands)), min_size=1, max_size=6))


@st.composite
def shared(draw: st.DrawFn) -> tuple[Gates, Gates]:
    """Draw one gate or two of their own for some, and in their place gates of which each of them has some."""
    size = draw(mostly(5, 2, 3, 4))
    some = draw(st.lists(st.sampled_from(NAMES), min_size=size, max_size=size, unique=True))
    own = draw(mostly(1, 2))
    count = draw(mostly(4, 3, 5))
    of_each = [own + draw(mostly(1, 0)) for _ in some]
    places = {who: draw(st.permutations(range(count)))[:most] for who, most in zip(some, of_each, strict=True)}
    after = [[who for who in some if at in places[who]] for at in range(count)]
    return [([who], "any") for who in some for _ in range(own)], [(who, "any") for who in after if who]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[int, Object, Object]:
    """Draw how many may act, and both sides."""
    depth = draw(mostly(4, 1, 2))
    if draw(st.booleans()):
        base, head = draw(shared())
    else:
        base = draw(gates())
        head = draw(gates()) if draw(st.booleans()) else draw(st.permutations([*base, *draw(gates())[:1]]))[: len(base)]
    wide = draw(mostly(True, False))
    return depth, policy_of(depth, base, wide=wide), policy_of(depth, head, wide=wide)


@given(pairs())
def test_what_lets_a_chain_further_is_never_said_to_be_the_same(drawn: tuple[int, Object, Object]) -> None:
    depth, base, head = drawn
    if verdict_on(base, head) not in WIDE:
        assert find_widened(base, head, depth) is None


def test_four_gates_in_place_of_five_before_a_chain_may_widen() -> None:
    before = [([who], "any") for who in LETTERS]
    # Any two of them meet three of the four, as if each had one alone. A grant can name four rules, not five.
    after = [(["a", "b", "c"], "any"), (["a", "d", "e"], "any"), (["b", "d"], "any"), (["c", "e"], "any")]
    base, head = policy_of(4, before), policy_of(4, after)
    assert find_widened(base, head, 4) is not None
    assert verdict_on(base, head) in WIDE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([(["a", "b"], "any")], [(["a", "b"], "any"), (["a"], "any")], id="one more"),
        pytest.param([(["a", "b"], "any")], [(["a", "b", "c"], "any")], id="one more subject"),
        pytest.param(
            [(["a", "b"], "any"), (["c"], "any")], [(["c"], "any"), (["a", "b"], "any")], id="in another order"
        ),
        pytest.param([(["a", "b"], "any")], [(["a"], "any"), (["b"], "any")], id="one for each"),
    ],
)
@pytest.mark.parametrize("depth", [1, 4])
def test_gates_that_ask_each_chain_for_as_much_are_not_said_to_widen(depth: int, before: Gates, after: Gates) -> None:
    assert verdict_on(policy_of(depth, before), policy_of(depth, after)) not in WIDE
