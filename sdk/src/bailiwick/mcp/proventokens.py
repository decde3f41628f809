"""Tokens that the decision point has taken for somebody's: a server looks nothing up for the others.

Standing: below `gate`. Holds: a token is remembered by its digest alone, for a minute, and only so many are. That one
is remembered permits nothing: each call is decided with the token that comes with it.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
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

UNDECIDED: Final = frozenset({"endpoint_unconfigured", "policy_invalid", "record_failed", "store_stale"})
"""Reasons of denials that can be given before a token is looked at. Every call is denied then."""

_MOST: Final = 4096
_SECONDS: Final = 60.0


class ProvenTokens:
    """The tokens that came last. `clock` is monotonic, in seconds."""

    def __init__(self, most: int = _MOST, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember so many, each for a minute: by then it may have ended, or its subject was taken back."""
        self._most = most
        self._clock = clock
        # Until when, by the digest, in the order in which they were added.
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def has(self, token: str) -> bool:
        """Tell whether a token was added, and is not forgotten yet."""
        return self._until.get(_digest(token), float("-inf")) > self._clock()

    def add(self, token: str) -> None:
        """Remember a token, in place of the one that was added first."""
        digest = _digest(token)
        self._until[digest] = self._clock() + _SECONDS
        self._until.move_to_end(digest)
        if len(self._until) > self._most:
            self._until.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
