"""What happened to a grant, in its order: asked for, reviewed, approved, used, taken back, over.

Standing: beside `grantpage`. Holds: pure; a time stands only where the object has it, and none is guessed. What is
still to come is no part of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bailiwick_governance.display import Line, legible
from bailiwick_governance.grants.grantview import GrantView, moment

_ENDS: Final = {"Expired": "Expired without enough approvals", "Lapsed": "The time to use it is over"}


@dataclass(frozen=True, slots=True)
class GrantEvent:
    """One event. `time`: as Kubernetes writes it; empty: the object does not say when."""

    time: str
    what: Line


def grant_events(grant: GrantView) -> tuple[GrantEvent, ...]:
    """Return the events of a grant, the earliest first. A review has a time once the operator has counted it."""
    return tuple(_events(grant))


def _events(grant: GrantView) -> Iterator[GrantEvent]:
    request, status = grant.request, grant.status
    asker = legible(request["requester"]["username"])
    yield GrantEvent(legible(grant.raw["metadata"]["creationTimestamp"]), [("Requested by ", ""), (asker, "bold")])
    counted = {entry["reviewer"]: entry.get("time") for entry in status.get("counted") or ()}
    void = {entry["reviewer"] for entry in status.get("voided") or ()}
    for review in grant.reviews:
        approves = review["decision"] == "Approve"
        yield GrantEvent(
            _time(counted.get(review["reviewer"])),
            [
                ("Approved" if approves else "Denied", "green" if approves else "red"),
                (" by ", ""),
                (legible(review["reviewer"]), "bold"),
                (", step ", ""),
                (legible(review["step"]), ""),
                (" (void: not counted)" if review["reviewer"] in void else "", ""),
            ],
        )
    if approved := status.get("approvedTime"):
        yield GrantEvent(legible(approved), [("Every step was met", "green")])
    for use in sorted(status.get("useRecords") or (), key=lambda one: moment(one["time"])):
        call = legible(use["evaluationID"])
        yield GrantEvent(legible(use["time"]), [("Used", "bold"), (" by the call ", ""), (call, "")])
    if (revocation := grant.raw["spec"].get("revocation")) is not None:
        done = "Revoked" if status.get("approvedTime") else "Withdrawn"
        yield GrantEvent("", [(done, "red"), (" by ", ""), (legible(revocation["by"]), "bold")])
    elif (end := _ENDS.get(grant.phase)) is not None:
        when = request.get("pendingUntilTime") if grant.phase == "Expired" else status.get("notAfterTime")
        yield GrantEvent(_time(when), [(end, "")])


def _time(stored: str | None) -> str:
    return legible(stored) if stored else ""
