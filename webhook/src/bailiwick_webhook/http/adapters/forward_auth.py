"""Forward authentication, as Caddy and Traefik have it.

Contract: `/forward-auth/<namespace>/<endpoint>` by GET, or by the client's method where Traefik preserves it, with
`X-Forwarded-Method`, `X-Forwarded-Uri` (raw path and query) and `X-Forwarded-Host`, which the proxy overwrites. Holds:
our own query is never read, since Caddy appends its client's to it.
"""

from aiohttp import web

from bailiwick_webhook.http.adapters import proxycall
from bailiwick_webhook.http.adapters.proxycall import one
from bailiwick_webhook.http.adapters.question import ProxiedCall
from bailiwick_webhook.http.addressing import tenant
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator


class ForwardAuthHandler:
    """ANY /forward-auth/{namespace}/{endpoint}."""

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer. Never raises."""
        return await proxycall.answer(self._authenticator, request, tenant(request), _read, {})


def _read(request: web.BaseRequest) -> ProxiedCall | None:
    method, target, host = (one(request, f"X-Forwarded-{name}") for name in ("Method", "Uri", "Host"))
    return None if method is None or target is None or host is None else ProxiedCall(method, host, target)
