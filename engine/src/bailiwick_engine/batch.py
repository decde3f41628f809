"""Batches: several evaluations in one body, and when the answers end (AuthZEN 1.0, "Access Evaluations").

Holds: pure; a default gives way to an item's own member as a whole, but for a required name that the item leaves out;
an item that cannot be decided counts as denied.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from bailiwick_engine.call import Json

MAX_ITEMS: Final = 100
"""One body holds the event loop for as long as all its items take to decide: 100 stay within two milliseconds or so."""

_MEMBERS: Final = ("subject", "action", "resource", "context")
_NAMES: Final = {"subject": ("type", "id"), "resource": ("type", "id")}


class Semantic(StrEnum):
    """When a batch has been answered (AuthZEN 1.0, `options.evaluations_semantic`)."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def ends(self, *, allowed: bool) -> bool:
        """Tell whether an item that came out like this is the last one that is answered."""
        match self:
            case Semantic.EXECUTE_ALL:
                return False
            case Semantic.DENY_ON_FIRST_DENY:
                return not allowed
            case Semantic.PERMIT_ON_FIRST_PERMIT:
                return allowed

    def answered(self, outcomes: Iterable[bool]) -> int:
        """Return how many of these outcomes are answered: up to the one that ends the batch, and that one too."""
        count = 0
        for allowed in outcomes:
            count += 1
            if self.ends(allowed=allowed):
                break
        return count


def merge_defaults(defaults: Mapping[str, Json], item: Mapping[str, Json]) -> dict[str, Json]:
    """Return an item with the batch's defaults for the members that it lacks; null is as absent.

    The certification scenario (3.2.7) asks for one thing beside whole members: `type` and `id` of a subject or resource
    come from the default where an item's own leaves them out. Properties and context never mix.
    """
    whole: dict[str, Json] = {}
    for member in _MEMBERS:
        own, default = item.get(member), defaults.get(member)
        if own is None:
            own = default
        elif isinstance(own, Mapping) and isinstance(default, Mapping):
            lent = {name: default[name] for name in _NAMES.get(member, ()) if own.get(name) is None and name in default}
            own = {**own, **lent}
        if own is not None:
            whole[member] = own
    return whole
