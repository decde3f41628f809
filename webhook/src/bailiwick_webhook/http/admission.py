"""`POST /admission/validate` of the admission port: AdmissionReviews of policies (admission.k8s.io/v1).

Holds: anybody who reaches the port may post. So the bytes of bodies and the reviews that wait are bounded, and no
sender has more of either than its share; a connection whose body is still to come makes room for others. An answer
tells a sender no more than it sent, but for what stands around a policy of an endpoint that they can name. What cannot
be judged is no 200: the API server takes that for a refusal for as long as the webhook configuration says Fail, and
tries again when the answer says so. `?timeout` makes the time shorter, never longer than ours.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web

from bailiwick_api.manifests.admission import TIMEOUT_SECONDS
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.admission.answer import ReviewResponse, answer
from bailiwick_webhook.admission.bench import BusyError, LostError, PolicyExaminer
from bailiwick_webhook.admission.line import share_of
from bailiwick_webhook.admission.review import (
    MAX_BYTES,
    DataFinding,
    Finding,
    MalformedReview,
    NothingToReview,
    PolicyFinding,
    ReviewDefect,
    UnknownVersion,
)
from bailiwick_webhook.http.body import check_headers
from bailiwick_webhook.http.problems import ProblemError, bad_request
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.slots import other
from bailiwick_webhook.http.transport import connections
from bailiwick_webhook.http.transport.answers import json
from bailiwick_webhook.http.transport.bodies import Bodies
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Admission, Port
from bailiwick_webhook.store.view import View

_MARGIN: Final = 0.5
# However long the API server would wait.
_MOST_SECONDS: Final = 10.0
_BOUNDS: Final = Bounds(body_bytes=32 * 1024 * 1024, others_percent=100)
_AGAIN_SECONDS: Final = 0.3
# As the API server writes it: a duration of Go in whole seconds.
_TIMEOUT: Final = re.compile(r"([0-9]{1,3})s")
_SOON: Final = {"Retry-After": "1"}

_log = structlog.get_logger()
_limited: Final = LogLimit()


class ValidateHandler:
    """Answers reviews. `issuers` says of each configured one whether it has a `kubernetesUsername`; None: no file."""

    def __init__(self, bench: PolicyExaminer, store: View, issuers: Mapping[str, bool] | None, counts: Counts) -> None:
        self._bench = bench
        self._store = store
        self._issuers = issuers
        self._counts = counts.admissions
        self._bodies = Bodies(Port.ADMISSION, _BOUNDS, counts)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer one. Raises `ProblemError`."""
        until = asyncio.get_running_loop().time() + _seconds(request.query.get("timeout"))
        try:
            found = await self._answered(request, until)
        except TimeoutError:
            self._counts[Admission.LATE] += 1
            detail = "The policy could not be checked in time."
            # Of 503 the API server would tell the author of the policy nothing but that.
            raise ProblemError(504, "late", "Too late", detail) from None
        except LostError:
            self._counts[Admission.FAILED] += 1
            detail = "The policy cannot be checked. See the decision point's log for the cause."
            raise ProblemError(500, "internal", "Internal error", detail) from None
        self._counts[found.outcome] += 1
        return json(200, found.body)

    async def _answered(self, request: web.Request, until: float) -> ReviewResponse:
        try:
            check_headers(request)
        except ProblemError:
            self._counts[Admission.UNREADABLE] += 1
            raise
        finding = await self._examined(request, until)
        match finding:
            case MalformedReview():
                self._counts[Admission.UNREADABLE] += 1
                raise bad_request(finding.detail, finding.where)
            case ReviewDefect():
                _log.error("policy cannot be checked", error=finding.error)
                raise LostError
        told = self._answer(finding)
        if told.outcome is Admission.CONFLICTED:
            # Where a carrier was deleted so that this one takes its place, that may not have been heard of yet.
            left = until - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, min(_AGAIN_SECONDS, left)))
            told = self._answer(finding)
        return told

    def _answer(self, finding: NothingToReview | UnknownVersion | PolicyFinding | DataFinding) -> ReviewResponse:
        unsigned = self._store.reviewers.problem
        return answer(finding, self._snapshot(), self._store.ledger, self._issuers, time.time(), unsigned)

    def _snapshot(self) -> Snapshot:
        found = self._store.snapshot
        if found is None:
            # Nothing is answered before the first one is there.
            raise LostError
        return found

    async def _examined(self, request: web.Request, until: float) -> Finding:
        address = request.remote or ""
        with self._bodies.body(other(address)) as body:
            try:
                async with asyncio.timeout_at(until):
                    raw = await body.read(request, MAX_BYTES)
            except ProblemError as problem:
                if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
                    raise self._overloaded() from None
                self._counts[Admission.UNREADABLE] += 1
                raise
            if raw is None:
                self._counts[Admission.UNREADABLE] += 1
                raise ProblemError(413, "too-large", "Content too large", f"the body is larger than {MAX_BYTES} bytes")
            # From here on its connection makes room for no other, and it has a slot: slow bodies would take all of
            # both.
            connections.note_request(request)
            return await self._judged(raw, until, address)

    async def _judged(self, raw: bytes, until: float, address: str) -> Finding:
        share = share_of(address, raw)
        try:
            return await self._bench.examine(raw, until, share)
        except BusyError:
            _limited.warning("too many policies are being checked", address=address, namespace=share.namespace)
            raise self._overloaded() from None

    def _overloaded(self) -> ProblemError:
        self._counts[Admission.OVERLOADED] += 1
        detail = "Too many policies are being checked. Try again."
        # The API server does, for as long as its own deadline is not over.
        return ProblemError(429, "too-many-requests", "Too many requests", detail, headers=_SOON)


def _seconds(timeout: str | None) -> float:
    """Return how long there is for an answer, so that ours comes before the API server has given up."""
    found = _TIMEOUT.fullmatch(timeout or "")
    given = min(float(found[1]), _MOST_SECONDS) if found is not None else TIMEOUT_SECONDS
    return max(given - _MARGIN, _MARGIN)
