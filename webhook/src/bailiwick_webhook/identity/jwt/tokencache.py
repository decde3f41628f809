"""Tokens that were verified once, and are not taken apart again.

Holds: what is kept is what `compact.parse` returned, and as little to be believed: everything is judged again.
"""

from typing import Final

from msgspec.structs import replace

from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_process.jwt.compact import MAX_TOKEN, CompactToken, digest_of, parse

_KEPT: Final = 10_000


class TokenCache:
    """Takes tokens apart, those that were verified once not again. Keeps what they say by their digests, and no token.

    What is kept is what `parse` returned, and as little to be believed: everything is judged again.
    """

    def __init__(self) -> None:
        self._kept: BoundedCache[bytes, CompactToken] = BoundedCache(_KEPT)

    def parse(self, token: str) -> CompactToken | None:
        """Return what `parse` returns."""
        digest = digest_of(token) if len(token) <= MAX_TOKEN else b""
        known = self._kept.get(digest)
        if known is None:
            return parse(token)
        return CompactToken(token, digest, known.algorithm, known.kid, known.type, known.claims)

    def keep(self, parsed: CompactToken) -> None:
        """Remember a token that was verified: of others anybody could send any number."""
        if parsed.digest not in self._kept:
            self._kept.put(parsed.digest, replace(parsed, token=""))
