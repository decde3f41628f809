"""What is read again of one rule is what the whole compilation made of it, but for the conditions."""

from dataclasses import replace
from typing import Final

import pytest

from bailiwick_engine.compile.acceptance import judge
from bailiwick_engine.compile.gateextract import gate_extract
from bailiwick_engine.compile.policies import compile_object, policy_ref
from bailiwick_engine.policy.model import CompiledPolicy, CompiledRule
from support.full_objects import full_policy, largest_policy
from support.objects import Object, gated_rule, rule, settings, subject
from unit.engine.cases import stored

pytestmark = pytest.mark.invariant(17)

VARIABLES: Final = [{"name": "small", "expression": "context.args.amount < 100"}]
CONDITIONS: Final = [{"name": "small", "expression": "variables.small && data.incident.open == true"}]
DATA: Final = [{"name": "incident", "from": "incidents"}]


def kept(body: Object) -> Object:
    return {**body, "metadata": {**body["metadata"], "uid": "uid", "generation": 3}}


POLICIES: Final[dict[str, Object]] = {
    "every field": kept(full_policy("crm")),
    "the largest": kept(largest_policy("crm")),
    "variables and data": stored(
        "crm-agent",
        gated_rule("export", conditions=CONDITIONS, intents=["audit"]),
        gated_rule("all", actions=["*"], subjects=["another"]),
        rule("read"),
        variables=VARIABLES,
        data=DATA,
        subjects=[subject(), subject("another", account="another")],
        endpointSettings=settings(),
    ),
    "audit": stored("crm-agent", gated_rule("export"), mode="Audit"),
}


def compared(made: CompiledRule) -> tuple[object, ...]:
    gate = made.gate
    return (
        *(made.policy, made.name, made.effect, made.subjects, made.workloads, made.actions, made.resources),
        *(made.intents, made.expires, made.suspended, made.audit),
        # What the conditions read is in no grant.
        None if gate is None else replace(gate, reads=frozenset()),
    )


@pytest.mark.parametrize("name", POLICIES)
def test_every_rule_is_as_the_whole_compilation_made_it(name: str) -> None:
    raw = POLICIES[name]
    whole, judged = compile_object(raw), judge(policy_ref(raw), raw["spec"])
    assert isinstance(whole, CompiledPolicy)
    assert judged.problems == ()
    for made in whole.rules:
        extract = gate_extract(raw, made.name, judged.digests)
        assert extract is not None
        assert compared(extract) == compared(made)
        assert extract.conditions == ()


def test_what_the_settings_make_of_it_is_what_the_snapshot_has() -> None:
    raw = POLICIES["variables and data"]
    whole, judged = compile_object(raw), judge(policy_ref(raw), raw["spec"])
    assert isinstance(whole, CompiledPolicy)
    assert whole.settings is not None
    assert judged.meaning == whole.settings.meaning


def test_a_rule_that_is_not_there_or_has_no_digest_gives_nothing() -> None:
    raw = POLICIES["variables and data"]
    assert gate_extract(raw, "nothing", {}) is None
    assert gate_extract(raw, "export", {}) is None
