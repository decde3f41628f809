"""The evaluator: what the engine makes of one call, from what is known at one moment.

Standing: under `pdp`, which uses, records and answers. Holds: nothing is written, read from elsewhere or asked; a
call that is large is evaluated beside the loop, by the very same snapshot, grants and moment.
"""

from collections.abc import Callable, Iterable
from functools import partial

from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call, Party
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide, evaluate_hops
from bailiwick_engine.decision.explain import Explanation, explain
from bailiwick_engine.historynumbers import UNREAD, HistoryReadings
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.decision import DecisionInputs, EvaluatedCall, FinalVerdict
from bailiwick_webhook.pipeline.offload import Offload
from bailiwick_webhook.store.view import View


class Evaluator:
    """Evaluates calls. `span` returns the earliest and the latest time that it can be, in seconds since the epoch."""

    def __init__(
        self, store: View, installation: Installation, span: Callable[[], tuple[float, float]], offload: Offload
    ) -> None:
        self._store = store
        self._installation = installation
        self._span = span
        self._offload = offload

    @property
    def snapshot(self) -> Snapshot:
        """The policies as of now; empty, so that everybody is a stranger, before the first list."""
        return self._store.snapshot or Snapshot({})

    def inputs(self) -> DecisionInputs:
        """Return what a decision at this moment is made from."""
        earliest, latest = self._span()
        return DecisionInputs(self.snapshot, latest, self._store.glance(), earliest)

    def age(self, inputs: DecisionInputs) -> float:
        """Return how many seconds ago these inputs were looked at."""
        return self._store.glance().moment - inputs.seen.moment

    def circumstances(self, asked: EvaluationRequest) -> Circumstances:
        """Return the circumstances of a decision at this moment."""
        return self.inputs().around(asked, self._installation)

    def with_live_grant(self, one: EvaluatedCall, grant: Grant, now: float) -> EvaluatedCall:
        """Return a call as of now, with this grant as it was read live; `now` is by the later of two clocks."""
        inputs = self.inputs()
        # The answer that `now` is from may have been long on its way.
        inputs = replace(inputs, now=max(now, inputs.now))
        around = inputs.around(one.asked, self._installation, one.history_in(inputs.snapshot))
        verdict = decide(inputs.snapshot, one.asked.call, (grant,), around, one.verdict.digest)
        return EvaluatedCall(one.asked, inputs, verdict, None, one.reserved)

    async def as_of(self, settled: FinalVerdict, inputs: DecisionInputs) -> EvaluatedCall:
        """Return what was settled as of these inputs, with the grant that it used and the numbers it was counted by."""
        asked, judged, used = settled.asked, settled.with_numbers, settled.grant
        history = UNREAD if judged is None else judged.history_in(inputs.snapshot)
        around = inputs.around(asked, self._installation, history)
        known, digest = () if used is None else (used,), settled.verdict.digest
        work = partial(decide, inputs.snapshot, asked.call, known, around, digest)
        verdict = await self._offload.run(asked.call.namespace, work, large=asked.large)
        return EvaluatedCall(asked, inputs, verdict, None, None if judged is None else judged.reserved)

    def with_numbers(self, one: EvaluatedCall, grants: Iterable[Grant], history: HistoryReadings) -> EvaluatedCall:
        """Return a call as of the same moment, with these grants and these numbers of its histories."""
        call, around = one.asked.call, one.inputs.around(one.asked, self._installation, history)
        verdict, weighed = evaluate_hops(one.inputs.snapshot, call, grants, around, one.verdict.digest)
        return EvaluatedCall(one.asked, one.inputs, verdict, weighed)

    def grants_for(self, call: Call) -> Iterable[Grant]:
        """Return the grants that a call may need."""
        subject_uid = call.subject.uid if isinstance(call.subject, Party) else ""
        return self._store.grants_of(call.namespace, call.endpoint, subject_uid, call)

    def evaluate_now(self, asked: EvaluationRequest, inputs: DecisionInputs) -> EvaluatedCall:
        """Evaluate a call that is not large."""
        call, around = asked.call, inputs.around(asked, self._installation)
        return EvaluatedCall(asked, inputs, *evaluate_hops(inputs.snapshot, call, self.grants_for(call), around))

    async def evaluate(self, asked: EvaluationRequest, inputs: DecisionInputs) -> EvaluatedCall:
        """Evaluate a call."""
        if not asked.large:
            return self.evaluate_now(asked, inputs)
        call, around = asked.call, inputs.around(asked, self._installation)
        # Grants are looked up here: the other thread must not see how they change.
        work = partial(evaluate_hops, inputs.snapshot, call, tuple(self.grants_for(call)), around)
        return EvaluatedCall(asked, inputs, *await self._offload.run(call.namespace, work))

    async def explain(self, one: EvaluatedCall) -> Explanation | None:
        """Explain its verdict, where that is asked for: beside the loop, since hundreds of rules are looked at."""
        asked, inputs = one.asked, one.inputs
        if not asked.explain:
            return None
        around = inputs.around(asked, self._installation, one.history_in(inputs.snapshot))
        work = partial(explain, inputs.snapshot, asked.call, around)
        return await self._offload.run(asked.call.namespace, work)
