"""Decision paths: one evaluation and several, by whichever protocol the request and its body come.

Standing: over `evaluation` and `evaluations`; under the port's own protocol, which has a request whole, and under
aiohttp's application, which reads a body in its own time. Holds: who asks is authenticated, and would get a slot,
before a body is parsed; whatever has to be awaited holds a slot in the sender's name.
"""

from functools import partial
from typing import Final

from aiohttp import web

from bailiwick_webhook.http.addressing import CorrelationIds, Tenant, marks, tenant
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.authzen.evaluation import EvaluationHandler
from bailiwick_webhook.http.authzen.evaluations import EvaluationsHandler
from bailiwick_webhook.http.body import parse_object
from bailiwick_webhook.http.shares.slots import RequestSlot, Sender
from bailiwick_webhook.http.transport import answers
from bailiwick_webhook.http.transport.answers import WholeAnswer
from bailiwick_webhook.http.transport.clientcerts import certified
from bailiwick_webhook.http.transport.decisionshortcut import ConnectionOrigin
from bailiwick_webhook.http.transport.plainrequest import PlainRequest
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken
from bailiwick_webhook.pipeline.offload import LARGE
from bailiwick_webhook.steps import Need, Step, resolve, then

EVALUATION: Final = "evaluation"
EVALUATIONS: Final = "evaluations"


class DecisionPaths:
    """POST access/v1/evaluation and access/v1/evaluations, the port's `DecisionShortcut`."""

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        self._authenticator = authenticator
        evaluation = EvaluationHandler(authenticator)
        self._handlers: dict[str, EvaluationHandler | EvaluationsHandler] = {
            EVALUATION: evaluation,
            EVALUATIONS: EvaluationsHandler(authenticator, evaluation),
        }

    async def answer(self, operation: str, request: web.Request) -> web.StreamResponse:
        """Answer a request of which aiohttp reads the body. Raises `ProblemError`."""
        authenticator, of = self._authenticator, tenant(request)
        with authenticator.slots.slot() as slot:
            caller = await authenticator.caller(request, of, slot)
            raw = await authenticator.whole(request, slot)
            return answers.json_response(
                await resolve(self._decide(operation, of, caller, slot.sender, marks(request), raw))
            )

    def begin(self, sent: PlainRequest, origin: ConnectionOrigin) -> Step[WholeAnswer]:
        """Return the answer to a request that is whole, or what has to be awaited for it."""
        try:
            step = self._begin(sent, origin)
        except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
            return answers.unanswered(sent.path, error, sent.marked.request_id)
        if isinstance(step, Need):
            return Need(partial(self._meet, sent, step))
        return answers.whole(step, sent.marked.request_id)

    def _begin(self, sent: PlainRequest, origin: ConnectionOrigin) -> Step[bytes]:
        authenticator, of = self._authenticator, sent.of
        if sent.authorization is None and (shown := certified(origin)):
            caller: Step[AuthenticatedAccount | RefusedToken | None] = authenticator.certified_account(of, shown)
        else:
            caller = authenticator.identity.caller(sent.authorization or "")
        if type(caller) is not AuthenticatedAccount:
            return Need(partial(self._authenticate, sent, origin, caller))
        sender = authenticator.sender(of, caller.account.username, origin)
        step = self._decide(sent.operation, of, caller, sender, sent.marked, sent.body)
        if not isinstance(step, Need):
            return step
        # Now, and not when the need is met: the next one in the same turn of the loop finds one slot less. There was
        # one a moment ago, so that this cannot fail.
        slot = authenticator.slots.slot()
        slot.take(sender)
        return Need(partial(self._meet_with, slot, step))

    @staticmethod
    async def _meet(sent: PlainRequest, step: Step[bytes]) -> WholeAnswer:
        try:
            body = await resolve(step)
        except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
            return answers.unanswered(sent.path, error, sent.marked.request_id)
        return answers.whole(body, sent.marked.request_id)

    @staticmethod
    async def _meet_with(slot: RequestSlot, step: Step[bytes]) -> bytes:
        with slot:
            return await resolve(step)

    async def _authenticate(
        self,
        sent: PlainRequest,
        origin: ConnectionOrigin,
        caller_step: Step[AuthenticatedAccount | RefusedToken | None],
    ) -> bytes:
        authenticator, of = self._authenticator, sent.of
        with authenticator.slots.slot() as slot:
            caller = await authenticator.authenticate(origin, of, slot, sent.authorization or "", caller_step)
            return await resolve(self._decide(sent.operation, of, caller, slot.sender, sent.marked, sent.body))

    def _decide(
        self,
        operation: str,
        of: Tenant,
        caller: AuthenticatedAccount,
        sender: Sender,
        marked: CorrelationIds,
        raw: bytes,
    ) -> Step[bytes]:
        decide = self._handlers[operation].decide
        if len(raw) >= LARGE:
            body = Need(partial(self._authenticator.parse_beside, raw, of))
            return then(body, partial(decide, of, caller, sender, marked, large=True))
        return decide(of, caller, sender, marked, parse_object(raw), large=False)
