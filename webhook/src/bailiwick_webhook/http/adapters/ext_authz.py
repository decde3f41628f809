"""Envoy's ext_authz over HTTP, which Istio, Envoy Gateway and agentgateway speak too.

Contract: envoy.extensions.filters.http.ext_authz.v3, `http_service` with `path_prefix`
`/ext-authz/<namespace>/<endpoint>`: method and `Host` are the client's, its path and query follow the prefix as they
came. Holds: namespace and endpoint are the first segments of the raw path, so that no path of a client's changes them.
"""

from typing import Final

from aiohttp import web

from bailiwick_webhook.http.adapters import proxycall, replies
from bailiwick_webhook.http.adapters.proxycall import Dialect, one
from bailiwick_webhook.http.adapters.question import ProxiedCall, is_cut
from bailiwick_webhook.http.addressing import Tenant
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator

PREFIX: Final = "/ext-authz/"
_DIALECT: Final[Dialect] = {"x-envoy-auth-headers-to-remove": ", ".join(replies.REMOVED)}


class ExtAuthzHandler:
    """ANY /ext-authz/{namespace}/{endpoint}/..."""

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer. Never raises."""
        parted = _parted(request.raw_path)
        of = None if parted is None else parted[0]
        return await proxycall.answer(self._authenticator, request, of, _read, _DIALECT)


def _parted(raw: str) -> tuple[Tenant, str] | None:
    """Return whose endpoint is asked about and the target of the call; None where the path has another form."""
    if not raw.startswith(PREFIX):
        return None
    namespace, _, rest = raw[len(PREFIX) :].partition("/")
    endpoint, slash, target = rest.partition("/")
    return (Tenant(namespace, endpoint), f"/{target}") if slash else None


def _read(request: web.BaseRequest) -> ProxiedCall | None:
    parted, host = _parted(request.raw_path), one(request, "Host")
    if parted is None or host is None:
        return None
    return ProxiedCall(request.method, host, parted[1], is_cut(request.headers))
