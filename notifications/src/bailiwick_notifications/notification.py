"""A notification: what happened, when, and the few facts of it that are sent. Pure.

Holds: a text of others is made inert and short when it comes in, so that nothing later can forget it; the id is the
same whenever the same thing is sent again, by whichever process, so that a receiver can drop what it has.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from bailiwick_engine.approval.display import visible

MOST_TEXT: Final = 253
"""Characters of a text of others, as it is sent."""
_CUT: Final = "…"
# What chat services make a link, a mention or markup of.
_MARKUP: Final = re.compile(r"[<>&\[\]`|]|:(?=//)|(?<![^\W_])@|@(?=everyone|here|channel|all\b)", re.IGNORECASE)


class NotificationType(StrEnum):
    """What happened: the type of its CloudEvent."""

    GRANT_PENDING = "dev.bailiwick.grant.pending"
    GRANT_ENDING = "dev.bailiwick.grant.ending"
    GRANT_APPROVED = "dev.bailiwick.grant.approved"
    GRANT_DENIED = "dev.bailiwick.grant.denied"
    GRANT_REVOKED = "dev.bailiwick.grant.revoked"
    GUARD_UNPROVEN = "dev.bailiwick.guard.unproven"
    GUARD_CHANGED = "dev.bailiwick.guard.changed"
    GUARD_RECORD_CHANGED = "dev.bailiwick.guard.record-changed"
    GUARD_PROVEN = "dev.bailiwick.guard.proven"
    LOG_REFUSED = "dev.bailiwick.log.refused"
    DIGEST = "dev.bailiwick.digest"
    TEST = "dev.bailiwick.test"


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """What is sent of a grant, each text inert. `until`: for reviews or, once it is approved, for uses."""

    namespace: str
    name: str
    uid: str
    endpoint: str
    requester: str
    subject: str
    actors: tuple[str, ...]
    action: str
    resource: str
    until: datetime | None = None
    reviewers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """One. `at`: when it happened. `note`: a sentence of ours, inert. `counts`: of a digest, by type."""

    id: str
    type: NotificationType
    at: datetime
    grant: GrantFacts | None = None
    note: str = ""
    counts: Mapping[NotificationType, int] = field(default_factory=dict)


def inert(text: str, most: int = MOST_TEXT) -> str:
    r"""Return a text of others in which everything can be seen, nothing is markup, and nothing is long.

    What chat services read as markup, a mention or a link is escaped as \uXXXX, as is what cannot be seen.
    """
    # Before it is escaped: no escape is cut in the middle, and a megabyte is not escaped in vain.
    cut = text if len(text) <= most else text[: most - 1]
    seen = _MARKUP.sub(lambda found: f"\\u{ord(found.group()):04x}", visible(cut))
    return seen if cut is text else seen + _CUT


def installation_notification(type_: NotificationType, note: str, at: datetime, *, once: bool) -> Notification:
    """Return what concerns the whole installation. `once`: the same words are the same event, whenever sent."""
    identity = note if once else f"{note}\n{at.isoformat()}"
    digest = hashlib.sha256(f"{type_}\n{identity}".encode()).hexdigest()[:32]
    return Notification(digest, type_, at, note=inert(note, 1000))
