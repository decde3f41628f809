"""Differences of policies, held against every call of a small world that the engine decides on both sides.

Holds: the world is spelled out here and knows nothing of regions: each subject, action, resource, property, purpose and
outcome of each condition. What is said to be the same or narrower lets no call further; what is said to be wider does.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from hypothesis import given, strategies as st

from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource, ServiceAccount
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.policy.model import CompiledCondition, CompiledPolicy, CompiledRule
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.truth import UNKNOWN, Truth
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.compare import compare, worst
from property.regions.kindworld import GateWorld
from property.worlds.strategies import compiled_of, mostly
from unit.engine.cases import ENFORCER, NAMESPACE, NOW, at

Object = dict[str, Any]

# What no expression says of itself: each is true, false or unknown in some call, whatever the others are.
FREE: Final = ("size(context.a) > 1", "context.b.startsWith('x')")
AGENT: Final = "system:serviceaccount:agents:agent-"
FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
ONE: Final[Object] = {"serviceAccount": {"namespace": "agents", "name": "agent-one"}}
PODS: Final[tuple[Object, ...]] = (
    {"name": "first", **ONE, "workload": {"imageDigests": [FIRST]}},
    {"name": "either", **ONE, "workload": {"imageDigests": [FIRST, SECOND]}},
    {"name": "web", **ONE, "workload": {"imageDigests": [SECOND], "podSelector": {"matchLabels": {"app": "web"}}}},
)
SUBJECTS: Final = [
    {"name": "one", **ONE},
    *PODS,
    {"name": "two", "serviceAccount": {"namespace": "agents", "name": "agent-two"}},
    {"name": "carol", "user": {"issuer": "corp", "name": "carol"}},
    {"name": "staff", "group": {"issuer": "corp", "name": "staff"}},
    {"name": "leads", "group": {"issuer": "corp", "name": "leads"}},
]
DELEGATION: Final = {
    "maxDepth": 1,
    "principals": ["carol", "staff"],
    "ceiling": [{"actions": ["*"], "resources": [{"type": "t", "ids": ["*"]}]}],
}
PEOPLE: Final = [
    Party("user", name, f"corp#{name}", issuer="corp", groups=groups)
    for name in ("carol", "dave")
    for groups in ((), ("staff",), ("leads",), ("leads", "staff"))
]
ACCOUNTS: Final = [Party("serviceAccount", f"{AGENT}{name}", f"{name}-uid") for name in ("one", "two", "three")]
# What agent-one may call from; None: it is not known.
WORKLOADS: Final = (
    None,
    *(
        PodWorkload(frozenset(images), labels)
        for images in ((FIRST,), (SECOND,), (FIRST, SECOND), ("sha256:other",), ())
        for labels in ({}, {"app": "web"}, {"app": "x"})
    ),
)
ACTIONS: Final = ("a.x", "a.y", "a.z", "b", "c")
# The last is of no list: a pattern may be all that speaks of it.
IDS: Final = ("1", "p/1", "p/2", "q", "z")
KINDS: Final = ("t", "u")
PROPERTIES: Final[tuple[Mapping[str, str] | None, ...]] = (None, {"env": "prod"}, {"env": "test"}, {"env": "x"})
INTENTS: Final = (None, "support", "sales")
TIMES: Final = (NOW, NOW + 60, NOW + 120)
OUTCOMES: Final[tuple[Truth, ...]] = (True, False, UNKNOWN)
# Of `context.n`, for the comparisons that `EXPRESSIONS` has: at each constant of them, beside it and between.
NUMBERS: Final[tuple[Any, ...]] = (None, 0, 1, 1.5, 2, 3, "x")
# With it, no condition can say anything of a call, not even one that reads nothing.
CUT: Final = "\0"
EXPRESSIONS: Final = (
    *FREE,
    *("context.n > 1", "context.n >= 2", "context.n == 1", "context.n in [1, 2]", "2 > context.n"),
    *(f"{FREE[0]} && context.n > 1", f"{FREE[0]} || {FREE[1]}", f"!({FREE[1]})", "true", "false"),
)


@st.composite
def approvals(draw: st.DrawFn) -> Object:
    """Draw what an approval takes."""
    step: Object = {"name": "s", "kind": "Human", "count": draw(mostly(1, 2))}
    if draw(st.booleans()):
        step["groups"] = draw(st.sampled_from([["owners"], ["leads", "owners"]]))
    return {"steps": [step], "windowSeconds": draw(mostly(600, 60)), "maxUses": draw(mostly(1, 3))}


@st.composite
def rules(draw: st.DrawFn, name: str) -> Object:
    """Draw a rule."""
    effect = draw(st.sampled_from(["Allow", "Allow", "RequireApproval", "Deny"]))
    entry: Object = {"type": draw(mostly("t", "u")), "ids": draw(mostly(["*"], ["p/*"], ["p/1"], ["1", "q"]))}
    if draw(st.booleans()):
        entry["properties"] = {"env": draw(st.sampled_from([["prod"], ["prod", "test"]]))}
    names = st.sampled_from(["one", "two", "carol", "staff", "leads", draw(mostly("one", "first", "either", "web"))])
    rule: Object = {
        "name": name,
        "effect": effect,
        "subjects": draw(st.lists(names, min_size=1, max_size=2, unique=True)),
        "actions": draw(mostly(["*"], ["a.*"], ["a.x", "b"], ["a.y"])),
        "resources": [entry],
    }
    if draw(st.booleans()):
        texts = draw(st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=draw(mostly(1, 2)), unique=True))
        rule["conditions"] = [{"name": f"c{number}", "expression": text} for number, text in enumerate(texts)]
    if effect == "RequireApproval":
        rule["approval"] = draw(approvals())
    if effect != "Deny":
        if draw(mostly(False, True)):
            rule["intents"] = ["support"]
        if draw(mostly(False, True)):
            rule["expireTime"] = at(draw(st.sampled_from([-60, 60, 120])))
    return rule


@st.composite
def policies(draw: st.DrawFn) -> Object:
    """Draw a policy of one to three rules."""
    spec: Object = {
        "endpoint": "api",
        "endpointSettings": {"enforcers": [{"namespace": "crm", "name": "crm-api"}], "delegation": DELEGATION},
        "subjects": SUBJECTS,
        "rules": [draw(rules(f"r{number}")) for number in range(draw(st.integers(1, 3)))],
    }
    if draw(mostly(False, True, odds=7)):
        spec["suspend"] = True
    return {"metadata": {"namespace": NAMESPACE, "name": "a", "uid": "a-uid", "generation": 1}, "spec": spec}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Object, Object]:
    """Draw two policies: of nothing in common, or one rule apart."""
    base = draw(policies())
    if draw(mostly(False, True)):
        return base, draw(policies())
    head = copy.deepcopy(base)
    listed = head["spec"]["rules"]
    place = draw(st.integers(0, len(listed) - 1))
    changed = draw(rules(f"r{place}"))
    match draw(st.integers(0, 5)):
        case 5:
            # One rule in place of one for each of its subjects.
            rule = listed[place]
            each = [rule | {"name": f"{rule['name']}-{who}", "subjects": [who]} for who in rule["subjects"]]
            base["spec"]["rules"][place : place + 1] = each
        case 0:
            listed.append(changed | {"name": "more"})
        case 1 if len(listed) > 1:
            listed.pop(place)
        case 2:
            listed[place] = changed
        case _:
            # One field of it, as people change policies.
            field = draw(st.sampled_from(["subjects", "actions", "resources", "conditions", "approval", "intents"]))
            gated = listed[place]["effect"] == "RequireApproval"
            if field == "approval" and gated:
                listed[place][field] = draw(approvals())
            elif (
                field in changed
                and field != "approval"
                and not (field == "intents" and listed[place]["effect"] == "Deny")
            ):
                listed[place][field] = changed[field]
            elif field in {"conditions", "intents"}:
                listed[place].pop(field, None)
    return base, head


@dataclass(frozen=True, slots=True)
class Told(CompiledCondition):
    """A condition of which the free expressions are as the test says; all else the engine evaluates."""

    free: dict[str, Truth]

    def outcome(self, inputs: Inputs) -> Truth:
        text = self.expression.text
        if not inputs.whole:
            return UNKNOWN
        first, second = (self.free[one] for one in FREE)
        if text in self.free:
            return self.free[text]
        if text == EXPRESSIONS[-4 - 1]:
            return meet(first, CompiledCondition.outcome(self._number(), inputs))
        if text == f"{FREE[0]} || {FREE[1]}":
            return turned(meet(turned(first), turned(second)))
        if text == f"!({FREE[1]})":
            return turned(second)
        return CompiledCondition.outcome(self, inputs)

    def _number(self) -> CompiledCondition:
        expression = self.scope.condition("context.n > 1", "")
        assert not isinstance(expression, tuple)
        return CompiledCondition(
            self.name, expression, None, self.scope, self.cost, self.light, self.reads, frozenset()
        )


def turned(truth: Truth) -> Truth:
    """Not (Kleene)."""
    return (not truth) if isinstance(truth, bool) else truth


def meet(one: Truth, other: Truth) -> Truth:
    """And (Kleene)."""
    if one is False or other is False:
        return False
    return UNKNOWN if UNKNOWN in {one, other} else True


def told(policy: CompiledPolicy, free: dict[str, Truth]) -> CompiledPolicy:
    """Return a policy whose conditions come to what the test says."""
    made = []
    for rule in policy.rules:
        stood = tuple(Told(*one.parts, free) for one in rule.conditions)
        made.append(replace(rule, conditions=stood))
    return replace(policy, rules=tuple(made))


def compiled(raw: Object) -> CompiledPolicy:
    """Compile; what is drawn here always does."""
    policy = compiled_of(raw)
    assert isinstance(policy, CompiledPolicy), raw
    return policy


def calls(listed: list[CompiledRule], intents: tuple[str | None, ...]) -> list[Call]:
    """Return every call of the world, without what conditions see; of those that meet the same rules the first.

    What a rule meets is asked of the rule, one name, resource and party at a time.
    """

    def met(asked: Iterable[bool]) -> int:
        return sum(1 << place for place, held in enumerate(asked) if held)

    parties = [(one, met(not one.keys.isdisjoint(rule.subjects) for rule in listed)) for one in (*ACCOUNTS, *PEOPLE)]
    if any(rule.workloads for rule in listed):
        # The first account; the others call from nowhere that is known.
        parties += [(calling(one), parties[0][1]) for one in WORKLOADS if one is not None]
    actions = [(name, met(name in rule.actions for rule in listed)) for name in ACTIONS]
    resources = [Resource(kind, name, held) for kind, name, held in product(KINDS, IDS, PROPERTIES)]
    covered = [(one, met(rule.covers(one) for rule in listed)) for one in resources]
    own = [((party, ()), mask, 0) for party, mask in parties]
    people = [one for one in parties if one[0].type == "user"]
    chains = [*own, *(((party, (ACCOUNTS[0],)), mask, parties[0][1]) for party, mask in people)]
    found: dict[object, Call] = {}
    for (chain, subject, actor), (action, named), (resource, held) in product(chains, actions, covered):
        place = (bool(chain[1]), subject & named & held, actor & named & held, bool(chain[1]) and resource.type == "t")
        if place[1] | place[2]:
            pods = tuple(rule.names(chain[0]) for rule in listed if rule.workloads)
            for intent in intents:
                found.setdefault((*place, pods, intent), _call(chain, action, resource, intent))
    return list(found.values())


def calling(workload: PodWorkload) -> Party:
    """Return the first account as it calls from there."""
    one = ACCOUNTS[0]
    return Party(one.type, one.id, one.uid, workload=workload)


def _call(chain: tuple[Party, tuple[Party, ...]], action: str, resource: Resource, intent: str | None) -> Call:
    return Call(
        namespace=NAMESPACE,
        endpoint="api",
        caller=ServiceAccount(ENFORCER.username, "~"),
        subject=chain[0],
        action=Action(action),
        resource=resource,
        context={} if intent is None else {"intent": intent},
        actors=chain[1],
    )


def worlds(raws: Iterable[Object]) -> Iterator[tuple[dict[str, Truth], Any]]:
    """Yield every outcome of the free expressions, with every number, as far as these policies ask for them."""
    texts = {one["expression"] for raw in raws for rule in raw["spec"]["rules"] for one in rule.get("conditions") or ()}
    choices = [OUTCOMES if any(one in text for text in texts) else (True,) for one in FREE]
    numbers = NUMBERS if any("context.n" in text for text in texts) else (None,)
    if texts:
        numbers = (*numbers, CUT)
    for first, second, number in product(*choices, numbers):
        yield {FREE[0]: first, FREE[1]: second}, number


GATES: Final = GateWorld()


def step(base: Verdict, head: Verdict) -> int:
    """Return 1 where the head lets something further, else -1 where it lets something less far, 0 where the same."""
    return 1 if GATES.further(base, head) else -1 if GATES.further(head, base) else 0


def exhausted(raws: tuple[Object, Object]) -> set[int]:
    """Return every step that any call of the world takes."""
    found: set[int] = set()
    asked = [rule for raw in raws for rule in raw["spec"]["rules"]]
    listed = [rule for raw in raws for rule in compiled(raw).rules]
    some = calls(listed, INTENTS if any("intents" in rule for rule in asked) else INTENTS[:1])
    times = TIMES if any("expireTime" in rule for rule in asked) else TIMES[:1]
    for free, number in worlds(raws):
        sides = [Snapshot.of([told(compiled(raw), free)]) for raw in raws]
        for call in some:
            seen = call if number is None else with_number(call, number)
            for time in times:
                base, head = (decide(side, seen, (), Circumstances(now=time), "sha256:") for side in sides)
                found.add(step(base, head))
    return found


def with_number(call: Call, number: object) -> Call:
    """Return the call with `context.n`."""
    return Call(
        namespace=call.namespace,
        endpoint=call.endpoint,
        caller=call.caller,
        subject=call.subject,
        action=call.action,
        resource=call.resource,
        context={**call.context, "n": number},
        actors=call.actors,
    )


def disagreement(raws: tuple[Object, Object]) -> str | None:
    """Return in what the comparison and the world differ; None where they agree."""
    base, head = (Snapshot.of([compiled(raw)]) for raw in raws)
    changes = compare(base, head, NOW)
    said, seen = worst(changes), exhausted(raws)
    if 1 in seen and said not in {ChangeClass.WIDER, ChangeClass.MAY_WIDEN}:
        return f"a call widens, and it is said {said}"
    if said is ChangeClass.WIDER and 1 not in seen:
        return f"no call widens, and it is said {said}: {first(changes)}"
    return f"a call narrows, and it is said {said}" if said is ChangeClass.SAME and -1 in seen else None


def first(changes: tuple[Change, ...]) -> object:
    """Return the worst, for the message."""
    return next(iter(changes), None)


@given(pairs())
def test_a_difference_says_what_every_call_of_a_small_world_says(pair: tuple[Object, Object]) -> None:
    assert disagreement(pair) is None, pair


@given(policies())
def test_a_policy_is_the_same_as_itself(raw: Object) -> None:
    base, head = (Snapshot.of([compiled(raw)]) for _ in range(2))
    assert compare(base, head, NOW) == ()
