"""Lookups: closures that read members of values, by names that stand in the expression or come with the call.

Stands below `closures`. Holds: each answers as the CEL library does, or raises, see `values`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bailiwick_engine.cel.values import DeferredError, FailedError, unfit

Value = Any
Bindings = Mapping[str, Value]
Closure = Callable[[Bindings], Value]

NOTHING: Final = object()
"""What an optional is that holds no value."""


# Nothing of the kinds that we know but a dict takes a string as its index: all others raise TypeError.


def reading(name: str, *fields: str) -> Closure:
    """Return what reads a name, or a field in a field of it."""
    match fields:
        case (field,):
            return _reading_field(name, field)
        case (first, second):
            return _reading_nested(name, first, second)

    def read(bindings: Bindings) -> Value:
        try:
            value = bindings[name]
            for field in fields:
                value = value[field]
        except (KeyError, TypeError):
            raise FailedError from None
        return value

    return read


def _reading_field(name: str, field: str) -> Closure:
    def read(bindings: Bindings) -> Value:
        try:
            return bindings[name][field]
        except (KeyError, TypeError):
            raise FailedError from None

    return read


def _reading_nested(name: str, first: str, second: str) -> Closure:
    def read(bindings: Bindings) -> Value:
        try:
            return bindings[name][first][second]
        except (KeyError, TypeError):
            raise FailedError from None

    return read


def reading_of(held: Closure, *fields: str) -> Closure:
    """Return what reads a field in a field of a value."""

    def read(bindings: Bindings) -> Value:
        value = held(bindings)
        try:
            for field in fields:
                value = value[field]
        except (KeyError, TypeError):
            raise FailedError from None
        return value

    return read


def index(held: Closure, key: Closure) -> Closure:
    """Return what looks up an entry by a name, or an element by a number, that is known only with the call."""

    def read(bindings: Bindings) -> Value:
        value, at = held(bindings), key(bindings)
        if type(value) is dict and type(at) is str:
            try:
                return value[at]
            except KeyError:
                raise FailedError from None
        if type(value) is list and type(at) is int and 0 <= at < len(value):
            return value[at]
        raise DeferredError

    return read


def has_field(operand: Closure, field: str) -> Closure:
    """Return what `has()` comes to."""

    def has(bindings: Bindings) -> bool:
        value = operand(bindings)
        if type(value) is dict:
            return field in value
        raise unfit(value)

    return has


def optional_index(inner: Closure, key: Closure) -> Closure:
    """Return what looks up an entry by a name that is known only with the call; `NOTHING` where there is none."""

    def read(bindings: Bindings) -> Value:
        value, at = inner(bindings), key(bindings)
        if type(value) is dict and type(at) is str:
            return value.get(at, NOTHING)
        if value is NOTHING and type(at) is str:
            return NOTHING
        raise DeferredError

    return read


def or_value(optional: Closure, otherwise: Closure) -> Closure:
    """Return what `orValue()` comes to."""

    def read(bindings: Bindings) -> Value:
        value = optional(bindings)
        return otherwise(bindings) if value is NOTHING else value

    return read


def has_value(optional: Closure) -> Closure:
    """Return what `hasValue()` comes to."""

    def has(bindings: Bindings) -> bool:
        return optional(bindings) is not NOTHING

    return has
