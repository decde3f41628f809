"""A verdict that hangs on data derives from what the record tells of it, and from nothing else."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from bailiwick_engine.cel.data import read_data
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_evidence.derive.derivation import Derivation, DerivationClass, Obstacle
from bailiwick_evidence.derive.derive import derive
from bailiwick_webhook.record.line import RecordLines
from support.derivations import texts_of
from support.objects import Object, changed, policy, rule, settings
from support.records import lines_of
from unit.engine.cases import CALL, NOW

DERIVED, ATTESTED = DerivationClass.DERIVED, DerivationClass.ATTESTED
OPEN: Final = {"incident-state": {"open": True, "level": 2, "people": {"dave": {"groups": ["a"]}}}}


def reader(expression: str) -> Object:
    raw = policy(
        "crm",
        "crm-agent",
        endpointSettings=settings(),
        data=[{"name": "incident", "from": "incident-state"}],
        rules=[rule(actions=[CALL.action.name], conditions=[{"name": "c", "expression": expression}])],
    )
    raw["metadata"] |= {"uid": "uid", "generation": 1}
    return raw


def record(stored: Object, objects: Mapping[str, Any]) -> Object:
    """Return the record of a decision beside these objects."""
    data = {name: read_data(name, f"{name}-uid", 1, {"data": value}) for name, value in objects.items()}
    compiled = Snapshot.of([compile_object(stored)])
    snapshot = Snapshot({key: endpoint.with_data(data) for key, endpoint in compiled.endpoints.items()})
    verdict = decide(snapshot, CALL, (), Circumstances(NOW))
    (line,) = lines_of(RecordLines(b"k" * 32), snapshot, CALL, verdict, now=NOW)
    found: Object = json.loads(line)
    return found


def derived(stored: Object, told: Object) -> Derivation:
    return derive(told, texts_of([stored["spec"]]))


@pytest.mark.parametrize(
    ("expression", "objects", "reason", "kind"),
    [
        ("data.incident.open == true", OPEN, "allowed", DERIVED),
        ("data.incident.level > 3", OPEN, "condition_false", DERIVED),
        ("has(data.incident.closed)", OPEN, "condition_false", DERIVED),
        ("data.incident.open == true", {}, "condition_error", DERIVED),
        ("data.incident.open == true", {"incident-state": {"open": "\0"}}, "condition_error", DERIVED),
        # What is more than a plain value is sealed, and either outcome may be.
        ("'dave' in data.incident.people", OPEN, "allowed", ATTESTED),
    ],
)
def test_it_derives_from_what_was_read(
    expression: str, objects: Mapping[str, Any], reason: str, kind: DerivationClass
) -> None:
    stored = reader(expression)
    told = record(stored, objects)
    assert told["reason"] == reason
    assert derived(stored, told).kind is kind


@pytest.mark.parametrize(
    ("member", "edit"),
    [
        ("attributes", {"data['incident-state'].open": False}),
        ("reason", "condition_false"),
        ("data", {"incident-state": None}),
    ],
)
def test_an_edit_of_what_it_hangs_on_does_not_derive(member: str, edit: object) -> None:
    stored = reader("data.incident.open == true")
    told = record(stored, OPEN)
    assert derived(stored, changed(told, member, edit)).kind not in {DERIVED, ATTESTED}


def test_what_was_read_of_an_object_that_was_unknown_is_no_record() -> None:
    stored = reader("data.incident.open == true")
    told = changed(record(stored, OPEN), "data", {"incident-state": None})
    assert derived(stored, told).obstacle is Obstacle.RECORD_UNREADABLE
