"""What holds of every decision, whatever the policies, the call and the grants."""

from dataclasses import replace
from typing import Any, Final

import msgspec
from hypothesis import given, settings, strategies as st

from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from property.worlds import reference
from property.worlds.reference import Answer, Facts, World
from property.worlds.strategies import (
    DAMAGES,
    ENDPOINT,
    EXPRESSIONS,
    Object,
    digests_of,
    policies,
    verdict_of,
    with_spec,
    worlds,
)
from unit.engine.cases import at

WIDTH: Final = {Outcome.FORBIDDEN: 0, Outcome.DENY: 0, Outcome.USE_GRANT: 1, Outcome.ALLOW: 2}


def answer(verdict: Verdict) -> Answer:
    """Return what a caller sees of a verdict."""
    return Answer(
        verdict.outcome.value, verdict.reason.value, tuple(grant.name for grant in verdict.grants), verdict.dry_run
    )


def told(verdict: Verdict) -> tuple[Any, ...]:
    """Return all of a verdict that does not depend on which objects stand for the same policies."""
    return (
        answer(verdict),
        verdict.rule.place if verdict.rule else None,
        verdict.gate,
        verdict.digest,
        verdict.message,
        verdict.pending.name if verdict.pending else None,
        verdict.audit,
    )


def no_wider(changed: World, than: World) -> bool:
    """Tell whether a change lets nothing through that was not let through before, nor by more grants."""
    before, after = verdict_of(than), verdict_of(changed)
    names = {grant.name for grant in before.grants}
    return WIDTH[after.outcome] <= WIDTH[before.outcome] and (
        before.outcome is not Outcome.USE_GRANT or {grant.name for grant in after.grants} <= names
    )


def with_policies(world: World, made: list[Facts]) -> World:
    return replace(world, policies=made, rule_digests=digests_of(made))


def with_policy(world: World, place: int, facts: Facts) -> World:
    return with_policies(world, [*world.policies[:place], facts, *world.policies[place + 1 :]])


def places(world: World) -> st.SearchStrategy[int]:
    return st.integers(0, len(world.policies) - 1)


# The one test that says what an answer must be, and not only what it must not: it gets the most cases.
@settings(max_examples=4 * settings().max_examples)
@given(worlds())
def test_the_verdict_is_that_of_the_slow_reference(world: World) -> None:
    assert answer(verdict_of(world)) == reference.decide(world)


@given(worlds())
def test_the_same_inputs_have_the_same_verdict(world: World) -> None:
    assert told(verdict_of(world)) == told(verdict_of(world))


@given(worlds(), policies("deny", carries=False))
def test_a_deny_dominates(world: World, other: Facts) -> None:
    subjects = [{"name": "all", "serviceAccount": {"namespace": "agents", "name": "agent-one"}}]
    subjects += [{"name": "two", "serviceAccount": {"namespace": "agents", "name": "agent-two"}}]
    rule = {
        "name": "deny",
        "effect": "Deny",
        "subjects": ["all", "two"],
        "actions": ["*"],
        "resources": [{"type": kind, "ids": ["*"]} for kind in ("customer", "order")],
    }
    off: Object = {"suspend": True, "expireTime": at(-60)} if "suspend" in other.raw["spec"] else {}
    raw = {**other.raw, "spec": {"endpoint": world.call["endpoint"], "subjects": subjects, "rules": [rule], **off}}
    verdict = verdict_of(replace(world, policies=[*world.policies, Facts(raw)]))
    assert verdict.outcome in {Outcome.DENY, Outcome.FORBIDDEN}
    assert verdict.grants == ()


@given(worlds(), st.data())
def test_order_and_age_of_policies_rules_and_grants_never_matter(world: World, data: st.DataObject) -> None:
    shuffled = []
    for facts in data.draw(st.permutations(world.policies)):
        rules = data.draw(st.permutations(facts.raw["spec"]["rules"]))
        age = {"generation": data.draw(st.integers(1, 9)), "creationTimestamp": at(data.draw(st.integers(-9, 0)))}
        raw = {**facts.raw, "metadata": {**facts.raw["metadata"], **age}}
        shuffled.append(with_spec(replace(facts, raw=raw), rules=rules))
    other = with_policies(replace(world, grants=data.draw(st.permutations(world.grants))), shuffled)
    assert told(verdict_of(other)) == told(verdict_of(world))


@given(worlds(), st.permutations("abcd"))
def test_names_of_policies_never_matter(world: World, names: list[str]) -> None:
    new = dict(zip("abcd", names, strict=True))
    renamed = []
    for facts in world.policies:
        metadata = facts.raw["metadata"]
        renamed.append(replace(facts, raw={**facts.raw, "metadata": {**metadata, "name": new[metadata["name"]]}}))
    grants = [_renamed(grant, new) for grant in world.grants]
    assert answer(verdict_of(replace(world, policies=renamed, grants=grants))) == answer(verdict_of(world))


def _renamed(grant: reference.Object, new: dict[str, str]) -> Object:
    def step(name: str) -> str:
        policy, dot, rest = name.partition(".")
        return new.get(policy, policy) + dot + rest

    request = grant["spec"]["request"]
    steps = [{**one, "name": step(one["name"]), "policy": new[one["policy"]]} for one in request["steps"]]
    rules = [{**ref, "policy": new[ref["policy"]]} for ref in request["rules"]]
    reviews = [{**review, "step": step(review["step"])} for review in grant["spec"]["reviews"]]
    spec = {**grant["spec"], "request": {**request, "steps": steps, "rules": rules}, "reviews": reviews}
    return {**grant, "spec": spec}


@given(worlds(), st.data())
def test_taking_away_an_allow_never_widens(world: World, data: st.DataObject) -> None:
    place = data.draw(places(world))
    facts = world.policies[place]
    kept = [rule for rule in facts.raw["spec"]["rules"] if rule["effect"] != "Allow"]
    # A policy has at least one rule; this one speaks of an action that nobody asks for.
    unrelated = {
        "name": "unrelated",
        "effect": "Allow",
        "subjects": ["one", "two"],
        "actions": ["unrelated"],
        "resources": [{"type": "customer", "ids": ["*"]}],
    }
    assert no_wider(with_policy(world, place, with_spec(facts, rules=[*kept, unrelated])), than=world)


@given(worlds(), st.data())
def test_taking_away_a_grant_never_widens(world: World, data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(world.grants)))
    grants = [grant for number, grant in enumerate(world.grants) if number != gone]
    before = verdict_of(world)
    after = verdict_of(replace(world, grants=grants))
    assert WIDTH[after.outcome] <= WIDTH[before.outcome]
    # At most four are tried, so one may move up; it was usable before as well.
    assert {grant.name for grant in after.grants} <= {grant["metadata"]["name"] for grant in grants}


@given(worlds(), st.data())
def test_taking_away_an_approval_never_widens(world: World, data: st.DataObject) -> None:
    grants = []
    for grant in world.grants:
        reviews = [
            review
            for review in grant["spec"]["reviews"]
            if review["decision"] == "Deny" or data.draw(st.booleans(), label="kept")
        ]
        grants.append({**grant, "spec": {**grant["spec"], "reviews": reviews}})
    assert no_wider(replace(world, grants=grants), than=world)


@given(worlds(), st.data())
def test_suspending_or_expiring_a_policy_never_widens(world: World, data: st.DataObject) -> None:
    place = data.draw(places(world))
    over: Object = data.draw(st.sampled_from([{"suspend": True}, {"expireTime": at(0)}]))
    assert no_wider(with_policy(world, place, with_spec(world.policies[place], **over)), than=world)


@given(worlds(), st.data())
def test_expiring_a_rule_never_widens(world: World, data: st.DataObject) -> None:
    place = data.draw(places(world))
    facts = world.policies[place]
    rules = [rule if rule["effect"] == "Deny" else {**rule, "expireTime": at(0)} for rule in facts.raw["spec"]["rules"]]
    assert no_wider(with_policy(world, place, with_spec(facts, rules=rules)), than=world)


@given(worlds(), st.data())
def test_breaking_a_policy_never_widens(world: World, data: st.DataObject) -> None:
    place = data.draw(places(world))
    if not world.policies[place].compiles:
        return
    damage = data.draw(st.sampled_from(DAMAGES))
    broken = with_policy(world, place, damage(world.policies[place]))
    assert no_wider(broken, than=world)
    assert answer(verdict_of(broken)) == reference.decide(broken)


@given(worlds(), st.data())
def test_breaking_a_single_gate_or_deny_never_widens(world: World, data: st.DataObject) -> None:
    place = data.draw(places(world))
    facts = world.policies[place]
    rules = facts.raw["spec"]["rules"]
    strict = [number for number, rule in enumerate(rules) if rule["effect"] != "Allow"]
    if not strict or not facts.compiles:
        return
    number = data.draw(st.sampled_from(strict))
    wrong: Object = data.draw(st.sampled_from([{"actions": []}, {"conditions": [{"name": "c", "expression": ")"}]}]))
    broken = [{**rule, **wrong} if index == number else rule for index, rule in enumerate(rules)]
    assert no_wider(with_policy(world, place, replace(with_spec(facts, rules=broken), compiles=False)), than=world)


@given(worlds(), policies("second", carries=True))
def test_a_second_carrier_of_the_settings_denies_whatever_else_there_is(world: World, second: Facts) -> None:
    other = with_spec(second, endpoint=world.call["endpoint"])
    carried = [
        facts
        for facts in world.policies
        if facts.endpoint_readable
        and facts.raw["spec"]["endpoint"] == world.call["endpoint"]
        and "endpointSettings" in facts.raw["spec"]
    ]
    both = with_policies(world, [*world.policies, other])
    assert no_wider(both, than=world) or not carried
    if carried:
        verdict = verdict_of(both)
        assert verdict.outcome in {Outcome.DENY, Outcome.FORBIDDEN}
        assert verdict.reason in {Reason.POLICY_INVALID, Reason.STORE_STALE, Reason.NO_RULE}


@given(worlds(), st.sampled_from(["properties", "intent"]))
def test_what_a_call_does_not_say_never_widens(world: World, left_out: str) -> None:
    call = dict(world.call)
    part = "resource" if left_out == "properties" else "context"
    call[part] = {name: value for name, value in call[part].items() if name != left_out}
    assert no_wider(replace(world, call=call), than=world)


@given(worlds(), st.sampled_from([{"freshness": "stale"}, {"freshness": "dead"}, {"guard_proven": False}]))
def test_a_view_that_is_old_or_a_guard_that_is_not_proven_never_widens(world: World, doubt: Any) -> None:  # noqa: ANN401 - fields of a world
    before = {"fresh": 0, "stale": 1, "dead": 2}
    if before[world.freshness] <= before[doubt.get("freshness", "dead")]:
        assert no_wider(replace(world, **doubt), than=world)


@given(worlds())
def test_policies_that_are_outdated_let_nobody_through_and_change_no_denial(world: World) -> None:
    before, after = verdict_of(world), verdict_of(world, outdated=True)
    if before.outcome in {Outcome.ALLOW, Outcome.USE_GRANT} or before.reason is Reason.APPROVAL_CONSUMED:
        assert (after.outcome, after.reason, after.gate) == (Outcome.DENY, Reason.POLICY_OUTDATED, None)
    else:
        assert after == before


@given(worlds(), policies("shadow", carries=False))
def test_adding_an_audit_policy_never_changes_an_answer(world: World, shadow: Facts) -> None:
    audit = with_spec(shadow, mode="Audit")
    assert answer(verdict_of(with_policies(world, [*world.policies, audit]))) == answer(verdict_of(world))


@given(worlds(), st.data())
def test_a_condition_that_fails_lets_no_more_through_than_a_true_or_a_false_one(
    world: World, data: st.DataObject
) -> None:
    place = data.draw(places(world))
    facts = world.policies[place]
    number = data.draw(st.integers(0, len(facts.raw["spec"]["rules"]) - 1))
    rule = facts.raw["spec"]["rules"][number]
    error = data.draw(st.sampled_from([text for text, truth in EXPRESSIONS.items() if truth({}) == "error"]))

    def under(text: str) -> World:
        rules = list(facts.raw["spec"]["rules"])
        rules[number] = {**rule, "conditions": [{"name": "c", "expression": text}]}
        # The grants are of the rule that stands there: what it means is another matter.
        made = with_policy(world, place, with_spec(facts, rules=rules))
        old, new = (each.rule_digests.get((facts.raw["metadata"]["uid"], rule["name"])) for each in (world, made))
        return replace(made, grants=[_rewritten(grant, old, new) for grant in world.grants])

    failing = replace(world, call={**world.call, "context": {**world.call["context"]}})
    assert failing == world
    failed = WIDTH[verdict_of(under(error)).outcome]
    held, unheld = (WIDTH[verdict_of(under(text)).outcome] for text in ("true", "false"))
    assert failed <= min(held, unheld)
    if rule["effect"] != "RequireApproval":
        assert failed == (unheld if rule["effect"] == "Allow" else held)


def _rewritten(grant: reference.Object, old: str | None, new: str | None) -> Object:
    request = grant["spec"]["request"]
    rules = [{**ref, "ruleDigest": new} if new and ref["ruleDigest"] == old else ref for ref in request["rules"]]
    return {**grant, "spec": {**grant["spec"], "request": {**request, "rules": rules}}}


@given(worlds())
def test_only_an_enforcer_or_the_subject_itself_is_told_anything(world: World) -> None:
    call = world.call
    verdict = verdict_of(world)
    if call["caller"]["uid"] == "stranger-uid" or call["endpoint"] not in {ENDPOINT, "other"}:
        assert verdict == Verdict(outcome=Outcome.FORBIDDEN, reason=verdict.reason)
    if verdict.dry_run and not call["dry_run"]:
        assert call["subject"]["id"] == call["caller"]["username"]


@given(worlds())
def test_a_dry_run_has_the_verdict_of_the_call(world: World) -> None:
    made, tried = (verdict_of(replace(world, call={**world.call, "dry_run": dry_run})) for dry_run in (False, True))
    assert tried == (made if made.outcome is Outcome.FORBIDDEN else msgspec.structs.replace(made, dry_run=True))
