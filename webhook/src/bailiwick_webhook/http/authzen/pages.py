"""Pages of a search: which part of what was found is answered, and the token that the next part is asked for with.

Holds: a token goes on where its page ended and serves only the query that it was made for; one that was altered or
belongs to another query is 400. It needs no secret and no memory, so that any replica takes it: it says nothing but the
last name that was answered and a digest of the query, and the whole query is decided again for every page.
"""

import base64
import binascii
import bisect
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from bailiwick_webhook.http.problems import ProblemError, bad_request

MAX_LIMIT: Final = 100
MAX_TOKEN: Final = 8_192
_CHECK: Final = 16


class Page(NamedTuple):
    """At most so many results, after this name; None from the first one on."""

    limit: int
    after: str | None


def read(body: Mapping[str, Any], query: str) -> Page:
    """Read `page` of a body. `query` is the digest of all that must not change from page to page.

    A larger limit than `MAX_LIMIT` is taken as that. Raises `ProblemError` (400).
    """
    page = body.get("page")
    if page is None:
        return Page(MAX_LIMIT, None)
    if not isinstance(page, dict):
        raise bad_request("must be an object", "page")
    limit, token = page.get("limit"), page.get("token")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise bad_request("must be an integer of at least 1", "page.limit")
    asked = None if limit is None else min(limit, MAX_LIMIT)
    if token is None or token == "":
        return Page(asked or MAX_LIMIT, None)
    if not isinstance(token, str):
        raise bad_request("must be a string", "page.token")
    known = _unpacked(token)
    if known is None or known[1] != query or (asked is not None and asked != known[0].limit):
        raise _foreign()
    return known[0]


def cut(names: Sequence[str], page: Page, query: str) -> tuple[Sequence[str], str]:
    """Return the names of a page out of all, which are in order, and the token of the next; empty after the last."""
    start = 0 if page.after is None else bisect.bisect_right(names, page.after)
    told = names[start : start + page.limit]
    if not told or start + page.limit >= len(names):
        return told, ""
    return told, _packed(Page(page.limit, told[-1]), query)


def _packed(page: Page, query: str) -> str:
    raw = orjson.dumps([1, page.limit, page.after, query])
    return base64.urlsafe_b64encode(_check(raw) + raw).rstrip(b"=").decode()


def _unpacked(token: str) -> tuple[Page, str] | None:
    if len(token) > MAX_TOKEN or not token.isascii():
        return None
    try:
        packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    check, raw = packed[:_CHECK], packed[_CHECK:]
    # Encoded again, since base64 has more than one spelling of the same bytes.
    if check != _check(raw) or base64.urlsafe_b64encode(packed).rstrip(b"=").decode() != token:
        return None
    try:
        inside = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # The digest is no secret: whatever is inside may come from a caller.
        return None
    match inside:
        case [1, int(limit), str(after), str(query)] if 1 <= limit <= MAX_LIMIT:
            return Page(limit, after), query
    return None


def _check(raw: bytes) -> bytes:
    """Against accidents and tinkering; a caller that computes it learns nothing that a plain search would not tell."""
    return hashlib.sha256(b"bailiwick page\n" + raw).digest()[:_CHECK]


def _foreign() -> ProblemError:
    return bad_request(
        "is not a token of this search: send next_token unchanged, with the same entities, context and limit",
        "page.token",
    )
