"""Tokens that the decision point has taken for somebody's: a server looks nothing up for the others.

Standing: below `gate`. Holds: a token is remembered by its digest alone, and only so many are. That one is remembered
permits nothing: each call is decided with the token that comes with it.
"""

import hashlib
from collections import OrderedDict
from typing import Final

UNPROVEN: Final = frozenset(
    {
        "actor_mismatch",
        "actor_unnamed",
        "audience_mismatch",
        "delegation_invalid",
        "identity_invalid",
        "identity_reserved",
        "identity_revoked",
        "identity_unverifiable",
        "possession_unproven",
        "token_lifetime_exceeded",
    }
)
"""Reasons of denials that say of a token that it proves no caller, or not now (docs/reference/reasons.md)."""

_MOST: Final = 4096


class ProvenTokens:
    """The tokens that came last."""

    def __init__(self, most: int = _MOST) -> None:
        """Remember so many."""
        self._most = most
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def has(self, token: str) -> bool:
        """Tell whether a token was added, and is not forgotten yet."""
        digest = _digest(token)
        if digest not in self._digests:
            return False
        self._digests.move_to_end(digest)
        return True

    def add(self, token: str) -> None:
        """Remember a token, in place of the one that was not seen for the longest time."""
        self._digests[_digest(token)] = None
        if len(self._digests) > self._most:
            self._digests.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
