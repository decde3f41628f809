"""nginx's auth_request, and HAProxy's Lua action in its manner.

Contract: `GET /auth-request/<namespace>/<endpoint>` with `X-Original-Method`, `X-Original-URI` (raw path and query) and
`X-Original-Host`, which the proxy sets itself, over whatever its client sent. There is no body, so that a route that
takes arguments from one is refused.
"""

from aiohttp import web

from bailiwick_webhook.http.adapters import proxycall
from bailiwick_webhook.http.adapters.proxycall import one
from bailiwick_webhook.http.adapters.question import ProxiedCall
from bailiwick_webhook.http.addressing import tenant
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator


class AuthRequestHandler:
    """GET /auth-request/{namespace}/{endpoint}."""

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer. Never raises."""
        return await proxycall.answer(self._authenticator, request, tenant(request), _read, {})


def _read(request: web.BaseRequest) -> ProxiedCall | None:
    method, target, host = (one(request, f"X-Original-{name}") for name in ("Method", "URI", "Host"))
    return None if method is None or target is None or host is None else ProxiedCall(method, host, target)
