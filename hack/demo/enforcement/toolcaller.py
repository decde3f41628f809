"""An agent's MCP client: calls tools, and tells what it sends and what comes back.

Standing: below the cases over MCP; raises `NotAsToldError` where a call comes out otherwise. It imports FastMCP, which
takes a second.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp import MCPError
from mcp_types import InputRequiredResult

from bailiwick.mcp.calls import APPROVAL_META
from demo.narrator import Narrator
from demo.s1 import NotAsToldError

_NO_META: Final[Mapping[str, Any]] = {}


class ToolCaller:
    """An agent that is connected."""

    def __init__(self, client: Client[Any], tell: Narrator) -> None:
        """Prepare; nothing is sent yet."""
        self._client = client
        self._tell = tell

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, token: str, tell: Narrator) -> AsyncIterator[Self]:
        """Connect to an MCP server with the agent's token."""
        transport = StreamableHttpTransport(url, headers={"Authorization": f"Bearer {token}"})
        async with Client(transport) as client:
            yield cls(client, tell)

    async def tools(self) -> list[str]:
        """Return the names of the tools that the server lists."""
        self._tell.command("tools/list")
        names = sorted(one.name for one in await self._client.list_tools())
        self._tell.answer(", ".join(names))
        return names

    async def call(self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any] = _NO_META) -> None:
        """Call a tool that must run, if only after the client has repeated the call by itself."""
        self._show(name, arguments, meta)
        try:
            result = await self._client.call_tool(name, dict(arguments), meta=dict(meta))
        except MCPError as error:
            raise NotAsToldError(f"{name} should run, but it was denied: {error}") from error
        self._tell.answer(json.dumps(result.data, ensure_ascii=False))

    async def await_approval(self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
        """Call a tool that must wait for an approval; return the task. The call is not repeated."""
        self._show(name, arguments, meta)
        session = self._client.session
        sent: Any = dict(meta)
        came = await session.call_tool(name, dict(arguments), meta=sent, allow_input_required=True)
        if not isinstance(came, InputRequiredResult):
            raise NotAsToldError(f"{name} should wait for an approval, but it did not")
        self._tell.answer("input_required: repeat the call")
        return str((came.meta or {})[APPROVAL_META]["task"]["id"])

    async def denied(
        self, name: str, arguments: Mapping[str, Any], reason: str, meta: Mapping[str, Any] = _NO_META
    ) -> None:
        """Call a tool that must be denied for this reason."""
        self._show(name, arguments, meta)
        try:
            await self._client.call_tool(name, dict(arguments), meta=dict(meta))
        except MCPError as error:
            self._tell.answer(f"error {error.code}: {error.data['reason']}")
            if error.data["reason"] != reason:
                raise NotAsToldError(f"the reason should be {reason}, but is {error.data['reason']}") from error
            return
        raise NotAsToldError(f"{name} should not run, but it did")

    def _show(self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        said = f"  _meta: {json.dumps(meta)}" if meta else ""
        self._tell.command(f"tools/call {name} {json.dumps(arguments)}{said}")
