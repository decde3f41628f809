"""Spans of decisions: made from the pipeline's reports, and sent to a collector by OTLP over HTTP, in batches.

Standing: beside `main`, which loads it where a collector is configured. Holds: no argument, no token, no id of a
resource and no name of a subject is ever an attribute; an unreachable or slow collector loses spans and never a
decision, because the queue is bounded, and shutdown waits a few seconds at most. The library's own OTEL_* variables set
the rest: headers, certificate, sampler.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bailiwick_engine.decision.verdict import Verdict
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.decision import Decision
from bailiwick_webhook.pipeline.observer import BatchResult, Report, SearchCount, Stage, StageResult

DECIDE: Final = "bailiwick.decide"
BATCH: Final = "bailiwick.decide_batch"
REQUEST: Final = "bailiwick.request_approval"
SEARCH: Final = "bailiwick.search"
LIVE_READ: Final = "bailiwick.live_read"
CONSUME: Final = "bailiwick.consume"
RECORD: Final = "bailiwick.record"

_SPANS: Final = {
    Stage.DECISION: (DECIDE, SpanKind.SERVER),
    Stage.BATCH: (BATCH, SpanKind.SERVER),
    Stage.REQUEST: (REQUEST, SpanKind.SERVER),
    Stage.SEARCH: (SEARCH, SpanKind.SERVER),
    Stage.LIVE_READ: (LIVE_READ, SpanKind.CLIENT),
    Stage.USE: (CONSUME, SpanKind.CLIENT),
    Stage.RECORD: (RECORD, SpanKind.INTERNAL),
}
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_NAME: Final = "bailiwick-webhook"
_PATH: Final = "/v1/traces"
_EXPORT_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 3.0


class SpanObserver:
    """Makes a span of each stage (see `pipeline.observer`)."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextlib.contextmanager
    def __call__(self, stage: Stage, asked: EvaluationRequest | None) -> Iterator[Report]:
        """Open the span of a stage, and yield the function that reports its result."""
        name, kind = _SPANS[stage]
        context, attributes = None, {}
        if kind is SpanKind.SERVER:
            sent = {} if asked is None or asked.trace is None else {"traceparent": asked.trace}
            # Without a trace from the caller, start a new trace, regardless of the current one.
            context = _PROPAGATOR.extract(sent)
            attributes = {} if asked is None else _call_attributes(asked)
        with self._tracer.start_as_current_span(name, context, kind, attributes) as span:
            yield lambda result: span.set_attributes(_result_attributes(result))


class SpanExport:
    """Sends the spans of this process."""

    def __init__(self, endpoint: str) -> None:
        """Prepare; nothing is sent before there are spans. `endpoint`: the collector's base URL, as http[s]://host."""
        # It logs each batch that it cannot send, sometimes with a traceback.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter: Any = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH, timeout=_EXPORT_SECONDS)
        self._provider = TracerProvider(resource=Resource.create({"service.name": _NAME}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))

    @property
    def observer(self) -> SpanObserver:
        """The observer that makes spans."""
        return SpanObserver(self._provider.get_tracer(_NAME))

    async def close(self) -> None:
        """Send the waiting spans, for a few seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.to_thread(self._provider.shutdown)


def _call_attributes(asked: EvaluationRequest) -> dict[str, str]:
    call = asked.call
    return {
        "bailiwick.endpoint": f"{call.namespace}/{call.endpoint}",
        "bailiwick.action": call.action.name,
        "bailiwick.resource.type": call.resource.type,
    }


def _result_attributes(result: StageResult) -> Mapping[str, str | bool | int]:
    if isinstance(result, Decision):
        return {
            "bailiwick.decision": result.allowed,
            "bailiwick.reason": result.verdict.reason.value,
            "bailiwick.evaluation_id": result.evaluation_id,
        } | ({} if result.grant is None else {"bailiwick.grant": result.grant.name})
    if isinstance(result, BatchResult):
        return {"bailiwick.items": result.items, "bailiwick.allowed": result.allowed}
    if isinstance(result, SearchCount):
        return {"bailiwick.found": result.found}
    if isinstance(result, Verdict):
        return {"bailiwick.reason": result.reason.value}
    return {"bailiwick.used": result.used is not None, "bailiwick.reason": result.verdict.reason.value} | (
        {} if result.used is None else {"bailiwick.grant": result.used.name}
    )
