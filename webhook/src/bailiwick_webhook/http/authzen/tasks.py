"""AuthZEN ARAP (Access Request and Approval Profile, working-group draft): tasks, in the draft's names.

Holds: the names of the draft stand here and nowhere else, since it may still change; a task is one grant, and its
status follows from it: pending, then exactly one of approved, denied, expired, cancelled.
"""

import time
from typing import Any, Final

from bailiwick_api.times import epoch_stamp
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_webhook.http.problems import ARAP_ERROR, ProblemError

_STATUS: Final = {
    "Active": "approved",
    "Consumed": "approved",
    "Lapsed": "approved",
    "Revoked": "approved",
    "Denied": "denied",
    "Expired": "expired",
    "Withdrawn": "cancelled",
}


def task(grant: Grant, base: str, state: str | None = None) -> dict[str, Any]:
    """Return the task of a grant. An approval that is over or used up stays `approved`: validity is judged at use.

    `state` is the approval token of an approved grant.
    """
    request = grant.request
    status = _status(grant)
    task_id = grant.id
    described: dict[str, Any] = {
        "id": task_id,
        "status": status,
        "status_endpoint": f"{base}/access/v1/requests/{task_id}",
        "expires_at": epoch_stamp(request.pending_until_time.timestamp()),
    }
    if status == "pending":
        described["links"] = {"cancel": f"{base}/access/v1/requests/{task_id}/cancel"}
        described["progress"] = {
            "total_steps": len(request.steps),
            "awaiting": [{"step": step.name, "kind": step.kind, "groups": step.groups or []} for step in request.steps],
        }
    approved, until = grant.status.approved_time, grant.status.not_after_time
    if status == "approved" and approved is not None and until is not None:
        described["result"] = {
            "mode": "reevaluate",
            "approval": {
                "id": task_id,
                "approved_at": epoch_stamp(approved.timestamp()),
                "approved_until": epoch_stamp(until.timestamp()),
                **({} if state is None else {"state": state}),
            },
        }
    return {"task": described}


def pending(grant: Grant) -> bool:
    """Tell whether the task is still open."""
    return _status(grant) == "pending"


def _status(grant: Grant) -> str:
    if grant.phase != "Pending":
        return _STATUS[grant.phase]
    if grant.revoked or grant.deleting:
        return "cancelled"
    return "expired" if time.time() >= grant.request.pending_until_time.timestamp() else "pending"


def not_requestable(verdict: Verdict, detail: str | None = None) -> ProblemError:
    """400: nothing to ask for."""
    return ProblemError(
        400,
        f"{ARAP_ERROR}not_requestable",
        "Not requestable",
        detail or f"You cannot request an approval: {verdict.sentence}",
        more={"reason": verdict.reason.value},
    )


def unknown_task() -> ProblemError:
    """404: no such task of this endpoint, or not for this caller to see."""
    return ProblemError(404, f"{ARAP_ERROR}unknown_task", "Unknown task", "This endpoint has no such request.")


def duplicate_request(detail: str) -> ProblemError:
    """409: the Idempotency-Key is another request's."""
    return ProblemError(409, f"{ARAP_ERROR}duplicate_request", "Duplicate request", detail)


def expired_denial() -> ProblemError:
    """410: it is too late to ask about this denial."""
    detail = "The denial that this request refers to has expired. Evaluate the call again, and refer to the new denial."
    return ProblemError(410, f"{ARAP_ERROR}expired_denial", "Expired denial", detail)


def invalid_denial_binding(why: str) -> ProblemError:
    """400: the request does not follow the denial that it names."""
    detail = (
        "The binding token does not belong to a denial of this request at this endpoint. Send the token that came"
        " with the denial."
    )
    return ProblemError(
        400,
        f"{ARAP_ERROR}invalid_denial_binding",
        "Invalid denial binding",
        detail,
        where="denial.binding_token",
        more={"why": why},
    )


def invalid_task_state(detail: str) -> ProblemError:
    """409: the task has ended."""
    return ProblemError(409, f"{ARAP_ERROR}invalid_task_state", "Invalid task state", detail)
