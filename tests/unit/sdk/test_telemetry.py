"""What OpenTelemetry is told of a decision, and what never."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bailiwick import Bailiwick, Call, Principal, Resource, telemetry
from support.sdk.script import Script, Scripted, allow, deny, header

PARENT: Final = f"00-{'a' * 32}-{'b' * 16}-01"
CALL: Final = Call(
    subject=Principal("user", "alice@corp.example"),
    token="s3cr3t",
    action="export",
    resource=Resource("customer", "42"),
    args={"iban": "DE00"},
    traceparent=PARENT,
)


class OwnProviders:
    """A provider of each kind that belongs to one test."""

    def __init__(self) -> None:
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._metrics])

    @property
    def span(self) -> ReadableSpan:
        (found,) = self._spans.get_finished_spans()
        return found

    @property
    def points(self) -> list[Any]:
        data = self._metrics.get_metrics_data()
        assert data is not None
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        assert (metric.name, metric.unit) == (telemetry.HISTOGRAM, "s")
        return list(metric.data.data_points)


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnProviders]:
    made = OwnProviders()
    monkeypatch.setattr(trace, "get_tracer", made.tracers.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", made.meters.get_meter)
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def asked(*answers: Scripted) -> Script:
    script = Script(*answers)
    pdp = Bailiwick("https://pdp.example", endpoint="crm/crm-api", token=lambda: "own", transport=script)
    pdp.evaluate(CALL)
    return script


def test_a_decision_is_a_client_span(observed: OwnProviders) -> None:
    asked(allow(reason="allowed", evaluation_id="e", approval={"id": "g"}))
    span = observed.span
    assert (span.name, span.kind) == ("bailiwick.evaluate", trace.SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "bailiwick.endpoint": "crm/crm-api",
        "bailiwick.decision": True,
        "bailiwick.reason": "allowed",
        "bailiwick.evaluation_id": "e",
        "bailiwick.grant": "g",
        "bailiwick.attempts": 1,
    }


def test_nothing_that_is_secret_or_personal_is_told(observed: OwnProviders) -> None:
    asked(deny())
    told = observed.span.to_json() + repr(observed.points)
    assert [word for word in ("s3cr3t", "DE00", "alice") if word in told] == []


def test_the_duration_is_counted_by_decision(observed: OwnProviders) -> None:
    asked(deny())
    (point,) = observed.points
    assert dict(point.attributes) == {"bailiwick.endpoint": "crm/crm-api", "bailiwick.decision": False}
    assert point.count == 1


def test_the_request_carries_the_span_which_is_the_callers_child(observed: OwnProviders) -> None:
    script = asked(deny())
    sent = header(script.sent[0], "traceparent")
    context = observed.span.get_span_context()
    assert context is not None
    assert sent == f"00-{'a' * 32}-{context.span_id:016x}-01"
    assert observed.span.parent is not None
    assert observed.span.parent.span_id == int("b" * 16, 16)


def test_a_span_under_way_comes_before_what_the_call_says(observed: OwnProviders) -> None:
    with observed.tracers.get_tracer("test").start_as_current_span("outer") as outer:
        script = asked(deny())
    sent = header(script.sent[0], "traceparent")
    assert sent is not None
    assert sent.split("-")[1] == f"{outer.get_span_context().trace_id:032x}"


def test_without_a_provider_the_callers_trace_goes_on() -> None:
    assert header(asked(deny()).sent[0], "traceparent") == PARENT


@pytest.mark.parametrize("without", [True, False], ids=["without the library", "with it"])
@pytest.mark.parametrize(
    "parent", ["", "x", f"ff-{'a' * 32}-{'b' * 16}-01", f"00-{'0' * 32}-{'b' * 16}-01", PARENT + "\r\nX: y"]
)
def test_what_is_no_trace_is_not_passed_on(parent: str, without: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if without:
        monkeypatch.setattr(telemetry, "_TRACING", False)
    script = Script(deny())
    pdp = Bailiwick("https://pdp.example", token=None, transport=script)
    pdp.evaluate(Call(action="a", resource=Resource("t", "i"), traceparent=parent))
    assert header(script.sent[0], "traceparent") is None


def test_without_the_library_the_callers_trace_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_TRACING", False)
    assert header(asked(deny()).sent[0], "traceparent") == PARENT
