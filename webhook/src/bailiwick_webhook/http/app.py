"""The application: routes, and the one place where failures become answers.

Holds: the request id is echoed on every answer; whatever is not foreseen is a 500 that says nothing; an answer while
we drain ends its connection, so that none is cut later.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from bailiwick_engine.reasons import Reason
from bailiwick_engine.search import Kind
from bailiwick_engine.verdict import Outcome
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.http import arap, authzen, metadata
from bailiwick_webhook.http.batch import Evaluations, evaluated
from bailiwick_webhook.http.edge import REQUEST_ID, Edge, json, request_id, tenant
from bailiwick_webhook.http.problems import ProblemError, bad_request, forbidden, unavailable
from bailiwick_webhook.http.search import Search
from bailiwick_webhook.identity.proof import Identity
from bailiwick_webhook.opening import Opened, Refused as NotOpened, reason_problem
from bailiwick_webhook.pdp import Pdp

_TENANT: Final = "/endpoints/{namespace}/{endpoint}"

_DRAINING: Final[web.AppKey[Callable[[], bool]]] = web.AppKey("draining")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger()


def build(pdp: Pdp, identity: Identity, external_url: str, draining: Callable[[], bool]) -> web.Application:
    """Return the application of the decision paths."""
    edge = Edge(pdp, identity, external_url)
    handlers = _Handlers(edge)
    app = web.Application(middlewares=[_answered])
    app[_DRAINING] = draining
    app.router.add_post(f"{_TENANT}/access/v1/evaluation", handlers.evaluate)
    app.router.add_post(f"{_TENANT}/access/v1/evaluations", Evaluations(edge).__call__)
    for kind in Kind:
        app.router.add_post(f"{_TENANT}/access/v1/search/{kind.value}", Search(edge, kind).__call__)
    app.router.add_get(f"/.well-known/authzen-configuration{_TENANT}", functools.partial(describe, edge))
    app.router.add_post(f"{_TENANT}/access/v1/requests", handlers.submit)
    app.router.add_get(f"{_TENANT}/access/v1/requests/{{task}}", handlers.poll)
    return app


class _Handlers:
    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def evaluate(self, request: web.Request) -> web.StreamResponse:
        """AuthZEN 1.0, POST access/v1/evaluation."""
        asked, parsed = await self._edge.asked(request)
        return json(200, await evaluated(self._edge, request, asked, parsed))

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """ARAP, POST access/v1/requests."""
        asked, parsed = await self._edge.asked(request)
        verdict = self._edge.pdp.judge(asked)
        if verdict.outcome is Outcome.FORBIDDEN or verdict.dry_run:
            raise forbidden(self._edge.identity.stranger)
        if verdict.gate is not None and (wrong := reason_problem(verdict.gate, parsed.reason)):
            raise bad_request(wrong, "context.business_justification")
        decision, outcome = await self._edge.pdp.request(asked, parsed.reason)
        if decision.verdict.reason is Reason.RECORD_FAILED:
            raise unavailable("The request could not be recorded at the moment; ask again.")
        match outcome:
            case Opened(grant, _):
                body = arap.task(grant, self._edge.base(request))
                status = 202 if body["task"]["status"] == "pending" else 201
                return json(status, body, Location=body["task"]["status_endpoint"])
            case NotOpened(detail):
                raise arap.not_requestable(decision.verdict, detail)
            case None:
                raise arap.not_requestable(decision.verdict)

    async def poll(self, request: web.Request) -> web.StreamResponse:
        """ARAP, GET access/v1/requests/{id}."""
        caller = await self._edge.caller(request)
        namespace, endpoint = request.match_info["namespace"], request.match_info["endpoint"]
        grant = await self._edge.pdp.task(namespace, endpoint, caller.account, request.match_info["task"])
        if grant is None:
            raise arap.unknown_task()
        return json(200, arap.task(grant, self._edge.base(request)), **{"Retry-After": str(authzen.RETRY_AFTER)})


async def describe(edge: Edge, request: web.Request) -> web.StreamResponse:
    """AuthZEN 1.0, metadata."""
    if not metadata.well_formed(*tenant(request)):
        raise web.HTTPNotFound
    return json(200, metadata.document(edge.base(request)), **{"Cache-Control": metadata.CACHE_CONTROL})


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    response: web.StreamResponse
    try:
        response = await handler(request)
    except ProblemError as problem:
        response = problem.response()
    except ClusterUnavailableError as error:
        _log.warning("API server gave no answer", path=request.path, error=str(error))
        response = unavailable("The API server does not answer at the moment.").response()
    except web.HTTPException as error:
        response = ProblemError(error.status, "http", error.reason, "There is nothing here for that.").response()
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except Exception:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
        _log.exception("unforeseen failure", path=request.path)
        response = ProblemError(
            500, "internal", "Internal error", "The decision point failed; treat as denied."
        ).response()
    if request.app[_DRAINING]():
        response.force_close()
    response.headers.setdefault("Cache-Control", "no-store")
    if (echoed := request_id(request)) is not None:
        response.headers[REQUEST_ID] = echoed
    return response
