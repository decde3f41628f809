"""Between a proxy and a decision point: takes a connection at once, and holds its TLS handshake back for a while.

So a busy decision point meets many new connections: the kernel accepts them, and each handshake waits for its turn.
"""

import asyncio

from support.loopserver import LOOPBACK, LoopServer, Streams, cut

_PIECE = 65_536


class SlowHandshakes(LoopServer):
    """A context manager. `delay`: seconds before the first byte of a connection is passed on."""

    def __init__(self, target: int, delay: float) -> None:
        self._target = target
        self._delay = delay
        super().__init__("slow handshakes", None, self._pass_on)

    async def _pass_on(self, asking: Streams) -> None:
        connections = [asking]
        try:
            await asyncio.sleep(self._delay)
            asked = await asyncio.open_connection(LOOPBACK, self._target)
            connections.append(asked)
            ways = [asyncio.create_task(_copy(asking[0], asked[1])), asyncio.create_task(_copy(asked[0], asking[1]))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        finally:
            await cut(*connections)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
