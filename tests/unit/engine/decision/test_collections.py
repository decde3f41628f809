"""Which objects of a collection stricter rules name."""

import pytest

from bailiwick_engine.call import Party
from bailiwick_engine.decision.collections import NamedObjects, named_objects
from support.objects import Object, gated_rule, rule
from unit.engine.cases import CALL, governed

NONE = NamedObjects(frozenset(), unknown=False)


def named(*rules: Object) -> NamedObjects:
    assert isinstance(CALL.subject, Party)
    endpoint = governed(*rules).endpoints["crm", "crm-api"]
    return named_objects(endpoint, CALL.subject, "customers.export", "customer")


def deny(*ids: str, **fields: object) -> Object:
    spec = {"effect": "Deny", "resources": [{"type": "customer", "ids": [*ids]}], "actions": ["customers.export"]}
    return rule("deny", **(spec | fields))


BY_ID = [{"name": "one", "expression": "resource.id == '1'"}]
BY_RESOURCE = [{"name": "one", "expression": "size(resource) > 0"}]
BY_ACTION = [{"name": "one", "expression": "action.name == 'x'"}]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule("allow", resources=[{"type": "customer", "ids": ["1"]}], actions=["customers.export"])], NONE),
        ([deny("1", "vip.*")], NamedObjects(frozenset({"1", "vip.*"}), unknown=False)),
        ([deny("*")], NONE),
        ([deny("1", actions=["customers.list"])], NONE),
        ([deny("1", resources=[{"type": "order", "ids": ["1"]}])], NONE),
        ([deny("1", conditions=BY_ID)], NamedObjects(frozenset({"1"}), unknown=False)),
        ([deny("*", conditions=BY_ID)], NamedObjects(frozenset(), unknown=True)),
        ([deny("vip.*", conditions=BY_ID)], NamedObjects(frozenset({"vip.*"}), unknown=True)),
        ([deny("*", conditions=BY_RESOURCE)], NamedObjects(frozenset(), unknown=True)),
        ([deny("*", conditions=BY_ACTION)], NONE),
        ([gated_rule(resources=[{"type": "customer", "ids": ["1"]}])], NamedObjects(frozenset({"1"}), unknown=False)),
    ],
)
def test_a_stricter_rule_names_objects_and_an_allow_none(rules: list[Object], expected: NamedObjects) -> None:
    assert named(*rules) == expected


def test_a_policy_in_audit_mode_names_none() -> None:
    assert isinstance(CALL.subject, Party)
    endpoint = governed(deny("1"), mode="Audit").endpoints["crm", "crm-api"]
    assert named_objects(endpoint, CALL.subject, "customers.export", "customer") == NONE
