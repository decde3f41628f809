"""How long a grant that has ended is kept, and what the log keeps of it then. Pure.

Holds: only what has ended goes, and never sooner than an hour after that, unless the installation keeps grants for less
than an hour anyway; a denial stays a day whatever is set, since a call that was denied cannot be asked for again for up
to that long.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_operator.reconcile.conditions import parsed

MOST_DAYS: Final = 30
_AT_LEAST: Final = timedelta(hours=1)
_DENIAL_AT_LEAST: Final = timedelta(days=1)
# A grant waits for its reviews for a day at most, and can be used for a day at most.
_LONGEST_LIFE: Final = timedelta(days=2)
_CONDITION_OF: Final = {"Withdrawn": "Revoked"}
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """What is kept: each grant for so long, and so many of a policy."""

    lasting: timedelta = timedelta(days=1)
    per_policy: int = 500


@dataclass(frozen=True, slots=True, order=True)
class EndedGrant:
    """A grant that has ended, in the order in which they go."""

    at: datetime
    namespace: str
    name: str
    uid: str = field(compare=False)
    denied: bool = field(compare=False)
    policies: tuple[str, ...] = field(compare=False)


def ended(grant: Object) -> EndedGrant | None:
    """Return when a grant ended and of which policies it is; None where it has not."""
    status, metadata = grant.get("status") or {}, grant["metadata"]
    phase = status.get("phase")
    if phase not in TERMINAL_PHASES:
        return None
    rules = grant["spec"]["request"]["rules"]
    return EndedGrant(
        _ended_at(grant, phase),
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        phase == "Denied",
        tuple(sorted({rule["policy"] for rule in rules})),
    )


def _ended_at(grant: Object, phase: str) -> datetime:
    conditions = {entry.get("type"): entry for entry in grant["status"].get("conditions") or ()}
    times = [
        parsed(entry["lastTransitionTime"])
        for entry in (conditions.get("Ready"), conditions.get(_CONDITION_OF.get(phase, phase)))
        if entry is not None
    ]
    ready = conditions.get("Ready") or {}
    if phase == "Expired" and ready.get("reason") == "Expired":
        # It was not ready before either, so its condition does not say since when it is over.
        times.append(parsed(grant["spec"]["request"]["pendingUntilTime"]))
    return max(times) if times else parsed(grant["metadata"]["creationTimestamp"]) + _LONGEST_LIFE


class RetainedGrants:
    """What has ended and is still there, by policy, oldest first."""

    def __init__(self, keeping: RetentionPeriods) -> None:
        self._keeping = keeping
        self._known: dict[tuple[str, str], EndedGrant] = {}
        self._of: dict[tuple[str, str], list[EndedGrant]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, one: EndedGrant) -> tuple[EndedGrant, ...]:
        """Take one in; return whose end came nearer by that."""
        key = (one.namespace, one.name)
        if self._known.get(key) == one and self._known[key].uid == one.uid:
            return ()
        self.remove(*key)
        self._known[key] = one
        pushed = []
        for policy in one.policies:
            line = self._of.setdefault((one.namespace, policy), [])
            insort(line, one)
            surplus = len(line) - self._keeping.per_policy
            if surplus > 0 and line[surplus - 1] is not one:
                pushed.append(line[surplus - 1])
        return tuple(pushed)

    def remove(self, namespace: str, name: str) -> None:
        """Take one out: it is gone."""
        one = self._known.pop((namespace, name), None)
        for policy in one.policies if one is not None else ():
            line = self._of[namespace, policy]
            assert one is not None  # noqa: S101 - it has policies
            del line[bisect_left(line, one)]
            if not line:
                del self._of[namespace, policy]

    def until(self, one: EndedGrant) -> datetime:
        """Return until when it is kept."""
        lasting = self._keeping.lasting
        if any(self._is_surplus(one, line) for line in self._lines(one)):
            lasting = min(lasting, _AT_LEAST)
        return one.at + (max(lasting, _DENIAL_AT_LEAST) if one.denied else lasting)

    def _lines(self, one: EndedGrant) -> Iterable[list[EndedGrant]]:
        return (self._of.get((one.namespace, policy), []) for policy in one.policies)

    def _is_surplus(self, one: EndedGrant, line: list[EndedGrant]) -> bool:
        return bisect_left(line, one) < len(line) - self._keeping.per_policy


def record(grant: Object) -> Object:
    """Return what the log keeps of a grant that is deleted: who asked for what, who said what, and how it ended."""
    request, status = grant["spec"]["request"], grant.get("status") or {}
    return {
        "uid": grant["metadata"]["uid"],
        "ended": _ended_at(grant, str(status.get("phase"))).isoformat(),
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
