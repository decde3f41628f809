"""Who may do something, held against the engine that is asked about each party and call of a small world.

Holds: the policies and the world are those of `test_diffs`; an answer is read here as a person reads it: the row of the
most parts goes before the others, and a way counts if what it is given holds.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, Final

from hypothesis import given, strategies as st

from bailiwick_engine.call import Call, Party, Resource
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledCondition, CompiledRule
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.truth import Truth
from bailiwick_regions.rights.answers import AccessRow
from bailiwick_regions.rights.circumstances import CallPlace
from bailiwick_regions.rights.matrix import AccessMatrix, MatrixSubject
from bailiwick_regions.rights.outcomes import AccessLevel
from bailiwick_regions.rights.questions import what_can, who_can
from property.regions.kindworld import level
from property.regions.test_diffs import (
    ACCOUNTS,
    ACTIONS,
    CUT,
    EXPRESSIONS,
    IDS,
    INTENTS,
    KINDS,
    PEOPLE,
    PROPERTIES,
    TIMES,
    WORKLOADS,
    Told,
    _call,
    calling,
    compiled,
    policies,
    rules,
    told,
    with_number,
    worlds,
)
from property.worlds.strategies import mostly
from unit.engine.cases import NAMESPACE, NOW

KEY: Final = (NAMESPACE, "api")
PODS: Final = st.sampled_from([calling(one) for one in WORKLOADS if one is not None])
"""The first account, as it calls from a workload that is known."""
LEVELS: Final = {AccessLevel.APPROVAL: 1, AccessLevel.ALLOW: 2}

Object = dict[str, Any]
World = tuple[dict[str, Truth], Any]


@st.composite
def crowds(draw: st.DrawFn) -> Object:
    """Draw a policy whose rules mostly meet on one action and resource, with conditions that meet too."""
    raw = draw(policies())
    listed = [draw(rules(f"r{number}")) for number in range(draw(st.integers(2, 4)))]
    for one in listed:
        one["actions"] = draw(mostly(["a.*"], ["a.x"], ["*"]))
        one["resources"] = [one["resources"][0] | {"type": "t", "ids": draw(mostly(["p/*"], ["*"], ["p/1"]))}]
        texts = draw(st.lists(st.sampled_from(EXPRESSIONS), max_size=2, unique=True))
        one["conditions"] = [{"name": f"c{number}", "expression": text} for number, text in enumerate(texts)]
    raw["spec"] |= {"rules": listed, "suspend": False}
    return raw


def of_people(raw: Object) -> Object:
    """Return a policy whose endpoint accepts people."""
    identity = {"issuers": ["cluster", "corp"]}
    carrier = raw["spec"]["endpointSettings"] | {"identity": identity}
    return {**raw, "spec": {**raw["spec"], "endpointSettings": carrier}}


def said(rows: Iterable[AccessRow], party: Party) -> list[AccessRow]:
    """Return the rows that speak of a party: of the most special of those that it has all parts of."""
    held = [row for row in rows if all(part & party.keys for part in row.parts)]
    return [row for row in held if not any(set(row.parts) < set(other.parts) for other in held)]


def reached(rows: Iterable[AccessRow], labels: dict[str, str], call: Call, free: dict[str, Truth]) -> int:
    """Return how far rows let a call come, in a world."""
    parts = {"subject": {}, "actor": {}, "action": {}, "resource": {}, "context": call.context}
    inputs = Inputs.from_values(parts, 0.0)
    found = 0
    for row in rows:
        here = all(labels[name] in {one.partition("\0")[0] for one in some} for name, some in row.where.items())
        if row.way is not None and here:
            truths = [(held_by(one.condition, free, inputs), one.outcomes) for one in row.way.given]
            if all(truth in outcomes for truth, outcomes in truths):
                found = max(found, LEVELS[row.way.level])
    return found


def held_by(condition: CompiledCondition, free: dict[str, Truth], inputs: Inputs) -> Truth:
    """Return what a condition comes to in a world."""
    one = condition
    stood = Told(*one.parts, free)
    return stood.outcome(inputs)


def labels_of(call: Call, of_answer: Iterable[CompiledRule]) -> dict[str, str]:
    """Return how a call is told, by the rules of which the answer is."""
    listed = [rule for rule in of_answer if call.action.name in rule.actions]
    entries = [one for rule in listed for one in rule.resources if one.type == call.resource.type]
    at = [one for one in entries if call.resource.id in one.ids]
    known = {value for one in at for value in one.properties.get("env", ())}
    env = (call.resource.properties or {}).get("env")
    assert isinstance(call.subject, Party)
    purposes = {intent for rule in listed if rule.intents for intent in rule.intents}
    return {
        "action": name_label(call.action.name, [rule.actions for rule in of_answer]),
        "resource": f"{call.resource.type}/{name_label(call.resource.id, [one.ids for one in entries])}",
        "env": "absent" if env is None else env if env in known else "other",
        "intent": call.intent if call.intent in purposes else "other",
        "workload": workload_label(call.subject, listed),
    }


def workload_label(party: Party, rules: Iterable[CompiledRule]) -> str:
    """Return how a workload is told: by what all image lists that hold its images share, then by its labels."""
    workload = party.workload
    if workload is None:
        return "unknown workload"
    asked = [one for rule in rules for key in party.keys for one in rule.workloads.get(key, ())]
    holding = [one.images for one in asked if one.images and workload.images and workload.images <= one.images]
    shared = sorted(holding[0].intersection(*holding)) if holding else []
    images = f"images {', '.join(shared)}" if shared else "other images"
    pairs = dict.fromkeys(pair for one in asked for pair in one.labels if pair in workload.labels.items())
    return " ".join([images, *(f"{name}={value}" for name, value in pairs)])


def name_label(name: str, sets: Iterable[NameSet]) -> str:
    """Return a name as it is listed, else the longest pattern that holds it."""
    listed = list(sets)
    if any(name in one.exact for one in listed):
        return name
    prefixes = {"", *(prefix for one in listed for prefix in one.prefixes)}
    return max((one for one in prefixes if name.startswith(one) and len(name) > len(one)), key=len) + "*"


def verdict_of(snapshot: Snapshot, call: Call, time: float) -> int:
    """Return what the engine says of a call."""
    return level(decide(snapshot, call, (), Circumstances(now=time), "sha256:"))


def asked(
    raw: Object, parties: Iterable[Party], resources: Iterable[tuple[str, Resource]]
) -> Iterator[tuple[Snapshot, World, Call]]:
    """Yield a call of each party in each world and for each purpose that the policies tell apart."""
    calls = list(product(parties, resources))
    intents = INTENTS if any("intents" in rule for rule in raw["spec"]["rules"]) else INTENTS[:1]
    for world in worlds((raw, raw)):
        if world[1] == CUT:
            # No condition says anything of such a call, so it is let no further than another one.
            continue
        snapshot = Snapshot.of([told(compiled(raw), world[0])])
        for (party, (action, resource)), intent in product(calls, intents):
            call = _call((party, ()), action, resource, intent)
            yield snapshot, world, call if world[1] is None else with_number(call, world[1])


def endpoint_of(raw: Object) -> CompiledEndpoint:
    return Snapshot.of([compiled(raw)]).endpoints[KEY]


@given(
    st.one_of(crowds(), policies()).map(of_people),
    st.sampled_from(("a.x", "b")),
    st.sampled_from(("p/1", "1")),
    st.sampled_from(TIMES),
    PODS,
)
def test_who_can_says_of_each_party_what_the_engine_says(
    raw: Object, action: str, name: str, now: float, pod: Party
) -> None:
    endpoint = endpoint_of(raw)
    answer = who_can(CallPlace(KEY, action, "t", name), endpoint, now)
    assert answer.incomplete == ()
    places = [(action, Resource("t", name, held)) for held in PROPERTIES]
    for snapshot, world, call in asked(raw, (*ACCOUNTS, pod, *PEOPLE), places):
        assert isinstance(call.subject, Party)
        rows = said(answer.rows, call.subject)
        labels = labels_of(call, endpoint.enforced)
        found = reached(rows, labels, call, world[0])
        assert found == verdict_of(snapshot, call, now), (raw, world, call, rows)
        for later in TIMES:
            lasting = [row for row in rows if row.way and (row.way.until is None or row.way.until > later)]
            if later > now and len(lasting) < len(rows):
                assert reached(lasting, labels, call, world[0]) <= verdict_of(snapshot, call, later)


@given(crowds().map(of_people), st.sampled_from(PROPERTIES), PODS)
def test_who_can_with_properties_says_what_the_engine_says_of_these(
    raw: Object, held: dict[str, str] | None, pod: Party
) -> None:
    endpoint = endpoint_of(raw)
    for intent in INTENTS[1:]:
        answer = who_can(CallPlace(KEY, "a.x", "t", "p/1", held or {}, intent), endpoint, NOW)
        for snapshot, world, call in asked(raw, (*ACCOUNTS, pod, *PEOPLE), [("a.x", Resource("t", "p/1", held))]):
            if call.intent == intent:
                assert isinstance(call.subject, Party)
                found = reached(said(answer.rows, call.subject), labels_of(call, endpoint.enforced), call, world[0])
                assert found == verdict_of(snapshot, call, NOW), (raw, world, call)


@given(st.one_of(crowds(), policies()).map(of_people), st.sampled_from((*ACCOUNTS, *PEOPLE)), st.data())
def test_what_can_says_of_each_call_what_the_engine_says(raw: Object, party: Party, data: st.DataObject) -> None:
    endpoint = endpoint_of(raw)
    answer = what_can(KEY, endpoint, party, "one", NOW)
    assert answer.incomplete == ()
    own = [rule for rule in endpoint.enforced if party.keys & rule.subjects]
    calls = [Resource(kind, name, held) for kind, name, held in product(KINDS, IDS, PROPERTIES)]
    places = list(product(ACTIONS, data.draw(st.lists(st.sampled_from(calls), min_size=3, max_size=6))))
    callers = (party, data.draw(PODS)) if party == ACCOUNTS[0] else (party,)
    for snapshot, world, call in asked(raw, callers, places):
        found = reached(answer.rows, labels_of(call, own), call, world[0])
        assert found == verdict_of(snapshot, call, NOW), (raw, world, call, answer.rows)


def rows_of(matrix: AccessMatrix) -> list[MatrixSubject]:
    """Return all rows of a matrix: of one subject each, and of those who may do something else as several."""
    combinations, capped = matrix.combinations()
    assert not capped
    told_ones = list(matrix.telling(combinations, 10**6))
    assert all(other is not None for _, other in told_ones)
    return [*map(matrix.subject, matrix.keys), *(subject for subject, other in told_ones if other)]


# Mostly people in several groups: of others each row says all.
@given(crowds().map(of_people), st.sampled_from((*ACCOUNTS, *PEOPLE, *PEOPLE[3::4] * 6)), st.data())
def test_a_cell_of_the_matrix_says_of_each_call_what_the_engine_says(
    raw: Object, party: Party, data: st.DataObject
) -> None:
    endpoint = endpoint_of(raw)
    matrix = AccessMatrix(KEY, endpoint, NOW)
    parts = [(one, set(one.named.parts)) for one in rows_of(matrix) if one.named is not None]
    held = [(one, own) for one, own in parts if all(part & party.keys for part in own)]
    rows = [one for one, own in held if not any(own < other for _, other in held)] or [matrix.others]
    calls = [Resource(kind, name, held) for kind, name, held in product(KINDS, IDS, PROPERTIES)]
    places = list(product(ACTIONS, data.draw(st.lists(st.sampled_from(calls), min_size=3, max_size=6))))
    for snapshot, world, call in asked(raw, (party,), places):
        column = name_label(call.action.name, [rule.actions for rule in endpoint.enforced])
        (action,) = (name for name, label in matrix.actions.items() if label.partition("\0")[0] == column)
        found = 0
        for row in rows:
            cell = matrix.cell(row, action)
            assert cell is not None
            assert row.named is not None
            labels = labels_of(call, matrix.rules(row.named.party)) | {"action": column}
            found = max(found, reached(cell, labels, call, world[0]))
        assert found == verdict_of(snapshot, call, NOW), (raw, world, call, rows)
