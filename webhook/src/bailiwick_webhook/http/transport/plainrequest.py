"""Plain requests: one HTTP message that is whole and asks for decisions, recognised in its bytes.

Standing: under `decisionprotocol`, before aiohttp's parser. Holds: what is recognised means the same to aiohttp (RFC
9112: one request line, each header once, a length and no other framing); a property test holds the two against each
other. A header that can change how a message is framed or what it means makes it not plain; any other may be there and
is not read. Whatever is not plain is for aiohttp, as it came. Nothing is decoded or unfolded here.
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
_FIRST: Final = b"POST /endpoints/"
_LINE: Final = re.compile(r"POST /endpoints/([a-z0-9-]{1,63})/([a-z0-9-]{1,63})/access/v1/(evaluations?) HTTP/1\.1")
_LONGEST_LINE: Final = 256
# aiohttp refuses more than 128.
_MOST_HEADERS: Final = 100
_LONGEST_NAME: Final = 64
_REMEMBERED: Final = 4_096
_VISIBLE: Final = bytes(range(0x20, 0x7F))
_BREAK: Final = b"\r\n"
_LENGTH: Final = re.compile(r"[1-9][0-9]{0,6}")
_REQUEST_ID: Final = 256

_HOST, _TYPE, _SIZE, _WHO, _ID, _TRACE, _STAYS = range(7)
# Each header that is read, or that says how long the connection stays. It stands at most once, as `name: value`.
_READ: Final = {
    "host": _HOST,
    "content-type": _TYPE,
    "content-length": _SIZE,
    "authorization": _WHO,
    "x-request-id": _ID,
    "traceparent": _TRACE,
    "connection": _STAYS,
}
# As most spell it; any other spelling is looked up once more.
_SPELLED: Final = {
    spelled: kind
    for name, kind in _READ.items()
    for spelled in (name, name.title(), name.replace("request-id", "Request-ID").replace("x-", "X-"))
}
_NOTHING: Final = [""] * len(_READ)
# A field name (RFC 9110, 5.1 and 5.6.2).
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What frames a message, switches protocols, asks for something before the answer or changes what the body is (RFC 9110,
# 7.6.1, 7.8, 8.4 and 10.1; RFC 9112, 6 and 7), and what parsers are known to take for one of these.
_REFUSED: Final = frozenset(
    {
        *("content-encoding", "content-range", "content-transfer-encoding", "expect", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
# Of proxies' own connections, of other protocols, of other readings of the method, and what our adapters read.
_REFUSED_BEGINNINGS: Final = ("proxy-", "http2-", "sec-websocket-", "x-http-", "x-method-", "x-bailiwick-")
_JSON: Final = frozenset(
    f"application/json{charset}"
    for charset in ("", "; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8")
)
_STAYING: Final = frozenset({"", "keep-alive", "Keep-Alive"})
_CLOSING: Final = "close"


class PlainRequest(msgspec.Struct, frozen=True, gc=False):
    """A request for decisions about one endpoint.

    `operation` is the last part of its path: `evaluation` or `evaluations`. `authorization` is the header's value, None
    where there is none; `marked` is how the caller marks the request; `body` is at least one byte.
    """

    of: Tenant
    operation: str
    authorization: str | None
    marked: CorrelationIds
    body: bytes

    @property
    def path(self) -> str:
        """The path of it."""
        return f"/endpoints/{self.of.namespace}/{self.of.endpoint}/access/v1/{self.operation}"


class PlainHead(msgspec.Struct, frozen=True, gc=False):
    """A head that was recognised, see `PlainRequest`; `closes`: its connection ends with the answer.

    The body has `length` bytes and begins at `begins`.
    """

    of: Tenant
    operation: str
    authorization: str | None
    marked: CorrelationIds
    length: int
    begins: int
    closes: bool

    def missing(self, data: bytes) -> int:
        """Return how many bytes of the message are still to come; fewer than none where there are more than it."""
        return self.begins + self.length - len(data)

    def request(self, data: bytes) -> PlainRequest:
        """Return the request, of which everything is there."""
        begins = self.begins
        body = data[begins : begins + self.length]
        return PlainRequest(self.of, self.operation, self.authorization, self.marked, body)


def head_of(data: bytes) -> PlainHead | None:
    """Return the head with which these bytes begin, if it is all there and plain."""
    end = data.find(_END, 0, _LONGEST_HEAD)
    if end < 0 or not data.startswith(_FIRST):
        return None
    head = data[:end]
    # Visible ASCII and spaces, on lines that end as they must. None is empty: the head would end there.
    if len(head.translate(None, _VISIBLE)) != len(_BREAK) * head.count(_BREAK):
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    asked = _asked_about(first) if len(first) <= _LONGEST_LINE else None
    if asked is None or len(lines) > _MOST_HEADERS:
        return None
    read = _NOTHING.copy()
    unread: list[str] = []
    for line in lines:
        name, _, value = line.partition(": ")
        kind = _SPELLED.get(name)
        if kind is None:
            name, colon, _ = line.partition(":")
            canonical = _canonical(name) if colon and len(name) <= _LONGEST_NAME else None
            if canonical is None:
                return None
            kind = _READ.get(canonical)
            if kind is None:
                unread.append(canonical)
                continue
            value = line[len(name) + 1 :]
            if value[:1] != " ":
                return None
            value = value[1:]
        if read[kind] or not value or value[0] == " " or value[-1] == " ":
            return None
        read[kind] = value
    host, content_type, length, authorization, echoed, trace, stays = read
    if (
        not host
        or content_type not in _JSON
        or (stays not in _STAYING and stays != _CLOSING)
        or len(echoed) > _REQUEST_ID
        or _LENGTH.fullmatch(length) is None
        or len(set(unread)) != len(unread)
    ):
        return None
    of, operation = asked
    marked = CorrelationIds(echoed or None, traceparent(trace) if trace else None)
    return PlainHead(
        of, operation, authorization or None, marked, int(length), end + len(_END), closes=stays == _CLOSING
    )


def may_become_plain(data: bytes) -> bool:
    """Tell whether these bytes may be the beginning of a plain head, of which the end is not there."""
    return (
        len(data) < _LONGEST_HEAD and _END not in data and (data.startswith(_FIRST) or _FIRST.startswith(data))
    )


@lru_cache(_REMEMBERED)
def _asked_about(line: str) -> tuple[Tenant, str] | None:
    """Return whose endpoint a request line names, and the operation; None where it is not that of a plain request."""
    found = _LINE.fullmatch(line)
    return None if found is None else (Tenant(found[1], found[2]), found[3])


@lru_cache(_REMEMBERED)
def _canonical(name: str) -> str | None:
    """Return a header's name in small letters; None where a message that has it is not plain."""
    small = name.lower()
    if _TOKEN.fullmatch(name) is None or small in _REFUSED or small.startswith(_REFUSED_BEGINNINGS):
        return None
    return small
