"""Conditions read data at every hop, and an explanation reads it too."""

import dataclasses
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Party
from bailiwick_engine.cel.data import read_data
from bailiwick_engine.decision.explain import explain
from bailiwick_engine.historynumbers import UNREAD, HistoryReadings
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from support.objects import AGENT, ENDPOINT, Object, rule, settings, subject
from unit.engine.cases import AROUND, CALL, NAMESPACE, counted, snapshot, stored, verdict_of
from unit.engine.decision.test_histories import EXPORTS, numbers

CAROL: Final = Party("user", "carol", "corp#carol", issuer="corp", username="carol@corp.example")
ACTING: Final = Party("serviceAccount", AGENT, "agent-uid")
IN_INCIDENT: Final = [{"name": "incident", "expression": "data.incident.open == true"}]
ALL: Final[Object] = {"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}


def on(*rules: Object, ceiling: Object = ALL, incident: bool = True) -> Snapshot:
    """Return a snapshot of a policy that reads whether there is an incident."""
    delegation = {"maxDepth": 1, "principals": ["carol"], "ceiling": [ceiling]}
    carried = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
    subjects = [subject(), {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}]
    made = snapshot(stored("p", *rules, subjects=subjects, endpointSettings=carried, data=[{"name": "incident"}]))
    key = (NAMESPACE, ENDPOINT)
    held = {"incident": read_data("incident", "uid", 1, {"data": {"open": incident}})}
    return dataclasses.replace(made, endpoints={**made.endpoints, key: made.endpoints[key].with_data(held)})


def export(name: str = "export", **fields: object) -> Object:
    return rule(name, **{"actions": ["customers.export"], **fields})


@pytest.mark.parametrize(("incident", "reason"), [(True, Reason.ALLOWED), (False, Reason.CONDITION_FALSE)])
def test_a_rule_of_whoever_acts_for_another_reads_data(*, incident: bool, reason: Reason) -> None:
    call = replace(CALL, subject=CAROL, actors=(ACTING,))
    assert verdict_of(on(export(conditions=IN_INCIDENT), incident=incident), call).reason is reason


@pytest.mark.parametrize(("incident", "reason"), [(True, Reason.ALLOWED), (False, Reason.SCOPE_EXCEEDED)])
def test_a_ceiling_reads_data(*, incident: bool, reason: Reason) -> None:
    call = replace(CALL, subject=CAROL, actors=(ACTING,))
    ceiling = {**ALL, "conditions": IN_INCIDENT}
    assert verdict_of(on(export(), ceiling=ceiling, incident=incident), call).reason is reason


@pytest.mark.parametrize(
    ("readings", "reason"), [(UNREAD, Reason.HISTORY_UNAVAILABLE), (numbers(exports=1), Reason.ALLOWED)]
)
def test_a_call_that_is_counted_reads_data_beside_its_numbers(readings: HistoryReadings, reason: Reason) -> None:
    both = counted(on(export(conditions=IN_INCIDENT)), EXPORTS)
    assert verdict_of(both, around=replace(AROUND, history=readings)).reason is reason


@pytest.mark.parametrize("incident", [True, False])
def test_an_explanation_reads_data_that_no_rule_of_the_call_read(*, incident: bool) -> None:
    near = rule("list", actions=["customers.list"], conditions=IN_INCIDENT)
    found = explain(on(export(subjects=["carol"]), near, incident=incident), CALL, AROUND)
    assert found is not None
    (told,) = (one for one in found.near if one.rule.name == "list")
    assert [clause.held for clause in told.clauses if clause.kind == "condition"] == [incident]
