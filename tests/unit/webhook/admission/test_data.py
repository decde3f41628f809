"""Reviews of data: what cannot be read, or is over budget, is refused with its path; all else may be stored."""

from typing import Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.admission.answer import ReviewResponse, answer
from bailiwick_webhook.admission.review import DataFinding, NothingToReview, examine
from bailiwick_webhook.metrics.table import Admission
from support.admission.reviews import sent
from support.objects import Object

NOTHING: Final = Snapshot({})


def held(data: object) -> Object:
    metadata = {"namespace": "crm", "name": "incident"}
    return {"apiVersion": API_VERSION, "kind": "EndpointData", "metadata": metadata, "spec": {"data": data}}


def answered(new: Object, old: Object | None = None, budget: Budget | None = None) -> ReviewResponse:
    finding = examine(sent(new, old)).finding
    assert isinstance(finding, DataFinding | NothingToReview), finding
    return answer(finding, NOTHING, BudgetLedger(budget or Budget()), None, 0.0)


def test_data_that_can_be_read_is_stored() -> None:
    assert answered(held({"open": True})).outcome is Admission.ALLOWED
    assert answered(held({"open": True}), held({"open": True})).outcome is Admission.UNCHANGED


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"a": ["x\0"]}, "Unreadable: spec.data.a[0]: contains the character NUL"),
        ({"a": "x" * 300_000}, "TooLarge: spec.data: needs 300,008 bytes as JSON"),
        ([], "Unreadable: spec.data: must be an object"),
    ],
)
def test_data_that_cannot_be_read_is_refused_with_its_path(data: object, told: str) -> None:
    found = answered(held(data))
    assert found.outcome is Admission.INVALID
    status = found.body["response"]["status"]
    assert status["message"].startswith(told)
    assert status["details"]["kind"] == "EndpointData"
    assert status["details"]["causes"][0]["field"] in told


def test_data_over_budget_is_refused_unless_it_asks_for_no_more() -> None:
    budget, large = Budget(namespace=4_096), held({"a": "x" * 8_000})
    assert answered(large, budget=budget).outcome is Admission.OVER_BUDGET
    assert answered(held({"a": "y" * 8_000}), large, budget).outcome is Admission.ALLOWED
