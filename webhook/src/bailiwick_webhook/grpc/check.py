"""One check of Envoy's: from a `CheckRequest` to a `CheckResponse`, by the way that all adapters for proxies share.

Holds: OK goes with `ok_response` and with nothing else, and a denial with `denied_response` and 401 or 403: Envoy goes
by the code alone, and sends clients whatever status stands beside it. Whose endpoint it is stands in the
`context_extensions` of Envoy's own configuration, and who asks in TLS or the metadata of the call: no header of a
client's says either.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from multidict import CIMultiDict

from bailiwick_engine.call import ServiceAccount
from bailiwick_webhook.grpc import messages
from bailiwick_webhook.http.adapters import proxycall, replies
from bailiwick_webhook.http.adapters.question import ProxiedCall, is_cut
from bailiwick_webhook.http.adapters.replies import ProxyReply
from bailiwick_webhook.http.addressing import Tenant
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.body import MAX_BYTES
from bailiwick_webhook.http.shares.slots import RequestSlot
from bailiwick_webhook.identity.tokens import AuthenticatedAccount

EXTENSION: Final = "bailiwick"
"""The context extension that says whose endpoint is asked about: `<namespace>/<endpoint>`."""

_ADAPTER: Final = "grpc"
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
# What Envoy writes for each byte that is no UTF-8, where it sends a text and not bytes.
_REPLACED: Final = "!"
_UNREADABLE: Final = "\ufffd"
# Of headers: more than Envoy lets through by itself.
_MOST: Final = 256


class GrpcPeer(NamedTuple):
    """Who is at the other end. `shown`: the names of its certificate; `sent`: its tokens; both as they came."""

    remote: str | None
    shown: tuple[ServiceAccount, ...] = ()
    sent: Sequence[str] = ()
    protocol: None = None
    """The connection is the library's, and in no table of ours."""


class GrpcQuestion:
    """A question by gRPC."""

    def __init__(self, authenticator: RequestAuthenticator, peer: GrpcPeer, http: Any) -> None:  # noqa: ANN401 - a message made at run time
        self._authenticator = authenticator
        self._peer = peer
        self._http = http
        self._many = len(http.headers) + len(http.header_map.headers) > _MOST
        self.headers = CIMultiDict[str]() if self._many else _headers(http)

    async def caller(self, of: Tenant, slot: RequestSlot) -> AuthenticatedAccount:
        """Return which proxy asks. Raises `ProblemError`."""
        return await self._authenticator.by_proxy(self._peer, of, slot, self._peer.shown, self._peer.sent)

    def call(self) -> ProxiedCall | None:
        """Return what is asked about."""
        http = self._http
        if self._many or not (http.method and http.host and http.path) or (http.body and http.raw_body):
            return None
        body = len(self._raw())
        # Where any of it is sent, all of it must be.
        cut = is_cut(self.headers) or 0 < body < http.size
        return ProxiedCall(http.method, http.host, http.path, cut)

    async def body(self, slot: RequestSlot) -> bytes | None:
        """Return the body, which came with the question; None also where it need not be the one that was sent."""
        del slot
        raw = self._raw()
        return raw if len(raw) <= MAX_BYTES and _REPLACED not in self._http.body else None

    def _raw(self) -> bytes:
        raw: bytes = self._http.raw_body or self._http.body.encode()
        return raw


async def check(authenticator: RequestAuthenticator, peer: GrpcPeer, asked: Any) -> Any:  # noqa: ANN401 - messages made at run time
    """Answer a `CheckRequest` with a `CheckResponse`. Never raises, but where it is cancelled."""
    attributes = asked.attributes
    of = _tenant(attributes.context_extensions)
    reply = await proxycall.decide(
        authenticator, GrpcQuestion(authenticator, peer, attributes.request.http), of, _ADAPTER
    )
    authenticator.pdp.counts.count_response(reply.status)
    return answered(reply)


def answered(reply: ProxyReply) -> Any:  # noqa: ANN401 - a message made at run time
    """Return an answer as a `CheckResponse`."""
    response = messages.CheckResponse()
    if not reply.allows:
        unproven = reply.status == _UNAUTHORIZED
        response.status.code = messages.UNAUTHENTICATED if unproven else messages.PERMISSION_DENIED
        denied = response.denied_response
        # Spelt out: Envoy would send the client any other status too, one that says success among them.
        denied.status.code = _UNAUTHORIZED if unproven else _FORBIDDEN
        denied.body = reply.body.decode()
        _set(denied, {"Content-Type": reply.content_type, "Cache-Control": "no-store", **reply.headers})
        _tell(response, reply, replies.EVALUATION)
        return response
    response.status.code = messages.OK
    allowed = response.ok_response
    # What is empty is not set, and what is set and removed is gone, so that a name is either of the two.
    held = {name: value for name, value in reply.headers.items() if value}
    _set(allowed, held)
    allowed.headers_to_remove.extend(replies.REMOVED)
    allowed.headers_to_remove.extend(name.lower() for name in reply.headers if name not in held)
    _tell(response, reply, replies.DECISION)
    return response


def _set(to: Any, headers: Any) -> None:  # noqa: ANN401 - messages made at run time
    for name, value in headers.items():
        option = to.headers.add(append_action=messages.OVERWRITE)
        option.header.key, option.header.value = name.lower(), value


def _tell(response: Any, reply: ProxyReply, name: str) -> None:  # noqa: ANN401 - a message made at run time
    """Have Envoy's access log say which record it was."""
    if evaluation := reply.headers.get(name):
        response.dynamic_metadata.update({"evaluation_id": evaluation})


def _tenant(extensions: Any) -> Tenant | None:  # noqa: ANN401 - a map of a message
    namespace, slash, endpoint = extensions.get(EXTENSION, "").partition("/")
    return Tenant(namespace, endpoint) if slash else None


def _headers(http: Any) -> CIMultiDict[str]:  # noqa: ANN401 - a message made at run time
    """Return the client's headers, without those that stand for the first line of a request.

    In `headers` Envoy joins what was sent more than once by commas, so that there a comma stands for two. `header_map`
    has them one by one (`encode_raw_headers`), and as bytes.
    """
    found: CIMultiDict[str] = CIMultiDict()
    for name, value in http.headers.items():
        for one in value.split(",") if not name.startswith(":") else ():
            found.add(name, one.strip(" \t").replace(_REPLACED, _UNREADABLE))
    for header in http.header_map.headers:
        if not header.key.startswith(":"):
            # As aiohttp reads what is no UTF-8.
            found.add(header.key, header.value or header.raw_value.decode("utf-8", "surrogateescape"))
    return found
