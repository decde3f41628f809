"""Development: nobody proves anything. For a first look and for tests of policies, on one's own machine.

Holds: every answer says so, and `settings` refuses to listen where anybody else could ask. What the policies say of
enforcers and of proof is set aside, nothing else is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bailiwick_engine.call import SERVICE_ACCOUNT_TYPE, ServiceAccount, Subject, Unproven
from bailiwick_engine.reasons import Reason
from bailiwick_engine.snapshot import Snapshot
from bailiwick_webhook.identity.subject import Claimed
from bailiwick_webhook.identity.tokens import Proven

# No username of the API server's: a record shows it for what it is.
ANYBODY: Final = ServiceAccount("bailiwick:development:anybody", "")
NOTICE: Final = "DEVELOPMENT: anybody may ask, and whoever is named is believed. This answer protects nothing."


class Anybody:
    """An identity (see `identity.proof`) that believes."""

    notice: Mapping[str, str] = {"development": NOTICE}
    # Anybody may ask, so that only this is left.
    stranger = "There is no policy of this endpoint that can be read; /readyz tells what is wrong with the files."

    async def caller(self, authorization: str) -> Proven:  # noqa: ARG002 - whatever it says
        """Return the one caller that there is."""
        return Proven(ANYBODY, {}, live=True)

    async def subject(
        self,
        claimed: Claimed,
        caller: Proven,
        audiences: frozenset[str] | None,  # noqa: ARG002 - no token is looked at
    ) -> tuple[Subject | Unproven, bool]:
        """Return the subject as it was named. Acting for somebody is refused, as in a cluster."""
        if claimed.actor_token is not None or "act" in (claimed.properties or {}):
            return Unproven(Reason.DELEGATION_INVALID), caller.live
        if claimed.type != SERVICE_ACCOUNT_TYPE:
            # Rules speak of service accounts; an id of another type must not pass for one.
            return Unproven(Reason.IDENTITY_INVALID), caller.live
        return Subject(claimed.type, claimed.id, "", {}, claimed.properties), caller.live


def opened(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with anybody as an enforcer of every endpoint."""
    endpoints = {
        key: replace(endpoint, enforcers=endpoint.enforcers | {ANYBODY.username})
        for key, endpoint in snapshot.endpoints.items()
    }
    return replace(snapshot, endpoints=endpoints)
