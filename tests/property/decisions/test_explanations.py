"""An explanation says what the decision found, and its nearest miss, when it is mended, lets the call through."""

import copy
from collections.abc import Sequence
from typing import Final

from hypothesis import assume, given

from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.explain import NEAR, Explanation, RequiredChange, explain
from bailiwick_engine.decision.match import Standing
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.dimensions.action import ACTION_CLAUSE
from bailiwick_engine.policy.dimensions.condition import CONDITION_CLAUSE
from bailiwick_engine.policy.dimensions.intent import INTENT_CLAUSE
from bailiwick_engine.policy.dimensions.resource import ID_CLAUSE, PROPERTY_CLAUSE, TYPE_CLAUSE
from bailiwick_engine.policy.dimensions.subject import SUBJECT_CLAUSE
from bailiwick_engine.policy.dimensions.validity import EXPIRY_CLAUSE, SUSPENSION_CLAUSE
from bailiwick_engine.policy.model import Effect
from bailiwick_engine.policy.snapshot import Snapshot
from property.worlds.questions import questions
from property.worlds.reference import World
from property.worlds.strategies import Object, call_of, compiled_of
from unit.engine.cases import NOW

AROUND: Final = Circumstances(now=NOW)
OFF: Final = {INTENT_CLAUSE, EXPIRY_CLAUSE, SUSPENSION_CLAUSE}


def explained(world: World) -> Explanation:
    found = explain(Snapshot.of(compiled_of(facts.raw) for facts in world.policies), call_of(world.call), AROUND)
    assume(found is not None)
    assert found is not None
    return found


def mended(world: World, changes: Sequence[RequiredChange]) -> list[Object]:
    """Return the policies with each change made: a rule that is changed moves to a policy of its own."""
    policies = [copy.deepcopy(dict(facts.raw)) for facts in world.policies]
    for number, change in enumerate(changes):
        assert change.rule is not None
        of, name = change.rule.place
        policy = next(one for one in policies if one["metadata"]["name"] == of)
        rule = next(one for one in policy["spec"]["rules"] if one["name"] == name)
        changed = copy.deepcopy(rule)
        # Out of the way: a policy must keep a rule.
        rule["actions"] = ["nobody-asks"]
        if change.lift:
            continue
        for clause in change.clauses:
            _meet(changed, clause.kind, clause.name, world)
        party = {"namespace": "agents", "name": change.party.id.rpartition(":")[2]}
        spec = {
            "endpoint": policy["spec"]["endpoint"],
            "subjects": [*policy["spec"]["subjects"], {"name": "party", "serviceAccount": party}],
            "variables": policy["spec"]["variables"],
            "rules": [changed],
        }
        if not any(clause.kind == EXPIRY_CLAUSE for clause in change.clauses) and "expireTime" in policy["spec"]:
            spec["expireTime"] = policy["spec"]["expireTime"]
        metadata = {**policy["metadata"], "name": f"mended-{number}", "uid": f"mended-{number}"}
        policies.append({"metadata": metadata, "spec": spec})
    return policies


def _meet(rule: Object, kind: str, name: str | None, world: World) -> None:
    (entry,) = rule["resources"]
    wider: dict[str, tuple[Object, Object]] = {
        SUBJECT_CLAUSE: (rule, {"subjects": [*rule["subjects"], "party"]}),
        ACTION_CLAUSE: (rule, {"actions": ["*"]}),
        TYPE_CLAUSE: (entry, {"type": world.call["resource"]["type"]}),
        ID_CLAUSE: (entry, {"ids": ["*"]}),
        PROPERTY_CLAUSE: (entry, {"properties": _without(entry.get("properties", {}), name)}),
        INTENT_CLAUSE: (rule, {"intents": None}),
        EXPIRY_CLAUSE: (rule, {"expireTime": None}),
        CONDITION_CLAUSE: (
            rule,
            {"conditions": [one for one in rule.get("conditions", ()) if one["name"] != name]},
        ),
        SUSPENSION_CLAUSE: (rule, {}),  # the policy that it moves to is not suspended
    }
    part, fields = wider[kind]
    part |= fields
    for field in fields:
        if not part[field]:
            del part[field]


def _without(members: Object, name: str | None) -> Object:
    return {key: value for key, value in members.items() if key != name}


@given(questions())
def test_the_nearest_miss_lets_the_call_through_once_it_is_mended(world: World) -> None:
    found = explained(world)
    assume(found.changes)
    on = Snapshot.of(compiled_of(raw) for raw in mended(world, found.changes))
    verdict = decide(on, call_of(world.call), (), AROUND)
    if found.approval:
        assert verdict.gate is not None or verdict.reason.value in {"multiple_gates", "uninspectable"}, verdict
    else:
        assert verdict.outcome is Outcome.ALLOW


@given(questions())
def test_a_rule_applies_exactly_if_all_its_clauses_are_met(world: World) -> None:
    for one in explained(world).near:
        lacking = {clause.kind for clause in one.unmet}
        match one.standing:
            case Standing.APPLIES:
                assert lacking == set()
            case Standing.DENIES:
                assert one.rule.effect is Effect.REQUIRE_APPROVAL
                assert lacking
                assert lacking <= OFF | {CONDITION_CLAUSE}
            case Standing.SILENT:
                assert lacking - (OFF if one.rule.effect is Effect.REQUIRE_APPROVAL else set())


@given(questions())
def test_a_call_that_is_allowed_misses_nothing_and_one_that_is_denied_misses_something(world: World) -> None:
    on = Snapshot.of(compiled_of(facts.raw) for facts in world.policies)
    verdict, found = decide(on, call_of(world.call), (), AROUND), explained(world)
    if found.refused is not None:
        assert (verdict.outcome, verdict.reason) == (Outcome.DENY, found.refused)
    elif verdict.outcome is Outcome.ALLOW:
        assert (found.changes, found.approval) == ((), ())
    else:
        nobody_grants = all(one.rule.effect is Effect.DENY for one in found.near)
        assert found.changes or found.approval or nobody_grants


@given(questions())
def test_an_explanation_is_short_and_says_nothing_of_the_call(world: World) -> None:
    found = explained(world)
    silent = [one for one in found.near if one.standing is Standing.SILENT]
    assert len(silent) <= NEAR
    told = {text for one in found.near for clause in one.clauses for text in clause.wanted}
    said = {text for facts in world.policies for text in _texts(facts.raw)}
    assert all(text in said or text.startswith("sa:") or text in {"*", "…"} for text in told)


def _texts(value: object) -> set[str]:
    if isinstance(value, dict):
        return {text for member in value.values() for text in _texts(member)}
    if isinstance(value, list):
        return {text for member in value for text in _texts(member)}
    return {str(value)}
