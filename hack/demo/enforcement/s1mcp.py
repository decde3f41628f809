"""Case S1 over MCP: an agent that calls tools of a FastMCP server, which asks by the same policy as the CRM API.

Standing: played by the demo and by the end-to-end tests; raises `NotAsToldError` where a step comes out otherwise.
FastMCP takes a second to import, so that whoever wants to lose none imports this module while something else starts.
"""

import asyncio
import json
from typing import Any, Final

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp import MCPError
from mcp_types import InputRequiredResult

from bailiwick.mcp.calls import APPROVAL_META, REASON_META
from demo.enforcement.owner import Owner
from demo.ground import ROOT
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from demo.stack import AGENT_ACCOUNT, CRM_ACCOUNT, Stack

_EXPORT: Final = {"customer_id": "42", "fields": ["name", "email"]}
_REASON: Final[Any] = {REASON_META: "the quarterly report needs it"}


def start(stack: Stack) -> str:
    """Start the MCP server of examples/crm. Returns its URL. Raises `StartError`."""
    token = stack.token_file(CRM_ACCOUNT, "crm-api")
    program = ROOT / "examples" / "crm" / "crm_mcp.py"
    asked = ("--pdp", stack.decision_points[0].url, "--token-file", token)
    return f"{stack.start_server('crm-mcp', lambda port: [program, *asked, f'--port={port}'])}/mcp"


class S1Mcp:
    """The case, on a running stack with an MCP server."""

    def __init__(self, stack: Stack, tell: Narrator, url: str) -> None:
        """Prepare; nothing is asked yet."""
        self._tell = tell
        self._url = url
        self._token = stack.acting.token(AGENT_ACCOUNT)
        self._owner = Owner(stack, tell)

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        self._tell.chapter("S1 over MCP: the same policy guards an agent's tools")
        asyncio.run(self._play())

    async def _play(self) -> None:
        transport = StreamableHttpTransport(self._url, headers={"Authorization": f"Bearer {self._token}"})
        async with Client(transport) as client:
            await self._lists(client)
            task = await self._is_stopped_and_asks(client)
            self._tell.step("The agent makes the call again. Its client repeats it by itself, and waits.")
            export = asyncio.create_task(self._calls(client, "export_customer", _EXPORT, _REASON))
            self._tell.step("Carol, an owner, reads the request and approves it with kubectl bailiwick.")
            await asyncio.to_thread(self._owner.approve, task)
            await export
            self._tell.held("exported: the use was recorded in the grant before the tool ran")
            self._tell.step("The agent exports again, with the same task.")
            await self._denied(client, {APPROVAL_META: task}, "approval_consumed")
            self._tell.held("denied: the approval was for one call")

    async def _lists(self, client: Client[Any]) -> None:
        self._tell.step("The agent asks the MCP server for its tools.")
        self._tell.command("tools/list")
        names = sorted(one.name for one in await client.list_tools())
        self._tell.answer(", ".join(names))
        if names != ["export_customer", "list_customers"]:
            raise NotAsToldError(f"the list should hold what the agent may call or ask for, but holds {names}")
        self._tell.held("`merge_customers` is left out: no rule allows it to this agent")
        self._tell.step("The agent lists the customers.")
        await self._calls(client, "list_customers", {}, {})
        self._tell.held("allowed: rule `read` allows it without an approval")

    async def _is_stopped_and_asks(self, client: Client[Any]) -> str:
        self._tell.step("The agent exports customer 42.")
        await self._denied(client, {}, "approval_required")
        self._tell.held("denied, and the error tells the model how to request an approval")
        self._tell.step("The agent repeats the call, and says why it needs it.")
        self._shows("export_customer", _EXPORT, _REASON)
        came = await client.session.call_tool("export_customer", _EXPORT, meta=_REASON, allow_input_required=True)
        if not isinstance(came, InputRequiredResult):
            raise NotAsToldError("the tool should wait for an approval, but it did not")
        self._tell.answer("input_required: repeat the call")
        self._tell.held("nothing ran: the decision point opened an ApprovalGrant for exactly this call")
        return str((came.meta or {})[APPROVAL_META]["task"]["id"])

    async def _calls(self, client: Client[Any], name: str, arguments: dict[str, Any], meta: dict[str, Any]) -> None:
        self._shows(name, arguments, meta)
        try:
            result = await client.call_tool(name, arguments, meta=meta)
        except MCPError as error:
            raise NotAsToldError(f"{name} should run, but it was denied: {error}") from error
        self._tell.answer(json.dumps(result.data, ensure_ascii=False))

    async def _denied(self, client: Client[Any], meta: dict[str, Any], reason: str) -> dict[str, Any]:
        self._shows("export_customer", _EXPORT, meta)
        try:
            await client.call_tool("export_customer", _EXPORT, meta=meta)
        except MCPError as error:
            data: dict[str, Any] = error.data
            self._tell.answer(f"error {error.code}: {data['reason']}")
            if data["reason"] != reason:
                raise NotAsToldError(f"the reason should be {reason}, but is {data['reason']}") from error
            return data
        raise NotAsToldError("the tool should not run, but it did")

    def _shows(self, name: str, arguments: dict[str, Any], meta: dict[str, Any]) -> None:
        said = f"  _meta: {json.dumps(meta)}" if meta else ""
        self._tell.command(f"tools/call {name} {json.dumps(arguments)}{said}")
