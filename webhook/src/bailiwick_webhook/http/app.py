"""The applications of the two ports, decisions and admission: routes, and the one place where failures become answers.

Holds: every path is here, those too that `front` answers before the application is asked; what is true of every answer
stands in `answers`; the two ports share no path, no connection and no bound.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from bailiwick_api.admission import PATH
from bailiwick_engine.search import Kind
from bailiwick_webhook.http import answers, metadata
from bailiwick_webhook.http.answers import json
from bailiwick_webhook.http.batch import Evaluations, evaluated
from bailiwick_webhook.http.bounds import Bounds
from bailiwick_webhook.http.connections import BOUNDED, Bounded, is_last
from bailiwick_webhook.http.edge import Edge, Tenant, tenant
from bailiwick_webhook.http.front import FRONT, Decide, Front
from bailiwick_webhook.http.places import Place, Places
from bailiwick_webhook.http.requests import Requests
from bailiwick_webhook.http.search import Search
from bailiwick_webhook.identity.proof import Identity
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Port
from bailiwick_webhook.pdp import Pdp
from bailiwick_webhook.signing.signer import Signer

_TENANT: Final = "/endpoints/{namespace}/{endpoint}"

_DRAINING: Final[web.AppKey[Callable[[], bool]]] = web.AppKey("draining")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(
    pdp: Pdp,
    identity: Identity,
    external_url: str,
    draining: Callable[[], bool],
    signer: Signer | None = None,
    *,
    bounds: Bounds | None = None,
) -> web.Application:
    """Return the application of the decision paths. What anybody may read waits for nobody, and takes no place."""
    bounds = bounds or Bounds()
    edge = Edge(pdp, identity, external_url, signer or Signer(), bounds)
    handlers = _Handlers(edge)
    app = web.Application(middlewares=[_answered])
    app[_DRAINING] = draining
    app[BOUNDED] = Bounded(Port.DECISIONS, bounds, pdp.counts)
    app[FRONT] = Front(app, draining, evaluation=handlers.evaluate, evaluations=Evaluations(edge).__call__)
    for last, decide in app[FRONT].decide.items():
        app.router.add_post(f"{_TENANT}/access/v1/{last}", _said(decide))
    for kind in Kind:
        app.router.add_post(
            f"{_TENANT}/access/v1/search/{kind.value}", _placed(edge.places, Search(edge, kind).__call__)
        )
    app.router.add_get(f"/.well-known/authzen-configuration{_TENANT}", functools.partial(describe, edge))
    app.router.add_get(metadata.JWKS, functools.partial(keys, edge))
    requests = Requests(edge)
    app.router.add_post(f"{_TENANT}/access/v1/requests", _placed(edge.places, requests.submit))
    app.router.add_get(f"{_TENANT}/access/v1/requests/{{task}}", _placed(edge.places, requests.poll))
    app.router.add_post(f"{_TENANT}/access/v1/requests/{{task}}/cancel", _placed(edge.places, requests.cancel))
    return app


def build_admission(
    validate: Handler, draining: Callable[[], bool], counts: Counts, bounds: Bounds | None = None
) -> web.Application:
    """Return the application of the admission port, which the API server asks about policies by `validate`."""
    app = web.Application(middlewares=[_answered])
    app[_DRAINING] = draining
    app[BOUNDED] = Bounded(Port.ADMISSION, bounds or Bounds(), counts)
    app.router.add_post(PATH, validate)
    return app


def _said(decide: Decide) -> Handler:
    """Return the application's handler of a path that the front answers, for whatever spells it otherwise."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answers.said(await decide(request, tenant(request)))

    return handle


def _placed(places: Places, answer: Callable[[web.Request, Place], Awaitable[web.StreamResponse]]) -> Handler:
    """Return a handler that answers with a place, and gives it back."""

    async def handle(request: web.Request) -> web.StreamResponse:
        with places.place() as place:
            return await answer(request, place)

    return handle


class _Handlers:
    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def evaluate(self, request: web.BaseRequest, of: Tenant) -> bytes:
        """AuthZEN 1.0, POST access/v1/evaluation."""
        with self._edge.places.place() as place:
            asked, parsed = await self._edge.asked(request, of, place)
            return await evaluated(self._edge, of, asked, parsed)


async def describe(edge: Edge, request: web.Request) -> web.StreamResponse:
    """AuthZEN 1.0, metadata."""
    of = tenant(request)
    if not metadata.well_formed(*of):
        raise web.HTTPNotFound
    return json(200, metadata.document(edge.base(of), edge.external_url), **{"Cache-Control": metadata.CACHE_CONTROL})


async def keys(edge: Edge, _: web.Request) -> web.StreamResponse:
    """RFC 7517, the public halves of our signing keys: to anybody."""
    return json(200, edge.signer.published(), **{"Cache-Control": metadata.JWKS_CACHE_CONTROL})


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
        response = answers.failed(request, error)
    return answers.finished(request, response, closing=request.app[_DRAINING]() or is_last(request))
