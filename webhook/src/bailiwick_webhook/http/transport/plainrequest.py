"""Plain requests: one HTTP message that is whole and asks for decisions, recognised in its bytes.

Standing: under `decisionprotocol`, before aiohttp's parser. Holds: what is recognised means the same to aiohttp (RFC
9112: one request line, each header once, a length and no other framing); a property test holds the two against each
other. A header that can change how a message is framed or what it means makes it not plain; any other may be there and
is not read. Whatever is not plain is for aiohttp, as it came. Nothing is decoded or unfolded here.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Final

import msgspec

from bailiwick_webhook.http.addressing import CorrelationIds, Tenant
from bailiwick_webhook.http.tracing import traceparent

# Far longer than what a client of ours sends with a token, and shorter than what aiohttp would refuse.
_LONGEST_HEAD: Final = 6 * 1024
_FIRST: Final = b"POST /endpoints/"
_LINE: Final = re.compile(r"POST /endpoints/([a-z0-9-]{1,63})/([a-z0-9-]{1,63})/access/v1/(evaluations?) HTTP/1\.1\r\n")
_LONGEST_LINE: Final = 256
_REMEMBERED: Final = 4_096
_BREAK: Final = b"\r\n"
_LENGTH: Final = re.compile(r"[1-9][0-9]{0,6}")
_REQUEST_ID: Final = 256

# Each header that is read, or that says how long the connection stays, in the order in which `_values_of` returns them.
# It stands at most once, as `name: value`.
_READ: Final = (
    "host",
    "content-type",
    "content-length",
    "authorization",
    "x-request-id",
    "traceparent",
    "connection",
)
# Clients send the same names in the same order again and again. For a head with other names, reading it takes half as
# long again.
_LAYOUTS: Final = 256
# Lines of a head: a field name (RFC 9110, 5.1 and 5.6.2), then visible ASCII and spaces, and the end as it must be.
# There are fewer of them than the 128 that aiohttp takes.
_NAME: Final = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):"
_FIELDS: Final = re.compile(b"(?:" + _NAME + rb"[ -~]*\r\n){1,99}\r\n")
# The value is nothing where the line is not `name: value`, whose value is not empty and neither begins nor ends with a
# space.
_FIELD: Final = re.compile(_NAME.decode("ascii") + r"(?: ([!-~](?:[ -~]*[!-~])?)|[ -~]*)\r\n")
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
_CLOSING: Final = "close"
_STAYS: Final = frozenset({None, "keep-alive", "Keep-Alive", _CLOSING})


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
    line_end = data.find(b"\n", 0, _LONGEST_LINE) + 1
    asked = _asked_about(data[:line_end])
    fields = None if asked is None else _FIELDS.match(data, line_end, _LONGEST_HEAD)
    if asked is None or fields is None:
        return None
    names, values = zip(*_FIELD.findall(fields[0].decode("ascii")), strict=True)
    values_of = _values_of(names)
    if values_of is None:
        return None
    read = values_of((*values, None))
    host, content_type, length, authorization, echoed, trace, stays = read
    if (
        # It is there, but not as `name: value`.
        "" in read
        or host is None
        or length is None
        or content_type not in _JSON
        or stays not in _STAYS
        or (echoed is not None and len(echoed) > _REQUEST_ID)
        or _LENGTH.fullmatch(length) is None
    ):
        return None
    of, operation = asked
    marked = CorrelationIds(echoed, None if trace is None else traceparent(trace))
    return PlainHead(of, operation, authorization, marked, int(length), fields.end(), closes=stays == _CLOSING)


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


_Values = tuple[str | None, ...]


@lru_cache(_LAYOUTS)
def _values_of(names: tuple[str, ...]) -> Callable[[_Values], _Values] | None:
    """Return what takes the values of the headers that are read, in order, from those of all headers with a None after.

    None: a message with headers of these names is not plain.
    """
    small = [name.lower() for name in names]
    if len(set(small)) != len(small):
        return None
    if any(name in _REFUSED or name.startswith(_REFUSED_BEGINNINGS) for name in small):
        return None
    return itemgetter(*(small.index(name) if name in small else len(small) for name in _READ))
