"""JSON objects, parsed fast where it can be proven that a strict parser would have read the very same.

Standing: under `strict`, which is the authority, and says what is wrong. Holds: what is returned is what it returns;
whatever is not proven here is None, and for `strict` to judge. A differential test holds the two together.
"""

import re
from itertools import islice
from typing import Any, Final

import orjson

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 20_000
BIG: Final = 2**53
# Escaped, a colon counts among the parsed ones and not among the raw ones.
_ESCAPED_COLONS: Final = (b"\\u003a", b"\\u003A")
# orjson takes an integer beyond 64 bits for a float. The shortest has 19 digits: -9223372036854775809.
_LONG: Final = b"0" * 19
_FILLED: Final = re.compile(rb"\[(?![ \t\r\n]*\])|\{(?![ \t\r\n]*\})")
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_DIGITS: Final = bytes(ord("0" if chr(byte) in "0123456789" else " ") for byte in range(256))


def proven(raw: bytes, most: int = MAX_VALUES) -> dict[str, Any] | None:
    """Return the object that these bytes are, if that is beyond doubt; of at most so many values.

    orjson itself refuses what is not UTF-8, not JSON (NaN too), a lone surrogate, and a number beyond all floats. It
    keeps the last of two members of one name, and turns an integer of more than 64 bits into a float. So it is shown
    besides that there is

    - no member twice: each member has one colon, and every other one stands in a string. What was parsed, written out,
      has as many colons as the raw text only if no member was lost, since each lost one takes its own colon along.
    - no integer of 2^53 or more: orjson refuses to write those of 64 bits; longer ones need a long run of digits.
    - no more values and no deeper ones than the limits: by what the brackets and commas allow at most.
    """
    try:
        value = orjson.loads(raw)
        written = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if type(value) is not dict or raw.count(b":") != written.count(b":"):
        return None
    if b"\\" in raw and any(escaped in raw for escaped in _ESCAPED_COLONS):
        return None
    opened = raw.count(b"{") + raw.count(b"[")
    # A value stands behind each comma, and one behind each bracket that is not closed at once; and there is the whole.
    if opened + raw.count(b",") >= most:
        return None
    if (opened >= MAX_DEPTH or _LONG in raw.translate(_DIGITS)) and not _fits_limits(value):
        return None
    return value


def too_many(raw: bytes, most: int = MAX_VALUES) -> bool:
    """Tell whether JSON text holds more values than that, without parsing it.

    To parse half a million of them only to refuse them takes as long as a thousand decisions. Of what is no JSON the
    answer means nothing: a parser says so.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") < most:
        return False
    # One for the whole, one behind each comma, and one in each container that is not empty; none of them in a text.
    values, at = 1, 0
    while values <= most:
        quote = raw.find(b'"', at)
        part = raw[at:] if quote < 0 else raw[at:quote]
        values += part.count(b",")
        values += sum(1 for _ in islice(_FILLED.finditer(part), max(0, most - values + 1)))
        text = None if quote < 0 else _STRING.match(raw, quote)
        if text is None:
            break
        at = text.end()
    return values > most


def _fits_limits(whole: dict[str, Any]) -> bool:
    """Tell by a look at every value that none is too deep, and none a float that may have been an integer."""
    level: list[Any] = [whole]
    for _ in range(1, MAX_DEPTH):
        inner: list[Any] = []
        for container in level:
            for value in container.values() if type(container) is dict else container:
                kind = type(value)
                if kind is dict or kind is list:
                    inner.append(value)
                elif kind is float and not -BIG < value < BIG:
                    return False
        if not inner:
            return True
        level = inner
    # What stands at the last depth may hold nothing more.
    return not any(level)
