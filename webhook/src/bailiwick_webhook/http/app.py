"""The application: routes, and the one place where failures become answers.

Holds: every path is here, those too that `front` answers before the application is asked; what is true of every answer
stands in `answers`.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from bailiwick_engine.reasons import Reason
from bailiwick_engine.search import Kind
from bailiwick_engine.verdict import Outcome
from bailiwick_webhook.http import answers, arap, authzen, metadata
from bailiwick_webhook.http.answers import json
from bailiwick_webhook.http.batch import Evaluations, evaluated
from bailiwick_webhook.http.edge import Edge, Tenant, tenant
from bailiwick_webhook.http.front import FRONT, Decide, Front
from bailiwick_webhook.http.problems import bad_request, forbidden, unavailable
from bailiwick_webhook.http.search import Search
from bailiwick_webhook.identity.proof import Identity
from bailiwick_webhook.opening import Opened, Refused as NotOpened, reason_problem
from bailiwick_webhook.pdp import Pdp

_TENANT: Final = "/endpoints/{namespace}/{endpoint}"

_DRAINING: Final[web.AppKey[Callable[[], bool]]] = web.AppKey("draining")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(pdp: Pdp, identity: Identity, external_url: str, draining: Callable[[], bool]) -> web.Application:
    """Return the application of the decision paths."""
    edge = Edge(pdp, identity, external_url)
    handlers = _Handlers(edge)
    app = web.Application(middlewares=[_answered])
    app[_DRAINING] = draining
    app[FRONT] = Front(app, draining, evaluation=handlers.evaluate, evaluations=Evaluations(edge).__call__)
    for last, decide in app[FRONT].decide.items():
        app.router.add_post(f"{_TENANT}/access/v1/{last}", _said(decide))
    for kind in Kind:
        app.router.add_post(f"{_TENANT}/access/v1/search/{kind.value}", Search(edge, kind).__call__)
    app.router.add_get(f"/.well-known/authzen-configuration{_TENANT}", functools.partial(describe, edge))
    app.router.add_post(f"{_TENANT}/access/v1/requests", handlers.submit)
    app.router.add_get(f"{_TENANT}/access/v1/requests/{{task}}", handlers.poll)
    return app


def _said(decide: Decide) -> Handler:
    """Return the application's handler of a path that the front answers, for whatever spells it otherwise."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answers.said(await decide(request, tenant(request)))

    return handle


class _Handlers:
    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def evaluate(self, request: web.BaseRequest, of: Tenant) -> bytes:
        """AuthZEN 1.0, POST access/v1/evaluation."""
        asked, parsed = await self._edge.asked(request, of)
        return await evaluated(self._edge, of, asked, parsed)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """ARAP, POST access/v1/requests."""
        of = tenant(request)
        asked, parsed = await self._edge.asked(request, of)
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
                body = arap.task(grant, self._edge.base(of))
                status = 202 if body["task"]["status"] == "pending" else 201
                return json(status, body, Location=body["task"]["status_endpoint"])
            case NotOpened(detail):
                raise arap.not_requestable(decision.verdict, detail)
            case None:
                raise arap.not_requestable(decision.verdict)

    async def poll(self, request: web.Request) -> web.StreamResponse:
        """ARAP, GET access/v1/requests/{id}."""
        caller = await self._edge.caller(request)
        of = tenant(request)
        grant = await self._edge.pdp.task(*of, caller.account, request.match_info["task"])
        if grant is None:
            raise arap.unknown_task()
        return json(200, arap.task(grant, self._edge.base(of)), **{"Retry-After": str(authzen.RETRY_AFTER)})


async def describe(edge: Edge, request: web.Request) -> web.StreamResponse:
    """AuthZEN 1.0, metadata."""
    of = tenant(request)
    if not metadata.well_formed(*of):
        raise web.HTTPNotFound
    return json(200, metadata.document(edge.base(of)), **{"Cache-Control": metadata.CACHE_CONTROL})


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
        response = answers.failed(request, error)
    return answers.finished(request, response, draining=request.app[_DRAINING]())
