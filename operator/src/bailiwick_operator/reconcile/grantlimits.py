"""Limits of grants written by hand: how many may wait for a subject, and how soon one may follow a denial. Pure.

Standing: beside `resolution`, which finds the subject of a grant and what its rules allow. Holds: a grant that is over
a limit is withdrawn before it can be reviewed; grants by hand and requests of the decision point are counted apart, so
that neither blocks the other, but a denial applies to both (invariant 19 of hack/invariants.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bailiwick_api.kinds.approvalrequirement import Limits
from bailiwick_engine.names import NameSet

HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class AskedGrant:
    """The request of a grant, and its outcome. Times are seconds since the epoch.

    `subject_uid` None: it is not resolved, and counts for no subject. `denied`: a reviewer denied it; `denied_at` when,
    None where that is not known.
    """

    name: str
    uid: str
    by_hand: bool
    endpoint: str
    subject_uid: str | None
    actors: tuple[tuple[str | None, str, str | None], ...]
    action: str
    resource_type: str
    resource_id: str
    properties: tuple[tuple[str, str], ...]
    intent: str | None
    created: float
    waits_until: float | None
    denied: bool
    denied_at: float | None


@dataclass(frozen=True, slots=True)
class RuleLimits:
    """The limits of all rules of a grant together, and which parts of a request its rules read: properties, intents."""

    limits: Limits
    properties: frozenset[str]
    intents: bool


def exceeded(asked: AskedGrant, rules: RuleLimits, others: Iterable[AskedGrant], earliest: float) -> str | None:
    """Return which limit a grant written by hand exceeds, for its author; None: it is within all of them.

    `others`: grants of the same endpoint; the grant itself may be among them. `earliest`: the earliest time that it can
    be. Whatever is judged by it here holds something back, so that none of it ends too early.
    """
    pending = lately = 0
    limits = rules.limits
    for other in others:
        if other.uid == asked.uid or other.subject_uid != asked.subject_uid:
            continue
        same = _overlaps(asked, other, rules)
        if same and other.denied and _is_cooling_down(other, limits, earliest):
            return (
                f"grant {other.name} for such a call was denied, and denyCooldownSeconds is"
                f" {limits.deny_cooldown_seconds}: write a new grant after that time"
            )
        waits = other.waits_until is not None and earliest < other.waits_until
        if not other.by_hand:
            continue
        if same and waits:
            return f"grant {other.name} already waits for reviews of such a call: use that grant"
        pending += waits
        lately += other.created > earliest - HOUR
    if pending >= limits.pending_per_subject:
        return f"{pending} grants for this subject already wait for reviews: the limit is {limits.pending_per_subject}"
    if lately >= limits.requests_per_hour:
        return (
            f"{lately} grants for this subject were written in the last hour: the limit is {limits.requests_per_hour}"
        )
    return None


def _is_cooling_down(denied: AskedGrant, limits: Limits, earliest: float) -> bool:
    return denied.denied_at is None or earliest < denied.denied_at + limits.deny_cooldown_seconds


def _overlaps(one: AskedGrant, other: AskedGrant, rules: RuleLimits) -> bool:
    """Tell whether one call could fall under both, ignoring what no rule reads: authors can vary that freely."""
    if (one.actors, one.action, one.resource_type) != (other.actors, other.action, other.resource_type):
        return False
    if rules.intents and None not in {one.intent, other.intent} and one.intent != other.intent:
        return False
    held = dict(other.properties)
    if any(name in rules.properties and held.get(name, value) != value for name, value in one.properties):
        return False
    wanted = NameSet.of((one.resource_id,))
    if not other.by_hand:
        # It is about one resource, even if its id looks like a pattern.
        return other.resource_id in wanted
    before = NameSet.of((other.resource_id,))
    return wanted.covers(before) or before.covers(wanted)
