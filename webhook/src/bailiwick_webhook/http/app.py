"""The applications of the two ports, decisions and admission: routes, and the one place where failures become answers.

Holds: every path is here, those too of which the connection answers most requests by itself (`shortcut`); what is true
of every answer stands in `answers`; the two ports share no path, no connection and no bound.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from bailiwick_api.manifests.admission import PATH
from bailiwick_engine.decision.search import SearchKind
from bailiwick_webhook.http.adapters import authorize, enforce as enforcing, ext_authz
from bailiwick_webhook.http.adapters.auth_request import AuthRequestHandler
from bailiwick_webhook.http.adapters.authorize import AuthorizeHandler
from bailiwick_webhook.http.adapters.forward_auth import ForwardAuthHandler
from bailiwick_webhook.http.adapters.k8sreview import ProtectedNamespaces
from bailiwick_webhook.http.addressing import tenant
from bailiwick_webhook.http.authzen import metadata
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.authzen.decisions import EVALUATION, EVALUATIONS, DecisionPaths
from bailiwick_webhook.http.authzen.outcomes import OutcomesHandler
from bailiwick_webhook.http.authzen.requests import AccessRequestsHandler
from bailiwick_webhook.http.authzen.search import SearchHandler
from bailiwick_webhook.http.problems import unavailable
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.slots import RequestSlot, RequestSlots
from bailiwick_webhook.http.transport import answers
from bailiwick_webhook.http.transport.answers import json
from bailiwick_webhook.http.transport.connections import BOUNDED, ConnectionBounds, is_last
from bailiwick_webhook.identity.proof import IdentityProof
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Port
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.signing.signer import Signer

ADMISSION_BOUNDS: Final = Bounds(requests_at_once=256, others_percent=50)
"""Of what is asked by the API server about its own calls: it has no enforcer until its review is read."""

_TENANT: Final = "/endpoints/{namespace}/{endpoint}"

AUTHENTICATOR: Final[web.AppKey[RequestAuthenticator]] = web.AppKey("authenticator")
"""What the decision paths are read and counted by, which the gRPC port shares."""
_DRAINING: Final[web.AppKey[Callable[[], bool]]] = web.AppKey("draining")

Application = web.Application
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(
    pdp: Pdp,
    identity: IdentityProof,
    external_url: str,
    draining: Callable[[], bool],
    signer: Signer | None = None,
    *,
    bounds: Bounds | None = None,
    namespaces: ProtectedNamespaces | None = None,
) -> web.Application:
    """Return the application of the decision paths. What anybody may read is not waited for, and takes no slot."""
    bounds = bounds or Bounds()
    authenticator = RequestAuthenticator(pdp, identity, external_url, signer or Signer(), bounds)
    app = web.Application(middlewares=[_answered])
    app[AUTHENTICATOR] = authenticator
    app[_DRAINING] = draining
    decisions = DecisionPaths(authenticator)
    app[BOUNDED] = ConnectionBounds(Port.DECISIONS, bounds, pdp.counts, draining, decisions)
    for path in (EVALUATION, EVALUATIONS):
        app.router.add_post(f"{_TENANT}/access/v1/{path}", functools.partial(decisions.answer, path))
    for kind in SearchKind:
        app.router.add_post(
            f"{_TENANT}/access/v1/search/{kind.value}",
            _with_slot(authenticator.slots, SearchHandler(authenticator, kind).__call__),
        )
    app.router.add_get(f"/.well-known/authzen-configuration{_TENANT}", functools.partial(describe, authenticator))
    app.router.add_get(metadata.JWKS, functools.partial(keys, authenticator))
    # Whatever is in the rest of the path, a line break too: it is the client's, and no other path of ours.
    app.router.add_route("*", ext_authz.PREFIX + "{rest:(?s:.*)}", ext_authz.ExtAuthzHandler(authenticator).__call__)
    app.router.add_get(
        "/auth-request/{namespace}/{endpoint}", AuthRequestHandler(authenticator).__call__, allow_head=False
    )
    app.router.add_route("*", "/forward-auth/{namespace}/{endpoint}", ForwardAuthHandler(authenticator).__call__)
    app.router.add_post(authorize.PATH, AuthorizeHandler(authenticator, namespaces or ProtectedNamespaces()).__call__)
    app.router.add_post(
        f"{_TENANT}/access/v1/outcomes", _with_slot(authenticator.slots, OutcomesHandler(authenticator).report)
    )
    requests = AccessRequestsHandler(authenticator)
    app.router.add_post(f"{_TENANT}/access/v1/requests", _with_slot(authenticator.slots, requests.submit))
    app.router.add_get(f"{_TENANT}/access/v1/requests/{{task}}", _with_slot(authenticator.slots, requests.poll))
    app.router.add_post(
        f"{_TENANT}/access/v1/requests/{{task}}/cancel", _with_slot(authenticator.slots, requests.cancel)
    )
    return app


def build_admission(
    validate: Handler,
    draining: Callable[[], bool],
    counts: Counts,
    bounds: Bounds | None = None,
    *,
    enforce: Handler | None = None,
) -> web.Application:
    """Return the application of the admission port, where the API server asks.

    About policies by `validate`, and about calls of its own by `enforce`.
    """
    app = web.Application(middlewares=[_answered])
    app[_DRAINING] = draining
    app[BOUNDED] = ConnectionBounds(Port.ADMISSION, bounds or Bounds(), counts, draining)
    app.router.add_post(PATH, validate)
    if enforce is not None:
        app.router.add_post(enforcing.PATH, enforce)
    return app


def _with_slot(
    slots: RequestSlots, answer: Callable[[web.Request, RequestSlot], Awaitable[web.StreamResponse]]
) -> Handler:
    """Return a handler that answers with a slot, and gives it back."""

    async def handle(request: web.Request) -> web.StreamResponse:
        with slots.slot() as slot:
            return await answer(request, slot)

    return handle


async def describe(authenticator: RequestAuthenticator, request: web.Request) -> web.StreamResponse:
    """AuthZEN 1.0, metadata."""
    of = tenant(request)
    if not metadata.well_formed(*of):
        raise web.HTTPNotFound
    return json(
        200,
        metadata.document(authenticator.base(of), authenticator.external_url),
        **{"Cache-Control": metadata.CACHE_CONTROL},
    )


async def keys(authenticator: RequestAuthenticator, _: web.Request) -> web.StreamResponse:
    """RFC 7517, the public halves of our signing keys: to anybody."""
    published = authenticator.signer.published()
    if published is None:
        raise unavailable("the signing keys may have changed, and the API server does not answer: ask again")
    return json(200, published, **{"Cache-Control": metadata.JWKS_CACHE_CONTROL})


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
        response = answers.failed(request, error)
    return answers.finished(request, response, closing=request.app[_DRAINING]() or is_last(request))
