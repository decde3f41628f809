"""Who acts for whom: the `act` of a delegated token (RFC 8693, 4.1), or of a subject on the enforcer's word.

Holds: a chain is bounded before anything else is done with it, and one that is not well formed is no chain; the same
actor may stand in it twice, since every hop can only narrow. A person within is known as where the token is their own,
or the chain is refused: a Deny, a revocation and the exclusion of reviewers go by that name.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bailiwick_api.issuers import IssuerConfig
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.usernames import ASSERTED
from bailiwick_engine.call import Party, UnprovenParty
from bailiwick_engine.keys import SERVICE_ACCOUNT, USER, uid_of
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.identity.people import person_of, readable

# As deep as an endpoint may allow at most (`maxDepth`), and as a grant can hold.
MAX_DEPTH: Final = 4


class ActorClaim(NamedTuple):
    """One actor as it is named; `members` are all that was said of it but its own actor."""

    sub: str
    iss: str | None
    members: Mapping[str, Any]


def chain_of(holder: Mapping[str, Any]) -> tuple[ActorClaim, ...] | None:
    """Return the actors in `holder`'s `act`, the outermost first; None where it is there and no chain."""
    if "act" not in holder:
        # As almost always.
        return ()
    chain: list[ActorClaim] = []
    while "act" in holder:
        act = holder["act"]
        if len(chain) == MAX_DEPTH or not isinstance(act, Mapping):
            return None
        sub, iss = act.get("sub"), act.get("iss")
        if not readable(sub) or not (iss is None or (isinstance(iss, str) and iss)):
            return None
        chain.append(ActorClaim(sub, iss, {name: value for name, value in act.items() if name != "act"}))
        holder = act
    return tuple(chain)


def named(chain: tuple[ActorClaim, ...]) -> list[tuple[str | None, str]]:
    """Return what two accounts of one chain must agree in."""
    return [(act.iss, act.sub) for act in chain]


def inner(act: ActorClaim, vouching: IssuerConfig, cluster: str) -> Party | UnprovenParty:
    """Return an actor within the outermost, proven by the signature of the token's issuer.

    `vouching` is that issuer, `cluster` the URL of the cluster's. An issuer speaks of its own parties and of the
    cluster's service accounts; it cannot vouch in a third one's name. Whether an account of that name was made again
    since is unknown here, so its uid is the issuer's word.
    """
    account = act.sub.startswith(SERVICE_ACCOUNT_PREFIX)
    if act.iss == cluster and account:
        return Party(SERVICE_ACCOUNT, act.sub, uid_of(vouching.name, act.sub), act.members, issuer=vouching.name)
    if act.iss != vouching.issuer or account:
        return UnprovenParty(Reason.DELEGATION_INVALID)
    # `act` holds what identifies an actor, and may lack what names people here. Its `sub` would be another name.
    return person_of(vouching.name, vouching.claims, act.members, unnamed=Reason.ACTOR_UNNAMED)


def on_word(act: ActorClaim) -> Party:
    """Return an actor on the enforcer's word. Its type is what its name says, since `act` (RFC 8693) has no other."""
    kind = SERVICE_ACCOUNT if act.sub.startswith(SERVICE_ACCOUNT_PREFIX) else USER
    return Party(kind, act.sub, uid_of(ASSERTED, act.sub), issuer=None)
