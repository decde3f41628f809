"""One evaluation (AuthZEN 1.0, "Access Evaluation"): read, decided, answered.

Holds: a batch without items is answered here too, so that one call has one way.
"""

from typing import Final

import orjson
from aiohttp import web

from bailiwick_engine.decision.verdict import Outcome
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.addressing import Tenant
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.edge import Edge
from bailiwick_webhook.http.authzen.messages import Evaluation
from bailiwick_webhook.http.problems import forbidden
from bailiwick_webhook.http.transport.decisionfront import Origin
from bailiwick_webhook.http.transport.plainrequest import PlainRequest
from bailiwick_webhook.pipeline.pdp import Decision

# Members of an enumeration are looked up slowly.
_FORBIDDEN: Final = Outcome.FORBIDDEN


class EvaluationHandler:
    """POST access/v1/evaluation."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def __call__(self, request: web.BaseRequest, of: Tenant) -> bytes:
        """Return the answer's body. Raises `ProblemError`."""
        with self._edge.places.place() as place:
            asked, parsed = await self._edge.asked(request, of, place)
            return await evaluated(self._edge, of, asked, parsed)

    def at_once(self, sent: PlainRequest, origin: Origin) -> bytes | None:
        """Return the answer's body where nobody has to be waited for; None: nothing is decided."""
        edge = self._edge
        asked = edge.at_once(sent, origin)
        decision = None if asked is None else edge.pdp.evaluate_at_once(asked)
        if decision is None or asked is None:
            return None
        return _told(edge, sent.of, asked, decision, explain=False)


async def evaluated(edge: Edge, of: Tenant, asked: EvaluationRequest, parsed: Evaluation) -> bytes:
    """Decide one evaluation and return the answer's body. Raises `ProblemError` (403)."""
    decision = await edge.pdp.evaluate(asked)
    if decision.verdict.outcome is _FORBIDDEN:
        raise forbidden(edge.identity.stranger)
    return _told(edge, of, asked, decision, explain=parsed.explain)


def _told(edge: Edge, of: Tenant, asked: EvaluationRequest, decision: Decision, *, explain: bool) -> bytes:
    token = edge.binding_token(of, asked, decision)
    notice = edge.identity.notice
    return orjson.dumps(messages.answer(decision, edge.base(of), notice, explain=explain, binding_token=token))
