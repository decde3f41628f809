"""Carries what the node sends to this machine's end of the link on to a port of loopback, where the API server listens.

Standing: run as `python -m localcluster.node.relay ADDRESS PORT`; imports only the standard library. It takes nothing
apart: TLS goes from the pod to the API server. So the API server itself listens on loopback, with a node or without.
"""

import asyncio
import contextlib
import sys
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_CHUNK: Final = 1 << 16
# The kernel's own limit holds anyway; a start of many pods at once must not be turned away.
_BACKLOG: Final = 1024


async def relay(address: str, port: int) -> None:
    """Listen until cancelled; each connection gets one of its own to the same port of loopback."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Refused where the API server is down: the caller then sees its connection closed.
        with contextlib.closing(writer), contextlib.suppress(OSError):
            behind_reader, behind_writer = await asyncio.open_connection(LOOPBACK, port)
            with contextlib.closing(behind_writer):
                one = asyncio.create_task(_copy(reader, behind_writer))
                other = asyncio.create_task(_copy(behind_reader, writer))
                await asyncio.wait({one, other}, return_when=asyncio.ALL_COMPLETED)

    server = await asyncio.start_server(carry, address, port, backlog=_BACKLOG)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # One side was reset: let the other side know.
        writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(relay(sys.argv[1], int(sys.argv[2])))
