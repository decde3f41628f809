"""Plain requests: one HTTP message that is whole and says nothing but what a decision needs, recognised in its bytes.

Standing: under `connections`, before aiohttp's parser. Holds: what is recognised means the same to aiohttp (RFC 9112:
one request line, each header once and by its plain name, a length and no other framing); a property test holds the two
against each other. Whatever else comes is for aiohttp, as it came. Nothing is decoded or unfolded here.
"""

import re
from functools import lru_cache
from typing import Final

import msgspec

from bailiwick_webhook.http.addressing import CorrelationIds, Tenant
from bailiwick_webhook.http.tracing import traceparent

_END: Final = b"\r\n\r\n"
# Far longer than what a client of ours sends with a token, and shorter than what aiohttp would refuse.
_LONGEST_HEAD: Final = 6 * 1024
_LINE: Final = re.compile(r"POST /endpoints/([a-z0-9-]{1,63})/([a-z0-9-]{1,63})/access/v1/evaluation HTTP/1\.1")
_LONGEST_LINE: Final = 256
_REMEMBERED: Final = 4_096
_VISIBLE: Final = bytes(range(0x20, 0x7F))
_BREAK: Final = b"\r\n"
_LENGTH: Final = re.compile(r"[1-9][0-9]{0,6}")
_REQUEST_ID: Final = 256

_HOST, _TYPE, _SIZE, _WHO, _ID, _TRACE, _STAYS, _READ = range(8)
# Each header that a plain request may have, by what is read of it. Of the last nothing is.
_KNOWN: Final = {
    "Host": _HOST,
    "Content-Type": _TYPE,
    "Content-Length": _SIZE,
    "Authorization": _WHO,
    "X-Request-ID": _ID,
    "traceparent": _TRACE,
    "Connection": _STAYS,
    "Accept": _READ,
    "Accept-Encoding": _READ + 1,
    "Accept-Language": _READ + 2,
    "User-Agent": _READ + 3,
    "tracestate": _READ + 4,
}
# As most spell it, and without capitals; any other spelling is looked up once more.
_NAMES: Final = {spelled: kind for name, kind in _KNOWN.items() for spelled in (name, name.lower())}
_NOTHING: Final = [""] * len(_KNOWN)
_JSON: Final = "application/json"
_STAYING: Final = frozenset({"", "keep-alive"})


class PlainRequest(msgspec.Struct, frozen=True, gc=False):
    """A request for one decision. `authorization` and `marked` are what its headers say."""

    of: Tenant
    authorization: str
    marked: CorrelationIds
    body: bytes

    @property
    def path(self) -> str:
        """The path of it."""
        return f"/endpoints/{self.of.namespace}/{self.of.endpoint}/access/v1/evaluation"


class PlainHead(msgspec.Struct, frozen=True, gc=False):
    """A head that was recognised: whose endpoint, who asks, how it is marked; the body's length and where it begins."""

    of: Tenant
    authorization: str
    marked: CorrelationIds
    length: int
    begins: int

    def missing(self, data: bytes) -> int:
        """Return how many bytes of the message are still to come; fewer than none where there are more than it."""
        return self.begins + self.length - len(data)

    def request(self, data: bytes) -> PlainRequest:
        """Return the request, of which everything is there."""
        return PlainRequest(self.of, self.authorization, self.marked, data[self.begins :])


def head_of(data: bytes) -> PlainHead | None:
    """Return the head with which these bytes begin, if it is all there and plain."""
    end = data.find(_END, 0, _LONGEST_HEAD)
    if end < 0 or not data.startswith(b"POST "):
        return None
    head = data[:end]
    # Visible ASCII and spaces, on lines that end as they must. None is empty: the head would end there.
    if len(head.translate(None, _VISIBLE)) != len(_BREAK) * head.count(_BREAK):
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    of = _asked_about(first) if len(first) <= _LONGEST_LINE else None
    if of is None:
        return None
    said = _NOTHING.copy()
    for line in lines:
        name, _, value = line.partition(": ")
        kind = _NAMES.get(name)
        if kind is None and (kind := _NAMES.get(name.lower())) is None:
            return None
        if said[kind] or not value or value[0] == " " or value[-1] == " ":
            return None
        said[kind] = value
    host, content_type, length, authorization, echoed, trace, stays = said[:_READ]
    if (
        not (host and authorization)
        or content_type != _JSON
        or stays not in _STAYING
        or len(echoed) > _REQUEST_ID
        or _LENGTH.fullmatch(length) is None
    ):
        return None
    marked = CorrelationIds(echoed or None, traceparent(trace or None))
    return PlainHead(of, authorization, marked, int(length), end + len(_END))


@lru_cache(_REMEMBERED)
def _asked_about(line: str) -> Tenant | None:
    """Return whose endpoint a request line names; None where it is not that of a plain request."""
    found = _LINE.fullmatch(line)
    return None if found is None else Tenant(found[1], found[2])
