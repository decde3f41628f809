"""JSON objects parsed member by member: what one may be, and what is said of one that is wrong, stands here.

Standing: the authority beside `fast`, which is faster and says less; under the bodies of requests and of reviews, and
under tokens. Holds: I-JSON (RFC 7493): no duplicate key, no NaN and no lone surrogate gets in, and no integer of 2^53
or more but where an object is read unbounded.
"""

import json
import math
from typing import Any, NoReturn

from bailiwick_process.ijson import fast
from bailiwick_process.ijson.fast import BIG, MAX_DEPTH, MAX_VALUES


class JsonError(Exception):
    """This is no object of the kind; `where` is the path of what is wrong."""

    def __init__(self, detail: str, where: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where


def parse(raw: bytes, most: int = MAX_VALUES) -> dict[str, Any]:
    """Parse an object of at most so many values. Raises `JsonError`."""
    # A value takes a byte at least, and so does what parts it from the next one.
    if len(raw) > most and fast.too_many(raw, most):
        raise JsonError(f"the body has more than {most} values", "")
    found = fast.proven(raw, most)
    return parse_slowly(raw, most) if found is None else found


def parse_slowly(raw: bytes, most: int = MAX_VALUES) -> dict[str, Any]:
    """Parse an object, member by member. Raises `JsonError`."""
    value = _loaded(raw)
    _Walk(most).check(value, "", 1)
    return value


def parse_unbounded(raw: bytes) -> dict[str, Any]:
    """Parse an object of any numbers, depth and count of values, for text that is short. Raises `JsonError`."""
    found = fast.proven(raw)
    if found is not None:
        return found
    value = _loaded(raw)
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):  # a lone surrogate, or too deep to look for one
        raise JsonError("the string contains a lone surrogate", "") from None
    return value


def _loaded(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        raise JsonError("the body is not UTF-8", "") from None
    except json.JSONDecodeError as error:
        raise JsonError(
            f"the body is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}", ""
        ) from None
    except RecursionError:
        raise JsonError(f"the body is nested deeper than {MAX_DEPTH}", "") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise JsonError(f"the body has a number that cannot be read: {error}", "") from None
    if not isinstance(value, dict):
        raise JsonError("the body must be a JSON object", "")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise JsonError("an object has a duplicate member", _printable_name(twice))
    return members


def _constant(name: str) -> NoReturn:
    message = f"{name} is not valid JSON"
    raise JsonError(message, "")


class _Walk:
    """One pass over a parsed body, naming the path of what does not fit."""

    def __init__(self, most: int) -> None:
        self._values = 0
        self._most = most

    def check(self, value: Any, path: str, depth: int) -> None:  # noqa: ANN401 - any JSON value
        self._values += 1
        if self._values > self._most:
            raise JsonError(f"the body has more than {self._most} values", "")
        if depth > MAX_DEPTH:
            raise JsonError(f"the body is nested deeper than {MAX_DEPTH}", path)
        if isinstance(value, dict):
            for name, member in value.items():
                _scalar(name, path)
                self.check(member, f"{path}.{_printable_name(name)}".lstrip("."), depth + 1)
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
            raise JsonError("the number is too large", path)
    elif value is not None and abs(value) >= BIG:
        raise JsonError("an integer of 2^53 or more has no canonical form: send it as a string", path)


def _characters(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise JsonError("the string contains a lone surrogate", path) from None


def _printable_name(name: str) -> str:
    """A member's name as a problem may show it: short and printable."""
    return "".join(character if character.isprintable() else "?" for character in name[:64])
