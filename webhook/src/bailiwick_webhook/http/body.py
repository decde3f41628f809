"""Bodies: JSON as I-JSON (RFC 7493), within limits, or a 400 that names the field.

Holds: no duplicate key, no NaN, no integer of 2^53 or more and no lone surrogate gets in, so everything that gets in
has one canonical form (RFC 8785).
"""

from typing import Any, Final

from aiohttp import web

from bailiwick_process.ijson import strict
from bailiwick_process.ijson.strict import JsonError
from bailiwick_webhook.http.problems import bad_request
from bailiwick_webhook.http.shares.slots import Sender
from bailiwick_webhook.http.transport.bodies import TORN, Bodies, torn

MAX_BYTES: Final = 1024 * 1024
_JSON: Final = "application/json"


async def read_whole(request: web.BaseRequest, bodies: Bodies, sender: Sender) -> bytes:
    """Read the body, which is said to be JSON. Raises `ProblemError` (400, 429)."""
    check_headers(request)
    content = request.content
    if content.is_eof():
        # Most bodies come whole, with their head: then nothing need be counted, and no clock be set.
        try:
            raw: bytes | None = content.read_nowait()
        except TORN:
            raise torn() from None
    else:
        with bodies.body(sender) as body:
            raw = await body.read(request, MAX_BYTES)
    if raw is None or len(raw) > MAX_BYTES:
        raise bad_request(f"the body is larger than {MAX_BYTES} bytes", "")
    return raw


def check_headers(request: web.BaseRequest) -> None:
    """Raise `ProblemError` (400) where the body is said to be something else than plain JSON."""
    headers = request.headers
    # Of the header as it stands first: to take it apart costs more than to read the body.
    if headers.get("Content-Type") != _JSON and request.content_type != _JSON:
        raise bad_request("Content-Type must be application/json", "Content-Type")
    # Of several, the parser of requests goes by the last.
    if "Content-Encoding" in headers and set(headers.getall("Content-Encoding")) != {"identity"}:
        raise bad_request("a compressed body is not accepted", "Content-Encoding")


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises `ProblemError` (400)."""
    try:
        return strict.parse(raw)
    except JsonError as error:
        raise bad_request(error.detail, error.where) from None


def parse_slowly(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object, member by member. Raises `ProblemError` (400)."""
    try:
        return strict.parse_slowly(raw)
    except JsonError as error:
        raise bad_request(error.detail, error.where) from None
