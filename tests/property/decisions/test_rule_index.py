"""The index finds what a plain scan of all rules finds, whatever the rules list."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace as with_fields

from bailiwick_engine import keys
from bailiwick_engine.call import Action, Party, Resource
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision import match
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy import index
from bailiwick_engine.policy.index import RuleIndex
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, CompiledRule, Effect, WorkloadRequirement
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot, endpoint_of, home
from bailiwick_engine.truth import UNKNOWN
from support.objects import rule
from unit.engine.cases import CALL, carrier, sound, stored

ACTIONS: Final = ("customers.list", "customers.export", "customers.", "customers", "orders.get", "*")
PATTERNS: Final = (*ACTIONS[:2], "customers.*", "customers.export.*", "orders.*", "*")
POLICY: Final = sound(stored("made", rule()))
GROUPS: Final = ("a", "b", "c")
NAMED: Final = (
    *(keys.group("corp", name) for name in GROUPS),
    keys.user("corp", "carol"),
    keys.service_account("system:serviceaccount:agents:one"),
)

parties: Final = st.one_of(
    st.builds(
        lambda name, groups: Party("user", name, name, issuer="corp", groups=tuple(sorted(groups))),
        st.sampled_from(["carol", "dave"]),
        st.frozensets(st.sampled_from([*GROUPS, "d"])),
    ),
    st.builds(
        lambda name: Party("serviceAccount", f"system:serviceaccount:agents:{name}", name),
        st.sampled_from(["one", "two"]),
    ),
)


@st.composite
def rules(draw: st.DrawFn) -> CompiledRule:
    """Draw a rule, of which only what is looked up by is of interest."""
    subjects = draw(st.frozensets(st.sampled_from(NAMED), min_size=1))
    asking = draw(st.frozensets(st.sampled_from(sorted(subjects)), max_size=1))
    resources = tuple(
        replace(entry, type=draw(st.sampled_from(["customer", "order"]))) for entry in POLICY.rules[0].resources
    )
    return replace(
        POLICY.rules[0],
        name=draw(st.sampled_from("abc")),
        effect=draw(st.sampled_from([Effect.ALLOW, Effect.DENY])),
        subjects=subjects,
        actions=NameSet.of(draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4))),
        resources=resources,
        workloads={key: (WorkloadRequirement(frozenset({"sha256:a"}), ()),) for key in asking},
        audit=draw(st.booleans()),
    )


def scanned(made: list[CompiledRule], party: Party, action: str) -> list[int]:
    """Say it without an index."""
    return sorted(id(one) for one in made if party.keys & one.subjects and action in one.actions)


def ids(found: object) -> list[int]:
    assert isinstance(found, (list, tuple))
    return sorted(id(one) for one in found)


@pytest.mark.parametrize("spread", [index.SPREAD, 3, 0])
@given(st.lists(rules(), max_size=8), parties, st.sampled_from(ACTIONS))
def test_the_index_finds_what_a_scan_finds(spread: int, made: list[CompiledRule], party: Party, action: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "SPREAD", spread)
        built = RuleIndex.of(made)
    assert ids(built.speaking_of(party.keys, action)) == scanned(made, party, action)
    named = {id(one) for one in made if party.keys & one.subjects}
    assert {id(one) for one in built.naming(party.keys)} == named


@given(st.lists(rules(), max_size=8), parties, st.sampled_from(ACTIONS), st.sampled_from(["customer", "order"]))
def test_an_endpoint_has_the_candidates_that_a_scan_has(
    made: list[CompiledRule], party: Party, action: str, kind: str
) -> None:
    policies = [replace(POLICY, rules=tuple(made[:4])), replace(POLICY, rules=tuple(made[4:]))]
    endpoint = CompiledEndpoint.of(policies, ())
    resource = Resource(kind, "42")
    call = with_fields(CALL, subject=party, action=Action(action), resource=resource)
    # Whether the rule names the party, of those that speak of the call; one for another workload only tells why not.
    expected = [
        (id(one), True if one.names(party) is True else UNKNOWN)
        for one in made
        if id(one) in scanned(made, party, action) and one.covers(resource)
        if one.names(party) is not False or one.effect is Effect.ALLOW
    ]
    found = [(id(one), named) for one, named in match.candidates(endpoint, call, party)]
    assert sorted(found, key=lambda pair: pair[0]) == sorted(expected, key=lambda pair: pair[0])
    asking = any(one.workloads.keys() & party.keys and one.covers(resource) for one in made if action in one.actions)
    assert endpoint.asks_workload(action, resource, party) is asking
    assert ids(list(endpoint.speaking_of(action))) == sorted(id(one) for one in made if action in one.actions)
    assert endpoint.workload_keys == {key for one in made for key in one.workloads}
    assert ids(endpoint.enforced) == sorted(id(one) for one in made if not one.audit)


COMPILED: Final = [
    compile_object(raw)
    for raw in (carrier(), stored("a", rule()), stored("b", rule(), endpoint="other"), stored("broken"))
]


@given(st.permutations(COMPILED))
def test_an_endpoint_built_alone_is_that_of_the_whole_snapshot(made: list[CompiledPolicy | BrokenPolicy]) -> None:
    whole = Snapshot.of(made).endpoints
    assert len(whole) == len({home(policy) for policy in made})
    for key, endpoint in whole.items():
        assert endpoint_of(policy for policy in made if home(policy) == key) == endpoint
