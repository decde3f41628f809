"""Between a proxy and the decision point: notes each question as the proxy asked it, and what was answered.

It terminates TLS with the decision point's certificate and asks in the proxy's name, so that nothing else is changed.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Self

import grpc

from bailiwick_webhook.grpc import messages
from localcluster.ports import free_ports
from support.proxies.scene import SERVER_NAME, Scene
from support.proxies.servers import Server

_PIECE: Final = 65_536
_TRUSTED: Final = ("decision", "subject", "issuer")
_NOTHING: Final = (None, None, None)
_PREFIX: Final = "/ext-authz/crm/crm-api"
_SPOKEN: Final = {
    "/auth-request/": ("x-original-method", "x-original-host", "x-original-uri"),
    "/forward-auth/": ("x-forwarded-method", "x-forwarded-host", "x-forwarded-uri"),
}


class NotedQuestion(NamedTuple):
    """What was asked about, raw, and the headers that an allow set for the upstream; none for a denial."""

    method: str
    host: str
    target: str
    decision: str | None
    subject: str | None
    issuer: str | None


class HttpWitness(Server):
    """Before the HTTP port. `noted`: every question, in the order of the answers."""

    def __init__(self, scene: Scene, target: int) -> None:
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(scene.serving.certificate, scene.serving.key)
        served.set_alpn_protocols(["http/1.1"])
        super().__init__(served)
        self.noted: list[NotedQuestion] = []
        self._target = target
        self._towards = ssl.create_default_context(cafile=str(scene.authority.bundle))
        self._towards.load_cert_chain(scene.proxy.certificate, scene.proxy.key)

    def converse(self, connection: socket.socket) -> None:
        """Pass on each question of a connection, and its answer."""
        with (
            socket.create_connection(("127.0.0.1", self._target), timeout=20) as plain,
            self._towards.wrap_socket(plain, server_hostname=SERVER_NAME) as towards,
        ):
            asking, answering = b"", b""
            while True:
                question, asking = _message(connection, asking)
                if question is None:
                    return
                towards.sendall(question)
                answer, answering = _message(towards, answering, bare=question.startswith(b"HEAD "))
                if answer is None:
                    return
                self.noted.append(_noted(question, answer))
                connection.sendall(answer)


class GrpcWitness:
    """Before the gRPC port: a context manager."""

    def __init__(self, scene: Scene, target: int) -> None:
        self.noted: list[NotedQuestion] = []
        self._proxy = grpc.ssl_channel_credentials(
            scene.authority.pem, scene.proxy.key.read_bytes(), scene.proxy.certificate.read_bytes()
        )
        named = (("grpc.ssl_target_name_override", SERVER_NAME),)
        self._channel = grpc.secure_channel(f"127.0.0.1:{target}", self._proxy, named)
        self._ask: Any = self._channel.unary_unary(f"/{messages.SERVICE}/{messages.METHOD}")
        self._server = grpc.server(ThreadPoolExecutor(4))
        handler: Any = grpc.unary_unary_rpc_method_handler(self._check)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(messages.SERVICE, {messages.METHOD: handler}),)
        )
        (self.port,) = free_ports(1)
        serving = grpc.ssl_server_credentials(
            [(scene.serving.key.read_bytes(), scene.serving.certificate.read_bytes())]
        )
        self._server.add_secure_port(f"127.0.0.1:{self.port}", serving)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None)
        self._channel.close()

    def _check(self, question: bytes, context: Any) -> bytes:  # noqa: ANN401 - the library's
        answer: bytes = self._ask(question, timeout=context.time_remaining(), wait_for_ready=True)
        http = messages.CheckRequest.FromString(question).attributes.request.http
        told = messages.CheckResponse.FromString(answer)
        found = {one.header.key: one.header.value for one in told.ok_response.headers}
        trusted = [found.get(f"x-bailiwick-{name}") for name in _TRUSTED]
        allowed = told.status.code == messages.OK
        self.noted.append(NotedQuestion(http.method, http.host, http.path, *(trusted if allowed else _NOTHING)))
        return answer


Witness = HttpWitness | GrpcWitness


@contextlib.contextmanager
def witness(scene: Scene, target: int, *, over_grpc: bool) -> Iterator[Witness]:
    """Start one before this port of the decision point."""
    if over_grpc:
        with GrpcWitness(scene, target) as by_grpc:
            yield by_grpc
        return
    with HttpWitness(scene, target) as by_http:
        yield by_http


def _message(connection: socket.socket, got: bytes, *, bare: bool = False) -> tuple[bytes | None, bytes]:
    """Return the next message of HTTP on a connection, and what follows; None where it ends.

    `bare`: it has no body, whatever length it says.
    """
    while b"\r\n\r\n" not in got:
        piece = connection.recv(_PIECE)
        if not piece:
            return None, b""
        got += piece
    head, _, rest = got.partition(b"\r\n\r\n")
    length = 0 if bare else int(_fields(head).get("content-length", "0"))
    while len(rest) < length:
        piece = connection.recv(_PIECE)
        if not piece:
            return None, b""
        rest += piece
    return head + b"\r\n\r\n" + rest[:length], rest[length:]


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _noted(question: bytes, answer: bytes) -> NotedQuestion:
    asked, told = question.partition(b"\r\n\r\n")[0], answer.partition(b"\r\n\r\n")[0]
    method, path, _ = asked.decode("latin-1").split("\r\n")[0].split(" ")
    headers, answered = _fields(asked), _fields(told)
    spoken = next((names for prefix, names in _SPOKEN.items() if path.startswith(prefix)), None)
    if spoken is None:
        call = (method, headers.get("host", ""), path.removeprefix(_PREFIX))
    else:
        method, host, target = (headers.get(name, "") for name in spoken)
        call = (method, host, target)
    allowed = told.split(b" ")[1] == b"200"
    parts = [answered.get(f"x-bailiwick-{name}") if allowed else None for name in _TRUSTED]
    return NotedQuestion(*call, *parts)
