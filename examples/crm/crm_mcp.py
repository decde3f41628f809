"""The CRM as tools of an MCP server, which asks Bailiwick before a tool runs: the same policy as for `crm_api.py`.

A tool is listed for whoever may call it, if only with an approval. A tool that no rule of the policy allows is not.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastmcp import FastMCP

from bailiwick import AsyncBailiwick, ServiceAccountFile
from bailiwick.mcp.calls import ToolRule
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate
from bailiwick.transports.aiohttp import AiohttpTransport

CUSTOMERS = {
    "41": {"id": "41", "name": "Fern & Daughters", "email": "post@fern.example", "revenue": 120_000},
    "42": {"id": "42", "name": "Harbour Mills", "email": "office@harbour.example", "revenue": 910_000},
}
TOOLS = {
    "list_customers": ToolRule(action="customers.list", resource=("customer", "*")),
    "export_customer": ToolRule(action="customers.export", resource=("customer", "{customer_id}")),
    "merge_customers": ToolRule(action="customers.merge", resource=("customer", "{into}")),
}


def server(pdp: AsyncBailiwick) -> FastMCP[Any]:
    gate = McpGate(pdp, tools=TOOLS)

    @asynccontextmanager
    async def lifespan(_: FastMCP[Any]) -> AsyncIterator[dict[str, Any]]:
        yield {}
        await gate.close()

    crm: FastMCP[Any] = FastMCP("crm", middleware=[BailiwickMiddleware(gate)], lifespan=lifespan)

    @crm.tool
    def list_customers() -> list[str]:
        """List the names of all customers."""
        return [str(one["name"]) for one in CUSTOMERS.values()]

    @crm.tool
    def export_customer(customer_id: str, fields: list[str]) -> dict[str, Any]:
        """Export these fields of a customer."""
        print(f"exported {customer_id}", flush=True)
        return {field: CUSTOMERS.get(customer_id, {}).get(field) for field in fields}

    @crm.tool
    def merge_customers(into: str, other: str) -> str:
        """Merge a customer into another one."""
        CUSTOMERS.pop(other, None)
        return f"merged {other} into {into}"

    return crm


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pdp", required=True, help="URL of the decision point")
    parser.add_argument("--endpoint", default="crm/crm-api", help="namespace/endpoint that this server is")
    parser.add_argument("--token-file", type=Path, required=True, help="our own token, for the audience bailiwick")
    parser.add_argument("--ca-file", type=Path, help="authority of the decision point (default: this system's)")
    parser.add_argument("--pdp-name", help="name that its certificate is for, where --pdp is a forwarded port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    said = parser.parse_args()
    client = AsyncBailiwick(
        said.pdp,
        endpoint=said.endpoint,
        token=ServiceAccountFile(said.token_file),
        transport=AiohttpTransport(ca=said.ca_file, tls_name=said.pdp_name),
    )
    server(client).run("http", host=said.host, port=said.port, path="/mcp", show_banner=False)
