"""Between a proxy and a decision point: passes on what is asked, and loses or holds back answers on demand.

TLS on both sides, in the proxy's name towards the decision point, so that it sees where an answer begins: over HTTP/1.1
with the first byte that comes back, over HTTP/2 with a frame of headers.
"""

import contextlib
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Final, Self

from localcluster.ports import free_ports
from support.proxies import frames
from support.proxies.scene import SERVER_NAME, Scene

_PIECE: Final = 65_536
_FRAME_HEAD: Final = 9


class Relay:
    """A context manager. `lose`: so many answers from now on are not passed on, and the connection is closed instead.

    `delay`: seconds that each answer is held back. `answers`: how many there were.
    """

    def __init__(self, scene: Scene, target: int, *, grpc: bool) -> None:
        (self.port,) = free_ports(1)
        self.lose = 0
        self.delay = 0.0
        self.answers = 0
        self._target = target
        self._grpc = grpc
        protocols = ["h2"] if grpc else ["http/1.1"]
        self._served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._served.load_cert_chain(scene.serving.certificate, scene.serving.key)
        self._served.set_alpn_protocols(protocols)
        self._towards = ssl.create_default_context(cafile=str(scene.authority.bundle))
        self._towards.load_cert_chain(scene.proxy.certificate, scene.proxy.key)
        self._towards.set_alpn_protocols(protocols)
        self._listening: socket.socket | None = None

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            asking = self._served.wrap_socket(plain, server_side=True)
            behind = socket.create_connection(("127.0.0.1", self._target), timeout=60)
            with asking, behind, self._towards.wrap_socket(behind, server_hostname=SERVER_NAME) as asked:
                asked.settimeout(60)
                threading.Thread(target=_pump, args=(asking, asked), daemon=True).start()
                self._answer(asked, asking)

    def _answer(self, asked: ssl.SSLSocket, asking: ssl.SSLSocket) -> None:
        kept = b""
        while piece := asked.recv(_PIECE):
            kept, begins = _begins(kept + piece) if self._grpc else (b"", True)
            if begins:
                self.answers += 1
                if self.lose > 0:
                    self.lose -= 1
                    # The thread that reads from it would keep it open.
                    asking.shutdown(socket.SHUT_RDWR)
                    return
                time.sleep(self.delay)
            asking.sendall(piece)


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


def _pump(source: ssl.SSLSocket, to: ssl.SSLSocket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while piece := source.recv(_PIECE):
            to.sendall(piece)
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_RDWR)
