"""The gRPC port: started, drained and stopped.

Holds: a call is decided under the same shares of identity as one by HTTP; connections are the library's, bounded in
number, age, size and pings, but not shared out by identity. With CAs of clients no client without a certificate
of theirs completes a handshake here.
"""

import asyncio
import functools
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import grpc
from cryptography import x509

from bailiwick_engine.call import ServiceAccount
from bailiwick_webhook.grpc import messages
from bailiwick_webhook.grpc.check import GrpcPeer, answered, check
from bailiwick_webhook.http.adapters import replies
from bailiwick_webhook.http.authzen.authenticator import ENFORCER, RequestAuthenticator
from bailiwick_webhook.http.body import MAX_BYTES
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.identity.certificates import accounts_of
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.tls.clients import ClientAuthorities
from bailiwick_webhook.tls.reload import Certificates

# Beside a body: the head of a call, of which Envoy takes 60 KiB, and what the message adds.
_HEAD_BYTES: Final = 192 * 1024
_METADATA_BYTES: Final = 16 * 1024
_STREAMS: Final = 256
_PING_SECONDS: Final = 60
_GRACE_SECONDS: Final = 10.0
_KNOWN: Final = 1_024
_MILLI: Final = 1_000

_log: Final = LogLimit()
_begun: Final[set[asyncio.Future[Any]]] = set()


@dataclass(frozen=True, slots=True)
class GrpcServer:
    """A listening server."""

    server: grpc.aio.Server
    port: int

    async def stop(self) -> None:
        """Take no more calls, answer what is under way, close."""
        await self.server.stop(_GRACE_SECONDS)


async def serve(
    authenticator: RequestAuthenticator, bounds: Bounds, host: str, port: int, tls: Certificates | None = None
) -> GrpcServer:
    """Listen. Raises `OSError` where the port is taken."""
    server = grpc.aio.server(options=_options(bounds), maximum_concurrent_rpcs=bounds.requests_at_once)
    handler = grpc.unary_unary_rpc_method_handler(
        functools.partial(_check, authenticator, tls),
        messages.CheckRequest.FromString,
        messages.CheckResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(messages.SERVICE, {messages.METHOD: handler}),)
    )
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, _credentials(tls))
    except RuntimeError as error:
        message = f"--grpc-port {port}: {error}"
        raise OSError(message) from None
    await server.start()
    return GrpcServer(server, bound)


def _options(bounds: Bounds) -> list[tuple[str, int]]:
    ping, age = _PING_SECONDS * _MILLI, int(bounds.seconds * _MILLI)
    return [
        # On by default: the port would be shared with any other process that listens there.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", MAX_BYTES + _HEAD_BYTES),
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
        ("grpc.max_concurrent_streams", min(_STREAMS, bounds.requests_at_once)),
        ("grpc.max_allowed_incoming_connections", bounds.connections),
        ("grpc.server_handshake_timeout_ms", int(bounds.first * _MILLI)),
        ("grpc.max_connection_idle_ms", int(bounds.idle * _MILLI)),
        ("grpc.max_connection_age_ms", age),
        ("grpc.max_connection_age_grace_ms", int(_GRACE_SECONDS * _MILLI)),
        ("grpc.keepalive_time_ms", ping),
        ("grpc.keepalive_timeout_ms", ping // 3),
        ("grpc.http2.min_ping_interval_without_data_ms", ping // 2),
        ("grpc.http2.max_ping_strikes", 2),
    ]


def _credentials(tls: Certificates) -> grpc.ServerCredentials:
    """Return what a handshake is made with: at each the pair and the CAs of that moment."""

    def now() -> Any:  # noqa: ANN401 - the library's, and opaque
        certificate, key, authorities = tls.pem
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authorities)

    required = tls.pem[2] is not None
    return grpc.dynamic_ssl_server_credentials(now(), now, require_client_authentication=required)


async def _check(authenticator: RequestAuthenticator, tls: Certificates | None, asked: Any, context: Any) -> Any:  # noqa: ANN401 - the library's
    try:
        peer = _peer(tls, context)
    except Exception as error:  # noqa: BLE001 - as in `proxycall`: a defect must deny, and tell the caller nothing
        _log.error("unexpected failure", adapter="grpc", exc_info=error)
        return answered(replies.failed())
    # An answer that no client waits for any more is not begun, but one that was begun is recorded: it may have taken a
    # use of a grant. Until it has ended it keeps its slot.
    left = context.time_remaining()
    if left is not None and left <= 0:
        return answered(replies.failed())
    begun = asyncio.ensure_future(check(authenticator, peer, asked))
    # The loop itself would not keep it.
    _begun.add(begun)
    begun.add_done_callback(_begun.discard)
    return await asyncio.shield(begun)


def _peer(tls: Certificates | None, context: Any) -> GrpcPeer:  # noqa: ANN401 - the library's
    shown = context.auth_context().get("x509_pem_cert", ())
    sent = [value for name, value in context.invocation_metadata() or () if name == ENFORCER.lower()]
    return GrpcPeer(
        _address(context.peer()),
        _counted(tls.authorities, shown[0]) if tls is not None and shown else (),
        [value for value in sent if isinstance(value, str)],
    )


def _address(peer: str) -> str:
    """Return the address of `ipv4:192.0.2.1:80` or `ipv6:[2001:db8::1]:80`, percent-encoded as it is."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _counted(authorities: ClientAuthorities | None, pem: bytes) -> tuple[ServiceAccount, ...]:
    """Return the names of a certificate that TLS verified, while it counts.

    While it is valid, and one of the CAs of now issued it itself: a connection outlives neither.
    """
    if authorities is None:
        return ()
    certificate, accounts = _parsed(pem)
    if certificate is None or not authorities.issued(certificate):
        return ()
    return accounts if authorities.current.in_time(certificate) else ()


@functools.lru_cache(_KNOWN)
def _parsed(pem: bytes) -> tuple[x509.Certificate | None, tuple[ServiceAccount, ...]]:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        return certificate, accounts_of(certificate)
    except ValueError:
        return None, ()
