"""The connections of the two processes to the API server, on the Kubernetes client's TLS and aiohttp.

Holds: every call has a deadline, and reads the token again. No redirect is followed, and no proxy from the environment
is used, so only the API server receives the token. Every answer updates the server clock. This module retries nothing,
but aiohttp sends a PUT or DELETE again if a kept connection breaks. Those carry a resourceVersion or a uid, so the
second one conflicts or finds nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject, RESTResponse

from bailiwick_api.serverclock import ServerClock, read_date
from bailiwick_kube.access import Access, AccessError
from bailiwick_kube.bodies import encode_body
from bailiwick_kube.responses import ApiResponse, parse_response
from bailiwick_kube.transport import JSON, ApiRequest, ApiStream, SilentStreamError, TooLongError, UnreachableError

# For calls by the Kubernetes client, which sets no limit. Every call of this project sets one.
_LONGEST_SECONDS: Final = 300.0


class ApiConnections(RESTClientObject):
    """The connections, also for the Kubernetes client. They pass the time of each answer to `clock`.

    The library's own request writes bodies as ASCII, which the API server misreads in a server-side apply (`bodies`).
    """

    def __init__(self, configuration: Configuration, clock: ServerClock) -> None:
        super().__init__(configuration)
        self._clock = clock

    async def send(
        self, method: str, url: str, headers: dict[str, str], body: object, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Send a request, and return when the head of its answer has arrived."""
        if self.pool_manager is None:
            self.pool_manager = self._create_pool_manager()
        data = None if body is None else encode_body(body)
        began = self._clock.monotonic()
        response = await self.pool_manager.request(
            method,
            url,
            headers=headers,
            data=data,
            timeout=limits,
            allow_redirects=False,
            server_hostname=self.configuration.tls_server_name,
        )
        self._clock.record_answer(read_date(response.headers.get("Date")), began)
        return response

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: object = None,
        post_params: object = None,  # noqa: ARG002 - the library's client has it
        _request_timeout: float | None = None,
    ) -> RESTResponse:
        """Send a request of the library's client."""
        limits = aiohttp.ClientTimeout(total=_request_timeout or _LONGEST_SECONDS)
        return RESTResponse(await self.send(method, url, {"Content-Type": JSON, **(headers or {})}, body, limits))


class HttpTransport:
    """Takes requests to one API server. `timeout`: the seconds that a call may take. Close it when done."""

    def __init__(self, access: Access, timeout: float, user_agent: str) -> None:
        self.configuration: Final = Configuration(
            host=access.server,
            ssl_ca_cert=str(access.ca_file) if access.ca_file else None,
            ca_cert_data=access.ca_data,
            tls_server_name=access.server_name,
            # Connect to the API server directly, as kopf does: a proxy from the environment is for external hosts.
            client_session_kwargs={"trust_env": False},
        )
        self.clock: Final = ServerClock()
        self.connections: Final = ApiConnections(self.configuration, self.clock)
        self._access = access
        self._timeout = timeout
        self._user_agent = user_agent

    async def close(self) -> None:
        """Close the connections."""
        await self.connections.close()

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        """Make a call, once. Raises `UnreachableError`, and `TooLongError` for an answer of more than `most` bytes."""
        try:
            response = await self._send(request, aiohttp.ClientTimeout(total=self._timeout))
            async with response:
                raw = await (response.read() if most is None else _at_most(response, most))
        except (aiohttp.ClientError, AccessError, TimeoutError, OSError, ValueError) as error:
            raise UnreachableError(self._problem(request, error)) from error
        return parse_response(response.status, raw, read_date(response.headers.get("Date")))

    @asynccontextmanager
    async def stream(self, request: ApiRequest, *, silence: float) -> AsyncIterator[ApiStream]:
        """Open a stream that may be silent for so many seconds. Raises `UnreachableError`."""
        # No total deadline: a stream stays open. `sock_read` ends a silent one.
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=silence)
        try:
            response = await self._send(request, limits)
        except (aiohttp.ClientError, AccessError, TimeoutError, OSError, ValueError) as error:
            raise UnreachableError(self._problem(request, error)) from error
        try:
            yield ApiStream(response.status, self._lines(request, response))
        finally:
            # A stream that ended has returned its connection. Abort that of an abandoned one: TLS would wait half a
            # minute for the close_notify of a silent server.
            connection = response.connection
            if connection is not None and connection.transport is not None:
                connection.transport.abort()
            response.close()

    async def _lines(self, request: ApiRequest, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for line in response.content:
                yield line
        except aiohttp.SocketTimeoutError as error:
            raise SilentStreamError(f"{request.method} {request.path}: no data received for too long") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise UnreachableError(self._problem(request, error)) from error

    async def _send(self, request: ApiRequest, limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        # The token file is read for every call, as client-go does within a minute: a rotated token is never missed.
        headers = {
            "Accept": request.accept,
            "Authorization": f"Bearer {self._access.token()}",
            "User-Agent": self._user_agent,
        }
        if request.body is not None:
            headers["Content-Type"] = request.media
        url = self._access.server + request.path + (f"?{urlencode(request.query)}" if request.query else "")
        return await self.connections.send(request.method, url, headers, request.body, limits)

    def _problem(self, request: ApiRequest, error: Exception) -> str:
        if isinstance(error, AccessError):
            return str(error)
        what = f"no response within {self._timeout:g} s" if isinstance(error, TimeoutError) else str(error)
        return f"{request.method} {request.path}: {what or type(error).__name__}"


async def _at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > most:
            # The rest would have to be read before the connection could be used again.
            response.close()
            raise TooLongError
    return bytes(raw)
