"""Questions of proxies: what each adapter says in one form, whatever its contract.

Standing: under `proxycall`, which decides them. Holds: what a proxy does not say, or says twice, is None, and refused.
"""

import re
from typing import Final, NamedTuple, Protocol

from multidict import MultiMapping

from bailiwick_webhook.http.addressing import Tenant
from bailiwick_webhook.http.shares.slots import RequestSlot
from bailiwick_webhook.identity.tokens import AuthenticatedAccount

_CUT: Final = "x-envoy-auth-partial-body"
_WHOLE: Final = "false"
# One media type and at most one parameter, which says UTF-8: nothing that two readers could take for two things. Some
# upstreams decode a body by its charset, and readers differ in where a quoted parameter ends and which of two counts.
_JSON: Final = re.compile(r'application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?', re.IGNORECASE)


class ProxiedCall(NamedTuple):
    """What a proxy says that its client asks for. `target`: raw path and query; `cut`: the body is not all there."""

    method: str
    host: str
    target: str
    cut: bool = False


class ProxyQuestion(Protocol):
    """What is asked, over HTTP or gRPC."""

    @property
    def headers(self) -> MultiMapping[str]:
        """Those of the client's call, as far as the proxy says them; names in any case."""

    async def caller(self, of: Tenant, slot: RequestSlot) -> AuthenticatedAccount:
        """Return which proxy asks, with a slot in that name. Raises `ProblemError`."""

    def call(self) -> ProxiedCall | None:
        """Return what is asked about; None where the proxy does not say it, or says it twice."""

    async def body(self, slot: RequestSlot) -> bytes | None:
        """Return the body, empty without one; None where it is too large. Raises `ProblemError`."""


def is_cut(headers: MultiMapping[str]) -> bool:
    """Tell whether Envoy says that it sends a part of the body only."""
    return any(value != _WHOLE for value in headers.getall(_CUT, ()))


def says_json(headers: MultiMapping[str]) -> bool:
    """Tell whether the body is said to be JSON in UTF-8, once, and to every reader."""
    sent = headers.getall("Content-Type", ())
    return len(sent) == 1 and _JSON.fullmatch(sent[0].strip(" \t")) is not None
