"""A collector of OpenTelemetry spans for tests."""

import gzip
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.httpthreads import Reply, ThreadedServer


class Collector(ThreadedServer):
    """Receives spans by OTLP over HTTP. A context manager."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.spans: list[Any] = []
        self.services: set[str] = set()
        super().__init__()

    def posted(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        self.paths.append(path)
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(attributes["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return 200, b""
