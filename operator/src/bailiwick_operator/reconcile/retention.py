"""How long a grant that has ended is kept, and what the log keeps of it then. Pure.

Holds: only an ended grant is deleted, and never sooner than an hour after its end, unless the installation keeps grants
for less than an hour anyway; a denial stays a day regardless of the settings, since a call that was denied cannot be
requested again for up to that long.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_operator.reconcile.conditions import Object, parse_time

MOST_DAYS: Final = 30
_AT_LEAST: Final = timedelta(hours=1)
_DENIAL_AT_LEAST: Final = timedelta(days=1)
# A grant waits for its reviews for a day at most, and can be used for a day at most.
LONGEST_LIFE: Final = timedelta(days=2)
_CONDITION_OF: Final = {"Withdrawn": "Revoked"}


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """How long each grant is kept, and how many of a policy."""

    lasting: timedelta = timedelta(days=1)
    per_policy: int = 500


@dataclass(frozen=True, slots=True, order=True)
class EndedGrant:
    """A grant that has ended. Sorts in the order in which they are deleted."""

    at: datetime
    namespace: str
    name: str
    uid: str = field(compare=False)
    denied: bool = field(compare=False)
    policies: tuple[str, ...] = field(compare=False)


def ended_grant(grant: Object) -> EndedGrant | None:
    """Return when a grant ended and of which policies it is; None where it has not."""
    status, metadata = grant.get("status") or {}, grant["metadata"]
    phase = status.get("phase")
    if phase not in TERMINAL_PHASES:
        return None
    rules = grant["spec"]["request"]["rules"]
    return EndedGrant(
        _end_time(grant, phase),
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        phase == "Denied",
        tuple(sorted({rule["policy"] for rule in rules})),
    )


def _end_time(grant: Object, phase: str) -> datetime:
    conditions = {entry.get("type"): entry for entry in grant["status"].get("conditions") or ()}
    times = [
        parse_time(entry["lastTransitionTime"])
        for entry in (conditions.get("Ready"), conditions.get(_CONDITION_OF.get(phase, phase)))
        if entry is not None
    ]
    ready = conditions.get("Ready") or {}
    if phase == "Expired" and ready.get("reason") == "Expired":
        # It was not ready before either, so the condition's transition time is not its end.
        times.append(parse_time(grant["spec"]["request"]["pendingUntilTime"]))
    return max(times) if times else parse_time(grant["metadata"]["creationTimestamp"]) + LONGEST_LIFE


class RetainedGrants:
    """The grants that have ended and still exist, by policy, oldest first."""

    def __init__(self, keeping: RetentionPeriods) -> None:
        self._keeping = keeping
        self._known: dict[tuple[str, str], EndedGrant] = {}
        self._by_policy: dict[tuple[str, str], list[EndedGrant]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, grant: EndedGrant) -> tuple[EndedGrant, ...]:
        """Take a grant in; return the grants that are now to be deleted sooner."""
        key = (grant.namespace, grant.name)
        if self._known.get(key) == grant and self._known[key].uid == grant.uid:
            return ()
        self.remove(*key)
        self._known[key] = grant
        pushed = []
        for policy in grant.policies:
            line = self._by_policy.setdefault((grant.namespace, policy), [])
            insort(line, grant)
            surplus = len(line) - self._keeping.per_policy
            if surplus > 0 and line[surplus - 1] is not grant:
                pushed.append(line[surplus - 1])
        return tuple(pushed)

    def remove(self, namespace: str, name: str) -> None:
        """Take out a grant that was deleted."""
        grant = self._known.pop((namespace, name), None)
        for policy in grant.policies if grant is not None else ():
            line = self._by_policy[namespace, policy]
            assert grant is not None  # noqa: S101 - it has policies
            del line[bisect_left(line, grant)]
            if not line:
                del self._by_policy[namespace, policy]

    def deletion_time(self, grant: EndedGrant) -> datetime:
        """Return when to delete a grant."""
        lasting = self._keeping.lasting
        if any(self._is_surplus(grant, line) for line in self._lines(grant)):
            lasting = min(lasting, _AT_LEAST)
        return grant.at + (max(lasting, _DENIAL_AT_LEAST) if grant.denied else lasting)

    def _lines(self, grant: EndedGrant) -> Iterable[list[EndedGrant]]:
        return (self._by_policy.get((grant.namespace, policy), []) for policy in grant.policies)

    def _is_surplus(self, grant: EndedGrant, line: list[EndedGrant]) -> bool:
        return bisect_left(line, grant) < len(line) - self._keeping.per_policy


def record(grant: Object) -> Object:
    """Return what the log keeps of a deleted grant: who requested what, the reviews, and how it ended."""
    request, status = grant["spec"]["request"], grant.get("status") or {}
    return {
        "uid": grant["metadata"]["uid"],
        "ended": _end_time(grant, str(status.get("phase"))).isoformat(),
        "phase": status.get("phase"),
        "endpoint": request.get("endpoint"),
        "rules": [f"{rule.get('policy')}/{rule.get('rule')}" for rule in request.get("rules") or ()],
        "subject": (request.get("subject") or {}).get("id"),
        "action": (request.get("action") or {}).get("name"),
        "resource": (request.get("resource") or {}).get("id"),
        "binding": (request.get("binding") or {}).get("digest") or "Scope",
        "requester": (request.get("requester") or {}).get("username"),
        "reviews": [f"{one.get('reviewer')}: {one.get('decision')}" for one in grant["spec"].get("reviews") or ()],
        "counted": [one.get("reviewer") for one in status.get("counted") or ()],
        "revoked_by": (grant["spec"].get("revocation") or {}).get("by"),
        "uses": [one.get("evaluationID") for one in status.get("useRecords") or ()],
    }
