"""A transport over aiohttp, for applications that have it already: `AsyncBailiwick(..., transport=AiohttpTransport())`.

Holds: what `base` says of every transport; a session has no cookies, follows no redirect and reads no environment.
"""

import ssl
from pathlib import Path

import aiohttp

from bailiwick.credentials import TrustFile
from bailiwick.transports.base import MAX_BYTES, HttpRequest, HttpResponse, NotSentError, TransportError


class AiohttpTransport:
    """For asyncio (see `base.AsyncTransport`). Its sessions are made in the loop that first sends."""

    def __init__(self, *, ca: Path | str | None = None, tls_name: str | None = None) -> None:
        """Prepare: `ca` is a file of certificates (default: the system's), `tls_name` the name in the certificate."""
        self._authority = None if ca is None else TrustFile(ca)
        self._name = tls_name
        # By whether a connection is used once: aiohttp decides that for a session, and reads no `Connection: close`.
        # And by lane, since the connections of a session are bounded.
        self._sessions: dict[tuple[bool, str], aiohttp.ClientSession] = {}

    async def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        """Send a request. Raises `TransportError`."""
        try:
            tls = True if self._authority is None else self._authority()
        except (OSError, ssl.SSLError) as error:
            raise NotSentError(f"the authority cannot be read: {error}") from error
        try:
            async with self._opened(request.lane, once=request.once).request(
                request.method,
                request.url,
                data=request.body,
                headers=dict(request.headers),
                allow_redirects=False,
                ssl=tls,
                server_hostname=self._name,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                body = bytearray()
                async for part in response.content.iter_any():
                    if len(body) + len(part) > MAX_BYTES:
                        raise TransportError(f"the answer is larger than {MAX_BYTES} bytes")
                    body += part
                headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
        except aiohttp.ClientConnectorError as error:
            raise NotSentError(f"not connected: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"no answer: {str(error) or type(error).__name__}") from error
        if headers.get("content-encoding", "identity") != "identity":
            raise TransportError("the answer is compressed, and the request did not allow that")
        return HttpResponse(response.status, headers, bytes(body))

    async def close(self) -> None:
        """End the connections."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def _opened(self, lane: str, *, once: bool) -> aiohttp.ClientSession:
        if (once, lane) not in self._sessions:
            self._sessions[once, lane] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=once),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._sessions[once, lane]
