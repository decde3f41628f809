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

# Far longer than what a client of ours sends with a token, and shorter than what aiohttp would refuse.
_LONGEST_HEAD: Final = 6 * 1024
_FIRST: Final = b"POST /endpoints/"
_LINE: Final = re.compile(r"POST /endpoints/([a-z0-9-]{1,63})/([a-z0-9-]{1,63})/access/v1/(evaluations?) HTTP/1\.1\r\n")
_LONGEST_LINE: Final = 256
# aiohttp refuses more than 128.
_MOST_HEADERS: Final = 100
_LONGEST_NAME: Final = 64
_REMEMBERED: Final = 4_096
_VISIBLE: Final = bytes(range(0x20, 0x7F))
_BREAK: Final = b"\r\n"
_LENGTH: Final = re.compile(r"[1-9][0-9]{0,6}")
_REQUEST_ID: Final = 256

_HOST, _TYPE, _SIZE, _WHO, _ID, _TRACE, _STAYS, _UNREAD, _ENDS = range(9)
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


# A line of a head as it came, which header it has, and what was read of it: of one that is not read, its name.
_Field = tuple[bytes, int, str]


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


class PlainHeads:
    """Recognises the heads of one connection. A line that is the same as in the head before is not read once more."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields: tuple[_Field, ...] = ()

    def head_of(self, data: bytes) -> PlainHead | None:
        """Return the head with which these bytes begin, if it is all there and plain."""
        line_end = data.find(b"\n", 0, _LONGEST_LINE) + 1
        asked = _asked_about(data[:line_end])
        if asked is None:
            return None
        before, fields, begins = self._fields, list[_Field](), line_end
        read, unread = _NOTHING.copy(), list[str]()
        for number in range(_MOST_HEADERS):
            if number < len(before) and data.startswith(before[number][0], begins):
                field = before[number]
            else:
                # One that was put in, or left out, is not looked for: all that follow are read.
                found = _field(data, begins)
                if found is None:
                    return None
                field = found
            line, kind, value = field
            fields.append(field)
            begins += len(line)
            if kind == _UNREAD:
                unread.append(value)
            elif kind == _ENDS:
                break
            elif read[kind]:
                return None
            else:
                read[kind] = value
        else:
            return None
        host, content_type, length, authorization, echoed, trace, stays = read
        if (
            begins > _LONGEST_HEAD
            or not host
            or content_type not in _JSON
            or (stays not in _STAYING and stays != _CLOSING)
            or len(echoed) > _REQUEST_ID
            or _LENGTH.fullmatch(length) is None
            or len(set(unread)) != len(unread)
        ):
            return None
        self._fields = tuple(fields)
        of, operation = asked
        marked = CorrelationIds(echoed or None, traceparent(trace) if trace else None)
        return PlainHead(of, operation, authorization or None, marked, int(length), begins, closes=stays == _CLOSING)


def _field(data: bytes, begins: int) -> _Field | None:
    """Return the line of a head that begins there; None where it is not plain, or not all there."""
    line = data[begins : data.find(b"\n", begins, _LONGEST_HEAD) + 1]
    # Visible ASCII and spaces, and a line ends as it must.
    if line.translate(None, _VISIBLE) != _BREAK or not line.endswith(_BREAK):
        return None
    if line == _BREAK:
        return line, _ENDS, ""
    text = line[: -len(_BREAK)].decode("ascii")
    name, colon, value = text.partition(":")
    canonical = _canonical(name) if colon and len(name) <= _LONGEST_NAME else None
    if canonical is None:
        return None
    kind = _READ.get(canonical, _UNREAD)
    if kind == _UNREAD:
        return line, kind, canonical
    # As `name: value`, whose value is neither empty nor begins or ends with a space.
    if value[:1] != " " or len(value) != len(value.strip(" ")) + 1 or len(value) == 1:
        return None
    return line, kind, value[1:]


def may_become_plain(data: bytes) -> bool:
    """Tell whether these bytes may be the beginning of a plain head, of which the end is not there."""
    if len(data) >= _LONGEST_HEAD or _BREAK + _BREAK in data:
        return False
    return data.startswith(_FIRST) or _FIRST.startswith(data)


@lru_cache(_REMEMBERED)
def _asked_about(line: bytes) -> tuple[Tenant, str] | None:
    """Return whose endpoint a request line names, and the operation; None where it is not that of a plain request."""
    found = _LINE.fullmatch(line.decode("latin-1"))
    return None if found is None else (Tenant(found[1], found[2]), found[3])


@lru_cache(_REMEMBERED)
def _canonical(name: str) -> str | None:
    """Return a header's name in small letters; None where a message that has it is not plain."""
    small = name.lower()
    if _TOKEN.fullmatch(name) is None or small in _REFUSED or small.startswith(_REFUSED_BEGINNINGS):
        return None
    return small
