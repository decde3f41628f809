"""MCP servers that ask a running Bailiwick: two that guard themselves, and one behind the gateway."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastmcp import FastMCP
from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy
from mcp.server import MCPServer

from bailiwick import AsyncBailiwick
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.server import guard
from support.mcp.gateways import running
from support.mcp.mcpserver import CountedApp, closing_of, served
from support.objects import ENDPOINT
from support.pdp.tenant import Tenant


@dataclass
class Front:
    """An MCP server that asks: its URL, and which of its tools is for what. `ran` is None where nobody can see it.

    `upstream`: what the server behind it was asked for; None where there is none.
    """

    url: str
    read: tuple[str, dict[str, Any]]
    gated: str
    # Arguments of the gated tool, others for each number below 24.
    arguments: Callable[[int], dict[str, Any]]
    forbidden: str | None = None
    ran: list[Any] | None = field(default_factory=list)
    upstream: list[str] | None = None

    def runs(self, number: int) -> int:
        """Return how often the gated tool ran with these arguments; 0 where nobody can see it."""
        return (self.ran or []).count(tuple(self.arguments(number).values()))


def gate_of(tenant: Tenant) -> McpGate:
    """Return a gate that asks the tenant's first decision point, as its enforcer."""
    endpoint = f"{tenant.namespace}/{ENDPOINT}"
    pdp = AsyncBailiwick(tenant.points[0], endpoint=endpoint, token=lambda: tenant.pep, deadline=10.0)
    return McpGate(pdp, approve_with=f"kubectl bailiwick approve {{grant}} -n {tenant.namespace}")


def _own(url: str, ran: list[Any]) -> Front:
    return Front(f"{url}/mcp", ("orders", {}), "refund", lambda of: {"order": str(of), "cents": 900}, "wipe", ran)


def _tools(ran: list[Any]) -> list[Callable[..., str]]:
    def orders() -> str:
        return "8812"

    def refund(order: str, cents: int) -> str:
        ran.append((order, cents))
        return f"refunded {order}"

    def wipe() -> str:
        ran.append("wipe")
        return "gone"

    return [orders, refund, wipe]


def fastmcp(tenant: Tenant, closing: ExitStack, _: Path) -> Front:
    """Serve with FastMCP and its guard."""
    ran: list[Any] = []
    gate = gate_of(tenant)
    server: FastMCP[Any] = FastMCP("shop", middleware=[BailiwickMiddleware(gate)], lifespan=closing_of(gate))
    for tool in _tools(ran):
        server.tool(tool)
    return _own(closing.enter_context(served(server.http_app(path="/mcp"))), ran)


def official(tenant: Tenant, closing: ExitStack, _: Path) -> Front:
    """Serve with the official SDK and its guard."""
    ran: list[Any] = []
    gate = gate_of(tenant)
    server: MCPServer[Any] = MCPServer("shop", middleware=[guard(gate)], lifespan=closing_of(gate))
    for tool in _tools(ran):
        server.tool()(tool)
    return _own(closing.enter_context(served(server.streamable_http_app())), ran)


def gateway(tenant: Tenant, closing: ExitStack, folder: Path) -> Front:
    """The gateway as a process, before `mcp-server-time`, which knows nothing of us."""
    program = Path(sys.executable).with_name("mcp-server-time")
    bridge: FastMCP[Any] = create_proxy(StdioTransport(str(program), ["--local-timezone", "UTC"]))
    counted = CountedApp(bridge.http_app(path="/mcp"))
    upstream = closing.enter_context(served(counted))
    own = folder / "own"
    own.write_text(tenant.pep, encoding="ascii")
    flags = ("--upstream", f"{upstream}/mcp", "--pdp", tenant.points[0], "--token-file", str(own))
    process = closing.enter_context(running(folder, *flags, "--endpoint", f"{tenant.namespace}/{ENDPOINT}"))

    def zones(number: int) -> dict[str, Any]:
        return {"source_timezone": "UTC", "time": f"{number:02}:30", "target_timezone": "Asia/Tokyo"}

    return Front(
        process.url, ("get_current_time", {"timezone": "UTC"}), "convert_time", zones, ran=None, upstream=counted.came
    )
