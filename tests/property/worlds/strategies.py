"""Worlds to decide in: a few policies of one endpoint, a call, and grants that fit it or nearly do.

Holds: names are few, so that rules meet calls often; of what is broken it is always known how it was broken.
"""

import copy
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from bailiwick_engine.approval import grants as approval
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount, UnprovenParty
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, CompiledSettings, PolicyRef
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from property.worlds import reference
from property.worlds.reference import Facts, Truth, World
from unit.engine.cases import NOW, at

Object = dict[str, Any]

NAMESPACE: Final = "crm"
ENDPOINT: Final = "crm-api"
ENFORCER: Final = {"username": "system:serviceaccount:crm:crm-api", "uid": "enforcer-uid"}
STRANGER: Final = {"username": "system:serviceaccount:crm:stranger", "uid": "stranger-uid"}
AGENTS: Final = ("one", "two")
PEOPLE: Final = ("carol", "dave", "erin", "frank")
ROBOTS: Final = tuple(f"system:serviceaccount:ci:{name}" for name in ("r1", "r2"))


def mostly(usual: object, *others: object, odds: int = 3) -> st.SearchStrategy[Any]:
    """Draw the usual value so many times as often as all others together."""
    # Made once: hypothesis checks a strategy when it is first drawn from, and that takes longer than drawing.
    key = f"{usual!r} {others!r} {odds}"
    if key not in _MOSTLY:
        _MOSTLY[key] = st.sampled_from([usual] * (odds * len(others)) + list(others))
    return _MOSTLY[key]


_MOSTLY: Final[dict[str, st.SearchStrategy[Any]]] = {}


def seldom() -> st.SearchStrategy[bool]:
    """Draw True one time in eight."""
    return mostly(False, True, odds=7)


# ------------------------------------------------------------------ conditions of known truth


def _greater(context: Object) -> Truth:
    n = context.get("n", "")
    return "error" if isinstance(n, str) else "true" if n > 1 else "false"


def _not(truth: Truth) -> Truth:
    return {"true": "false", "false": "true", "error": "error"}[truth]  # type: ignore[return-value]  # a Truth


EXPRESSIONS: Final[dict[str, Callable[[Object], Truth]]] = {
    "true": lambda _: "true",
    "false": lambda _: "false",
    "1 / 0 == 1": lambda _: "error",
    "context.nothing == 1": lambda _: "error",
    "context.n > 1": _greater,
    "variables.greater": _greater,
    "!variables.twice": lambda context: _not(_greater(context)),
    "variables.greater || true": lambda _: "true",
    "variables.greater && false": lambda _: "false",
    "has(context.n)": lambda context: "true" if "n" in context else "false",
}
VARIABLES: Final = [
    {"name": "greater", "expression": "context.n > 1"},
    {"name": "twice", "expression": "variables.greater == true"},
]

# ------------------------------------------------------------------ policies


SUBJECTS: Final = [
    {"name": agent, "serviceAccount": {"namespace": "agents", "name": f"agent-{agent}"}} for agent in AGENTS
]
GROUPS: Final = {
    "Human": (["owners"], ["owners", "leads"]),
    "System": (["system:serviceaccounts"], ["system:serviceaccounts:crm", "system:authenticated"]),
}
SETTINGS: Final = {"enforcers": [{"namespace": "crm", "name": "crm-api"}]}


@st.composite
def approvals(draw: st.DrawFn) -> Object:
    """Draw what an approval takes."""
    kinds = draw(mostly(["Human"], ["System"], ["Human", "System"], ["Human", "Human"]))
    steps: list[Object] = []
    for number, kind in enumerate(kinds):
        step: Object = {"name": f"s{number}", "kind": kind, "count": draw(mostly(1, 2))}
        if draw(st.booleans()):
            step["groups"] = draw(st.sampled_from(GROUPS[kind]))
        steps.append(step)
    return {"steps": steps, "windowSeconds": draw(mostly(600, 60)), "maxUses": draw(mostly(1, 3))}


@st.composite
def rules(draw: st.DrawFn, name: str) -> Object:
    """Draw a rule that more often than not speaks of the call."""
    effect = draw(st.sampled_from(["Allow", "Allow", "RequireApproval", "RequireApproval", "Deny"]))
    kind = draw(mostly("customer", "order", odds=6))
    entry: Object = {"type": kind, "ids": draw(mostly(["*"], ["a/*"], ["a/1"], ["1", "2"]))}
    if draw(seldom()):
        entry["properties"] = draw(mostly({"env": ["prod"]}, {"env": ["prod", "test"]}, {"env": ["x"], "zone": ["a"]}))
    rule: Object = {
        "name": name,
        "effect": effect,
        "subjects": draw(mostly(["one"], ["one", "two"], ["two"])),
        "actions": draw(mostly(["customers.export"], ["customers.*"], ["*"], ["customers.list", "customers.export"])),
        "resources": [entry],
    }
    if draw(st.booleans()):
        texts = draw(st.lists(st.sampled_from(sorted(EXPRESSIONS)), min_size=1, max_size=2))
        rule["conditions"] = [{"name": f"c{number}", "expression": text} for number, text in enumerate(texts)]
    if effect == "RequireApproval":
        rule["approval"] = draw(approvals())
    if effect != "Deny":
        if draw(seldom()):
            rule["intents"] = ["support"]
        if draw(seldom()):
            rule["expireTime"] = at(draw(st.sampled_from([-60, 0, 60])))
    return rule


@st.composite
def policies(draw: st.DrawFn, name: str, *, carries: bool) -> Facts:
    """Draw a stored policy and what is true of it."""
    names = [f"r{number}" for number in range(draw(st.integers(1, 3)))]
    spec: Object = {
        "endpoint": draw(mostly(ENDPOINT, "other", odds=15)),
        "subjects": SUBJECTS,
        "variables": VARIABLES,
        "rules": [draw(rules(rule)) for rule in names],
    }
    if carries:
        spec["endpointSettings"] = SETTINGS
    for field, value in (("mode", "Audit"), ("suspend", True), ("expireTime", at(draw(st.sampled_from([0, 60]))))):
        if draw(seldom()):
            spec[field] = value
    facts = Facts(
        {"metadata": {"namespace": NAMESPACE, "name": name, "uid": f"{name}-uid", "generation": 1}, "spec": spec}
    )
    damage: Callable[[Facts], Facts] = draw(mostly(sound, *DAMAGES, odds=12))
    return damage(facts)


def sound(facts: Facts) -> Facts:
    """Leave it whole."""
    return facts


def with_spec(facts: Facts, **spec: object) -> Facts:
    """Return the policy with other fields of `spec`; `...` removes one."""
    merged = {name: value for name, value in {**facts.raw["spec"], **spec}.items() if value is not ...}
    return replace(facts, raw={**facts.raw, "spec": merged})


def misspelled(facts: Facts) -> Facts:
    """Break an expression."""
    bad = {"name": "bad", "expression": "context.n >"}
    first, *others = facts.raw["spec"]["rules"]
    return replace(with_spec(facts, rules=[{**first, "conditions": [bad]}, *others]), compiles=False)


def without_actions(facts: Facts) -> Facts:
    """Break the rules, so that the schema refuses them."""
    first, *others = facts.raw["spec"]["rules"]
    return replace(with_spec(facts, rules=[{**first, "actions": []}, *others]), compiles=False)


def without_subjects(facts: Facts) -> Facts:
    """Leave nothing that says whom it speaks of."""
    return replace(with_spec(facts, subjects=[]), compiles=False, subjects_readable=False)


def without_endpoint(facts: Facts) -> Facts:
    """Leave nothing that says of which endpoint it speaks."""
    return replace(with_spec(facts, endpoint=...), compiles=False, endpoint_readable=False)


def with_wrong_settings(facts: Facts) -> Facts:
    """Break the settings, if it carries any."""
    if "endpointSettings" not in facts.raw["spec"]:
        return facts
    return replace(with_spec(facts, endpointSettings={"enforcers": []}), compiles=False, settings_readable=False)


DAMAGES: Final = (misspelled, without_actions, without_subjects, without_endpoint, with_wrong_settings)

# ------------------------------------------------------------------ calls


@st.composite
def calls(draw: st.DrawFn) -> Object:
    """Draw a call as plain JSON."""
    agent = draw(mostly("one", "two", "three", odds=4))
    account = {"username": f"system:serviceaccount:agents:agent-{agent}", "uid": f"{agent}-uid"}
    subject: Any = {"type": "serviceAccount", "id": account["username"], "uid": account["uid"]}
    if draw(seldom()):
        subject["properties"] = draw(st.sampled_from([{}, {"act": {"sub": "x"}}, {"team": "a"}]))
    if draw(mostly(False, True, odds=20)):
        subject = "identity_invalid"
    resource: Object = {"type": draw(mostly("customer", "order", odds=9)), "id": draw(mostly("a/1", "1", "a/", "*"))}
    if draw(st.booleans()):
        resource["properties"] = draw(
            mostly({"env": "prod"}, {}, {"env": "test"}, {"env": 1}, {"env": None}, {"env": ["prod"]}, {"zone": "a"})
        )
    context: Object = {}
    for name, values in CONTEXT.items():
        if draw(st.booleans()):
            context[name] = draw(values)
    if draw(mostly(False, True, odds=20)):
        context["args_digest"] = "sha256:"
    return {
        "namespace": NAMESPACE,
        "endpoint": draw(mostly(ENDPOINT, "other", "nowhere", odds=15)),
        "caller": draw(mostly(ENFORCER, account, account, STRANGER, odds=4)),
        "subject": subject,
        "action": {"name": draw(mostly("customers.export", "customers.list", "customers.", "orders.get", odds=4))},
        "resource": resource,
        "context": context,
        "dry_run": draw(seldom()),
    }


CONTEXT: Final[dict[str, st.SearchStrategy[Any]]] = {
    "intent": mostly("support", "sales", ["support"], None),
    "n": st.sampled_from([0, 1, 2, 3, "x"]),
    "args": mostly({"a": 1}, {}, {"a": [1, {"b": "c"}]}, {"a": "1"}, None, "all"),
}

# ------------------------------------------------------------------ grants


@st.composite
def grants(draw: st.DrawFn, number: int, call: Object, gates: Sequence[tuple[Facts, Object, str]]) -> Object:
    """Draw a grant for this call before one of these gates, whole or spoilt in a place or two."""
    # Mostly of one rule, else of two that may both stand before the call.
    count = draw(mostly(1, 2, odds=4)) if len(gates) > 1 else 1
    named = draw(st.lists(st.sampled_from(range(len(gates))), min_size=count, max_size=count, unique=True))
    chosen = [gates[index] for index in sorted(named)]
    approval_of = {name: min(rule["approval"][name] for _, rule, _ in chosen) for name in ("windowSeconds", "maxUses")}
    digest = reference.digest(call)
    steps = [
        {
            **step,
            "name": f"{facts.raw['metadata']['name']}.{rule['name']}.{step['name']}",
            "policy": facts.raw["metadata"]["name"],
        }
        for facts, rule, _ in chosen
        for step in rule["approval"]["steps"]
    ]
    people, robots, reviews = list(PEOPLE), list(ROBOTS), []
    for step in steps:
        for _ in range(step["count"]):
            ready = people if step["kind"] == "Human" else robots
            if not ready:
                break
            review = {"reviewer": ready.pop(0), "step": step["name"], "decision": "Approve", "binding": digest}
            reviews.append(review | ({"group": step["groups"][0]} if "groups" in step else {}))
    intent = call["context"].get("intent")
    grant: Object = {
        "metadata": {
            "namespace": call["namespace"],
            "name": f"agr-{number}",
            "uid": f"grant-{number}",
            "resourceVersion": "1",
            "creationTimestamp": at(draw(st.integers(-15, -5))),
        },
        "spec": {
            "request": {
                "endpoint": call["endpoint"],
                "rules": [
                    {
                        "policy": facts.raw["metadata"]["name"],
                        "uid": facts.raw["metadata"]["uid"],
                        "rule": rule["name"],
                        "ruleDigest": rule_digest,
                    }
                    for facts, rule, rule_digest in chosen
                ],
                "requester": dict(ENFORCER),
                "subject": {name: call["subject"][name] for name in ("type", "id", "uid")},
                "action": call["action"],
                "resource": {name: call["resource"][name] for name in ("type", "id")},
                **({"intent": intent} if isinstance(intent, str) else {}),
                "binding": {"mode": "Exact", "digest": digest},
                "display": reference.display_of(call),
                "steps": steps,
                "origin": "Requested",
                "pendingUntilTime": at(600),
                "windowSeconds": approval_of["windowSeconds"],
                "maxUses": approval_of["maxUses"],
            },
            "reviews": reviews,
        },
        "status": {
            "phase": "Active",
            "approvedTime": at(-5),
            "notAfterTime": at(approval_of["windowSeconds"] - 5 - draw(st.integers(0, 2))),
            "counted": [{"reviewer": review["reviewer"]} for review in reviews],
        },
    }
    for spoil in draw(st.one_of(st.just([]), st.lists(st.sampled_from(SPOILS), min_size=1, max_size=2))):
        spoil(grant)
    return grant


def _status(**fields: object) -> Callable[[Object], None]:
    return lambda grant: grant.setdefault("status", {}).update(fields)


def _request(**fields: object) -> Callable[[Object], None]:
    return lambda grant: grant["spec"]["request"].update(fields)


def _review(**fields: object) -> Callable[[Object], None]:
    def spoil(grant: Object) -> None:
        for review in grant["spec"]["reviews"][:1]:
            review.update(fields)

    return spoil


def _drop_review(grant: Object) -> None:
    grant["spec"]["reviews"] = grant["spec"]["reviews"][1:]


def _void(grant: Object) -> None:
    # An earlier spoil may have taken the status away.
    status = grant.setdefault("status", {})
    status["voided"] = status.get("counted", [])[:1]


def _born(seconds: float) -> Callable[[Object], None]:
    return lambda grant: grant["metadata"].update(creationTimestamp=at(seconds))


def _use(seconds: float) -> Callable[[Object], None]:
    return _status(uses=1, useRecords=[{"key": "key", "time": at(seconds), "evaluationID": "eval"}])


def _exclude(grant: Object) -> None:
    grant["spec"]["request"]["excludedReviewers"] = [review["reviewer"] for review in grant["spec"]["reviews"]]


def _pend(grant: Object) -> None:
    grant["status"] = {"phase": "Pending", "counted": grant.get("status", {}).get("counted", [])}


def _ask_for_one_more(grant: Object) -> None:
    grant["spec"]["request"]["steps"][0]["count"] += 1


SPOILS: Final[list[Callable[[Object], None]]] = [
    _pend,
    _request(pendingUntilTime=at(0)),
    _review(decision="Deny"),
    _drop_review,
    _void,
    _exclude,
    _ask_for_one_more,
    _review(binding="sha256:" + "0" * 64),
    _review(group="others"),
    _review(step="another"),
    _review(reviewer="system:serviceaccount:ci:x"),
    _status(counted=[]),
    _status(uses=1),
    _status(uses=2),
    _status(notAfterTime=at(0)),
    _status(notAfterTime=at(700)),
    _status(approvedTime=at(-700)),
    _status(approvedTime=at(31)),
    _status(approvedTime=at(20)),
    _born(-4),
    _born(40),
    _born(-3100),
    _use(-100),
    _use(620),
    _use(-5),
    _request(windowSeconds=10),
    _request(maxUses=1),
    _request(requester={"username": "carol"}),
    _request(endpoint="other"),
    _request(intent="audit"),
    _request(display=[{"name": "args", "value": "less"}]),
    _request(actors=[{"id": "x"}]),
    _request(binding={"mode": "Exact", "digest": "sha256:" + "0" * 64}),
    lambda grant: grant["spec"]["request"]["subject"].update(uid="new-uid"),
    lambda grant: grant["spec"]["request"]["rules"][0].update(uid="new-uid"),
    lambda grant: grant["spec"]["request"]["rules"][0].update(ruleDigest="v1:" + "0" * 64),
    lambda grant: grant["spec"].update(revocation={"by": "carol"}),
    lambda grant: grant["metadata"].update(deletionTimestamp=at(-1)),
    lambda grant: grant["metadata"].update(namespace="other"),
    lambda grant: grant.pop("status", None) and None,
    *(_status(phase=phase) for phase in ("Denied", "Expired", "Withdrawn", "Consumed", "Lapsed", "Revoked")),
]

# ------------------------------------------------------------------ worlds


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw policies, a call and grants; every other time before a gate that speaks of the call."""
    gated = draw(st.booleans())
    names = draw(st.sampled_from(["a", "ab"] if gated else ["a", "ab", "abc", "abcd"]))
    carrying = draw(mostly([0], [], [0, 1], odds=10))
    made = [draw(policies(name, carries=number in carrying)) for number, name in enumerate(names)]
    call = draw(calls())
    if gated:
        made[0] = replace(made[0], raw=draw(gated_policies()).raw, **WHOLE)
        call = {**call, **USUAL, "resource": {**call["resource"], "type": "customer"}}
    gates = gates_of(made)
    count = draw(st.sampled_from([1, 2, 3, 0])) if gates and not isinstance(call["subject"], str) else 0
    return World(
        policies=made,
        call=call,
        grants=[draw(grants(number, call, gates)) for number in range(count)],
        now=NOW,
        truths={text: truth(call["context"]) for text, truth in EXPRESSIONS.items()},
        rule_digests=digests_of(made),
        freshness=draw(mostly("fresh", "stale", "dead", odds=9)),
        guard_proven=draw(mostly(True, False, odds=9)),
        people=PEOPLE,
    )


WHOLE: Final = {"compiles": True, "endpoint_readable": True, "subjects_readable": True, "settings_readable": True}
USUAL: Final[Object] = {
    "endpoint": ENDPOINT,
    "caller": ENFORCER,
    "subject": {"type": "serviceAccount", "id": "system:serviceaccount:agents:agent-one", "uid": "one-uid"},
    "action": {"name": "customers.export"},
}


@st.composite
def gated_policies(draw: st.DrawFn) -> Facts:
    """Draw the first policy of an endpoint, whole, with a gate before the usual call."""
    gate = draw(rules("gate")) | {
        "effect": "RequireApproval",
        "subjects": ["one"],
        "actions": ["customers.*"],
        "resources": [{"type": "customer", "ids": ["*"]}],
        "approval": draw(approvals()),
    }
    spec = {
        "endpoint": ENDPOINT,
        "endpointSettings": SETTINGS,
        "subjects": SUBJECTS,
        "variables": VARIABLES,
        "rules": [gate, *draw(st.lists(rules("other"), max_size=1))],
    }
    return Facts({"metadata": {"namespace": NAMESPACE, "name": "a", "uid": "a-uid", "generation": 1}, "spec": spec})


def gates_of(made: Sequence[Facts]) -> list[tuple[Facts, Object, str]]:
    """Return each RequireApproval rule of the policies that compile, with its digest."""
    digests = digests_of(made)
    return [
        (facts, rule, digests[facts.raw["metadata"]["uid"], rule["name"]])
        for facts in made
        if facts.compiles
        for rule in facts.raw["spec"]["rules"]
        if rule["effect"] == "RequireApproval"
    ]


def digests_of(made: Sequence[Facts]) -> dict[tuple[str, str], str]:
    """Return the digests that grants have of rules, as the engine makes them; the reference takes them as given."""
    compiled = [compiled_of(facts.raw) for facts in made]
    endpoints = Snapshot.of(compiled).endpoints
    found: dict[tuple[str, str], str] = {}
    for policy in compiled:
        settings = endpoints[policy.ref.namespace, policy.endpoint].settings if policy.endpoint is not None else None
        for rule in policy.rules if isinstance(policy, CompiledPolicy) else ():
            if rule.gate is not None:
                # An endpoint without settings denies, whatever grants there are.
                gate = (settings or _NOBODYS).gate(rule.gate, rule.actions)
                found[policy.ref.uid, rule.name] = gate.rules[0].rule_digest
    return found


_NOBODYS: Final = CompiledSettings(
    PolicyRef("", "", "", 0), frozenset(), frozenset(), asserted=False, issuers=frozenset(), delegation=None
)


# ------------------------------------------------------------------ to the engine


def compiled_of(raw: reference.Object) -> CompiledPolicy | BrokenPolicy:
    """Compile, or take what was compiled from the same text before."""
    return _compiled(json.dumps(raw))


@functools.lru_cache(maxsize=4096)
def _compiled(text: str) -> CompiledPolicy | BrokenPolicy:
    return compile_object(json.loads(text))


def call_of(plain: reference.Object) -> Call:
    """Return the call as the engine takes it."""
    subject = plain["subject"]
    return Call(
        namespace=plain["namespace"],
        endpoint=plain["endpoint"],
        caller=ServiceAccount(**plain["caller"]),
        subject=UnprovenParty(Reason(subject))
        if isinstance(subject, str)
        else Party(subject["type"], subject["id"], subject["uid"], {}, subject.get("properties")),
        action=Action(plain["action"]["name"], plain["action"].get("properties")),
        resource=Resource(plain["resource"]["type"], plain["resource"]["id"], plain["resource"].get("properties")),
        context=plain["context"],
        dry_run=plain.get("dry_run", False),
    )


def grants_of(world: World) -> list[Grant]:
    """Return the grants as the engine takes them; each can be read."""
    parsed = [approval.parse(copy.deepcopy(dict(raw))) for raw in world.grants]
    assert None not in parsed
    return [grant for grant in parsed if grant is not None]


def verdict_of(world: World, *, outdated: bool = False) -> Verdict:
    """Let the engine decide."""
    snapshot = Snapshot.of(compiled_of(facts.raw) for facts in world.policies)
    freshness = Freshness[world.freshness.upper()]
    around = Circumstances(world.now, freshness, world.guard_proven, outdated=outdated)
    return decide(snapshot, call_of(world.call), grants_of(world), around)
