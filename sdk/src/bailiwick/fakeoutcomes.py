"""Outcomes for an application's own tests: transports that hand out handles, and remember what is reported.

Standing: between the clients of `testing.FakePDP` and its decision point, which has no API server to count calls at.
Holds: only an allow gets a handle, and a dry run gets none; a report is answered as the decision point answers it: the
same again 200, another one 409, an unknown handle 410.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from bailiwick.call import decoded
from bailiwick.outcomes import OUTCOMES
from bailiwick.transports.base import AsyncTransport, HttpRequest, HttpResponse, SyncTransport

_UNTIL: Final = "2099-12-31T23:59:59Z"
_BASE: Final = "/access/v1/"


class ActionOutcome(NamedTuple):
    """What was reported of one call. Equals a tuple of two texts."""

    action: str
    outcome: str


@dataclass(slots=True)
class _CountedCall:
    action: str
    outcome: str | None = None


@dataclass(slots=True)
class OutcomeLedger:
    """The calls that have a handle, and their outcomes in the order of the reports."""

    reports: list[ActionOutcome] = field(default_factory=list)
    _calls: dict[str, _CountedCall] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        """Answer a report; None for any other request."""
        if not request.url.endswith(f"{_BASE}outcomes"):
            return None
        try:
            said = decoded(request.body or b"")
        except ValueError:
            said = None
        handle, outcome = (said.get("handle"), said.get("outcome")) if isinstance(said, Mapping) else (None, None)
        if not isinstance(handle, str) or outcome not in OUTCOMES:
            return _response(request, HTTPStatus.BAD_REQUEST, {"detail": "a report has a handle and an outcome"})
        with self._lock:
            call = self._calls.get(handle)
            if call is None:
                return _response(request, HTTPStatus.GONE, {"detail": "there is no call of this handle"})
            if call.outcome not in (None, outcome):
                return _response(request, HTTPStatus.CONFLICT, {"detail": f"{call.outcome} was reported before"})
            if call.outcome is None:
                call.outcome = outcome
                self.reports.append(ActionOutcome(call.action, outcome))
        return _response(request, HTTPStatus.OK, {"outcome": outcome})

    def with_handles(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Return an answer with a handle in each allow."""
        kind = request.url.rpartition(_BASE)[2]
        if response.status != HTTPStatus.OK or kind not in {"evaluation", "evaluations"}:
            return response
        asked, said = json.loads(request.body or b"{}"), json.loads(response.body)
        if kind == "evaluations":
            items = zip(asked["evaluations"], said["evaluations"], strict=False)
            said = {**said, "evaluations": [self._with_handle(call, item) for call, item in items]}
        else:
            said = self._with_handle(asked, said)
        return replace(response, body=json.dumps(said).encode())

    def _with_handle(self, asked: Mapping[str, Any], said: Mapping[str, Any]) -> Mapping[str, Any]:
        context = said.get("context", {})
        if said.get("decision") is not True or context.get("dry_run") is True:
            return said
        with self._lock:
            handle = f"handle-{len(self._calls) + 1}"
            self._calls[handle] = _CountedCall(asked["action"]["name"])
        return {**said, "context": {**context, "outcome": {"handle": handle, "until": _UNTIL}}}


class CountingTransport:
    """Sends by another transport, for threads."""

    def __init__(self, transport: SyncTransport, ledger: OutcomeLedger) -> None:
        """Remember both."""
        self._transport = transport
        self._ledger = ledger

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        """Send a request. Raises `TransportError`."""
        answer = self._ledger.answer(request)
        return answer or self._ledger.with_handles(request, self._transport.send(request, seconds))

    def close(self) -> None:
        """End the connections."""
        self._transport.close()


class AsyncCountingTransport:
    """Sends by another transport, for asyncio."""

    def __init__(self, transport: AsyncTransport, ledger: OutcomeLedger) -> None:
        """Remember both."""
        self._transport = transport
        self._ledger = ledger

    async def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        """Send a request. Raises `TransportError`."""
        answer = self._ledger.answer(request)
        return answer or self._ledger.with_handles(request, await self._transport.send(request, seconds))

    async def close(self) -> None:
        """End the connections."""
        await self._transport.close()


def _response(request: HttpRequest, status: HTTPStatus, body: Mapping[str, Any]) -> HttpResponse:
    headers = {"content-type": "application/json", "x-request-id": request.headers.get("X-Request-ID", "")}
    return HttpResponse(status, headers, json.dumps(body).encode())
