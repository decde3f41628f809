"""A search decides once about names that are alike: what it says of each is what `decide` says of that name alone."""

import dataclasses
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource
from bailiwick_engine.cel.data import read_data
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision import search
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.search import Candidates, Prospect, Prospects, SearchKind, candidates
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from property.worlds.questions import questions
from property.worlds.reference import World
from property.worlds.strategies import ENFORCER, Object, call_of, compiled_of, mostly
from support.objects import AGENT, ENDPOINT, rule, settings, subject
from unit.engine.cases import CALL, NOW, at, snapshot, stored

AROUND: Final = Circumstances(now=NOW)
KEY: Final = ("crm", ENDPOINT)
CAROL: Final = Party("user", "carol", "corp#carol", {"level": "high"}, issuer="corp", username="carol@corp.example")
ACTING: Final = Party("serviceAccount", AGENT, "agent-uid")
PINNED: Final = "sha256:" + "a" * 64
DENIED: Final = "system:serviceaccount:agents:denied"

# Of actions and of ids alike. With "a.*" and "*" rules cover what others list.
NAMES: Final = (
    *(f"a.{number}" for number in range(8)),
    *(f"b.{number}" for number in range(6)),
    "long" * 32,
    "é",
    '"q"',
)
PATTERNS: Final = ("a.*", "*")
EXPRESSIONS: Final = (
    "context.n > 1",
    "context.n > 5",
    "variables.many",
    "variables.first",
    "action.name == 'a.1'",
    "action['name'].endsWith('2')",
    "has(action.properties.rows)",
    "action == {'name': 'a.3', 'properties': {}}",
    "resource.id == 'b.1'",
    "resource.id.startsWith('a.')",
    "resource.properties.?env.orValue('') == 'prod'",
    "resource.type in {'customer': action.name}",
    "data.incident.open == true",
    "data.incident.names.exists(one, one == action.name)",
    "subject.type == 'user'",
    "context.missing == 1",
    "context.l.all(one, one != 'x')",
)
VARIABLES: Final = [
    {"name": "many", "expression": "context.n > 1"},
    {"name": "first", "expression": "action.name + resource.id"},
]
WRITTEN: Final = tuple("variables.first == 'a.1b.1'" if one == "variables.first" else one for one in EXPRESSIONS)


# Of each, what it says hangs on the name that is searched for.
READING: Final = (
    "action.name.startsWith('a.')",
    "resource.id.startsWith('a.')",
    "variables.first.startsWith('a.')",
    "[resource, action].exists(one, one == {'name': 'a.1', 'properties': {}})",
)
SUSPENDED, WATCHING = "r", "q"
_GATE: Final[Object] = {"effect": "RequireApproval", "approval": {"steps": [{"name": "s", "kind": "System"}]}}
_STRICT_GATE: Final[Object] = {**_GATE, "approval": {**_GATE["approval"], "requiredContext": ["ticket"]}}


def condition(text: str) -> list[Object]:
    return [{"name": "c", "expression": text}]


changes: Final[st.SearchStrategy[Object]] = st.sampled_from(
    [
        *({"effect": "Allow"}, {"effect": "Deny"}, {"effect": "Deny"}, _GATE, _STRICT_GATE),
        *({"conditions": condition(text)} for text in WRITTEN[::3]),
        *({"conditions": condition(text)} for text in ("context.n > 1", "context.n > 5")),
        *({"conditions": condition(text)} for text in READING * 2),
        *({"subjects": [name]} for name in ("agent", "pinned", "pinned", "carol", "carol")),
        *({"policy": WATCHING}, {"policy": WATCHING}, {"policy": SUSPENDED}, {"expireTime": at(-60)}),
        *({"expireTime": at(60)}, {"intents": ["support"]}, {"properties": {"env": ["prod"]}}),
        *({"names": ["a.*"]}, {"names": ["a.*"]}, {"names": ["*"]}),
        *[{}] * 8,
    ]
)
"""Each is one thing in which a rule may differ from another, so that to overlook it would make their names alike."""


SECOND: Final = ({"effect": "Deny"}, {"subjects": ["pinned"]}, {"policy": WATCHING})
starts: Final[st.SearchStrategy[Object]] = st.sampled_from(
    [*[{}] * 4, {"conditions": condition("context.n > 1")}, {"subjects": ["pinned"]}, {"intents": ["support"]}]
)


@st.composite
def rules(draw: st.DrawFn, kind: SearchKind) -> dict[str, list[Object]]:
    """Draw the rules of each policy: variants of one rule, most with names of their own."""
    start: Object = {"effect": "Allow", "subjects": ["agent", "carol"], "policy": "p", **draw(starts)}
    names = draw(st.permutations(NAMES))
    found: dict[str, list[Object]] = {"p": [], WATCHING: [], SUSPENDED: []}
    for number in range(draw(st.integers(4, 8))):
        drawn: Object = {
            "names": names[2 * number : 2 * number + 3],
            **start,
            **draw(changes),
            **draw(mostly({}, *SECOND, odds=1)),
        }
        listed, where = drawn.pop("names"), drawn.pop("policy")
        resource = {"type": "customer", "ids": listed if kind is SearchKind.RESOURCE else ["*"]}
        if "properties" in drawn:
            resource["properties"] = drawn.pop("properties")
        if drawn["effect"] != "RequireApproval":
            drawn.pop("approval", None)
        if drawn["effect"] == "Deny":
            drawn = {name: value for name, value in drawn.items() if name not in {"expireTime", "intents"}}
        actions = listed if kind is SearchKind.ACTION else ["*"]
        found[where].append({"name": f"r{number}", **drawn, "actions": actions, "resources": [resource]})
    return found


@st.composite
def ceilings(draw: st.DrawFn, kind: SearchKind) -> list[Object]:
    found = []
    for _ in range(draw(st.integers(1, 3))):
        listed = draw(st.sampled_from([["*"], ["a.*"], ["a.1", "b.1", "a.4"]]))
        actions, ids = (listed, ["*"]) if kind is SearchKind.ACTION else (["*"], listed)
        entry: Object = {"actions": actions, "resources": [{"type": "customer", "ids": ids}]}
        if draw(mostly(False, True, odds=1)):
            text = draw(st.sampled_from(["context.n > 1", *READING]))
            entry["conditions"] = condition(text)
        found.append(entry)
    return found


@st.composite
def policies(draw: st.DrawFn, kind: SearchKind) -> Snapshot:
    """Draw policies, one of which carries the settings, and data."""
    subjects = [
        subject(),
        {**subject("pinned"), "workload": {"imageDigests": [PINNED]}},
        {"name": "carol", "user": {"issuer": "corp", "name": "carol"}},
    ]
    delegation = {
        "maxDepth": 1,
        "principals": ["carol"],
        "ceiling": draw(ceilings(kind)),
        "principalMustBeEntitled": draw(st.booleans()),
    }
    carried = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
    spec: Object = {"subjects": subjects, "variables": VARIABLES, "data": [{"name": "incident"}]}
    plain = stored("carrier", rule("unrelated", actions=["unrelated"]), **{**spec, "endpointSettings": carried})
    made = [plain]
    for name, listed in draw(rules(kind)).items():
        switches: dict[str, Object] = {WATCHING: {"mode": "Audit"}, SUSPENDED: {"suspend": True}}
        more = switches.get(name, {})
        if listed:
            made.append(stored(name, *listed, **spec, **more))
    if draw(mostly(False, True, odds=8)):
        made.append(stored("broken", {"name": "x"}, subjects=[subject("denied", account="denied")]))
    on = snapshot(*made)
    held = {"open": draw(st.booleans()), "names": ["a.1", "b.1"]}
    data = {} if draw(mostly(False, True, odds=4)) else {"incident": read_data("incident", "uid", 1, {"data": held})}
    return dataclasses.replace(on, endpoints={**on.endpoints, KEY: on.endpoints[KEY].with_data(data)})


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Draw a call with a name in each place, one of which is searched for."""
    pod = draw(st.sampled_from([None, PodWorkload(frozenset({PINNED}), {}), PodWorkload(frozenset({"sha256:b"}), {})]))
    agent = replace(ACTING, workload=pod)
    shapes: list[tuple[Party, tuple[Party, ...]]] = [(agent, ()), (CAROL, ()), (CAROL, (agent,))]
    shapes.append((replace(agent, id=DENIED), ()))
    who, actors = draw(st.sampled_from([*shapes[:1] * 4, *shapes, *shapes[2:3] * 2]))
    context: Object = {"n": draw(st.sampled_from([1, 2, 9, "x"])), "l": ["y"]}
    # Near the size from which what conditions take is counted, so that names of some lengths are beyond it.
    if filler := draw(mostly(0, 1_200, 1_500, 1_600, 1_700, 1_800, 4_000, odds=1)):
        context["filler"] = "f" * filler
    if draw(st.booleans()):
        context["intent"] = draw(st.sampled_from(["support", "sales"]))
    properties = draw(st.sampled_from([None, {"env": "prod"}, {"env": "dev"}, {"env": 1}]))
    resource = Resource("customer", draw(st.sampled_from(NAMES)), properties)
    return replace(
        CALL,
        subject=who,
        actors=actors,
        action=Action(draw(st.sampled_from(NAMES))),
        resource=resource,
        context=context,
    )


def searched(on: Snapshot, kind: SearchKind, call: Call) -> tuple[Candidates, dict[str, Prospect]]:
    """Return the candidates of a search and what comes of each, however few there are."""
    endpoint = on.endpoints[call.namespace, call.endpoint]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_FEW", 0)
        found = candidates(endpoint, kind, call, NOW)
    prospects = Prospects(on, endpoint, kind, call, found, AROUND)
    return found, {name: prospects.prospect(name) for name in found.names}


def named(kind: SearchKind, call: Call, name: str) -> Call:
    if kind is SearchKind.ACTION:
        return replace(call, action=Action(name))
    return replace(call, resource=replace(call.resource, id=name))


def prospect(verdict: Verdict) -> Prospect:
    """Return what a verdict on a name comes to, for a subject whose token was shown."""
    if verdict.outcome is Outcome.ALLOW:
        return Prospect.ALLOWED
    if verdict.reason is Reason.APPROVAL_REQUIRED:
        return Prospect.APPROVAL
    hiding = {Reason.WORKLOAD_UNAPPROVED, Reason.CONDITION_ERROR}
    return Prospect.HIDDEN if verdict.gate is not None or verdict.reason in hiding else Prospect.DENIED


def decided(on: Snapshot, kind: SearchKind, call: Call, names: tuple[str, ...]) -> Iterator[tuple[str, Prospect]]:
    for name in names:
        yield name, prospect(decide(on, named(kind, call, name), (), AROUND))


kinds: Final = st.sampled_from([SearchKind.ACTION, SearchKind.RESOURCE])
searches: Final = kinds.flatmap(lambda kind: st.tuples(policies(kind), calls(), st.just(kind)))


@given(searches)
def test_a_search_says_of_each_name_what_a_decision_about_it_says(drawn: tuple[Snapshot, Call, SearchKind]) -> None:
    on, call, kind = drawn
    found, prospects = searched(on, kind, call)
    assert prospects == dict(decided(on, kind, call, found.names))


@given(questions(), kinds)
def test_so_it_does_whatever_the_policies(world: World, kind: SearchKind) -> None:
    on = Snapshot.of(compiled_of(facts.raw) for facts in world.policies)
    call = call_of({**world.call, "caller": ENFORCER})
    if (call.namespace, call.endpoint) in on.endpoints and isinstance(call.subject, Party):
        found, prospects = searched(on, kind, call)
        assert prospects == dict(decided(on, kind, call, found.names))


@given(searches)
def test_the_candidates_are_those_that_rules_in_force_give(drawn: tuple[Snapshot, Call, SearchKind]) -> None:
    on, call, kind = drawn
    found, _ = searched(on, kind, call)
    assert isinstance(call.subject, Party)
    keys = frozenset[str]().union(*(party.keys for party in (call.subject, *call.actors)))
    given_names, hidden = set[str](), False
    for one in on.endpoints[KEY].rules:
        over = one.expires is not None and one.expires <= NOW
        off = one.suspended or over or (one.intents is not None and call.intent not in one.intents)
        if one.audit or one.effect.value == "Deny" or off or not keys & one.subjects:
            continue
        entries = [entry.ids for entry in one.resources if entry.type == call.resource.type]
        if kind is SearchKind.ACTION and one.covers(call.resource):
            sets = [one.actions]
        elif kind is SearchKind.RESOURCE and call.action.name in one.actions:
            sets = entries
        else:
            sets = []
        given_names |= {name for names in sets for name in names.exact}
        hidden = hidden or any(names.everything or names.prefixes for names in sets)
    assert (found.names, found.hidden) == (tuple(sorted(given_names)), hidden)
