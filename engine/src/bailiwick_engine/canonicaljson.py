"""Canonical JSON (RFC 8785): one spelling of a value, and the digest over it.

Standing: below everything that signs, binds or compares by a digest. Holds: two values have the same bytes exactly if
they are the same JSON value.
"""

import hashlib
from typing import Final

import orjson
import rfc8785

from bailiwick_engine.call import Json


class NotCanonicalError(ValueError):
    """The value has no canonical form (RFC 8785): an integer of 2^53 or more, NaN, a lone surrogate, or too deep."""


def canonical(value: Json) -> bytes:
    """Return the JCS bytes of a value. Raises `NotCanonicalError`.

    Most values are such that orjson writes the same bytes in a twentieth of the time; rfc8785 says it of all others.
    """
    if _plain(value, _DEEP):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            # Half a character: that is for the other to say.
            pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotCanonicalError(str(error)) from error


def _plain(value: Json, deeper: int) -> bool:
    """Tell whether the two libraries agree on a value: they part at floats, large integers and the order of names.

    By exact types, since a type of one's own may be written otherwise by each.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_SAFE <= value <= _SAFE)
    if not deeper:
        return False
    if kind is list:
        return all(_plain(item, deeper - 1) for item in value)
    if kind is not dict:
        return False
    # RFC 8785 orders names by UTF-16, orjson by code point.
    return all(type(name) is str and name.isascii() and _plain(item, deeper - 1) for name, item in value.items())


_SAFE: Final = 2**53 - 1
_DEEP: Final = 32


def sha256(value: Json) -> str:
    """Return `sha256:` and the hex SHA-256 of the value's canonical form. Raises `NotCanonicalError`."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()
