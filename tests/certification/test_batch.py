"""Batch certification: the Access Evaluations API (scenario, section 3)."""

from typing import Final

import pytest

from certification.cases import ADMIN, ALICE, ARCHIVED, BOB, DENY, PERMIT, READ, RECORD_1, RECORD_2, WRITE, Body
from certification.conftest import Pdp

ACTIVE: Final[Body] = {**RECORD_1, "properties": {"status": "active"}}
DECIDED: Final[dict[str, tuple[Body, list[bool]]]] = {
    "3.2.1 array": (
        {"subject": ALICE, "action": READ, "evaluations": [{"resource": RECORD_1}, {"resource": RECORD_2}]},
        [True, True],
    ),
    "3.2.2 fixture": (
        {"subject": BOB, "resource": RECORD_1, "evaluations": [{"action": READ}, {"action": WRITE}]},
        [True, False],
    ),
    "3.2.3 properties": (
        {"subject": ALICE, "action": WRITE, "evaluations": [{"resource": ACTIVE}, {"resource": ARCHIVED}]},
        [True, False],
    ),
    "3.2.4 subject properties": (
        {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"subject": ALICE}, {"subject": ADMIN}]},
        [False, True],
    ),
    "3.2.5 no defaults": ({"evaluations": [PERMIT, DENY]}, [True, False]),
    "3.2.6 context": (
        {
            "subject": ALICE,
            "action": READ,
            "context": {"time": "2025-06-27T18:03-07:00"},
            "evaluations": [
                {"resource": RECORD_1},
                {"resource": RECORD_2, "context": {"time": "2025-06-27T19:00-07:00", "source": "batch-override"}},
            ],
        },
        [True, True],
    ),
    "3.2.7 defaults": (
        {
            "subject": ALICE,
            "action": WRITE,
            "resource": {"type": "record"},
            "evaluations": [
                {"resource": {"id": "record-1", "properties": {"status": "active"}}},
                {"resource": ARCHIVED},
            ],
        },
        [True, False],
    ),
    "a default is replaced whole": (
        {**DENY, "subject": ADMIN, "resource": ARCHIVED, "evaluations": [{}, {"subject": BOB}, {"resource": RECORD_1}]},
        [True, True, False],
    ),
}
MIXED: Final[Body] = {"subject": BOB, "resource": RECORD_1}
READS: Final[Body] = {"action": READ}
WRITES: Final[Body] = {"action": WRITE}


@pytest.mark.parametrize("name", DECIDED)
def test_a_batch_is_decided_item_by_item_in_order(pdp: Pdp, name: str) -> None:
    asked, decisions = DECIDED[name]
    assert pdp.decisions(asked) == decisions


@pytest.mark.parametrize(
    ("semantic", "items", "answered"),
    [
        ("execute_all", [READS, WRITES, READS], [True, False, True]),
        ("deny_on_first_deny", [READS, WRITES, READS], [True, False]),
        ("deny_on_first_deny", [READS, READS], [True, True]),
        ("deny_on_first_deny", [READS, {"resource": {"type": "record"}, "subject": {}}, {}], [True, False]),
        ("permit_on_first_permit", [WRITES, READS, READS], [False, True]),
        ("permit_on_first_permit", [READS], [True]),
        ("permit_on_first_permit", [WRITES, WRITES], [False, False]),
    ],
)
def test_a_batch_ends_by_its_semantic(pdp: Pdp, semantic: str, items: list[Body], answered: list[bool]) -> None:
    assert pdp.decisions({**MIXED, "evaluations": items, "options": {"evaluations_semantic": semantic}}) == answered


def test_other_options_are_ignored(pdp: Pdp) -> None:
    assert pdp.decisions({**MIXED, "evaluations": [READS], "options": {"another": {"nested": 1}}}) == [True]


@pytest.mark.parametrize("item", [{}, {"resource": "record-1"}, {"resource": {"id": 7}}, "record-1", None])
def test_an_item_that_cannot_be_decided_is_denied_with_its_error(pdp: Pdp, item: object) -> None:
    asked = {"subject": ALICE, "action": READ, "evaluations": [{"resource": RECORD_1}, item, {"resource": RECORD_2}]}
    answer = pdp.post("evaluations", asked)
    assert answer.status == 200
    assert [one["decision"] for one in answer.body["evaluations"]] == [True, False, True]
    error = answer.body["evaluations"][1]["context"]["error"]
    assert error["status"] == 400
    assert error["message"]


@pytest.mark.parametrize("more", [{}, {"evaluations": []}, {"evaluations": None}], ids=["absent", "empty", "null"])
class TestABodyWithoutItems:
    @pytest.mark.parametrize(("asked", "decision"), [(PERMIT, True), (DENY, False)])
    def test_is_answered_as_one_evaluation(self, pdp: Pdp, more: Body, asked: Body, decision: bool) -> None:
        answer = pdp.post("evaluations", {**asked, **more})
        assert (answer.status, answer.decision) == (200, decision)
        assert "evaluations" not in answer.body

    def test_is_checked_as_one_evaluation(self, pdp: Pdp, more: Body) -> None:
        assert pdp.post("evaluations", {"subject": ALICE, "action": READ, **more}).status == 400


@pytest.mark.parametrize(
    "asked",
    [
        b"{",
        {**PERMIT, "evaluations": {}},
        {**PERMIT, "evaluations": [{}], "subject": "alice"},
        {**PERMIT, "evaluations": [{}], "context": []},
        {**PERMIT, "evaluations": [{}], "options": []},
        {**PERMIT, "evaluations": [{}], "options": {"evaluations_semantic": "some"}},
        {**PERMIT, "evaluations": [{}], "options": {"evaluations_semantic": 1}},
        {**PERMIT, "evaluations": [{}] * 101},
    ],
    ids=["no JSON", "no array", "subject", "context", "options", "semantic", "semantic's type", "101 items"],
)
def test_what_is_wrong_with_the_whole_body_is_400(pdp: Pdp, asked: object) -> None:
    assert pdp.post("evaluations", asked).status == 400


def test_a_batch_of_100_is_answered_whole(pdp: Pdp) -> None:
    assert pdp.decisions({**PERMIT, "evaluations": [{}] * 100}) == [True] * 100
