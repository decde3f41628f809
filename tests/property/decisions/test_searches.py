"""What a search finds agrees with evaluation, whatever the policies, the call and the claims."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hypothesis import given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, UnprovenParty
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import admit, decide, may_ask
from bailiwick_engine.decision.search import Prospect, SearchKind, candidates, try_name
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from property.worlds.questions import questions
from property.worlds.reference import World
from property.worlds.strategies import AGENTS, ENDPOINT, ENFORCER, Object, call_of, compiled_of, mostly
from unit.engine.cases import NOW, at, carrier, snapshot, stored

AROUND: Final = Circumstances(now=NOW)
NAMES: Final[dict[SearchKind, tuple[str, ...]]] = {
    SearchKind.SUBJECT: tuple(f"system:serviceaccount:agents:agent-{agent}" for agent in (*AGENTS, "three")),
    SearchKind.RESOURCE: ("a/1", "1", "2", "a/", "*", "b"),
    SearchKind.ACTION: ("customers.export", "customers.list", "customers.", "orders.get", "x"),
}


def found(on: Snapshot, kind: SearchKind, call: Call) -> tuple[set[str], set[str], bool]:
    """Return what a search finds, what it tried in vain, and whether there may be more."""
    endpoint = on.endpoints.get((call.namespace, call.endpoint))
    if endpoint is None or not may_ask(endpoint, call) or isinstance(admit(on, endpoint, call, AROUND), Reason):
        return set(), set(), False
    listed = candidates(endpoint, kind, call, NOW)
    outcomes = {name: try_name(on, endpoint, kind, call, name, AROUND) for name in listed.names}
    hits = {name for name, outcome in outcomes.items() if outcome is Prospect.ALLOWED}
    return hits, set(listed.names) - hits, listed.hidden or Prospect.HIDDEN in outcomes.values()


def with_approval(on: Snapshot, call: Call) -> list[str]:
    """Return the subjects who are told to need an approval."""
    endpoint = on.endpoints.get((call.namespace, call.endpoint))
    if endpoint is None or not may_ask(endpoint, call) or isinstance(admit(on, endpoint, call, AROUND), Reason):
        return []
    listed = candidates(endpoint, SearchKind.SUBJECT, call, NOW).names
    return [
        name for name in listed if try_name(on, endpoint, SearchKind.SUBJECT, call, name, AROUND) is Prospect.APPROVAL
    ]


def named(kind: SearchKind, call: Call, name: str) -> Call:
    """Return the evaluation of one name, by a subject whose token was shown."""
    match kind:
        case SearchKind.SUBJECT:
            return replace(call, subject=Party("serviceAccount", name, "some-uid"))
        case SearchKind.RESOURCE:
            return replace(call, resource=replace(call.resource, id=name))
        case SearchKind.ACTION:
            return replace(call, action=Action(name))


def allowed(on: Snapshot, call: Call) -> bool:
    return decide(on, call, (), AROUND).outcome is Outcome.ALLOW


def searched(world: World, kind: SearchKind) -> tuple[Snapshot, Call]:
    """Return the policies, and the call with a blank for what is searched for."""
    on = Snapshot.of(compiled_of(facts.raw) for facts in world.policies)
    call = call_of({**world.call, "caller": ENFORCER})
    if kind is SearchKind.SUBJECT:
        call = replace(call, subject=Party("serviceAccount", "", "", hypothetical=True))
    return on, call


@given(questions(), st.sampled_from(SearchKind))
def test_every_result_is_allowed_and_every_other_literal_name_is_not(world: World, kind: SearchKind) -> None:
    on, call = searched(world, kind)
    hits, others, _ = found(on, kind, call)
    assert all(allowed(on, named(kind, call, name)) for name in hits)
    assert not any(allowed(on, named(kind, call, name)) for name in others)


@given(questions(), st.sampled_from(SearchKind))
def test_a_search_that_is_not_incomplete_finds_all(world: World, kind: SearchKind) -> None:
    on, call = searched(world, kind)
    hits, _, incomplete = found(on, kind, call)
    if not incomplete and not isinstance(call.subject, UnprovenParty):
        assert {name for name in NAMES[kind] if allowed(on, named(kind, call, name))} <= hits


# ------------------------------------------------------------------ subjects whose claims and groups are not known

EXPRESSIONS: Final = (
    "subject.claims.level == 'high'",
    "subject.claims.?level.orValue('') != 'high'",
    "subject.?claims.?level.orValue('') != 'high'",
    "!has(subject.claims.level)",
    "variables.high",
    "!variables.high",
    "subject.type == 'user'",
    "context.n > 1",
)
CLAIMS: Final[tuple[Mapping[str, Any], ...]] = ({}, {"level": "high"}, {"level": "low"}, {"level": 1})
GROUPS: Final = ("support", "sales")
PEOPLE: Final = ("carol", "dave")


@st.composite
def rules(draw: st.DrawFn, name: str) -> Object:
    effect = draw(mostly("Allow", "Deny", "RequireApproval", odds=2))
    rule: Object = {
        "name": name,
        "effect": effect,
        "subjects": draw(st.lists(st.sampled_from([*PEOPLE, *GROUPS]), min_size=1, max_size=2, unique=True)),
        "actions": ["customers.list"],
        "resources": [{"type": "customer", "ids": ["*"]}],
    }
    if draw(st.booleans()):
        rule["conditions"] = [{"name": "c", "expression": draw(st.sampled_from(EXPRESSIONS))}]
    if effect == "RequireApproval":
        rule["approval"] = {"steps": [{"name": "s", "kind": "System"}]}
    if effect != "Deny" and draw(mostly(False, True, odds=6)):
        rule["expireTime"] = at(-60)
    return rule


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    people = [{"name": name, "user": {"issuer": "corp", "name": name}} for name in PEOPLE]
    people += [{"name": name, "group": {"issuer": "corp", "name": name}} for name in GROUPS]
    settings = {"enforcers": [{"namespace": "crm", "name": "crm-api"}], "identity": {"issuers": ["corp"]}}
    made = [draw(rules(f"r{number}")) for number in range(draw(st.integers(1, 4)))]
    variables = [{"name": "high", "expression": "subject.claims.level == 'high'"}]
    return snapshot(carrier(endpointSettings=settings), stored("people", *made, subjects=people, variables=variables))


CALL: Final = call_of(
    {
        "namespace": "crm",
        "endpoint": ENDPOINT,
        "caller": ENFORCER,
        "subject": {"type": "user", "id": "", "uid": ""},
        "action": {"name": "customers.list"},
        "resource": {"type": "customer", "id": "1"},
        "context": {"n": 2},
    }
)


def evaluations(name: str) -> Iterable[Call]:
    """Yield the call of everybody who could have this name."""
    for groups in ((), *((group,) for group in GROUPS), GROUPS):
        for claims in CLAIMS:
            person = Party("user", name, f"corp#{name}", claims, issuer="corp", groups=groups)
            yield replace(CALL, subject=person)


@given(snapshots())
def test_a_person_is_found_only_if_allowed_whatever_the_token_says(on: Snapshot) -> None:
    blank = replace(CALL, subject=Party("user", "", "", hypothetical=True))
    hits, _, incomplete = found(on, SearchKind.SUBJECT, blank)
    assert hits <= set(PEOPLE)
    for name in hits:
        assert all(allowed(on, call) for call in evaluations(name))
    if not incomplete:
        assert {name for name in PEOPLE if any(allowed(on, call) for call in evaluations(name))} <= hits


@given(questions())
def test_a_search_never_finds_by_a_grant(world: World) -> None:
    on, call = searched(world, SearchKind.RESOURCE)
    hits, _, _ = found(on, SearchKind.RESOURCE, call)
    assert all(decide(on, named(SearchKind.RESOURCE, call, name), (), AROUND).gate is None for name in hits)


@given(snapshots())
def test_a_person_is_told_to_need_an_approval_only_if_that_is_so_whatever_the_token_says(on: Snapshot) -> None:
    blank = replace(CALL, subject=Party("user", "", "", hypothetical=True))
    for name in with_approval(on, blank):
        for call in evaluations(name):
            assert decide(on, call, (), AROUND).reason is Reason.APPROVAL_REQUIRED


@given(questions())
def test_a_service_account_is_told_to_need_an_approval_only_if_that_is_so(world: World) -> None:
    on, call = searched(world, SearchKind.SUBJECT)
    for name in with_approval(on, call):
        assert decide(on, named(SearchKind.SUBJECT, call, name), (), AROUND).reason is Reason.APPROVAL_REQUIRED
