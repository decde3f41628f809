"""What is kept of a policy that is over budget: it denies whom the policy speaks of, on its endpoint, and is small."""

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings

from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compile.policies import policy_ref
from bailiwick_engine.compile.withheld import withheld, withheld_of
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from property.worlds.reference import World
from property.worlds.strategies import call_of, compiled_of, grants_of, worlds
from support.full_objects import full_policy
from support.objects import rule, settings as endpoint_settings, subject
from unit.engine.cases import CALL, NOW, stored


def kept(raw: Mapping[str, Any]) -> BrokenPolicy:
    return withheld(policy_ref(raw), raw["spec"])


@settings(max_examples=200)
@given(worlds())
def test_it_is_the_same_made_from_the_spec_and_from_what_was_compiled(world: World) -> None:
    for facts in world.policies:
        compiled = compiled_of(facts.raw)
        if isinstance(compiled, CompiledPolicy):
            assert kept(facts.raw) == withheld_of(compiled)


@settings(max_examples=300)
@given(worlds())
def test_nothing_is_let_through_for_it(world: World) -> None:
    snapshot = [(facts.raw, compiled_of(facts.raw)) for facts in world.policies]
    around = Circumstances(world.now, Freshness[world.freshness.upper()], world.guard_proven)

    def lets_through(policies: Sequence[CompiledPolicy | BrokenPolicy]) -> bool:
        verdict = decide(Snapshot.of(policies), call_of(world.call), grants_of(world), around)
        return verdict.outcome in {Outcome.ALLOW, Outcome.USE_GRANT} or verdict.dry_run

    before = lets_through([compiled for _, compiled in snapshot])
    for raw, _ in snapshot:
        after = lets_through([kept(raw) if one is raw else compiled for one, compiled in snapshot])
        assert before or not after


@pytest.mark.parametrize("count", [1, 16, 17, 900])
def test_few_subjects_are_kept_and_of_many_the_whole_endpoint_is_denied(count: int) -> None:
    listed = [subject(f"s{number}", "agents", f"account-{number}") for number in range(count)]
    raw = stored("many", rule(subjects=[one["name"] for one in listed]), subjects=listed)
    found = kept(raw).subjects
    assert (None if found is None else len(found)) == (count if count <= 16 else None)


@pytest.mark.parametrize("mode", ["Enforce", "Audit"])
@pytest.mark.parametrize("when", ["context.n == 1", "variables.few"])
def test_an_endpoint_whose_histories_are_withheld_denies_what_could_not_be_counted(when: str, mode: str) -> None:
    history = {"name": "a", "key": [], "window": "1h", "counts": {"actions": ["customers.export"], "when": when}}
    carrying = {**endpoint_settings(), "history": [history]}
    few = [{"name": "few", "expression": "context.n < 3"}]
    raw = stored("carrier", rule("other"), endpointSettings=carrying, variables=few, mode=mode)
    allowing = compiled_of(stored("allowing", rule(actions=["customers.export"])))
    for one in (kept(raw), withheld_of(compiled_of(raw))):
        verdict = decide(Snapshot.of([one, allowing]), CALL, (), Circumstances(NOW))
        assert (verdict.outcome, verdict.reason) == (Outcome.DENY, Reason.POLICY_INVALID)


def test_what_is_kept_of_the_largest_policy_is_small() -> None:
    raw = full_policy("crm", "full")
    raw["metadata"] |= {"uid": "u", "generation": 1}
    found = kept(raw)
    # What it lets be done on somebody's behalf is most of it, and so nothing is done there at all.
    assert (found.subjects, found.settings is not None and found.settings.delegation) == (None, None)
    assert found == withheld_of(compiled_of(raw))
    assert len(pickle.dumps(found)) < 4096
