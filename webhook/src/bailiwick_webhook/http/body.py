"""Bodies: JSON as I-JSON (RFC 7493), within limits, or a 400 that names the field.

Holds: no duplicate key, no NaN, no integer of 2^53 or more and no lone surrogate gets in, so everything that gets in
has one canonical form (RFC 8785).
"""

import asyncio
from typing import Any, Final

from aiohttp import web

from bailiwick_webhook import slowjson
from bailiwick_webhook.http.problems import ProblemError, bad_request
from bailiwick_webhook.slowjson import JsonError

MAX_BYTES: Final = 1024 * 1024
READ_SECONDS: Final = 10.0
_JSON: Final = "application/json"


async def read_object(request: web.BaseRequest) -> dict[str, Any]:
    """Read the body as a JSON object. Raises `ProblemError` (400)."""
    check_headers(request)
    try:
        # Most bodies come whole, with their head: then no clock need be set.
        raw = request.content.read_nowait() if request.content.is_eof() else await gathered(request, MAX_BYTES)
    except (web.RequestPayloadError, ConnectionError, TimeoutError):
        raise late() from None
    if raw is None or len(raw) > MAX_BYTES:
        raise bad_request(f"the body is larger than {MAX_BYTES} bytes", "")
    return parse_object(raw)


def check_headers(request: web.BaseRequest) -> None:
    """Raise `ProblemError` (400) where the body is said to be something else than plain JSON."""
    headers = request.headers
    # Of the header as it stands first: to take it apart costs more than to read the body.
    if headers.get("Content-Type") != _JSON and request.content_type != _JSON:
        raise bad_request("Content-Type must be application/json", "Content-Type")
    # Of several, the parser of requests goes by the last.
    if "Content-Encoding" in headers and set(headers.getall("Content-Encoding")) != {"identity"}:
        raise bad_request("a compressed body is not accepted", "Content-Encoding")


async def gathered(request: web.BaseRequest, most: int) -> bytes | None:
    """Return a body that comes in pieces, and no more of it than fits; None where it is larger than that.

    Raises `web.RequestPayloadError`, `ConnectionError`, `TimeoutError`.
    """
    if request.content_length is not None and request.content_length > most:
        return None
    raw = bytearray()
    async with asyncio.timeout(READ_SECONDS):
        async for chunk in request.content.iter_any():
            raw += chunk
            if len(raw) > most:
                return None
    return bytes(raw)


def late() -> ProblemError:
    """400: there is less of the body than was promised."""
    return bad_request(f"the body did not arrive whole within {READ_SECONDS:g} s", "")


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises `ProblemError` (400)."""
    try:
        return slowjson.parse(raw)
    except JsonError as error:
        raise bad_request(error.detail, error.where) from None


def parse_slowly(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object, member by member. Raises `ProblemError` (400)."""
    try:
        return slowjson.parse_slowly(raw)
    except JsonError as error:
        raise bad_request(error.detail, error.where) from None
