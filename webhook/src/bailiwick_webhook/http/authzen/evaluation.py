"""One evaluation (AuthZEN 1.0, "Access Evaluation"): from a parsed body to the bytes of its answer.

Standing: under `decisions`, which knows who asks; a batch without items is answered here too. Holds: one synchronous
function decides, for every caller, body and outcome; a need that it returns is met by what serves the request.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import orjson

from bailiwick_engine.decision.verdict import Outcome
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.addressing import CorrelationIds, Tenant
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.authzen.messages import Evaluation
from bailiwick_webhook.http.problems import forbidden
from bailiwick_webhook.http.shares.slots import Sender
from bailiwick_webhook.identity.tokens import AuthenticatedAccount
from bailiwick_webhook.pipeline.pdp import Decision
from bailiwick_webhook.steps import Need, Step, then

# Members of an enumeration are looked up slowly.
_FORBIDDEN: Final = Outcome.FORBIDDEN


class EvaluationHandler:
    """POST access/v1/evaluation."""

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        self._authenticator = authenticator

    def decide(
        self,
        of: Tenant,
        caller: AuthenticatedAccount,
        sender: Sender,
        marked: CorrelationIds,
        body: Mapping[str, Any],
        *,
        large: bool,
    ) -> Step[bytes]:
        """Return the answer to a body of an authenticated caller, who counts as `sender`. Raises `ProblemError`."""
        authenticator = self._authenticator
        evaluation = messages.parse(body)
        authenticator.pay(of, sender)
        asked = authenticator.call(of, caller, evaluation, marked, large=large)
        if isinstance(asked, Need):
            return then(asked, partial(self._evaluate, of, evaluation))
        return self._evaluate(of, evaluation, asked)

    def _evaluate(self, of: Tenant, evaluation: Evaluation, asked: EvaluationRequest) -> Step[bytes]:
        decision = self._authenticator.pdp.evaluate(asked)
        if isinstance(decision, Need):
            return then(decision, partial(self._answer, of, evaluation, asked))
        return self._answer(of, evaluation, asked, decision)

    def _answer(self, of: Tenant, evaluation: Evaluation, asked: EvaluationRequest, decision: Decision) -> bytes:
        authenticator = self._authenticator
        if decision.verdict.outcome is _FORBIDDEN:
            raise forbidden(authenticator.identity.stranger)
        token = authenticator.binding_token(of, asked, decision)
        notice, explain = authenticator.identity.notice, evaluation.explain
        return orjson.dumps(
            messages.answer(decision, authenticator.base(of), notice, explain=explain, binding_token=token)
        )
