"""What was chosen in a list, and what of it still stands as the list showed it.

Holds: pure. A checkbox names a grant by uid, so that one which was created again under an old name is no longer what
was chosen. To be denied it is named by resourceVersion too, and neither is one that changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bailiwick_console.grants.inbox import GrantVersion, InboxList, version_of
from bailiwick_governance.grants.grantview import GrantView


class BulkAct(StrEnum):
    """What can be done with several grants."""

    DENY = "deny"
    REVOKE = "revoke"


ACTS: Final[Mapping[InboxList, BulkAct]] = {
    InboxList.REVIEW: BulkAct.DENY,
    InboxList.ASKED: BulkAct.REVOKE,
    InboxList.ACTIVE: BulkAct.REVOKE,
}
"""What each list offers; those that are missing offer nothing."""


@dataclass(frozen=True, slots=True)
class GrantChoice:
    """What was chosen: what stands as it was shown, and what does not. In the order of the list."""

    same: tuple[GrantView, ...]
    changed: tuple[GrantVersion, ...]


def match(marked: Iterable[str], listed: Iterable[GrantView]) -> GrantChoice:
    """Return what of the marked checkboxes still stands in the list just so. Raises `ValueError` for no checkbox."""
    wanted = list(dict.fromkeys(GrantVersion.parse(text) for text in marked))
    standing = {
        key: grant for grant in listed for version in [version_of(grant)] for key in (version, version.as_it_stands)
    }
    return GrantChoice(
        tuple(standing[one] for one in wanted if one in standing),
        tuple(one for one in wanted if one not in standing),
    )
