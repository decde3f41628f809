"""The MCP server behind the gateway, and FastMCP's proxy of it with the gate before it.

Holds: nothing of a caller's request but the message reaches the upstream: no header, no token, no approval. An upstream
that is away is an error that says so, never an empty list. What a tool says of itself is at most a second old.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from fastmcp import FastMCP
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import FastMCPError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.server.providers.proxy import ProxyClient, ProxyMetadataMiddleware, ProxyProvider
from mcp import MCPError
from mcp.server.request_state import RequestStateBoundary
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, REQUEST_TIMEOUT

from bailiwick.credentials import TrustFile
from bailiwick.mcp.calls import (
    APPROVAL_META,
    CALL_TOOL,
    GET_PROMPT,
    INTERNAL_CODE,
    READ_RESOURCE,
    REASON_META,
    UPSTREAM_LOST,
)
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate

_CONNECT_SECONDS: Final = 5.0
# One call looks twice: to ask about the tool, and to run it.
_DEFINITION_SECONDS: Final = 1.0
_UNAVAILABLE: Final = "upstream_unavailable"
_SENTENCES: Final = {
    _UNAVAILABLE: "The MCP server behind this gateway cannot be reached, so nothing was done. Try again later.",
    UPSTREAM_LOST: (
        "The MCP server behind this gateway did not answer. It may have made the call: look before you"
        " make it again. If it used an approval, ask for another one."
    ),
}
# What the gate was asked about before it was sent on, so that it may have used an approval.
_SENT_ON: Final = frozenset({CALL_TOOL, READ_RESOURCE, GET_PROMPT})
_NO_ANSWER: Final = frozenset({CONNECTION_CLOSED, INTERNAL_ERROR, REQUEST_TIMEOUT})
_FAILED: Final = (RuntimeError, OSError, TimeoutError, httpx2.HTTPError)


class Upstream:
    """Where the upstream is and what the gateway shows it. Calling it returns a client for one request."""

    def __init__(
        self,
        url: str,
        *,
        token: Callable[[], str] | None = None,
        ca: Path | None = None,
        seconds: float = 300.0,
    ) -> None:
        """Prepare; nothing is sent. `token` is asked before each request."""
        self._token = token
        self._trust: Callable[[], ssl.SSLContext] = _system_trust() if ca is None else TrustFile(ca)
        self._seconds = seconds
        transport = StreamableHttpTransport(url, httpx_client_factory=self._http)
        # `auto`: the upstream may speak an older MCP than the caller, or a newer one.
        self._client: ProxyClient[Any] = ProxyClient(
            transport, forward_incoming_headers=False, mode="auto", timeout=seconds
        )

    def __call__(self) -> ProxyClient[Any]:
        """Return a client that is not connected yet."""
        return self._client.new()

    def _http(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
        **_: Any,  # noqa: ANN401 - FastMCP also says whether to follow redirects
    ) -> httpx2.AsyncClient:
        del timeout  # Theirs waits half a minute for a connection.
        own = {} if self._token is None else {"Authorization": f"Bearer {self._token()}"}
        return httpx2.AsyncClient(
            headers={**(headers or {}), **own},
            timeout=httpx2.Timeout(self._seconds, connect=_CONNECT_SECONDS),
            auth=auth,
            verify=self._trust(),
            # No proxy and no .netrc of the environment: a token would go there. MCP follows what stays at the origin.
            trust_env=False,
            follow_redirects=False,
        )


def _system_trust() -> Callable[[], ssl.SSLContext]:
    # Each call has a client of its own, and to read the authorities of the system takes longer than all the rest.
    context = httpx2.create_ssl_context(trust_env=False)
    return lambda: context


class OutageMiddleware(Middleware):
    """Says in plain words that the upstream failed: before the gate `upstream_unavailable`, behind it what is known."""

    def __init__(self, *, admitted: bool) -> None:
        """`admitted`: it stands behind the gate, where calls are sent."""
        self._admitted = admitted

    async def on_message(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:  # noqa: ANN401 - a result of any method
        """Serve a message. Raises `MCPError`."""
        if self._admitted:
            _forget_approval(context)
        try:
            return await call_next(context)
        except FastMCPError as error:
            # FastMCP hides what became of a call that it sent on.
            cause = error.__cause__
            if isinstance(cause, MCPError) and not _outage(cause):
                raise cause from error
            if not isinstance(cause, (MCPError, *_FAILED)):
                raise
            raise self._upstream_error(context) from error
        except MCPError as error:
            if not _outage(error):
                raise
            raise self._upstream_error(context) from error
        except _FAILED as error:
            raise self._upstream_error(context) from error

    def _upstream_error(self, context: MiddlewareContext[Any]) -> MCPError:
        reason = UPSTREAM_LOST if self._admitted and context.method in _SENT_ON else _UNAVAILABLE
        return MCPError(INTERNAL_CODE, f"{reason}: {_SENTENCES[reason]}", {"reason": reason})


def _outage(error: MCPError) -> bool:
    """Tell an error that MCP's client made from an answer of the upstream or of the gate, which gives a reason."""
    given = isinstance(error.data, Mapping) and "reason" in error.data
    return error.code in _NO_ANSWER and not given


def _forget_approval(context: MiddlewareContext[Any]) -> None:
    """Take out of the message what was for the gate alone: the proxy sends the caller's `_meta` on."""
    of = context.fastmcp_context
    wire = None if of is None else of.request_context
    meta: Any = None if wire is None else wire.meta
    if isinstance(meta, dict):
        for name in (APPROVAL_META, REASON_META):
            meta.pop(name, None)


def gateway(upstream: Upstream, gate: McpGate) -> FastMCP[Any]:
    """Return the server. Closes the gate when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastMCP[Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            yield {}
        finally:
            await gate.close()

    provider = ProxyProvider(upstream, cache_ttl=_DEFINITION_SECONDS)
    server: FastMCP[Any] = FastMCP(
        "bailiwick",
        middleware=[
            OutageMiddleware(admitted=False),
            BailiwickMiddleware(gate, sends_on=True),
            OutageMiddleware(admitted=True),
            ProxyMetadataMiddleware(provider),
        ],
        lifespan=lifespan,
        mask_error_details=True,
    )
    # It seals states by a key of this process. Ours need none, the upstream seals its own, and any replica takes both.
    lower = server._mcp_server  # noqa: SLF001 - FastMCP has no setting for it
    lower.middleware = [one for one in lower.middleware if not isinstance(one, RequestStateBoundary)]
    # Without it, an upstream that is away looks like one that has no tools.
    server.provider_error_strategy = "raise"
    server.add_provider(provider)
    return server
