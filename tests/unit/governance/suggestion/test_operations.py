"""A patch makes of a spec what RFC 6902 says, whole or not at all."""

from collections.abc import Sequence
from typing import Any

import pytest

from bailiwick_governance.suggestion.operations import Operation, StalePatchError, add, apply, expect, remove, replace

SPEC: dict[str, Any] = {"rules": [{"name": "a", "actions": ["x"]}, {"name": "b"}], "endpoint": "e"}


@pytest.mark.parametrize(
    ("operations", "rules"),
    [
        ([replace("/spec/rules/0/actions", ["y"])], [{"name": "a", "actions": ["y"]}, {"name": "b"}]),
        ([add("/spec/rules/1/effect", "Allow")], [SPEC["rules"][0], {"name": "b", "effect": "Allow"}]),
        ([add("/spec/rules/-", {"name": "c"})], [*SPEC["rules"], {"name": "c"}]),
        ([add("/spec/rules/0", {"name": "c"})], [{"name": "c"}, *SPEC["rules"]]),
        ([remove("/spec/rules/1"), remove("/spec/rules/0")], []),
        ([expect("/spec/rules/0/name", "a"), remove("/spec/rules/0/actions")], [{"name": "a"}, {"name": "b"}]),
    ],
)
def test_each_operation_does_what_it_is_for(operations: Sequence[Operation], rules: Sequence[object]) -> None:
    assert apply(SPEC, operations) == {"rules": rules, "endpoint": "e"}
    assert SPEC["rules"] == [{"name": "a", "actions": ["x"]}, {"name": "b"}]


@pytest.mark.parametrize(
    "operation",
    [
        expect("/spec/rules/0/name", "b"),
        expect("/spec/rules/0/effect", "Allow"),
        replace("/spec/rules/0/effect", "Allow"),
        replace("/spec/rules/2", {}),
        remove("/spec/rules/2"),
        remove("/spec/rules/0/effect"),
        add("/spec/more/0", "x"),
        replace("/spec/rules/x", {}),
    ],
)
def test_a_place_that_is_not_as_it_was_stops_the_patch(operation: Operation) -> None:
    with pytest.raises(StalePatchError):
        apply(SPEC, [operation])
