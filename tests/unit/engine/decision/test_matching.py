"""Which rules speak of a call."""

from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.decision import match
from support.objects import Object, rule, subject
from unit.engine.cases import CALL, carrier, snapshot, stored

OTHER: Final = Party("serviceAccount", "system:serviceaccount:agents:other", "other-uid")


def names(call: Call, *policies: Object) -> list[str]:
    assert isinstance(call.subject, Party)
    endpoint = snapshot(carrier(), *policies).endpoints["crm", "crm-api"]
    return sorted(rule.name for rule, _ in match.candidates(endpoint, call, call.subject))


def one(**fields: object) -> Object:
    both = [subject(), subject("other", account="other")]
    return stored("one", rule("one", **{"actions": ["customers.export"], **fields}), subjects=both)


class TestARule:
    @pytest.mark.parametrize(
        ("fields", "call", "speaks"),
        [
            ({}, CALL, True),
            ({}, replace(CALL, subject=OTHER), False),
            ({"subjects": ["other"]}, CALL, False),
            ({"subjects": ["agent", "other"]}, replace(CALL, subject=OTHER), True),
            ({}, replace(CALL, action=Action("customers.list")), False),
            ({"actions": ["customers.list", "customers.export"]}, CALL, True),
            ({"actions": ["customers.*"]}, CALL, True),
            ({"actions": ["orders.*"]}, CALL, False),
            ({"actions": ["*"]}, CALL, True),
            ({}, replace(CALL, resource=Resource("order", "42")), False),
            ({"resources": [{"type": "customer", "ids": ["41"]}]}, CALL, False),
            ({"resources": [{"type": "customer", "ids": ["41", "42"]}]}, CALL, True),
            ({"resources": [{"type": "order", "ids": ["*"]}, {"type": "customer", "ids": ["42"]}]}, CALL, True),
            ({"resources": [{"type": "order", "ids": ["42"]}, {"type": "customer", "ids": ["41"]}]}, CALL, False),
            ({"resources": [{"type": "*", "ids": ["*"]}]}, CALL, False),
        ],
    )
    def test_speaks_of_its_subjects_actions_and_resources(self, fields: Object, call: Call, *, speaks: bool) -> None:
        assert names(call, one(**fields)) == (["one"] if speaks else [])

    @pytest.mark.parametrize(
        "actions",
        [
            ["customers.export", "customers.*"],
            ["customers.export", "*"],
            ["customers.*", "*"],
            ["*", "customers.export"],
        ],
    )
    def test_that_names_an_action_twice_speaks_once(self, actions: list[str]) -> None:
        assert names(CALL, one(actions=actions)) == ["one"]

    def test_equal_to_another_speaks_beside_it(self) -> None:
        policies = [stored(name, rule("same", actions=["customers.export"])) for name in ("a", "b")]
        assert names(CALL, *policies) == ["same", "same"]

    def test_of_another_endpoint_or_namespace_does_not_speak(self) -> None:
        elsewhere = stored("elsewhere", rule("x", actions=["*"]), endpoint="other")
        abroad = stored("abroad", rule("x", actions=["*"]))
        abroad["metadata"]["namespace"] = "other"
        assert names(CALL, elsewhere, abroad) == []
