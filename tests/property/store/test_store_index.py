"""The store's index: whatever comes and goes in which order, its snapshot is that of the policies that are there."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.snapshot import EndpointKey, Snapshot
from bailiwick_engine.steps import whole
from bailiwick_policystore.endpoints import Key, Place, Policy, PolicyIndex
from support.objects import Object, policy, rule, settings

NAMES: Final = ("a", "b", "c")
BROKEN: Final = rule(conditions=[{"name": "x", "expression": "((("}])


def _made(number: int, key: Key, **spec: object) -> Policy:
    raw: Object = policy(key[0], key[1], **spec)
    raw["metadata"] |= {"uid": f"{key[0]}-{key[1]}-{number}", "generation": number + 1}
    return compile_object(raw)


KINDS: Final[tuple[dict[str, object], ...]] = (
    {},
    {"endpoint": "other"},
    {"endpointSettings": settings()},
    {"rules": [BROKEN]},
    {"rules": [BROKEN], "endpointSettings": settings()},
    {"endpoint": 7},
    {"endpoint": 7, "mode": "Audit"},
    {"subjects": "whoever"},
    {"mode": "Audit", "replaces": "a"},
    {"mode": "Audit", "replaces": "b", "endpointSettings": settings()},
    {"mode": "Audit", "replaces": "a", "endpoint": 7, "endpointSettings": settings()},
)
KEYS: Final = [(namespace, name) for namespace in ("crm", "hr") for name in NAMES]
POLICIES: Final = {key: [_made(number, key, **kind) for number, kind in enumerate(KINDS)] for key in KEYS}

# One change: a policy, and which of its kinds it becomes; None takes it away.
changes = st.tuples(st.sampled_from(KEYS), st.none() | st.integers(0, len(KINDS) - 1))
rounds = st.lists(st.tuples(st.booleans(), st.lists(changes, max_size=8)), max_size=8)


def plain(snapshot: Snapshot) -> dict[EndpointKey, object]:
    """Return the endpoints with their shadows by name: the rules of those are made anew each time."""
    return {
        key: (replace(found, shadows=()), [(one.candidate, one.digest, one.replaced) for one in found.shadows])
        for key, found in snapshot.endpoints.items()
    }


@given(rounds)
def test_it_is_always_the_snapshot_of_what_is_there(played: list[tuple[bool, list[tuple[Key, int | None]]]]) -> None:
    index, there = PolicyIndex(), dict[Key, Policy]()
    handed_out: list[tuple[Snapshot, dict[tuple[str, str], object]]] = []
    for number, (listed, changes_) in enumerate(played):
        touched: set[Place] = set()
        for key in index.keys() if listed else ():
            touched.update(index.put(key, None))
            del there[key]
        for key, kind in changes_:
            found = None if kind is None else POLICIES[key][kind]
            there.pop(key, None)
            if found is not None:
                there[key] = found
            touched.update(index.put(key, found))
        for place in touched:
            whole(index.build(place))
        snapshot = index.publish(f"{number}")
        while index.lets_go:
            whole(index.let_go())
        expected = Snapshot.of(there.values(), f"{number}")
        assert plain(snapshot) == plain(expected)
        assert snapshot.unreadable.keys() == expected.unreadable.keys()
        for made in [one for kinds in POLICIES.values() for one in kinds]:
            assert index.serves(made.ref.uid, made.ref.generation) is (made in there.values())
        handed_out.append((snapshot, dict(snapshot.endpoints)))
    assert all(snapshot.endpoints == endpoints for snapshot, endpoints in handed_out)


def test_a_defect_in_building_a_shadow_takes_no_answer_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*of: object) -> object:
        raise RuntimeError("of ours")

    monkeypatch.setattr("bailiwick_engine.policy.snapshot.standing_rules", fail)
    live = _made(0, ("crm", "a"), endpointSettings=settings())
    candidate = _made(1, ("crm", "b"), mode="Audit", replaces="a")
    index = PolicyIndex()
    for policy_ in (live, candidate):
        for place in index.put((policy_.ref.namespace, policy_.ref.name), policy_):
            whole(index.build(place))
    endpoint = index.publish("1").endpoints["crm", "crm-api"]
    assert (endpoint.shadows, [one.name for one in endpoint.enforced]) == ((), ["read"])
