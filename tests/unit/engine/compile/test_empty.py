"""Empty lists that came past the schema, as in a file that no API server has seen: none, never all."""

import pytest

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.model import BrokenPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from support.full_objects import full_policy
from support.objects import changed, rule
from support.schemas.empties import EMPTIES, nothing
from unit.engine.cases import stored, verdict_of


@pytest.mark.parametrize("path", EMPTIES)
def test_ab_29_a_policy_with_an_empty_list_does_not_compile(path: str) -> None:
    raw = full_policy("crm")
    raw["metadata"] |= {"uid": "uid", "generation": 1}
    assert not isinstance(compile_object(raw), BrokenPolicy)
    assert isinstance(compile_object(changed(raw, path, nothing(path))), BrokenPolicy)


@pytest.mark.parametrize("path", [path for path in EMPTIES if not path.startswith("spec.rules.0.approval")])
def test_ab_29_an_empty_list_opens_nothing_to_anybody(path: str) -> None:
    raw = full_policy("crm", "emptied")
    raw["metadata"] |= {"uid": "uid", "generation": 1}
    raw["spec"]["rules"] = [{**raw["spec"]["rules"][0], "effect": "Allow"}]
    del raw["spec"]["rules"][0]["approval"]
    # No answer hangs on a candidate.
    raw["spec"]["mode"] = "Enforce"
    del raw["spec"]["replaces"]
    beside = compile_object(stored("beside", rule("all", actions=["*"])))
    assert verdict_of(Snapshot.of([compile_object(raw), beside])).outcome is Outcome.ALLOW
    # Not even what a sound policy beside it allows: what cannot be read may have been a Deny.
    emptied = Snapshot.of([compile_object(changed(raw, path, nothing(path))), beside])
    assert verdict_of(emptied).outcome in {Outcome.DENY, Outcome.FORBIDDEN}
