"""A gateway before any MCP server: `python -m bailiwick.mcp.gateway --upstream URL --pdp URL --endpoint NS/NAME`.

Holds: each caller's own token decides and goes no further: nothing of a caller's request but the message reaches the
upstream (MCP forbids to pass tokens through). Every tool is an action of its own name.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastmcp import FastMCP
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.server import create_proxy
from fastmcp.server.providers.proxy import ProxyClient

from bailiwick.aio import AsyncBailiwick
from bailiwick.credentials import TOKEN_PATH, ServiceAccountFile
from bailiwick.mcp.fastmcp import BailiwickMiddleware
from bailiwick.mcp.gate import McpGate

_PORT: Final = 8000


def gateway(upstream: str, gate: McpGate) -> FastMCP[Any]:
    """Return the server: `upstream` is the URL of an MCP server over HTTP. Closes the gate when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastMCP[Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            yield {}
        finally:
            await gate.close()

    # FastMCP's proxy forwards the caller's headers, Authorization among them, unless it is told not to.
    client: ProxyClient[Any] = ProxyClient(StreamableHttpTransport(upstream), forward_incoming_headers=False)
    return create_proxy(client, name="bailiwick", middleware=[BailiwickMiddleware(gate)], lifespan=lifespan)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal ends it."""
    flags = _flags().parse_args(arguments)
    try:
        pdp = AsyncBailiwick(
            flags.pdp,
            endpoint=flags.endpoint,
            token=ServiceAccountFile(flags.token_file),
            ca=flags.ca,
            plaintext=flags.plaintext,
        )
    except ValueError as error:
        raise SystemExit(f"bailiwick.mcp.gateway: {error}") from error
    server = gateway(flags.upstream, McpGate(pdp))
    serving = server.run_http_async(
        show_banner=False, host=flags.host, port=flags.port, path="/mcp", allowed_hosts=flags.allowed_host
    )
    asyncio.run(serving)


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="python -m bailiwick.mcp.gateway", description="A gateway before an MCP server."
    )
    flags.add_argument("--upstream", required=True, metavar="URL", help="the MCP server, over HTTP")
    flags.add_argument("--pdp", required=True, metavar="URL", help="the decision point")
    flags.add_argument("--endpoint", required=True, metavar="NAMESPACE/NAME", help="the endpoint that policies name")
    flags.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    flags.add_argument("--port", type=int, default=_PORT, help="default: %(default)s; the path is /mcp")
    flags.add_argument("--allowed-host", action="append", metavar="HOST", help="a name that callers use; repeatable")
    flags.add_argument("--token-file", type=Path, default=TOKEN_PATH, help="its own token (default: %(default)s)")
    flags.add_argument("--ca", type=Path, help="certificates that the decision point's is signed by")
    flags.add_argument("--plaintext", action="store_true", help="let http:// leave this machine: a mesh encrypts it")
    return flags


if __name__ == "__main__":
    main()
