"""The life of a grant: which phase follows, and what the status then says of it.

Standing: over `quorum`. The operator applies it to grants at the API server, and a decision point in development to
those in its memory. Holds: a revocation of the grant beats a denial, a denial beats that a party is taken back, and
each beats an approval; reviews count, and a grant becomes active, only under a proven guard. To end a grant needs no
proof. While the clock is not trusted, only a revocation and the last use end a grant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bailiwick_api.kinds.approvalgrant import ApprovalGrantSpec, ApprovalGrantStatus, Phase
from bailiwick_api.times import stamp
from bailiwick_engine.approval.quorum import Quorum


@dataclass(frozen=True, slots=True)
class PhaseInputs:
    """What the next phase depends on, besides the grant.

    `proven`: the guards were proven after this version of the grant was seen. `timed`: our clock agrees with the API
    server's. `named`: everything that the grant names is resolved. `over_limit`: the grant exceeds a limit of its rule.
    `revoked`: a party or a reviewer was taken back.
    """

    quorum: Quorum
    created: datetime
    proven: bool = True
    timed: bool = True
    named: bool = True
    over_limit: bool = False
    revoked: bool = False

    @property
    def counts(self) -> bool:
        """Whether reviews may be counted, and a grant may become active by them."""
        return self.proven and self.timed


def next_phase(
    spec: ApprovalGrantSpec, status: ApprovalGrantStatus, inputs: PhaseInputs, now: datetime
) -> Phase | None:
    """Return the phase that follows one that is not terminal; None while it is not known if the grant itself counts."""
    request = spec.request
    active = status.phase == "Active"
    over_limit = inputs.over_limit and not inputs.named and inputs.timed
    denied = inputs.counts and inputs.quorum.denied_by is not None
    # A party may come back, and the call can then be requested again: if it was denied, not before its cool-down.
    if spec.revocation is not None or over_limit or (inputs.revoked and not denied):
        return "Revoked" if active else "Withdrawn"
    if denied:
        return "Denied"
    if active and (status.uses or 0) >= request.max_uses:
        return "Consumed"
    if not inputs.timed:
        return status.phase
    if active:
        return "Lapsed" if status.not_after_time is None or now >= status.not_after_time else "Active"
    if now >= request.pending_until_time:
        return "Expired"
    # A decision point refuses a grant that was approved before it was created: another API server's clock may be a
    # little ahead.
    if inputs.counts and inputs.quorum.met and inputs.named and now >= inputs.created:
        return "Active"
    return "Pending" if inputs.proven or status.phase == "Pending" else None


def phase_members(
    present: Mapping[str, Any], phase: Phase, reviewers: Sequence[str], window_seconds: int, now: datetime
) -> dict[str, Any]:
    """Return the members of a status that follow from its phase, as they are stored.

    `present`: the status as stored. `reviewers`: whose reviews count, in the order in which they were counted.
    """
    members: dict[str, Any] = {"phase": phase}
    if reviewers:
        # Each review keeps the time when it was first counted.
        before = {entry["reviewer"]: entry for entry in present.get("counted", ())}
        members["counted"] = [before.get(who) or {"reviewer": who, "time": stamp(now)} for who in reviewers]
    if phase == "Active" and present.get("phase") != "Active":
        # To the second, as it is stored: a window is never longer than approved.
        members["approvedTime"] = stamp(now)
        members["notAfterTime"] = stamp(now + timedelta(seconds=window_seconds))
    return members


def condition_of(phase: Phase) -> str | None:
    """Return the type of the condition that a phase at the end of a life makes true; None where there is none."""
    ended = {"Withdrawn": "Revoked"}.get(phase, phase)
    return ended if ended in {"Denied", "Consumed", "Lapsed", "Revoked"} else None
