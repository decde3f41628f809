"""The record of a use says on whose word the call was let through: who, when and why, of the reviews that count."""

import json
from typing import Any, Final

from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.record.line import RecordLines
from support.objects import DIGEST, STEP, Object, opened_grant

CALL: Final = Call(
    "crm",
    "crm-api",
    ServiceAccount("system:serviceaccount:crm:crm-api", "pep-uid"),
    Party("serviceAccount", "system:serviceaccount:agents:crm-agent", "agent-uid"),
    Action("customers.export"),
    Resource("customer", "42"),
)
COUNTED: Final = [{"reviewer": "dave", "time": "2026-01-01T00:01:00Z"}, {"reviewer": "robot"}]


def review(reviewer: str, **fields: object) -> Object:
    return {"reviewer": reviewer, "step": STEP, "decision": "Approve", "binding": DIGEST, **fields}


def grant(**status: object) -> Grant:
    raw = opened_grant("crm")
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    raw["spec"]["reviews"] = [review("dave", reason="as agreed", group="owners"), review("robot"), review("mallory")]
    raw["status"] = {"phase": "Active", "uses": 1, **status}
    made = parse(raw)
    assert made is not None
    return made


def told(kind: str, used: Grant | None) -> Any:  # noqa: ANN401 - any JSON
    line = RecordLines().line(
        CALL,
        Verdict(outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED, digest="d"),
        None,
        kind=kind,
        evaluation_id="eval_1",
        request_id=None,
        trace=None,
        allowed=used is not None,
        used=used,
        revision="1",
        age=0.0,
        now=1_800_000_000.0,
    )
    return json.loads(line)["grant"]


def test_it_names_each_reviewer_that_counts_with_time_and_reason() -> None:
    assert told("evaluation", grant(counted=COUNTED))["reviews"] == [
        {"reviewer": "dave", "step": STEP, "group": "owners", "time": "2026-01-01T00:01:00Z", "reason": "as agreed"},
        {"reviewer": "robot", "step": STEP, "group": None, "time": None, "reason": None},
    ]


def test_a_review_that_is_void_or_not_counted_is_not_told() -> None:
    assert told("evaluation", grant(counted=COUNTED, voided=[{"reviewer": "dave"}]))["reviews"] == [
        {"reviewer": "robot", "step": STEP, "group": None, "time": None, "reason": None}
    ]
    assert told("evaluation", grant())["reviews"] == []


def test_a_grant_that_was_only_asked_for_let_nothing_through() -> None:
    assert "reviews" not in told("request", grant(counted=COUNTED))
