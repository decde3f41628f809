"""Batches: defaults, and where the answers end (AuthZEN 1.0, "Access Evaluations")."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.batch import Semantic, merge_defaults

ALICE = {"type": "user", "id": "alice", "properties": {"role": "admin"}}
DEFAULTS = {"subject": ALICE, "resource": {"type": "record", "id": "1", "properties": {"a": 1}}, "context": {"n": 1}}


class TestADefault:
    @pytest.mark.parametrize("item", [{}, {"subject": None, "resource": None, "context": None}])
    def test_serves_an_item_that_lacks_the_member(self, item: Mapping[str, Any]) -> None:
        assert merge_defaults(DEFAULTS, item) == DEFAULTS

    @pytest.mark.parametrize(
        ("member", "own"),
        [
            ("subject", {"type": "user", "id": "bob"}),
            ("resource", {"type": "record", "id": "2", "properties": {"b": 2}}),
            ("context", {}),
            ("context", {"m": 2}),
            ("action", {"name": "read"}),
        ],
    )
    def test_gives_way_as_a_whole(self, member: str, own: object) -> None:
        assert merge_defaults(DEFAULTS, {member: own}) == {**DEFAULTS, member: own}

    @pytest.mark.parametrize(
        ("own", "whole"),
        [
            ({"id": "2"}, {"type": "record", "id": "2"}),
            ({"type": "page"}, {"type": "page", "id": "1"}),
            ({"id": None, "properties": {}}, {"type": "record", "id": "1", "properties": {}}),
            ({"id": ""}, {"type": "record", "id": ""}),
        ],
    )
    def test_lends_type_and_id_and_nothing_else(self, own: object, whole: object) -> None:
        assert merge_defaults(DEFAULTS, {"resource": own})["resource"] == whole

    def test_lends_no_name_to_an_action(self) -> None:
        assert merge_defaults({"action": {"name": "read"}}, {"action": {}}) == {"action": {}}

    def test_is_not_mixed_into_what_is_no_object(self) -> None:
        assert merge_defaults(DEFAULTS, {"subject": "bob"})["subject"] == "bob"
        assert merge_defaults({"subject": "bob"}, {"subject": {"id": "x"}})["subject"] == {"id": "x"}

    def test_is_never_changed(self) -> None:
        merge_defaults(DEFAULTS, {"resource": {"id": "2"}})
        assert DEFAULTS["resource"] == {"type": "record", "id": "1", "properties": {"a": 1}}

    def test_is_one_of_four_members_and_others_are_dropped(self) -> None:
        assert merge_defaults({"options": {}, "evaluations": [], "x": 1}, {"y": 2}) == {}


@pytest.mark.parametrize(
    ("semantic", "outcomes", "count"),
    [
        (Semantic.EXECUTE_ALL, [False, True, False], 3),
        (Semantic.DENY_ON_FIRST_DENY, [True, False, True, False], 2),
        (Semantic.DENY_ON_FIRST_DENY, [True, True], 2),
        (Semantic.PERMIT_ON_FIRST_PERMIT, [False, True, False], 2),
        (Semantic.PERMIT_ON_FIRST_PERMIT, [False, False], 2),
        *((semantic, [], 0) for semantic in Semantic),
    ],
)
def test_a_batch_is_answered_up_to_the_item_that_ends_it(semantic: Semantic, outcomes: list[bool], count: int) -> None:
    assert semantic.answered(outcomes) == count


@given(st.sampled_from(Semantic), st.lists(st.booleans()))
def test_only_the_last_answer_ends_a_batch(semantic: Semantic, outcomes: list[bool]) -> None:
    count = semantic.answered(outcomes)
    assert not any(semantic.ends(allowed=outcome) for outcome in outcomes[: count - 1])
    assert count == len(outcomes) or semantic.ends(allowed=outcomes[count - 1])
