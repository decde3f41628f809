"""The subject of a call: what the enforcer says, held against the token that it sends along.

Holds: a verified value overrides what was said, and a difference denies; acting for somebody is refused.
"""

from collections.abc import Mapping
from typing import NamedTuple

from bailiwick_engine.call import SERVICE_ACCOUNT_TYPE, Json, ServiceAccount, Subject, Unproven
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.identity.tokens import Proven, Refused, Tokens


class Claimed(NamedTuple):
    """The subject as the body names it, and the evidence that came with it."""

    type: str
    id: str
    properties: Mapping[str, Json] | None
    token: str | None
    actor_token: str | None


async def verify(
    claimed: Claimed, caller: Proven, tokens: Tokens, audiences: frozenset[str] | None
) -> tuple[Subject | Unproven, bool]:
    """Return the subject, and whether the API server confirmed it just now.

    `audiences` None: the caller is no enforcer; it can then only be asking about itself, by its own token.
    """
    if claimed.actor_token is not None or "act" in (claimed.properties or {}):
        return Unproven(Reason.DELEGATION_INVALID), True
    if claimed.token is None:
        if claimed.id == caller.account.username:
            return _matching(claimed, caller.account, caller.claims), caller.live
        return Unproven(Reason.IDENTITY_INVALID), True
    if audiences is None:
        return Unproven(Reason.IDENTITY_INVALID), True
    match await tokens.prove(claimed.token, audiences):
        case Refused(reason):
            return Unproven(reason), True
        case Proven(account, claims, live):
            return _matching(claimed, account, claims), live


def _matching(claimed: Claimed, account: ServiceAccount, claims: Mapping[str, Json]) -> Subject | Unproven:
    if (claimed.type, claimed.id) != (SERVICE_ACCOUNT_TYPE, account.username):
        return Unproven(Reason.IDENTITY_INVALID)
    return Subject(claimed.type, claimed.id, account.uid, claims, claimed.properties)
