"""What holds of candidates, whatever the policies, the call and the grants: they answer nothing, and do not lie."""

from dataclasses import replace
from typing import Final

from hypothesis import assume, given, strategies as st

from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.shadow import ShadowVerdict, decide_shadow, verdict_class
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from property.worlds.reference import Facts, World
from property.worlds.strategies import (
    DAMAGES,
    ENDPOINT,
    NAMESPACE,
    call_of,
    compiled_of,
    grants_of,
    policies,
    verdict_of,
    with_spec,
    worlds,
)

KEY: Final = (NAMESPACE, ENDPOINT)


def candidate_for(replaced: Facts, made: Facts) -> Facts:
    return with_spec(made, mode="Audit", replaces=replaced.raw["metadata"]["name"])


def with_candidate(world: World, candidate: Facts) -> World:
    return replace(world, policies=[*world.policies, candidate])


def told(verdict: Verdict) -> tuple[object, ...]:
    """Return all of a verdict but the names of policies, and the objects that stand for the same ones."""
    return (
        verdict.outcome,
        verdict.reason,
        verdict.message,
        verdict.gate,
        verdict.digest,
        [grant.name for grant in verdict.grants],
        verdict.pending.name if verdict.pending else None,
        verdict.rule.name if verdict.rule else None,
    )


def shadows_of(world: World) -> list[ShadowVerdict]:
    snapshot = Snapshot.of(compiled_of(facts.raw) for facts in world.policies)
    around = Circumstances(world.now, Freshness[world.freshness.upper()], world.guard_proven)
    endpoint = snapshot.endpoints.get(KEY)
    call = call_of(world.call)
    return [] if endpoint is None else list(decide_shadow(snapshot, endpoint, call, grants_of(world), around))


@given(worlds(), policies("z", carries=False), st.data())
def test_a_candidate_changes_no_verdict_however_it_is_written(world: World, made: Facts, data: st.DataObject) -> None:
    candidate = candidate_for(data.draw(st.sampled_from(world.policies)), made)
    if data.draw(st.booleans()):
        candidate = with_spec(candidate, endpointSettings={"enforcers": [{"namespace": "crm", "name": "stranger"}]})
    candidate = data.draw(st.sampled_from([lambda facts: facts, *DAMAGES]))(candidate)
    before, after = verdict_of(world), verdict_of(with_candidate(world, candidate))
    assert (told(after), after.audit, after.dry_run) == (told(before), before.audit, before.dry_run)


@given(worlds(), policies("z", carries=False), st.data())
def test_its_shadow_is_the_verdict_of_the_day_on_which_it_takes_that_place(
    world: World, made: Facts, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(world.policies) - 1))
    replaced = world.policies[place]
    if "endpointSettings" in replaced.raw["spec"] and data.draw(st.booleans()):
        made = with_spec(made, endpointSettings=replaced.raw["spec"]["endpointSettings"])
    # As it is written when its author moves its spec into the live policy.
    moved = replace(made, raw={**with_spec(made, mode="Enforce").raw, "metadata": replaced.raw["metadata"]})
    then = replace(world, policies=[*world.policies[:place], moved, *world.policies[place + 1 :]])
    found = shadows_of(with_candidate(world, candidate_for(replaced, made)))
    expected = verdict_of(then)
    assume(found and verdict_of(world).outcome is not Outcome.FORBIDDEN)
    # No candidate is asked about a dry run.
    assume(not world.call.get("dry_run"))
    (shadow,) = found
    assert shadow.verdict is not None
    if expected.outcome is Outcome.FORBIDDEN or expected.dry_run:
        # Who does not enforce any more is a stranger to it.
        assert (shadow.verdict.outcome, verdict_class(shadow.verdict)) == (Outcome.FORBIDDEN, "deny")
    else:
        assert told(shadow.verdict) == told(expected)


@given(worlds(), st.data())
def test_a_copy_of_a_policy_differs_nowhere(world: World, data: st.DataObject) -> None:
    replaced = data.draw(st.sampled_from(world.policies))
    assume(replaced.raw["spec"].get("mode") != "Audit" and replaced.compiles)
    copied = replace(replaced, raw={**replaced.raw, "metadata": {**replaced.raw["metadata"], "name": "z", "uid": "z"}})
    live = verdict_of(world)
    assume(live.outcome is not Outcome.FORBIDDEN and not live.dry_run)
    for shadow in shadows_of(with_candidate(world, candidate_for(replaced, copied))):
        assert not shadow.differs(live)
