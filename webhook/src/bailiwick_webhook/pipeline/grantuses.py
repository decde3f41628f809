"""Uses of grants: a call is judged by what is read live, counted, and only then takes a use.

Standing: under `pdp`, over the evaluator and `histories`. Holds: a call takes a use only where it is counted
wherever it has to be. What is counted here is returned before a use is taken, so that the pipeline can take it out
again.
"""

from collections.abc import MutableMapping

from msgspec.structs import replace

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_webhook.approvals.livereads import looked_for
from bailiwick_webhook.approvals.ports import UseConsumer
from bailiwick_webhook.metrics.table import Use
from bailiwick_webhook.pipeline.decision import EvaluatedCall
from bailiwick_webhook.pipeline.evaluator import Evaluator
from bailiwick_webhook.pipeline.histories import HistoryCounter, uncounted_denied
from bailiwick_webhook.pipeline.observer import Observer, Stage, UseResult, unobserved


class GrantUses:
    """Uses grants by `consumer`. `counts`: how many uses there were, and how many grants could not be used."""

    def __init__(
        self,
        consumer: UseConsumer,
        evaluator: Evaluator,
        histories: HistoryCounter,
        counts: MutableMapping[Use, int],
        observe: Observer,
    ) -> None:
        self._consumer = consumer
        self._evaluator = evaluator
        self._histories = histories
        self._counts = counts
        self._observe = observe

    async def caught_up(self, one: EvaluatedCall, since: float | None) -> tuple[EvaluatedCall, EvaluatedCall]:
        """Read a grant live, where memory may have missed something. `since`: see `UseConsumer.caught_up`.

        Returns the call as it is counted, if it has to be, and as it was judged last.
        """
        asked, latest, read = one.asked, one, tuple[Grant, ...]()

        def judge(grant: Grant, now: float) -> Verdict:
            nonlocal latest, read
            latest, read = self._evaluator.with_live_grant(one, grant, now), (grant,)
            return latest.verdict

        # Where memory cannot have missed anything, nothing is read.
        observe = unobserved if looked_for(asked, one.verdict) is None else self._observe
        with observe(Stage.LIVE_READ, asked) as report:
            verdict = await self._consumer.caught_up(asked, one.verdict, judge, since)
            report(verdict)
        if read and latest.must_be_counted:
            # What was read may be used, and before that the call is counted.
            counted = await self._histories.count(latest, read)
            return counted, counted
        return one, replace(latest, verdict=verdict)

    async def use(
        self, judged: EvaluatedCall, latest: EvaluatedCall, evaluation_id: str
    ) -> tuple[EvaluatedCall, Grant | None]:
        """Use the grant that this very call used a moment ago, else the first of the verdict's that serves.

        `judged`, `latest`: as `caught_up` returned them. Returns the call as it was judged last, and the grant.
        """
        asked, verdict = latest.asked, latest.verdict
        # Used up since, as like as not, so that the verdict need not name it.
        repeated = self._consumer.taken_before(asked, verdict, self._evaluator.grants_for(asked.call))
        if not repeated and verdict.outcome is not Outcome.USE_GRANT:
            return latest, None
        grants = (*repeated, *(grant for grant in verdict.grants if grant not in repeated))
        verdict = replace(verdict, grants=grants)

        def judge_counted(grant: Grant, now: float) -> Verdict:
            nonlocal latest
            latest = uncounted_denied(self._evaluator.with_live_grant(judged, grant, now))
            return latest.verdict

        with self._observe(Stage.USE, asked) as report:
            verdict, used = await self._consumer.consume(asked, verdict, evaluation_id, judge_counted)
            report(UseResult(verdict, used))
        self._counts[Use.REFUSED if used is None else Use.USED] += 1
        return replace(latest, verdict=verdict), used
