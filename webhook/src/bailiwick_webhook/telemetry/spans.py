"""The pipeline with spans: a decision under its caller's trace, and under it what the decision waited for.

Standing: over `pipeline`, in its place where spans are wanted. Holds: decides nothing; no argument, no token, no id of
a resource and no name of a subject is ever an attribute.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.batch import Semantic
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_webhook.approvals.consumer import Judge
from bailiwick_webhook.approvals.livereads import looked_for
from bailiwick_webhook.approvals.opener import OpenedGrant, RefusedOpening
from bailiwick_webhook.approvals.ports import UseConsumer
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.pdp import Decision, Pdp, Records
from bailiwick_webhook.pipeline.search import SearchKind, SearchResult, unpaid
from bailiwick_webhook.steps import Need, Step, met

DECIDE: Final = "bailiwick.decide"
BATCH: Final = "bailiwick.decide_batch"
REQUEST: Final = "bailiwick.request_approval"
SEARCH: Final = "bailiwick.search"
LIVE_READ: Final = "bailiwick.live_read"
CONSUME: Final = "bailiwick.consume"
RECORD: Final = "bailiwick.record"

_PROPAGATOR: Final = TraceContextTextMapPropagator()


class TracedPdp(Pdp):
    """Answers as `Pdp` does, each answer within a span."""

    def __init__(
        self,
        tracer: Tracer,
        store: Any,  # noqa: ANN401 - what follows is Pdp's
        consumer: UseConsumer,
        opener: Any,  # noqa: ANN401 - likewise
        records: Records,
        *others: Any,  # noqa: ANN401 - likewise
        **more: Any,  # noqa: ANN401 - likewise
    ) -> None:
        super().__init__(
            store, TracedConsumer(consumer, tracer), opener, TracedRecords(records, tracer), *others, **more
        )
        self._tracer = tracer

    def evaluate(self, asked: EvaluationRequest) -> Step[Decision]:
        """Decide one call."""
        return Need(partial(self._evaluated, asked))

    async def _evaluated(self, asked: EvaluationRequest) -> Decision:
        with self._span(DECIDE, asked) as span:
            decision = await met(super().evaluate(asked))
            span.set_attributes(_told(decision))
            return decision

    async def evaluate_all(
        self, items: Sequence[EvaluationRequest | None], semantic: Semantic
    ) -> list[Decision | None]:
        """Decide a batch."""
        with self._span(BATCH, next((item for item in items if item is not None), None)) as span:
            decisions = await super().evaluate_all(items, semantic)
            allowed = sum(1 for one in decisions if one is not None and one.allowed)
            span.set_attributes({"bailiwick.items": len(items), "bailiwick.allowed": allowed})
            return decisions

    async def request(self, asked: EvaluationRequest) -> tuple[Decision, OpenedGrant | RefusedOpening | None]:
        """Ask for an approval."""
        with self._span(REQUEST, asked) as span:
            decision, outcome = await super().request(asked)
            span.set_attributes(_told(decision))
            return decision, outcome

    async def search(
        self, asked: EvaluationRequest, kind: SearchKind, pay: Callable[[int], None] = unpaid
    ) -> SearchResult | None:
        """Search."""
        with self._span(SEARCH, asked) as span:
            found = await super().search(asked, kind, pay)
            span.set_attribute("bailiwick.found", 0 if found is None else len(found.names))
            return found

    @contextmanager
    def _span(self, name: str, asked: EvaluationRequest | None) -> Iterator[Span]:
        sent = {} if asked is None or asked.trace is None else {"traceparent": asked.trace}
        # Without a trace of the caller's it is a trace of its own, whatever is under way here.
        around = _PROPAGATOR.extract(sent)
        attributes = {} if asked is None else _asked(asked)
        with self._tracer.start_as_current_span(name, around, SpanKind.SERVER, attributes) as span:
            yield span


class TracedConsumer:
    """Takes uses as the consumer that it stands before, within spans."""

    def __init__(self, consumer: UseConsumer, tracer: Tracer) -> None:
        self._consumer = consumer
        self._tracer = tracer
        self.taken_before: Callable[[EvaluationRequest, Verdict, Iterable[Grant]], tuple[Grant, ...]] = (
            consumer.taken_before
        )

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: Judge, since: float | None = None
    ) -> Verdict:
        """Look at the API server, where that may change the verdict."""
        if looked_for(asked, verdict) is None:
            return await self._consumer.caught_up(asked, verdict, judge, since)
        with self._tracer.start_as_current_span(LIVE_READ, kind=SpanKind.CLIENT) as span:
            found = await self._consumer.caught_up(asked, verdict, judge, since)
            span.set_attribute("bailiwick.reason", found.reason.value)
            return found

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        """Take a use."""
        with self._tracer.start_as_current_span(CONSUME, kind=SpanKind.CLIENT) as span:
            found, used = await self._consumer.consume(asked, verdict, evaluation_id, judge)
            span.set_attributes({"bailiwick.used": used is not None, "bailiwick.reason": found.reason.value})
            if used is not None:
                span.set_attribute("bailiwick.grant", used.name)
            return found, used


class TracedRecords:
    """Writes as the writer that it stands before; what somebody waits for is a span."""

    def __init__(self, records: Records, tracer: Tracer) -> None:
        self._records = records
        self._tracer = tracer
        self.take = records.take
        self.spare = records.spare

    @property
    def waits(self) -> bool:
        """`write` returns only when a line is written, though it need not be."""
        return self._records.waits

    async def write(self, line: bytes, *, must: bool = True) -> None:
        """Take one line, or raise `RecordFailedError`; with `must`, return only when it is written."""
        with self._tracer.start_as_current_span(RECORD):
            await self._records.write(line, must=must)


def _asked(asked: EvaluationRequest) -> dict[str, str]:
    call = asked.call
    return {
        "bailiwick.endpoint": f"{call.namespace}/{call.endpoint}",
        "bailiwick.action": call.action.name,
        "bailiwick.resource.type": call.resource.type,
    }


def _told(decision: Decision) -> dict[str, str | bool]:
    told: dict[str, str | bool] = {
        "bailiwick.decision": decision.allowed,
        "bailiwick.reason": decision.verdict.reason.value,
        "bailiwick.evaluation_id": decision.evaluation_id,
    }
    return told | ({} if decision.used is None else {"bailiwick.grant": decision.used.name})
