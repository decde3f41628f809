"""Bodies: JSON as I-JSON (RFC 7493), within limits, or a 400 that names the field.

Holds: no duplicate key, no NaN, no integer of 2^53 or more and no lone surrogate gets in, so everything that gets in
has one canonical form (RFC 8785).
"""

import asyncio
import json
import math
from typing import Any, Final, NoReturn

from aiohttp import web

from bailiwick_webhook import strictjson
from bailiwick_webhook.http.problems import ProblemError, bad_request
from bailiwick_webhook.strictjson import BIG, MAX_DEPTH, MAX_VALUES

MAX_BYTES: Final = 1024 * 1024
READ_SECONDS: Final = 10.0
_JSON: Final = "application/json"


async def read_object(request: web.BaseRequest) -> dict[str, Any]:
    """Read the body as a JSON object. Raises `ProblemError` (400)."""
    headers = request.headers
    # Of the header as it stands first: to take it apart costs more than to read the body.
    if headers.get("Content-Type") != _JSON and request.content_type != _JSON:
        raise bad_request("Content-Type must be application/json", "Content-Type")
    # Of several, the parser of requests goes by the last.
    if "Content-Encoding" in headers and set(headers.getall("Content-Encoding")) != {"identity"}:
        raise bad_request("a compressed body is not accepted", "Content-Encoding")
    try:
        # Most bodies come whole, with their head: then no clock need be set.
        raw = request.content.read_nowait() if request.content.is_eof() else await _gathered(request)
    except (web.RequestPayloadError, ConnectionError, TimeoutError):
        raise bad_request(f"the body did not arrive whole within {READ_SECONDS:g} s", "") from None
    if len(raw) > MAX_BYTES:
        raise _oversized()
    return parse_object(raw)


async def _gathered(request: web.BaseRequest) -> bytes:
    """Return a body that comes in pieces, and no more of it than fits."""
    if request.content_length is not None and request.content_length > MAX_BYTES:
        raise _oversized()
    raw = bytearray()
    async with asyncio.timeout(READ_SECONDS):
        async for chunk in request.content.iter_any():
            raw += chunk
            if len(raw) > MAX_BYTES:
                raise _oversized()
    return bytes(raw)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises `ProblemError` (400)."""
    found = strictjson.proven(raw)
    return parse_slowly(raw) if found is None else found


def parse_slowly(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object, member by member: what it may be, and what is said of one that is wrong, stands here.

    Raises `ProblemError` (400).
    """
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        raise bad_request("the body is not UTF-8", "") from None
    except json.JSONDecodeError as error:
        raise bad_request(
            f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}", ""
        ) from None
    except RecursionError:
        raise bad_request(f"the body is nested deeper than {MAX_DEPTH}", "") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise bad_request(f"the body holds a number that cannot be read: {error}", "") from None
    if not isinstance(value, dict):
        raise bad_request("the body must be a JSON object", "")
    _Walk().check(value, "", 1)
    return value


def _oversized() -> ProblemError:
    return bad_request(f"the body is larger than {MAX_BYTES} bytes", "")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise bad_request("a member stands twice in one object", _shown(twice))
    return members


def _constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise bad_request(message, "")


class _Walk:
    """One pass over a parsed body, naming the path of what does not fit."""

    def __init__(self) -> None:
        self._values = 0

    def check(self, value: Any, path: str, depth: int) -> None:  # noqa: ANN401 - any JSON value
        self._values += 1
        if self._values > MAX_VALUES:
            raise bad_request(f"the body holds more than {MAX_VALUES} values", "")
        if depth > MAX_DEPTH:
            raise bad_request(f"the body is nested deeper than {MAX_DEPTH}", path)
        if isinstance(value, dict):
            for name, member in value.items():
                _scalar(name, path)
                self.check(member, f"{path}.{_shown(name)}".lstrip("."), depth + 1)
        elif isinstance(value, list):
            for index, member in enumerate(value):
                self.check(member, f"{path}[{index}]", depth + 1)
        else:
            _scalar(value, path)


def _scalar(value: str | float | None, path: str) -> None:
    if isinstance(value, str):
        _characters(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise bad_request("the number is too large", path)
    elif value is not None and abs(value) >= BIG:
        raise bad_request("an integer of 2^53 or more has no canonical form: send it as a string", path)


def _characters(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise bad_request("the text holds a lone surrogate", path) from None


def _shown(name: str) -> str:
    """A member's name as a problem may show it: short and printable."""
    return "".join(character if character.isprintable() else "?" for character in name[:64])
