"""W3C Trace Context: whose trace a call belongs to (https://www.w3.org/TR/trace-context/).

Holds: what is returned is well formed and says nothing but ids: it is copied into the decision record.
"""

import re
from typing import Final, Protocol

from multidict import MultiMapping

REQUEST_ID: Final = "X-Request-ID"
# A field value of RFC 9110, 5.5: visible characters and obs-text, with spaces and tabs between them. Bytes that are no
# UTF-8 reach us as surrogates, which aiohttp would leave out when it writes: another value than was sent.
_REQUEST_ID: Final = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]{1,256}")

_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class MessageHead(Protocol):
    """What has headers, whose names are in any case. A `web.BaseRequest` has."""

    @property
    def headers(self) -> MultiMapping[str]:
        """The headers."""


def traceparent(header: str | None) -> str | None:
    """Return the header `traceparent` as version 00 has it, or None where there is none that is valid."""
    found = None if header is None else _TRACEPARENT.match(header)
    if found is None or header is None:
        return None
    rest = header[found.end() :]
    # A later version may say more, after a dash; version 00 must not.
    if rest and (found[1] == "00" or not rest.startswith("-")):
        return None
    return found[0]


def request_id(request: MessageHead) -> str | None:
    """Return the caller's request id, if it can be echoed as it was sent.

    Of two, one may be of a client behind the caller: by that the client could choose which calls are the same.
    """
    found = request.headers.getall(REQUEST_ID, ())
    return found[0] if len(found) == 1 and _REQUEST_ID.fullmatch(found[0]) else None
