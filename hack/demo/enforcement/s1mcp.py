"""Case S1 over MCP: an agent that calls tools of a FastMCP server, which asks by the same policy as the CRM API.

Standing: played by the demo and by the end-to-end tests; raises `NotAsToldError` where a step comes out otherwise.
FastMCP takes a second to import, so import this module while something else starts.
"""

import asyncio
from typing import Any, Final

from bailiwick.mcp.calls import APPROVAL_META, REASON_META
from demo.enforcement.owner import Owner
from demo.enforcement.toolcaller import ToolCaller
from demo.ground import ROOT
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from demo.stack import AGENT_ACCOUNT, CRM_ACCOUNT, CRM_ENDPOINT, Stack

_TOOL: Final = "export_customer"
_EXPORT: Final = {"customer_id": "42", "fields": ["name", "email"]}
_REASON: Final[Any] = {REASON_META: "the quarterly report needs it"}


def start(stack: Stack, endpoint: str = CRM_ENDPOINT, name: str = "crm-mcp") -> str:
    """Start the MCP server of examples/crm for an endpoint. Returns its URL. Raises `StartError`."""
    token = stack.token_file(CRM_ACCOUNT, "crm-api")
    program = ROOT / "examples" / "crm" / "crm_mcp.py"
    asked = ("--pdp", stack.decision_points[0].url, "--endpoint", endpoint, "--token-file", token)
    return f"{stack.start_server(name, lambda port: [program, *asked, f'--port={port}'])}/mcp"


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
        async with ToolCaller.connect(self._url, self._token, self._tell) as agent:
            await self._lists(agent)
            task = await self._is_stopped_and_asks(agent)
            self._tell.step("The agent makes the call again. Its client repeats it by itself, and waits.")
            export = asyncio.create_task(agent.call(_TOOL, _EXPORT, _REASON))
            # The call is on its way before the next step is printed.
            await asyncio.sleep(0)
            self._tell.step("Carol, an owner, reads the request and approves it with kubectl bailiwick.")
            await asyncio.to_thread(self._owner.approve, task)
            await export
            self._tell.held("exported: the use was recorded in the grant before the tool ran")
            self._tell.step("The agent exports again, with the same task.")
            await agent.denied(_TOOL, _EXPORT, "approval_consumed", {APPROVAL_META: task})
            self._tell.held("denied: the approval was for one call")

    async def _lists(self, agent: ToolCaller) -> None:
        self._tell.step("The agent asks the MCP server for its tools.")
        names = await agent.tools()
        if names != [_TOOL, "list_customers"]:
            raise NotAsToldError(f"the list should hold what the agent may call or ask for, but holds {names}")
        self._tell.held("`merge_customers` is left out: no rule allows it to this agent")
        self._tell.step("The agent lists the customers.")
        await agent.call("list_customers", {})
        self._tell.held("allowed: rule `read` allows it without an approval")

    async def _is_stopped_and_asks(self, agent: ToolCaller) -> str:
        self._tell.step("The agent exports customer 42.")
        await agent.denied(_TOOL, _EXPORT, "approval_required")
        self._tell.held("denied, and the error tells the model how to request an approval")
        self._tell.step("The agent repeats the call, and says why it needs it.")
        task = await agent.await_approval(_TOOL, _EXPORT, _REASON)
        self._tell.held("nothing ran: the decision point opened an ApprovalGrant for exactly this call")
        return task
