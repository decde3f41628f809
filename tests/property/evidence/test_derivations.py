"""Every record of a decision derives again from the texts of its policies, whatever policies, call and grants."""

import json
from collections.abc import Iterable
from typing import Any, Final

from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Action, Call, Party, PodWorkload, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_webhook.record.line import RecordLines
from property.worlds.reference import World
from property.worlds.strategies import call_of, compiled_of, grants_of, mostly, seldom, worlds
from support.derivations import HOLDS, derivations, texts_of
from support.records import lines_of
from unit.engine.cases import NOW

Object = dict[str, Any]
ENFORCER: Final = ServiceAccount("system:serviceaccount:crm:crm-api", "enforcer-uid")
GOOD: Final = "sha256:" + "a" * 64
BAD: Final = "sha256:" + "b" * 64


def recorded(
    snapshot: Snapshot, call: Call, grants: Iterable[Grant], around: Circumstances, key: bytes | None, *, known: bool
) -> list[bytes]:
    """Decide and return the lines of the record. `known`: it is told what the verdict came from."""
    verdict, passed = evaluate_hops(snapshot, call, grants, around)
    used = None
    if verdict.outcome is Outcome.USE_GRANT and not verdict.dry_run:
        grant = verdict.grants[0]
        status = grant.status.model_copy(update={"uses": (grant.status.uses or 0) + 1})
        used = Grant(**{name: getattr(grant, name) for name in Grant.__dataclass_fields__} | {"status": status})
    return lines_of(
        RecordLines(key),
        snapshot,
        call,
        verdict,
        used=used,
        pending=3.0 if around.outdated else None,
        now=around.now + 0.001,
        judged=around.now,
        weighed=passed if known else None,
    )


def held(lines: list[bytes], specs: Iterable[object]) -> None:
    """Fail unless each record is derived or attested."""
    for record, found in derivations(lines, texts_of(specs)):
        broken = None in record.get("policies", {"": None}).values()
        assert found.kind in HOLDS or (broken and found.kind is DerivationClass.UNDERIVABLE), (
            found,
            json.dumps(record),
        )


@settings(max_examples=4 * settings().max_examples)
@given(worlds(), st.booleans(), st.booleans(), st.booleans())
def test_of_any_world(world: World, known: bool, outdated: bool, sealed: bool) -> None:
    snapshot = Snapshot.of(compiled_of(facts.raw) for facts in world.policies)
    around = Circumstances(
        world.now, Freshness[world.freshness.upper()], world.guard_proven, outdated=outdated and world.now > 0
    )
    lines = recorded(snapshot, call_of(world.call), grants_of(world), around, b"k" if sealed else None, known=known)
    held(lines, [facts.raw["spec"] for facts in world.policies])


# ------------------------------------------------------------------ what the other worlds have little of

CONDITIONS: Final = (
    "context.a.b == 1",
    "has(context.a.b)",
    "has(context.a.b.c)",
    "!has(context.a)",
    "context.?a.?b.orValue(2) == 2",
    "context.intent == ''",
    "has(context.intent.x)",
    "context.args.n > 1",
    "context != {}",
    "context['odd.name'] == 'x'",
    "subject.claims.team == 'red'",
    "has(subject.claims.nested.x)",
    "has(subject.properties.p.q)",
    "resource.properties.env == 'prod'",
    "resource.properties.size() > 0",
    "has(action.properties.dry)",
    "actor.?claims.?team.orValue('') == 'red'",
    "has(actor.id)",
    "variables.team == 'red'",
    "now < timestamp('2030-03-17T17:46:40Z')",
    "now.getSeconds() == 40",
    "[1, 2].exists(n, n == context.a.b)",
)
VALUES: Final = st.sampled_from(
    [
        1,
        2,
        1.0,
        1.5,
        "x",
        "",
        "red",
        None,
        True,
        [],
        [1],
        {},
        {"b": 1},
        {"b": {"c": 1}},
        {"x": 1},
        "y" * 300,
        "a\0b",
        2**60,
    ]
)
CONTEXT: Final = st.fixed_dictionaries(
    {},
    optional={
        "a": VALUES,
        "intent": st.sampled_from(["support", "", "sales", {"x": 1}, 1, None]),
        "args": st.sampled_from([{"n": 1}, {"n": 2}, {}, "all"]),
        "odd.name": VALUES,
        "large": st.just("z" * 3_000),
    },
)
PROPERTIES: Final = st.none() | st.fixed_dictionaries(
    {}, optional={"env": st.sampled_from(["prod", "test", "", 1, None]), "p": VALUES, "dry": VALUES}
)
CLAIMS: Final = st.fixed_dictionaries({}, optional={"team": st.sampled_from(["red", "blue", 1]), "nested": VALUES})
SUBJECTS: Final[list[Object]] = [
    {"name": "planner", "serviceAccount": {"namespace": "agents", "name": "planner"}},
    {
        "name": "approved",
        "serviceAccount": {"namespace": "agents", "name": "worker"},
        "workload": {"imageDigests": [GOOD], "podSelector": {"matchLabels": {"app": "worker"}}},
    },
    {"name": "dave", "user": {"issuer": "corp", "name": "dave"}},
    {"name": "support", "group": {"issuer": "corp", "name": "support"}},
    {"name": "sales", "group": {"issuer": "corp", "name": "sales"}},
]
NAMES: Final = [subject["name"] for subject in SUBJECTS]
SENSITIVE: Final = ("context.a", "context.a.b", "resource.properties.env", "subject.claims.team", "actor.claims.team")


@st.composite
def conditions(draw: st.DrawFn) -> Object:
    texts = draw(st.lists(st.sampled_from(CONDITIONS), max_size=2))
    return {"conditions": [{"name": f"c{number}", "expression": text} for number, text in enumerate(texts)]}


@st.composite
def specs(draw: st.DrawFn, *, carries: bool) -> Object:
    rules = []
    for number in range(draw(st.integers(1, 4))):
        effect = draw(st.sampled_from(["Allow"] * 4 + ["RequireApproval", "Deny"]))
        entry: Object = {"type": "ticket", "ids": draw(mostly(["*"], ["1"]))}
        if draw(mostly(False, True)):
            entry["properties"] = {"env": draw(st.sampled_from([["prod"], ["prod", "test"], ["other"]]))}
        rule: Object = {
            "name": f"r{number}",
            "effect": effect,
            "subjects": draw(st.just(NAMES) | st.lists(st.sampled_from(NAMES), min_size=1, unique=True)),
            "actions": draw(mostly(["tickets.*"], ["tickets.get"], ["*"])),
            "resources": [entry],
            **draw(conditions()),
        }
        if effect == "RequireApproval":
            rule["approval"] = {"steps": [{"name": "owner", "kind": "System"}]}
        if effect != "Deny" and draw(seldom()):
            rule["intents"] = ["support"]
        rules.append(rule)
    spec: Object = {
        "endpoint": "desk",
        "subjects": SUBJECTS,
        "variables": [{"name": "team", "expression": "subject.claims.team"}],
        "rules": rules,
    }
    if draw(mostly(False, True)):
        spec["sensitive"] = draw(st.lists(st.sampled_from(SENSITIVE), min_size=1, unique=True))
    if draw(seldom()):
        spec["mode"] = "Audit"
    if carries:
        ceiling = [
            {"actions": ["tickets.*"], "resources": [{"type": "ticket", "ids": ["*"]}], **draw(conditions())}
            for _ in range(draw(st.integers(1, 2)))
        ]
        spec["endpointSettings"] = {
            "enforcers": [{"namespace": "crm", "name": "crm-api"}],
            "identity": {"issuers": ["cluster", "corp"]},
            "delegation": {
                "maxDepth": draw(mostly(3, 1)),
                "principals": draw(mostly(["dave", "support"], ["support"], ["dave"])),
                "ceiling": ceiling,
                "principalMustBeEntitled": draw(st.booleans()),
            },
            **({"record": {"keep": ["context.a", "context.args", "actor.claims.team"]}} if draw(st.booleans()) else {}),
        }
    return spec


AGENTS: Final = st.builds(
    lambda name, claims, workload, properties: Party(
        "serviceAccount", f"system:serviceaccount:agents:{name}", f"{name}-uid", claims, properties, workload=workload
    ),
    mostly("planner", "worker", "stranger"),
    CLAIMS,
    st.none()
    | st.builds(
        PodWorkload,
        st.sets(st.sampled_from([GOOD, GOOD, BAD])).map(frozenset),
        st.sampled_from([{}, {"app": "worker", "x": "y"}, {"app": "other"}]),
    ),
    st.none(),
)
PEOPLE: Final = st.builds(
    lambda name, claims, groups, properties: Party(
        "user", name, f"corp#{name}", claims, properties, "corp", tuple(groups), username=name
    ),
    mostly("dave", "erin"),
    CLAIMS,
    st.lists(st.sampled_from(["support", "sales", "secret-society"]), unique=True),
    PROPERTIES,
)
CALLS: Final = st.builds(
    lambda subject, actors, action, resource, context: Call(
        "crm",
        "desk",
        ENFORCER,
        subject,
        Action(action[0], action[1]),
        Resource("ticket", "1", resource),
        context,
        actors,
    ),
    PEOPLE | AGENTS,
    st.just(()) | st.lists(AGENTS, max_size=3).map(tuple),
    st.tuples(mostly("tickets.get", "tickets.close"), PROPERTIES),
    PROPERTIES,
    CONTEXT,
)


def stored(specs: Iterable[Object], off: Iterable[bool]) -> list[Object]:
    made = []
    for name, spec, gone in zip("ab", specs, off, strict=True):
        metadata = {"namespace": "crm", "name": name, "uid": f"{name}-uid", "generation": 1}
        made.append({"metadata": metadata | ({"deletionTimestamp": "now"} if gone else {}), "spec": spec})
    return made


@settings(max_examples=4 * settings().max_examples)
@given(
    st.tuples(specs(carries=True), specs(carries=False)),
    st.tuples(seldom(), seldom()),
    CALLS,
    st.sampled_from([NOW, NOW + 0.25, NOW + 1e-6]),
    st.booleans(),
)
def test_of_chains_groups_workloads_and_sealed_values(
    made: tuple[Object, Object], off: tuple[bool, bool], call: Call, now: float, known: bool
) -> None:
    snapshot = Snapshot.of(compile_object(raw) for raw in stored(made, off))
    lines = recorded(snapshot, call, (), Circumstances(now), b"k" * 32, known=known)
    held(lines, made)
    assert b"secret-society" not in b"".join(lines)


@given(st.tuples(specs(carries=True), specs(carries=False)), CALLS)
def test_the_way_of_looking_for_candidates_changes_nothing(made: tuple[Object, Object], call: Call) -> None:
    snapshot = Snapshot.of(compile_object(raw) for raw in stored(made, (False, False)))
    lines = [recorded(snapshot, call, (), Circumstances(NOW), b"k", known=known)[-1] for known in (True, False)]
    told = [json.loads(line).get("attributes") for line in lines]
    assert told[0] is None or told[1] is None or told[0].items() <= told[1].items()


@given(
    st.tuples(specs(carries=True), specs(carries=False)),
    CALLS,
    st.sampled_from(["allowed", "no_rule", "policy_denied"]),
)
def test_another_reason_is_contradicted_unless_something_is_not_known(
    made: tuple[Object, Object], call: Call, reason: str
) -> None:
    snapshot = Snapshot.of(compile_object(raw) for raw in stored(made, (False, False)))
    line = json.loads(recorded(snapshot, replace(call), (), Circumstances(NOW), b"k", known=True)[-1])
    texts = texts_of(made)
    ((_, first),) = derivations([json.dumps(line)], texts)
    if first.kind is not DerivationClass.DERIVED or line["reason"] == reason:
        return
    ((_, found),) = derivations([json.dumps({**line, "reason": reason, "decision": reason == "allowed"})], texts)
    assert found.kind is DerivationClass.CONTRADICTED
