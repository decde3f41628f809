"""Addressing: whose endpoint a request asks about, and how the caller marks it.

Standing: under every path. Holds: what is marked is the caller's own word, and decides nothing.
"""

from typing import NamedTuple

import msgspec
from aiohttp import web

from bailiwick_webhook.http.tracing import MessageHead, request_id, traceparent


class Tenant(NamedTuple):
    """Whose endpoint is asked about."""

    namespace: str
    endpoint: str


class CorrelationIds(msgspec.Struct, frozen=True, gc=False):
    """How a call can be found again: the caller's own id of it, its W3C `traceparent`, and its place in a batch."""

    request_id: str | None
    trace: str | None
    item: int | None = None


def marks(request: MessageHead) -> CorrelationIds:
    """Return how the caller marks its request."""
    return CorrelationIds(request_id(request), traceparent(request.headers.get("traceparent")))


def tenant(request: web.Request) -> Tenant:
    """Return namespace and endpoint of the path."""
    return Tenant(request.match_info["namespace"], request.match_info["endpoint"])
