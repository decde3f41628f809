"""Checks of Envoy's over gRPC, as it sends them, and what it would answer its client."""

from typing import Any, Final, NamedTuple

import grpc

from bailiwick_webhook.grpc import messages
from bailiwick_webhook.http.authzen.authenticator import ENFORCER
from support.proxies.raw import Answer

HOST: Final = "crm.example.com"
TENANT: Final = {"bailiwick": "crm/crm-api"}
CHECK: Final = f"/{messages.SERVICE}/{messages.METHOD}"
Header = tuple[str, str]


class Check(NamedTuple):
    """A `CheckRequest`, and the metadata of its call."""

    request: Any
    metadata: tuple[Header, ...] = ()


def one_by_one(method: str, target: str, *headers: Header, body: bytes = b"", host: str | None = HOST) -> Check:
    """Say it with `encode_raw_headers` and `pack_as_bytes`."""
    check = _bare(method, target, headers, host)
    http = check.request.attributes.request.http
    for name, value in _of_client(method, headers):
        http.header_map.headers.add(key=name, raw_value=value.encode("utf-8", "surrogateescape"))
    http.raw_body, http.size = body, len(body)
    return check


def joined(method: str, target: str, *headers: Header, body: bytes = b"", host: str | None = HOST) -> Check:
    """Say it without: what is there more than once is joined by commas."""
    check = _bare(method, target, headers, host)
    http = check.request.attributes.request.http
    for name, value in _of_client(method, headers):
        http.headers[name] = f"{http.headers[name]},{value}" if name in http.headers else value
    http.body, http.size = body.decode(), len(body)
    return check


def _bare(method: str, target: str, headers: tuple[Header, ...], host: str | None) -> Check:
    request = messages.CheckRequest()
    request.attributes.context_extensions.update(TENANT)
    http = request.attributes.request.http
    http.method, http.path, http.host = method, target, host or ""
    return Check(request, tuple((name.lower(), value) for name, value in headers if name == ENFORCER))


def _of_client(method: str, headers: tuple[Header, ...]) -> list[Header]:
    return [(":method", method), *((name.lower(), value) for name, value in headers if name != ENFORCER)]


async def sent(port: int, check: Check) -> Answer:
    """Send a check without TLS."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(CHECK, _serialized, messages.CheckResponse.FromString)
        # A connection that a busy machine is slow to make is not yet an answer.
        return told(await call(check.request, timeout=20, metadata=check.metadata, wait_for_ready=True))


def _serialized(request: Any) -> bytes:  # noqa: ANN401 - a message made at run time
    serialized: bytes = request.SerializeToString()
    return serialized


def told(response: Any) -> Answer:  # noqa: ANN401 - a message made at run time
    """Return what Envoy does by a `CheckResponse`, as an answer: 200 stands for a call that it passes on."""
    kind = response.WhichOneof("http_response")
    assert (response.status.code == messages.OK) is (kind == "ok_response"), "OK goes with ok_response alone"
    if kind == "ok_response":
        allowed = response.ok_response
        removed = ("x-envoy-auth-headers-to-remove", ", ".join(allowed.headers_to_remove))
        return Answer(200, (*_options(allowed.headers), removed), b"")
    assert kind == "denied_response"
    denied = response.denied_response
    assert (response.status.code, denied.status.code) in {
        (messages.PERMISSION_DENIED, 403),
        (messages.UNAUTHENTICATED, 401),
    }
    return Answer(denied.status.code, tuple(_options(denied.headers)), denied.body.encode())


def _options(options: Any) -> list[Header]:  # noqa: ANN401 - a field of a message made at run time
    assert all(option.append_action == messages.OVERWRITE for option in options)
    return [(option.header.key, option.header.value) for option in options]
