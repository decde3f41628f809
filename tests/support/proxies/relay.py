"""Between a proxy and a decision point: passes on what is asked, and loses or holds back answers on demand.

TLS on both sides, in the proxy's name towards the decision point, so that it sees where an answer begins: over HTTP/1.1
with the first byte that comes back, over HTTP/2 with a frame of headers.
"""

import asyncio
import ssl
from typing import Final

from support.loopserver import LOOPBACK, LoopServer, Streams, cut
from support.proxies import frames
from support.proxies.scene import SERVER_NAME, Scene

_PIECE: Final = 65_536
_FRAME_HEAD: Final = 9


class Relay(LoopServer):
    """A context manager. `lose`: so many answers from now on are not passed on, and the connection is closed instead.

    `delay`: seconds that each answer is held back. `answers`: how many there were.
    """

    def __init__(self, scene: Scene, target: int, *, grpc: bool) -> None:
        self.lose = 0
        self.delay = 0.0
        self.answers = 0
        self._target = target
        self._grpc = grpc
        protocols = ["h2"] if grpc else ["http/1.1"]
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(scene.serving.certificate, scene.serving.key)
        served.set_alpn_protocols(protocols)
        self._towards = ssl.create_default_context(cafile=str(scene.authority.bundle))
        self._towards.load_cert_chain(scene.proxy.certificate, scene.proxy.key)
        self._towards.set_alpn_protocols(protocols)
        super().__init__("relay", served, self._relay)

    async def _relay(self, asking: Streams) -> None:
        connections = [asking]
        questions: asyncio.Task[None] | None = None
        try:
            asked = await asyncio.open_connection(
                LOOPBACK, self._target, ssl=self._towards, server_hostname=SERVER_NAME
            )
            connections.append(asked)
            questions = asyncio.create_task(_pass_on(asking[0], asked[1]))
            await self._answer(asked[0], asking[1])
        finally:
            if questions is not None:
                questions.cancel()
                await asyncio.wait([questions])
            await cut(*connections)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept = b""
        while piece := await reader.read(_PIECE):
            kept, begins = _begins(kept + piece) if self._grpc else (b"", True)
            if begins:
                self.answers += 1
                if self.lose > 0:
                    self.lose -= 1
                    return
                await asyncio.sleep(self.delay)
            writer.write(piece)
            await writer.drain()


def _begins(got: bytes) -> tuple[bytes, bool]:
    """Return what is left behind the whole frames, and whether one of those was of headers."""
    begins = False
    while len(got) >= _FRAME_HEAD:
        end = _FRAME_HEAD + int.from_bytes(got[:3])
        if len(got) < end:
            break
        begins = begins or got[3] == frames.HEADERS
        got = got[end:]
    return got, begins


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what a proxy sends, until it ends; its connection to the decision point ends with that."""
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.transport.abort()
