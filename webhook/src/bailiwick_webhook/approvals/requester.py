"""Approval requester: what a verdict leaves to ask for, and what became of it.

Standing: between `pdp` and `opener`. Holds: no approval is requested but where the verdict is that one is needed; what
the store knows is read live before it is answered.
"""

from typing import Final

from msgspec.structs import replace

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Party
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.approvals.draft import GrantDraft
from bailiwick_webhook.approvals.opener import OpenedGrant, RefusedOpening
from bailiwick_webhook.approvals.ports import GrantOpener
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.evaluation import EvaluationRequest

_DENY: Final = Outcome.DENY


class ApprovalRequester:
    """Asks by `requests`."""

    def __init__(self, requests: GrantOpener) -> None:
        self._requests = requests

    async def outcome(self, asked: EvaluationRequest, verdict: Verdict) -> OpenedGrant | RefusedOpening | None:
        """Ask for an approval of a call at its enforcer's word; None where there is nothing to ask for.

        Raises `ClusterUnavailableError`.
        """
        wanted = _wanted(asked, verdict)
        if wanted is None:
            return None
        if (again := await self._requests.again(wanted)) is not None:
            return again
        if asked.late:
            return RefusedOpening("the denial that this request refers to has expired")
        # The store may lag behind another replica's use, so what it knows is read live before it is answered.
        known = verdict.grants[0] if verdict.grants else verdict.pending
        if known is None and not verdict.requestable:
            return None
        joined = None if known is None else await self._requests.join(known, wanted)
        return joined or await self._requests.open(wanted)

    async def on_deny(self, asked: EvaluationRequest, verdict: Verdict) -> tuple[Verdict, Grant | None]:
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
            case OpenedGrant(grant, _):
                return replace(verdict, reason=Reason.APPROVAL_PENDING, pending=grant), grant
            case RefusedOpening(detail, reason, _):
                told = f"{verdict.sentence} The automatic request failed: {detail}."
                return replace(verdict, reason=reason or verdict.reason, message=told), None

    async def withdraw(self, grant: Grant, asker: str, reason: str | None) -> Grant | RefusedOpening:
        """Withdraw a pending grant at its requester's word. Raises `ClusterUnavailableError`."""
        return await self._requests.withdraw(grant, asker, reason)


def _wanted(asked: EvaluationRequest, verdict: Verdict) -> GrantDraft | None:
    call, gate, digest = asked.call, verdict.gate, verdict.digest
    if gate is None or digest is None or not isinstance(call.subject, Party):
        return None
    if verdict.outcome not in {_DENY, Outcome.USE_GRANT}:
        return None
    return GrantDraft(call, call.subject, gate, digest, asked.reason, key=asked.key)
