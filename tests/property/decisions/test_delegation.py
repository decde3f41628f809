"""No chain of actors is ever wider than any hop of it, whoever stands in it and whatever the policies say.

Holds: the reference below is written from docs/reference/policy.md alone ("What a rule does", `delegation`), and looks
at plain objects; conditions here read nothing of subject and actor, so that what a hop may do in a chain can be held
against what it may do by itself.
"""

import functools
import itertools
import json
from typing import Any, Final, Literal

from hypothesis import assume, example, given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide, evaluate_hops
from bailiwick_engine.decision.match import candidates
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from unit.engine.cases import NOW

Object = dict[str, Any]
Width = Literal["deny", "approval", "allow"]

ENFORCER: Final = ServiceAccount("system:serviceaccount:crm:crm-api", "enforcer-uid")
AGENTS: Final = ("planner", "worker", "helper")
PEOPLE: Final = ("dave", "erin")
GROUPS: Final = ("support", "sales")
GOOD: Final = "sha256:" + "a" * 64
BAD: Final = "sha256:" + "b" * 64
ACTIONS: Final = ("tickets.get", "tickets.close")
KINDS: Final = ("ticket", "order")
SUBJECTS: Final[dict[str, Object]] = {
    **{name: {"serviceAccount": {"namespace": "agents", "name": name}} for name in AGENTS},
    **{
        f"{name}-approved": {
            "serviceAccount": {"namespace": "agents", "name": name},
            "workload": {"imageDigests": [GOOD]},
        }
        for name in AGENTS
    },
    **{name: {"user": {"issuer": "corp", "name": name}} for name in PEOPLE},
    **{name: {"group": {"issuer": "corp", "name": name}} for name in GROUPS},
}
WIDTH: Final[dict[Width, int]] = {"deny": 0, "approval": 1, "allow": 2}

names = st.sampled_from(sorted(SUBJECTS))
some_of = st.one_of(
    st.lists(names, min_size=1, max_size=4, unique=True),
    st.sampled_from([[*AGENTS], ["planner", "worker"], ["worker", "helper-approved"], [*AGENTS, *PEOPLE]]),
)


@st.composite
def rules(draw: st.DrawFn, name: str) -> Object:
    effect = draw(st.sampled_from(["Allow"] * 6 + ["RequireApproval", "Deny"]))
    rule: Object = {
        "name": name,
        "effect": effect,
        "subjects": draw(some_of),
        "actions": draw(st.sampled_from([["tickets.*"], ["tickets.*"], ["tickets.get"], ["tickets.close"]])),
        "resources": [{"type": draw(st.sampled_from(["ticket"] * 5 + ["order"])), "ids": ["*"]}],
    }
    if draw(st.integers(0, 5)) == 0:
        rule["conditions"] = [
            {"name": "c", "expression": draw(st.sampled_from(["context.on == true", "context.gone == 1"]))}
        ]
    if effect == "RequireApproval":
        rule["approval"] = {"steps": [{"name": "owner", "kind": "System"}]}
    return rule


@st.composite
def ceilings(draw: st.DrawFn) -> Object:
    entry: Object = {
        "actions": draw(st.sampled_from([["tickets.*"], ["tickets.*"], ["tickets.get"]])),
        "resources": [{"type": draw(st.sampled_from(["ticket"] * 4 + ["order"])), "ids": ["*"]}],
    }
    if draw(st.integers(0, 4)) == 0:
        entry["conditions"] = [
            {"name": "c", "expression": draw(st.sampled_from(["context.on == true", "context.gone == 1"]))}
        ]
    return entry


@st.composite
def policies(draw: st.DrawFn) -> Object:
    delegation: Object | None = {
        "maxDepth": draw(st.sampled_from([4, 4, 4, 3, 2, 1])),
        # Usually everybody, and rules that usually allow: what is denied anyway shows nothing of the hops.
        "principals": draw(st.sampled_from([[*PEOPLE], [*PEOPLE], [*PEOPLE], ["dave"], [*GROUPS], ["support"]])),
        "ceiling": draw(st.lists(ceilings(), min_size=1, max_size=2)),
        "principalMustBeEntitled": draw(st.integers(0, 3)) == 0,
    }
    settings: Object = {
        "enforcers": [{"namespace": "crm", "name": "crm-api"}],
        "identity": {"issuers": ["cluster", "corp"]},
    }
    if draw(st.integers(0, 9)):
        settings["delegation"] = delegation
    return {
        "endpoint": "desk",
        "endpointSettings": settings,
        "subjects": [{"name": name, **subject} for name, subject in SUBJECTS.items()],
        "rules": [draw(rules(f"r{number}")) for number in range(draw(st.integers(1, 6)))],
    }


def agent(name: str, images: frozenset[str] | None) -> Party:
    return Party(
        "serviceAccount",
        f"system:serviceaccount:agents:{name}",
        f"{name}-uid",
        workload=None if images is None else PodWorkload(images),
    )


agents = st.builds(
    agent,
    st.sampled_from(AGENTS),
    st.sampled_from([None, frozenset({GOOD}), frozenset({GOOD}), frozenset({GOOD, BAD})]),
)
people = st.builds(
    lambda name, groups: Party("user", name, f"corp#{name}", issuer="corp", groups=tuple(groups), username=name),
    st.sampled_from(PEOPLE),
    st.lists(st.sampled_from(GROUPS), unique=True),
)
chains = st.lists(agents, max_size=5).map(tuple) | st.lists(agents, min_size=2, max_size=3).map(tuple)
calls = st.builds(
    lambda person, chain, action, kind, on: Call(
        "crm", "desk", ENFORCER, person, Action(action), Resource(kind, "1"), {"on": on}, chain
    ),
    people,
    chains,
    st.sampled_from(ACTIONS),
    st.sampled_from(["ticket"] * 5 + ["order"]),
    st.sampled_from([True, True, False]),
)


@functools.lru_cache(maxsize=4)
def compiled(spec: str) -> Snapshot:
    policy = compile_object(
        {"metadata": {"namespace": "crm", "name": "p", "uid": "p-uid", "generation": 1}, "spec": json.loads(spec)}
    )
    assert isinstance(policy, CompiledPolicy), policy
    return Snapshot.of([policy])


def verdict_of(spec: Object, call: Call) -> Verdict:
    return decide(compiled(json.dumps(spec)), call, (), Circumstances(NOW))


def width(verdict: Verdict) -> Width:
    if verdict.outcome is Outcome.ALLOW:
        return "allow"
    return "approval" if verdict.reason is Reason.APPROVAL_REQUIRED else "deny"


# ------------------------------------------------------------------ the reference


def expected(spec: Object, call: Call) -> Width:
    """Decide from the design's text, over plain objects."""
    delegation = spec["endpointSettings"].get("delegation")
    person = call.subject
    assert isinstance(person, Party)
    if call.actors:
        if delegation is None or len(call.actors) > delegation["maxDepth"]:
            return "deny"
        if not any(_names(name, person) for name in delegation["principals"]):
            return "deny"
    parties = [(actor, True) for actor in call.actors]
    parties.append((person, not call.actors or delegation["principalMustBeEntitled"]))
    gates = set()
    for party, must in parties:
        standing = {rule["name"]: _applies(rule, party, call) for rule in spec["rules"]}
        effects = {rule["effect"] for rule in spec["rules"] if standing[rule["name"]]}
        if any(standing[rule["name"]] and _shut(rule, party) for rule in spec["rules"]):
            return "deny"
        if "Deny" in effects or (must and not effects):
            return "deny"
        gates |= {
            rule["name"] for rule in spec["rules"] if standing[rule["name"]] and rule["effect"] == "RequireApproval"
        }
    if call.actors and not any(_under(entry, call) for entry in delegation["ceiling"]):
        return "deny"
    return "deny" if len(gates) > 1 else "approval" if gates else "allow"


def _shut(rule: Object, party: Party) -> bool:
    """A gate that speaks of the party only if its workload is approved, which is not known, stays shut."""
    named = [_names(name, party) for name in rule["subjects"]]
    return rule["effect"] == "RequireApproval" and True not in named and None in named


def _applies(rule: Object, party: Party, call: Call) -> bool:
    if not _covers(rule, call):
        return False
    named = [_names(name, party) for name in rule["subjects"]]
    held = [_truth(condition, call) for condition in rule.get("conditions", ())]
    if rule["effect"] == "Allow":
        return True in named and all(truth is True for truth in held)
    # What is unknown never widens: a gate and a refusal stand.
    return any(name is not False for name in named) and False not in held


def _names(name: str, party: Party) -> bool | None:
    subject = SUBJECTS[name]
    if "user" in subject:
        return party.type == "user" and party.id == subject["user"]["name"]
    if "group" in subject:
        return party.type == "user" and subject["group"]["name"] in party.groups
    if party.id != f"system:serviceaccount:agents:{subject['serviceAccount']['name']}":
        return False
    if "workload" not in subject:
        return True
    return None if party.workload is None else party.workload.images <= {GOOD}


def _covers(entry: Object, call: Call) -> bool:
    return any(
        action == call.action.name or (action.endswith("*") and call.action.name.startswith(action[:-1]))
        for action in entry["actions"]
    ) and any(resource["type"] == call.resource.type for resource in entry["resources"])


def _under(entry: Object, call: Call) -> bool:
    return _covers(entry, call) and all(_truth(condition, call) is True for condition in entry.get("conditions", ()))


def _truth(condition: Object, call: Call) -> bool | None:
    return bool(call.context["on"]) if condition["expression"] == "context.on == true" else None


# ------------------------------------------------------------------ what must hold


@given(policies(), calls)
def test_a_chain_is_decided_as_the_design_says(spec: Object, call: Call) -> None:
    assert width(verdict_of(spec, call)) == expected(spec, call)


@given(policies(), calls)
def test_no_chain_is_wider_than_any_actor_of_it_alone(spec: Object, call: Call) -> None:
    found = WIDTH[width(verdict_of(spec, call))]
    for actor in call.actors:
        assert found <= WIDTH[width(verdict_of(spec, replace(call, subject=actor, actors=())))]


@given(policies(), calls, agents, st.integers(0, 5))
def test_one_more_actor_never_widens(spec: Object, call: Call, actor: Party, place: int) -> None:
    assume(call.actors)
    longer = replace(call, actors=(*call.actors[:place], actor, *call.actors[place:]))
    assert WIDTH[width(verdict_of(spec, longer))] <= WIDTH[width(verdict_of(spec, call))]


@given(policies(), calls)
def test_acting_for_somebody_never_passes_what_denies_or_gates_that_person(spec: Object, call: Call) -> None:
    own = verdict_of(spec, replace(call, actors=()))
    found = verdict_of(spec, call)
    if own.reason in {Reason.POLICY_DENIED, Reason.CONDITION_ERROR} and own.rule and own.rule.effect == "Deny":
        assert width(found) == "deny"
    if width(own) == "approval":
        assert width(found) != "allow"


@given(policies(), calls)
def test_the_order_of_a_chain_and_a_loop_in_it_change_nothing(spec: Object, call: Call) -> None:
    assume(0 < len(call.actors) <= 3)
    found = {width(verdict_of(spec, replace(call, actors=actors))) for actors in itertools.permutations(call.actors)}
    assert len(found) == 1
    looped = replace(call, actors=(*call.actors, call.actors[0]))
    depth = spec["endpointSettings"].get("delegation", {}).get("maxDepth", 0)
    assert width(verdict_of(spec, looped)) == ("deny" if len(looped.actors) > depth else found.pop())


@given(policies(), calls)
def test_a_denial_names_a_hop_that_fails_by_itself(spec: Object, call: Call) -> None:
    verdict = verdict_of(spec, call)
    if verdict.hop is None:
        return
    assert width(verdict) == "deny"
    assert verdict.hop in {party.id for party in call.actors} | {getattr(call.subject, "id", None)}
    if verdict.reason is Reason.NO_RULE:
        parties = [party for party in (*call.actors, call.subject) if getattr(party, "id", None) == verdict.hop]
        alone = [verdict_of(spec, replace(call, subject=party, actors=())) for party in parties]
        assert "deny" in {width(one) for one in alone}


@given(policies(), calls)
def test_a_workload_that_is_not_known_is_never_better_than_one_that_is(spec: Object, call: Call) -> None:
    assume(call.actors)

    def under(images: frozenset[str] | None) -> Width:
        workload = None if images is None else PodWorkload(images)
        return width(
            verdict_of(spec, replace(call, actors=tuple(replace(one, workload=workload) for one in call.actors)))
        )

    unknown = under(None)
    assert WIDTH[unknown] <= WIDTH[under(frozenset({GOOD}))]
    if unknown == "allow":
        assert under(frozenset({GOOD, BAD})) == "allow"


DAVE: Final = Party("user", "dave", "corp#dave", issuer="corp")


@example(set(), {"worker"}, ["dave"], [agent("worker", frozenset({GOOD, BAD}))], DAVE)
@example({"worker"}, set(), ["dave"], [agent("worker", None), agent("planner", None)], DAVE)
@given(
    st.sets(st.sampled_from(AGENTS)),
    st.sets(st.sampled_from(AGENTS)),
    st.lists(st.sampled_from([*PEOPLE, *GROUPS]), min_size=1, unique=True),
    st.lists(
        st.builds(
            agent,
            st.sampled_from(AGENTS),
            st.none() | st.frozensets(st.sampled_from([GOOD, BAD]), min_size=1),
        ),
        min_size=1,
        max_size=4,
    ),
    people,
)
def test_a_chain_passes_exactly_where_each_hop_of_it_does(
    free: set[str], approved: set[str], principals: list[str], chain: list[Party], person: Party
) -> None:
    """Nothing else stands in the way here, so that one hop that is not judged would show."""
    named = [*free, *(f"{name}-approved" for name in approved)]
    everything: Object = {"actions": ["*"], "resources": [{"type": "ticket", "ids": ["*"]}]}
    rule: Object = {"name": "r", "effect": "Allow", "subjects": named or ["sales"], **everything}
    spec: Object = {
        "endpoint": "desk",
        "endpointSettings": {
            "enforcers": [{"namespace": "crm", "name": "crm-api"}],
            "delegation": {"maxDepth": 4, "principals": principals, "ceiling": [everything]},
        },
        "subjects": [{"name": name, **subject} for name, subject in SUBJECTS.items()],
        "rules": [rule],
    }
    call = Call("crm", "desk", ENFORCER, person, Action("tickets.get"), Resource("ticket", "1"), {}, tuple(chain))

    def passes(actor: Party) -> bool:
        name = actor.id.rpartition(":")[2]
        known_good = actor.workload is not None and actor.workload.images == {GOOD}
        return name in free or (name in approved and known_good)

    represented = person.id in principals or not set(person.groups).isdisjoint(principals)
    assert (width(verdict_of(spec, call)) == "allow") == (represented and all(map(passes, chain)))


@given(policies(), calls)
def test_what_was_weighed_are_the_candidates_of_every_party(spec: Object, call: Call) -> None:
    # A record tells what the candidates read, by what was weighed.
    snapshot = compiled(json.dumps(spec))
    verdict, hops = evaluate_hops(snapshot, call, (), Circumstances(NOW))
    assert verdict == verdict_of(spec, call)
    person = call.subject
    if hops is None or not isinstance(person, Party):
        assert verdict.rule is None
        return
    endpoint = snapshot.endpoints["crm", "desk"]
    found = [rule.name for party in (*call.actors, person) for rule, _ in candidates(endpoint, call, party)]
    assert [finding.rule.name for hop in hops for finding in hop.findings] == found
