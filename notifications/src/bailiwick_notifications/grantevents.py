"""Of which moments of a grant people are notified, and when: from the object as it stands, not from its history. Pure.

Holds: the same grant gives the same notifications with the same ids, whichever process looks and however often; what
cannot be read is left out, and raises nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from bailiwick_api.times import parse_time
from bailiwick_notifications.notification import GrantFacts, Notification, NotificationType, inert

Object = Mapping[str, Any]
SHARE: Final = 5
"""A grant is about to end unanswered in the last fifth of its time."""
_APPROVED: Final = frozenset({"Active", "Consumed", "Lapsed", "Revoked"})
_UNRESOLVED: Final = "Unresolved"
# As many as a grant can have, so that none is left out: a message says where it is cut.
_MOST_PEOPLE: Final = 20


@dataclass(frozen=True, slots=True)
class DueEvent:
    """A notification that is due. `since` None: it is not known since when."""

    notification: Notification
    since: datetime | None


@dataclass(frozen=True, slots=True)
class GrantEvents:
    """What of a grant is due by now, and when the next is if nothing changes."""

    due: tuple[DueEvent, ...]
    next: datetime | None = None


_NONE: Final = GrantEvents(())


def grant_events(grant: Object, now: datetime, lead: timedelta | None = None) -> GrantEvents:
    """Return what is due. `lead`: how long before its end a grant is about to end; None: a share of its time."""
    try:
        return _events_of(grant, now, lead)
    except (AttributeError, KeyError, TypeError, ValueError):
        return _NONE


def _events_of(grant: Object, now: datetime, lead: timedelta | None) -> GrantEvents:
    status, metadata = grant.get("status") or {}, grant["metadata"]
    phase = status.get("phase")
    if phase is None or "deletionTimestamp" in metadata:
        return _NONE
    if phase == "Pending":
        return _pending(grant, now, lead)
    due: list[DueEvent] = []
    if phase in _APPROVED and (approved := parse_time(status.get("approvedTime"))) is not None:
        counted = tuple(str(one["reviewer"]) for one in status.get("counted") or ())
        facts = _facts(grant, parse_time(status.get("notAfterTime")), counted)
        due.append(_due(grant, NotificationType.GRANT_APPROVED, facts, approved))
    if phase == "Denied":
        denied = tuple(str(one["reviewer"]) for one in _reviews(grant) if one.get("decision") == "Deny")
        due.append(_due(grant, NotificationType.GRANT_DENIED, _facts(grant, None, denied), _since(status, "Denied")))
    if phase == "Revoked":
        by = (grant["spec"].get("revocation") or {}).get("by")
        facts = _facts(grant, None, () if by is None else (str(by),))
        due.append(_due(grant, NotificationType.GRANT_REVOKED, facts, _since(status, "Revoked")))
    return GrantEvents(tuple(due))


def _pending(grant: Object, now: datetime, lead: timedelta | None) -> GrantEvents:
    status, request = grant["status"], grant["spec"]["request"]
    ready = _condition(status, "Ready")
    if ready.get("reason") == _UNRESOLVED:
        # It cannot be reviewed yet.
        return _NONE
    until, born = parse_time(request["pendingUntilTime"]), parse_time(grant["metadata"]["creationTimestamp"])
    if until is None or born is None or now >= until:
        return _NONE
    facts = _facts(grant, until, ())
    # One that was written by hand waits from when its names were resolved, which no time says.
    since = None if request.get("origin") == "PreApproved" else parse_time(ready.get("lastTransitionTime"))
    due = [_due(grant, NotificationType.GRANT_PENDING, facts, since)]
    ending = until - ((until - born) / SHARE if lead is None else lead)
    if ending <= born:
        # It was about to end when it came, and that it waits says until when.
        return GrantEvents(tuple(due))
    if ending > now:
        return GrantEvents(tuple(due), ending)
    due.append(_due(grant, NotificationType.GRANT_ENDING, facts, ending))
    return GrantEvents(tuple(due))


def _due(grant: Object, type_: NotificationType, facts: GrantFacts, since: datetime | None) -> DueEvent:
    uid, born = str(grant["metadata"]["uid"]), parse_time(grant["metadata"]["creationTimestamp"])
    at = since or born
    if at is None:
        raise ValueError(uid)
    return DueEvent(Notification(f"{uid}.{type_.rpartition('.')[2]}", type_, at, facts), since)


def _facts(grant: Object, until: datetime | None, reviewers: tuple[str, ...]) -> GrantFacts:
    metadata, request = grant["metadata"], grant["spec"]["request"]
    resource = request["resource"]
    return GrantFacts(
        namespace=str(metadata["namespace"]),
        name=str(metadata["name"]),
        uid=str(metadata["uid"]),
        endpoint=str(request["endpoint"]),
        requester=inert(str(request["requester"]["username"])),
        subject=inert(str(request["subject"]["id"])),
        actors=tuple(inert(str(actor["id"])) for actor in request.get("actors") or ())[:_MOST_PEOPLE],
        action=inert(str(request["action"]["name"])),
        resource=inert(f"{resource['type']}/{resource['id']}"),
        until=until,
        reviewers=tuple(map(inert, reviewers[:_MOST_PEOPLE])),
    )


def _reviews(grant: Object) -> Iterator[Object]:
    yield from grant["spec"].get("reviews") or ()


def _since(status: Object, name: str) -> datetime | None:
    return parse_time(_condition(status, name).get("lastTransitionTime"))


def _condition(status: Object, name: str) -> Object:
    return next((one for one in status.get("conditions") or () if one.get("type") == name), {})
