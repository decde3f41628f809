"""The official Python SDK of MCP as a client that knows nothing of us: it repeats calls by itself.

Standing: beside `gateways`. Holds: each request of a client goes to the next of its servers, as behind a Service.
"""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import httpx2
from mcp.client.client import Client
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult


class InTurn(httpx2.AsyncHTTPTransport):
    """Sends each request to the next of several ports of this machine."""

    def __init__(self, urls: Sequence[str]) -> None:
        # No connection is kept: until its turn comes again, its server may have ended it.
        super().__init__(limits=httpx2.Limits(max_keepalive_connections=0))
        self._ports = itertools.cycle([urlsplit(url).port for url in urls])

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it."""
        request.url = request.url.copy_with(port=next(self._ports))
        return await super().handle_async_request(request)


@dataclass
class LinkReader:
    """The user of a client, who does the same with every link."""

    action: Literal["accept", "decline", "cancel"] = "accept"
    links: list[ElicitRequestURLParams] = field(default_factory=list)

    async def __call__(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        """Look at one."""
        del context
        assert isinstance(params, ElicitRequestURLParams), params
        self.links.append(params)
        return ElicitResult(action=self.action)


@asynccontextmanager
async def sdk_client(
    *urls: str, token: str, user: ElicitationFnT | None = None, rounds: int = 10
) -> AsyncIterator[Client]:
    """Open a client of several servers that are one. Without `user` it declares no links."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, transport=InTurn(urls), timeout=120) as http:
        over = streamable_http_client(urls[0], http_client=http)
        async with Client(over, elicitation_callback=user, input_required_max_rounds=rounds) as client:
            assert client.session.protocol_version == "2026-07-28"
            yield client
