"""Drafts Kubernetes Events: a grant entered another phase, a policy is judged differently. Pure.

Holds: an event needs a difference between the previous status and the written one, so a second pass, which writes
nothing, has no events. Messages are those of the conditions.
"""

from dataclasses import dataclass
from typing import Final, Literal

from bailiwick_api.kinds.approvalgrant import GUARD_UNPROVEN
from bailiwick_engine.compile.acceptance import shorten
from bailiwick_operator.reconcile.conditions import Object, Status

NOTE_LENGTH: Final = 1024
_ACTIONS: Final = {
    "Requested": "Request",
    "Approved": "Approve",
    "Denied": "Deny",
    "Expired": "Expire",
    "Withdrawn": "Withdraw",
    "Consumed": "Consume",
    "Lapsed": "Lapse",
    "Revoked": "Revoke",
    GUARD_UNPROVEN: "Void",
}
_WARNINGS: Final = frozenset({"Denied", "Revoked", GUARD_UNPROVEN})
_JUDGE: Final = "Judge"


@dataclass(frozen=True, slots=True)
class EventDraft:
    """One event: `type`, `action` and `reason` as events.k8s.io/v1 has them; the note is for people."""

    type: Literal["Normal", "Warning"]
    action: str
    reason: str
    note: str


def grant_events(before: Status, after: Status) -> tuple[EventDraft, ...]:
    """Return the events of a written status of a grant."""
    refused = _refused_signatures(before, after)
    phase = after.get("phase")
    if phase == before.get("phase") or phase is None:
        return refused
    ready = _condition(after, "Ready")
    reason = {"Pending": "Requested", "Active": "Approved"}.get(phase, str(phase))
    if ready.get("reason") == GUARD_UNPROVEN:
        reason = GUARD_UNPROVEN
    entered = _draft(reason, _ACTIONS.get(reason, _JUDGE), str(ready.get("message", "")), bad=reason in _WARNINGS)
    return (*refused, entered)


def _refused_signatures(before: Status, after: Status) -> tuple[EventDraft, ...]:
    """Return an event for each review that is void from now on for want of a signature that counts."""
    known, voided = _voided(before), _voided(after)
    return tuple(
        _draft("SignatureRefused", "Void", f"the review by {reviewer} does not count: {message}", bad=True)
        for reviewer, message in voided.items()
        if reviewer not in known and message is not None
    )


def _voided(status: Status) -> dict[str, object]:
    """Return why each review is void that is, by its reviewer. The status may have any shape."""
    entries = status.get("voided")
    listed = [entry for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, dict)]
    return {str(entry.get("reviewer")): entry.get("message") for entry in listed}


def policy_events(before: Status, after: Status) -> tuple[EventDraft, ...]:
    """Return the events of a written status of a policy: Accepted or Ready has another reason. Each reason once.

    While the decision point is loading a policy, Ready repeats Programmed, which is not worth an event.
    """
    bad = _condition(after, "Accepted").get("status") == "False"
    programmed = _condition(after, "Programmed").get("reason")
    drafts: dict[str, EventDraft] = {}
    for name in ("Accepted", "Ready"):
        entry, reason = _condition(after, name), str(_condition(after, name).get("reason", ""))
        settling = name == "Ready" and reason == programmed
        if reason and not settling and reason != _condition(before, name).get("reason"):
            drafts.setdefault(reason, _draft(reason, _JUDGE, str(entry.get("message", "")), bad=bad))
    return tuple(drafts.values())


def _draft(reason: str, action: str, message: str, *, bad: bool) -> EventDraft:
    return EventDraft("Warning" if bad else "Normal", action, reason, _shorten(message))


def _shorten(message: str) -> str:
    """Cut a message to the length of an event's note, which the API server counts in bytes."""
    encoded = shorten(message, NOTE_LENGTH).encode()
    return encoded[: NOTE_LENGTH - 3].decode(errors="ignore") + "…" if len(encoded) > NOTE_LENGTH else encoded.decode()


def _condition(status: Status, name: str) -> Object:
    conditions = status.get("conditions")
    for entry in conditions if isinstance(conditions, list) else ():
        if isinstance(entry, dict) and entry.get("type") == name:
            return entry
    return {}
