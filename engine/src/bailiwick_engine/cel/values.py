"""CEL's values in Python, and how CEL compares them: what the functions of `closures` are made of.

Holds: every function answers as the CEL library does, raises `FailedError` where the library fails, and
`DeferredError` for a value of a kind that is not modelled here.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

Value = Any

KINDS: Final = frozenset({str, int, float, bool, type(None), dict, list})
NUMBERS: Final = frozenset({int, float})
LONGEST: Final = 2_048
"""Elements of a list that `in` goes through here: what is longer, only who counts the cost may go through."""
SAFE: Final = 2**53
"""Beyond it integers and doubles are no longer compared exactly, and still further CEL has another type for them."""

ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}
TEXTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}


class FailedError(Exception):
    """The expression ends with an error. Which one does not matter: all of them are UNKNOWN."""


class DeferredError(Exception):
    """This module does not know; ask the library."""


def unfit(*values: Value) -> Exception:
    """Return the error for operands that an operation does not take: CEL's own, if their kinds are known."""
    return FailedError() if all(type(value) in KINDS for value in values) else DeferredError()


def truth(value: Value) -> bool:
    """Return a value that must be a boolean."""
    if value is True or value is False:
        return value
    raise unfit(value)


def is_same(left: Value, right: Value) -> bool:
    """CEL's equality: numbers by their value whatever their type, else only within a type."""
    kind, other = type(left), type(right)
    if kind not in KINDS or other not in KINDS:
        raise DeferredError
    if kind is other:
        if kind is dict or kind is list:
            raise DeferredError
        return bool(left == right)
    if kind in NUMBERS and other in NUMBERS:
        _exact(left, right)
        return bool(left == right)
    return False


def ordered(compare: Callable[[Any, Any], bool], left: Value, right: Value) -> bool:
    """CEL's order: within texts, doubles and booleans, and among numbers."""
    kind, other = type(left), type(right)
    if kind is other and (kind is str or kind is float or kind is bool):
        return compare(left, right)
    if kind in NUMBERS and other in NUMBERS:
        _exact(left, right)
        return compare(left, right)
    raise unfit(left, right)


def within(value: Value, values: Value) -> bool:
    """CEL's `in`."""
    if type(values) is list:
        if len(values) > LONGEST:
            raise DeferredError
        # Each, so that none defers unseen behind one that is the same.
        return True in [is_same(value, one) for one in values]
    if type(values) is not dict:
        raise unfit(value, values)
    if type(value) is not str:
        raise DeferredError
    return value in values


def _exact(*numbers: float) -> None:
    for number in numbers:
        if type(number) is int and not -SAFE < number < SAFE:
            raise DeferredError
