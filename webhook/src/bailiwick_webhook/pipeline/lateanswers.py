"""Late answers: what was decided a while ago is let through only if it would be let through now.

Standing: under `pdp`, over the evaluator. Holds: a call that took longer than `LATE_SECONDS` to be counted, to use a
grant, or to have its turn, is judged once more before it is recorded, by the policies, revocations and freshness of
then; by that it can only be denied.
"""

from typing import Final

import structlog
from msgspec.structs import replace

from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.pipeline.decision import DecisionInputs, EvaluatedCall, FinalVerdict
from bailiwick_webhook.pipeline.evaluator import Evaluator
from bailiwick_webhook.pipeline.histories import uncounted_denied

_log = structlog.get_logger()
LATE_SECONDS: Final = 1.0
"""A decision older than this is judged again: by then, every replica knows who is taken back."""


class LateAnswers:
    """Judges again what was decided a while ago."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def is_late(self, inputs: DecisionInputs) -> bool:
        """Tell whether what was decided from these is to be judged once more."""
        return self._evaluator.age(inputs) > LATE_SECONDS

    async def judged(self, settled: FinalVerdict) -> FinalVerdict:
        """Return what is about to be recorded; denied where it was decided a while ago and would be denied now."""
        if not settled.allowed or settled.verdict.dry_run or not self.is_late(settled.inputs):
            return settled
        inputs = self._evaluator.inputs()
        one = uncounted_denied(await self._evaluator.as_of(settled, inputs))
        if _passes(one, settled):
            return settled
        if settled.grant is not None:
            # The only trace of why a use is spent.
            _log.error(
                "use of a grant spent, call denied: it would be denied by now",
                evaluation_id=settled.evaluation_id,
                reason=one.verdict.reason,
            )
        explanation = await self._evaluator.explain(one)
        return replace(settled, inputs=inputs, verdict=one.verdict, allowed=False, grant=None, explanation=explanation)


def _passes(one: EvaluatedCall, settled: FinalVerdict) -> bool:
    """Tell whether a call is let through now, be it by the last use of a grant, which it took."""
    verdict = one.verdict
    by_grant = verdict.outcome is Outcome.USE_GRANT or verdict.reason is Reason.APPROVAL_CONSUMED
    return verdict.outcome is Outcome.ALLOW or (settled.grant is not None and by_grant)
