"""Stored grants and policies as the API server would return them, at moments that a test chooses."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.approvalrequirement import Limits
from bailiwick_api.serverclock import ServerClock
from bailiwick_api.times import stamp
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.acceptance import CompilationSummary
from bailiwick_engine.compile.policies import policy_ref
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.reconcile import approvalgrant
from bailiwick_operator.reconcile.approvalgrant import GrantObservation, GrantPlan
from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.reconcile.grantlimits import RuleLimits
from bailiwick_operator.reconcile.resolution import Resolution
from support.objects import AGENT, RULE_DIGEST, Object, opened_grant, review, step

NOW: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PENDING_UNTIL: Final = NOW + timedelta(hours=1)
INSTALLATION: Final = Installation()
STEP_OF_TWO: Final = step(count=2)
RESOLVED: Final = {
    "subjectUID": "agent-uid",
    "rules": [{"policy": "crm-agent", "rule": "export", "uid": "policy-uid", "ruleDigest": RULE_DIGEST}],
}
LIMITS: Final = RuleLimits(Limits(), frozenset(), intents=False)


def at(**delta: float) -> str:
    """Return a moment from NOW on, as it is stored."""
    return stamp(NOW + timedelta(**delta))


def stored(document: Object, *, version: int = 100, generation: int = 1, status: Status | None = None) -> Object:
    """Return an object as it is stored."""
    metadata = {
        "uid": "0b1a",
        "generation": generation,
        "resourceVersion": str(version),
        "creationTimestamp": at(minutes=-30),
    }
    out = {**document, "metadata": {**document["metadata"], **metadata}}
    return out | ({"status": status} if status is not None else {})


def compile_stored(body: Object) -> CompilationSummary:
    """Compile a stored policy, as the engine does."""
    return acceptance.judge(policy_ref(body), body.get("spec"))


def grant(
    *reviewers: str,
    decision: str = "Approve",
    status: Status | None = None,
    revoked: bool = False,
    **request: object,
) -> Object:
    """Return a stored grant that these people reviewed."""
    out = stored(opened_grant("crm"), status=status)
    out["spec"]["request"] |= {"pendingUntilTime": stamp(PENDING_UNTIL), **request}
    out["spec"]["reviews"] = [review(out, reviewer) | {"decision": decision} for reviewer in reviewers]
    if revoked:
        out["spec"]["revocation"] = {"by": "carol"}
    return out


def active(**fields: object) -> Status:
    """Return the status of an approved grant."""
    return {"phase": "Active", "approvedTime": at(minutes=-1), "notAfterTime": at(minutes=9), **fields}


def reconciled(
    body: Object,
    *,
    proven: bool = True,
    timed: bool = True,
    now: datetime = NOW,
    resolution: Resolution | None = None,
) -> GrantPlan:
    """Reconcile a grant."""
    return approvalgrant.reconcile(body, GrantObservation(proven, INSTALLATION.is_person, resolution, timed=timed), now)


def right_clock(wall: Callable[[], float] = time.time) -> Clock:
    """Return a clock beside an API server that has just told the real time."""
    server = ServerClock(wall)
    server.record_answer(time.time(), time.monotonic())
    return Clock(server)


def by_hand(*reviewers: str, **fields: object) -> Object:
    """Return a stored grant that a person wrote by hand, with names alone; keywords as of `grant`."""
    named: dict[str, Any] = {
        "origin": "PreApproved",
        "binding": {"mode": "Scope"},
        "rules": [{"policy": "crm-agent", "rule": "export"}],
        "subject": {"type": "serviceAccount", "id": AGENT},
        "requester": {"username": "carol"},
    }
    return grant(*reviewers, **{**named, **fields})


def applied(body: Object, outcome: GrantPlan) -> Object:
    """Return the object after what is to be written was written: our fields replaced, the others kept."""
    if outcome.status is None:
        return body
    kept = {key: value for key, value in (body.get("status") or {}).items() if key not in approvalgrant.OWNED}
    return body | {"status": {**kept, **outcome.status}}


def condition(status: Status, name: str) -> Object:
    """Return one condition of a status; empty where it is not there."""
    found: Object = next((entry for entry in status["conditions"] if entry["type"] == name), {})
    return found
