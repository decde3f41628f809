"""What people read: a title, a few lines, and where to look. Pure.

Holds: every text of others in it came in inert; title and body together are short, so that no service splits, cuts or
refuses it, whatever a requester wrote; where to look is a page or a command, is whole, and carries no authority.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bailiwick_api.times import stamp
from bailiwick_notifications.notification import GrantFacts, Notification, NotificationType, inert

_TITLES: Final[Mapping[NotificationType, str]] = {
    NotificationType.GRANT_PENDING: "Approval requested",
    NotificationType.GRANT_ENDING: "Approval request about to expire",
    NotificationType.GRANT_APPROVED: "Approved",
    NotificationType.GRANT_DENIED: "Denied",
    NotificationType.GRANT_REVOKED: "Revoked",
    NotificationType.GUARD_UNPROVEN: "The guards over approvals are not in force",
    NotificationType.GUARD_CHANGED: "The guards over approvals were changed",
    NotificationType.GUARD_RECORD_CHANGED: "The record of the guards was changed",
    NotificationType.GUARD_PROVEN: "The guards over approvals are in force again",
    NotificationType.LOG_REFUSED: "The witness refuses a decision log",
    NotificationType.DIGEST: "More notifications",
    NotificationType.TEST: "Test notification",
}
_COUNTED: Final[Mapping[NotificationType, str]] = {
    NotificationType.GRANT_PENDING: "requested",
    NotificationType.GRANT_ENDING: "about to expire",
    NotificationType.GRANT_APPROVED: "approved",
    NotificationType.GRANT_DENIED: "denied",
    NotificationType.GRANT_REVOKED: "revoked",
    NotificationType.GUARD_UNPROVEN: "guards not in force",
    NotificationType.GUARD_CHANGED: "guards changed",
    NotificationType.GUARD_RECORD_CHANGED: "records of the guards changed",
    NotificationType.GUARD_PROVEN: "guards in force again",
    NotificationType.LOG_REFUSED: "logs refused",
    NotificationType.TEST: "tests",
}
_REVIEWED: Final[Mapping[NotificationType, str]] = {
    NotificationType.GRANT_APPROVED: "Approved by",
    NotificationType.GRANT_DENIED: "Denied by",
    NotificationType.GRANT_REVOKED: "Revoked by",
}
MOST_TITLE: Final = 200
MOST_MESSAGE: Final = 1000
"""Characters of title, line break and body, escapes included.

Services that have no title take both as one text. PagerDuty and Pushover refuse more than 1024, for good.
"""
_BETWEEN: Final = len("\r\n")
_MOST_CLUSTER: Final = 63
"""Characters of the name of a cluster in a title, which then says what happened too."""
_CUT: Final = "…"
_BROKEN: Final = re.compile(r"\\(?:u[0-9a-f]{0,3}|U[0-9a-f]{0,7}|x[0-9a-f]?)?$")
_PART: Final = "This message shows only a part of the call. Read all of it before you decide."
_CANNOT: Final = "This message cannot approve anything."
_UNDECIDED: Final = frozenset({NotificationType.GRANT_PENDING, NotificationType.GRANT_ENDING})


class MessageText(NamedTuple):
    """What a service shows: one line, and several."""

    title: str
    body: str


class ViewHint(NamedTuple):
    """Where to look: a URL of the console, or without one a command."""

    url: str | None
    command: str | None


def view_hint(notification: Notification, console: str | None) -> ViewHint:
    """Return where to look. `console`: its public base URL without a slash at its end."""
    grant = notification.grant
    if console is not None:
        # With the uid: a message outlives its grant, and another one may have the name by then.
        page = "/" if grant is None else f"/grants/{grant.namespace}/{grant.name}?uid={grant.uid}"
        return ViewHint(console + page, None)
    if grant is not None:
        return ViewHint(None, f"kubectl bailiwick show {grant.name} -n {grant.namespace}")
    return ViewHint(None, "kubectl bailiwick list -A" if notification.type is NotificationType.DIGEST else None)


def message(notification: Notification, console: str | None, cluster: str | None = None) -> MessageText:
    """Return what people read. `cluster`: what the cluster is called, for people who have several."""
    title = _TITLES[notification.type]
    lines: list[str] = []
    if cluster is not None:
        # First, so that it stands in a line that is cut.
        title = f"{_shorten(inert(cluster), _MOST_CLUSTER)}: {title}"
        lines.append(f"Cluster: {inert(cluster)}")
    if notification.grant is not None:
        title = f"{title}: {notification.grant.action} on {notification.grant.resource}"
        lines += _grant_lines(notification, notification.grant)
    if notification.counts:
        lines += [f"{count} {_COUNTED[of]}" for of, count in notification.counts.items()]
    if notification.note:
        lines.append(notification.note)
    where, last = view_hint(notification, console), [_PART, _CANNOT] if notification.type in _UNDECIDED else [_CANNOT]
    if where.url is not None:
        last.insert(0, f"Look: {where.url}")
    if where.command is not None:
        last.insert(0, f"Look: {where.command}")
    title = _shorten(title, MOST_TITLE)
    room = MOST_MESSAGE - _BETWEEN - len(title) - len("\n".join(last))
    return MessageText(title, "\n".join([*_fit(lines, room), *last]))


def _fit(lines: Sequence[str], room: int) -> list[str]:
    """Return the lines; where they have too little room, those are cut that are longer than their share of it."""
    left = most = room - len(lines)
    for place, length in enumerate(sorted(map(len, lines))):
        # What the shorter ones leave is for the others.
        most = left // (len(lines) - place)
        if length > most:
            break
        left -= length
    return [_shorten(line, most) for line in lines]


def _shorten(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    # No escape is cut in the middle.
    return _BROKEN.sub("", text[: max(most, 1) - 1]) + _CUT


def _grant_lines(notification: Notification, grant: GrantFacts) -> list[str]:
    lines = [
        f"Grant: {grant.namespace}/{grant.name}",
        f"Endpoint: {grant.endpoint}.{grant.namespace}",
        f"Asked by: {grant.requester}",
        f"For: {grant.subject}",
    ]
    if grant.actors:
        lines.append(f"Through: {', '.join(grant.actors)}")
    lines += [f"Action: {grant.action}", f"Resource: {grant.resource}"]
    if grant.reviewers:
        lines.append(f"{_REVIEWED[notification.type]}: {', '.join(grant.reviewers)}")
    if grant.until is not None:
        approved = notification.type is NotificationType.GRANT_APPROVED
        lines.append(f"{'Usable' if approved else 'Waits'} until: {stamp(grant.until)}")
    return lines
