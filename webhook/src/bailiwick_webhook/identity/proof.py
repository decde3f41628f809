"""Proof: what the edge asks about who calls and who is called about, however that is proven.

Holds: two ways exist, by tokens, which is this module's, and by nobody's proof at all (`development`).
"""

from collections.abc import Mapping
from typing import Protocol

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_engine.call import Subject, Unproven
from bailiwick_webhook.identity.subject import Claimed, verify
from bailiwick_webhook.identity.tokens import Proven, Refused, Tokens

_AUDIENCES = frozenset({ENFORCER_AUDIENCE})


class Identity(Protocol):
    """Says who asks and who is asked about.

    `notice` is added to every answer's context; `stranger` is what a caller is told that may not ask.
    """

    notice: Mapping[str, str]
    stranger: str

    async def caller(self, authorization: str) -> Proven | Refused | None:
        """Return who asks, by the `Authorization` header; None where it holds no credential."""

    async def subject(
        self, claimed: Claimed, caller: Proven, audiences: frozenset[str] | None
    ) -> tuple[Subject | Unproven, bool]:
        """Return the subject, and whether it was confirmed just now (see `identity.subject.verify`)."""


class ByToken:
    """Everybody by a token."""

    notice: Mapping[str, str] = {}
    stranger = "This caller may not ask about this endpoint; its policy lists the enforcers."

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def caller(self, authorization: str) -> Proven | Refused | None:
        """Return whose token it is, if it is one for us."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        return await self._tokens.prove(token.strip(), _AUDIENCES)

    async def subject(
        self, claimed: Claimed, caller: Proven, audiences: frozenset[str] | None
    ) -> tuple[Subject | Unproven, bool]:
        """Return the subject, verified."""
        return await verify(claimed, caller, self._tokens, audiences)
