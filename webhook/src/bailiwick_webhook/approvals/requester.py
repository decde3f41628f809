"""Asking for approvals: what a verdict leaves to ask for, and what became of it.

Standing: between `pdp` and `opener`. Holds: nobody is asked but where the verdict is that an approval is needed; what
the store knows is read live before it is told.
"""

from typing import Final

from msgspec.structs import replace

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Subject
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.approvals.draft import Wanted
from bailiwick_webhook.approvals.opener import Opened, Refused
from bailiwick_webhook.approvals.ports import Requests
from bailiwick_webhook.asked import Asked
from bailiwick_webhook.cluster.client import ClusterUnavailableError

_DENY: Final = Outcome.DENY


class Asking:
    """Asks by `requests`."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def outcome(self, asked: Asked, verdict: Verdict) -> Opened | Refused | None:
        """Ask for an approval of a call at its enforcer's word; None where there is nothing to ask for.

        Raises `ClusterUnavailableError`.
        """
        wanted = _wanted(asked, verdict)
        if wanted is None:
            return None
        if (again := await self._requests.again(wanted)) is not None:
            return again
        if asked.late:
            return Refused("the denial that this request follows is over")
        # The store may lag behind another replica's use, so what it knows is read live before it is told.
        known = verdict.grants[0] if verdict.grants else verdict.pending
        if known is None and not verdict.requestable:
            return None
        joined = None if known is None else await self._requests.join(known, wanted)
        return joined or await self._requests.open(wanted)

    async def on_deny(self, asked: Asked, verdict: Verdict) -> tuple[Verdict, Grant | None]:
        """Ask for what was denied, where the rules say that the denial asks; return what the verdict comes to."""
        wanted = _wanted(asked, verdict)
        if wanted is None or verdict.dry_run or not (wanted.gate.on_deny and verdict.requestable):
            return verdict, None
        if verdict.reason is Reason.APPROVAL_TOKEN_REQUIRED or verdict.reason is Reason.APPROVAL_TOKEN_INVALID:
            # It was asked for, and is approved.
            return verdict, None
        try:
            outcome = await self._requests.open(wanted._replace(origin="OnDeny"))
        except ClusterUnavailableError:
            return replace(verdict, reason=Reason.APPROVAL_UNVERIFIABLE), None
        match outcome:
            case Opened(grant, _):
                return replace(verdict, reason=Reason.APPROVAL_PENDING, pending=grant), grant
            case Refused(detail, reason, _):
                told = f"{verdict.sentence} It was not asked for by itself: {detail}."
                return replace(verdict, reason=reason or verdict.reason, message=told), None

    async def withdraw(self, grant: Grant, asker: str, reason: str | None) -> Grant | Refused:
        """Withdraw a pending grant at its requester's word. Raises `ClusterUnavailableError`."""
        return await self._requests.withdraw(grant, asker, reason)


def _wanted(asked: Asked, verdict: Verdict) -> Wanted | None:
    call, gate, digest = asked.call, verdict.gate, verdict.digest
    if gate is None or digest is None or not isinstance(call.subject, Subject):
        return None
    if verdict.outcome not in {_DENY, Outcome.USE_GRANT}:
        return None
    return Wanted(call, call.subject, gate, digest, asked.reason, key=asked.key)
