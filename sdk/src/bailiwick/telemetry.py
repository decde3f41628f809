"""OpenTelemetry, where the application has it: a client span and a histogram for each question (extra `[otel]`).

Holds: no argument, no token and no name of a subject is ever an attribute. Without the library nothing of this costs
anything, and the caller's own traceparent is passed on all the same.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from bailiwick.decision import AccessDecision

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # the extra is not there
    _TRACING = False
else:
    _TRACING = True

_NAME: Final = "bailiwick"
SPAN: Final = "bailiwick.evaluate"
HISTOGRAM: Final = "bailiwick.client.duration"
# W3C Trace Context, 3.2: what is none is not passed on.
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Observation:
    """One question under way: the headers that carry its trace, and where its outcome is reported."""

    def __init__(self, headers: dict[str, str], tell: Callable[[AccessDecision], None]) -> None:
        """Remember both."""
        self.headers = headers
        self.tell = tell


class Telemetry:
    """What is measured of one endpoint's questions."""

    def __init__(self, endpoint: str) -> None:
        """Look the tracer and the meter up; without a provider both do nothing."""
        self._endpoint = endpoint
        self._histogram: Any = None
        if _TRACING:
            meter = metrics.get_meter(_NAME)
            self._histogram = meter.create_histogram(HISTOGRAM, unit="s", description="Duration of a decision")

    @contextmanager
    def observe(self, traceparent: str | None) -> Iterator[Observation]:
        """Observe one question. `traceparent` is its caller's, used where no span of this process is under way."""
        passed = {"traceparent": traceparent} if traceparent and _TRACEPARENT.fullmatch(traceparent) else {}
        if not _TRACING:
            yield Observation(passed, lambda _: None)
            return
        began = time.monotonic()
        propagator = TraceContextTextMapPropagator()
        around = None if trace.get_current_span().get_span_context().is_valid else propagator.extract(passed)
        tracer = trace.get_tracer(_NAME)
        with tracer.start_as_current_span(SPAN, around, trace.SpanKind.CLIENT) as span:
            headers: dict[str, str] = dict(passed)
            propagator.inject(headers)

            def tell(decision: AccessDecision) -> None:
                seconds = time.monotonic() - began
                span.set_attributes(self._attributes(decision))
                labels = {"bailiwick.endpoint": self._endpoint, "bailiwick.decision": decision.allowed}
                self._histogram.record(seconds, labels)

            yield Observation(headers, tell)

    def _attributes(self, decision: AccessDecision) -> dict[str, str | bool | int]:
        found: dict[str, str | bool | int | None] = {
            "bailiwick.endpoint": self._endpoint,
            "bailiwick.decision": decision.allowed,
            "bailiwick.reason": decision.reason,
            "bailiwick.evaluation_id": decision.evaluation_id,
            "bailiwick.grant": decision.grant,
            "bailiwick.attempts": decision.attempts,
        }
        return {name: value for name, value in found.items() if value is not None}
