"""Where spans go: to a collector by OTLP over HTTP, in batches, from a thread of the library's own.

Holds: a collector that is away or slow costs spans and never a decision: what waits is bounded, and stopping waits a
few seconds at most. The rest is set as the library has it, by OTEL_* variables: headers, certificate, sampler.
"""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_NAME: Final = "bailiwick-webhook"
_PATH: Final = "/v1/traces"
_EXPORT_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 3.0


class SpanExport:
    """The spans of this process on their way out. Raises `OSError` where the libraries are missing."""

    def __init__(self, endpoint: str) -> None:
        """Prepare; nothing is sent before there are spans. `endpoint`: the collector's base URL, as http[s]://host."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - 20 MB that only those load who ask
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as error:
            message = f"--otlp-endpoint needs the extra bailiwick[tracing]: {error}"
            raise OSError(message) from error
        # It complains of each batch that it cannot send, with a traceback at times.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter: Any = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH, timeout=_EXPORT_SECONDS)
        self._provider = TracerProvider(resource=Resource.create({"service.name": _NAME}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))

    @property
    def tracer(self) -> "Tracer":
        """What makes spans."""
        return self._provider.get_tracer(_NAME)

    async def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.to_thread(self._provider.shutdown)
