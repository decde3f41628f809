"""A decision point on the gRPC port that misbehaves on demand, down to frames that no server's library would send."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Final

from bailiwick_webhook.grpc.check import answered
from bailiwick_webhook.http.adapters import replies
from bailiwick_webhook.http.adapters.replies import ProxyReply
from support.proxies import frames
from support.proxies.servers import ReachedUpstream, Server

_BEGUN: Final = [(":status", "200"), ("content-type", "application/grpc")]
_ALLOW: Final[bytes] = answered(
    ProxyReply(200, {replies.DECISION: "eval_x", replies.SUBJECT: "somebody"})
).SerializeToString()


def _message(raw: bytes, *, said: int | None = None) -> bytes:
    """Return a message as gRPC frames it. `said`: how long it is said to be."""
    return b"\x00" + (len(raw) if said is None else said).to_bytes(4, "big") + raw


def _ended(status: int) -> Callable[[int], bytes]:
    """Return an answer that has no message."""
    return lambda stream: frames.headers(stream, [*_BEGUN, ("grpc-status", str(status))])


def _plain(status: int) -> Callable[[int], bytes]:
    """Return an answer that is HTTP and not gRPC."""
    return lambda stream: frames.headers(stream, [(":status", str(status)), ("content-length", "0")])


def _told(message: bytes, status: int | None = 0) -> Callable[[int], bytes]:
    """Return an answer of one message. `status` None: it breaks off behind that."""

    def answer(stream: int) -> bytes:
        said = frames.headers(stream, _BEGUN, last=False) + frames.frame(frames.DATA, 0, stream, message)
        return said if status is None else said + frames.headers(stream, [("grpc-status", str(status))])

    return answer


class FaultyGrpcPoint(Server):
    """Answers every check by what `fault` names; "allow" is what a decision point would say."""

    FAULTS: ClassVar[dict[str, Callable[[int], bytes]]] = {
        "500": _plain(500),
        "503": _plain(503),
        "404": _plain(404),
        "302": _plain(302),
        "200 that is not gRPC": _plain(200),
        "the status unavailable": _ended(14),
        "the status internal": _ended(13),
        "a status that nobody knows": _ended(99),
        "no message": _ended(0),
        "garbage": lambda _: b"\x00\x01\x02 nothing that is a frame\r\n\r\n",
        "a message that is garbage": _told(_message(b"\xff\xff\xff\xff")),
        "a message that is longer than it comes": _told(_message(_ALLOW, said=len(_ALLOW) + 100)),
        "half an allow": _told(_message(_ALLOW[: len(_ALLOW) // 2])),
        "an allow that breaks off": _told(_message(_ALLOW), None),
        "an allow that ends in a failure": _told(_message(_ALLOW), 13),
        "half a response": lambda stream: frames.headers(stream, _BEGUN)[:-3],
        "nothing": lambda _: b"",
    }
    # Behind these the connection is closed.
    CUT: ClassVar = frozenset({"garbage", "an allow that breaks off", "half a response", "nothing"})

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(tls)
        self.fault = "allow"
        self.delay = 0.0

    def converse(self, connection: socket.socket) -> None:
        """Answer the checks of a connection."""
        if frames.exactly(connection, len(frames.PREFACE)) != frames.PREFACE:
            return
        connection.sendall(frames.frame(frames.SETTINGS, 0, 0))
        for found in frames.frames(connection):
            if found.kind in {frames.DATA, frames.HEADERS} and found.flags & frames.END_STREAM:
                self.asked.append(ReachedUpstream("POST", "", (), b""))
                time.sleep(self.delay)
                answer = {**self.FAULTS, "allow": _told(_message(_ALLOW))}[self.fault]
                connection.sendall(answer(found.stream))
                if self.fault in self.CUT:
                    return


@contextlib.contextmanager
def faulty(certificate: Path, key: Path) -> Iterator[FaultyGrpcPoint]:
    """Start one that serves with this certificate, and asks for none."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    tls.set_alpn_protocols(["h2"])
    with FaultyGrpcPoint(tls) as point:
        yield point
