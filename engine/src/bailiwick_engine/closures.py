"""Closures: common CEL expressions as Python functions, built from the tree that the CEL library checked.

Stands beside `conditions`, which asks the library wherever this module has no answer. Holds: a closure yields what the
library yields, fails where the library fails, and defers, so that the library is asked, where it is not sure; a value
of a kind that is not modelled here always defers. The property test of both is what allows this module to be there.
"""

import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from bailiwick_engine.checkedexpr import Constant, Ident, Invocation, Node, Select, Sequence

Value = Any
Bindings = Mapping[str, Value]
Closure = Callable[[Bindings], Value]


class FailedError(Exception):
    """The expression ends with an error. Which one does not matter: all of them are UNKNOWN."""


class DeferredError(Exception):
    """This module does not know; ask the library."""


class _NoClosureError(Exception):
    """The tree holds something that is not modelled."""


_KINDS: Final = frozenset({str, int, float, bool, type(None), dict, list})
_SAFE: Final = 2**53
"""Beyond it integers and doubles are no longer compared exactly, and still further CEL has another type for them."""
_ABSENT: Final = object()
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}
_TEXTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}


def closure(tree: Node, names: Collection[str]) -> Closure | None:
    """Return the closure of an expression, or None where it has none. `names` are those that may be read.

    It takes the values by name, strings, numbers, booleans, None, lists and dicts with names, and returns the value, or
    raises `FailedError` or `DeferredError`.
    """
    try:
        return _value(tree, names)
    except (_NoClosureError, RecursionError):
        return None


def _value(node: Node, names: Collection[str]) -> Closure:
    match node:
        case Constant(value):
            return lambda _: value
        case Ident() | Select(test=False) | Invocation("_[_]", None, (_, Constant(str()))):
            return _path(node, names)
        case Select(operand, field, test=True):
            return _has(_value(operand, names), field)
        case Invocation(function, None, (left, right)) if function in _OPERATORS:
            return _OPERATORS[function](function, left, right, names)
        case Invocation(function, target, arguments):
            # In a call by name the target is but the first operand.
            operands = arguments if target is None else (target, *arguments)
            return _call(function, target is not None, operands, names)
    raise _NoClosureError


def _call(function: str, dotted: bool, operands: tuple[Node, ...], names: Collection[str]) -> Closure:  # noqa: FBT001 - how it is spelled
    match (function, dotted, operands):
        case ("!_", False, (operand,)):
            return _not(_value(operand, names))
        case ("_?_:_", False, (condition, yes, no)):
            return _choice(_value(condition, names), _value(yes, names), _value(no, names))
        case ("size", _, (operand,)):
            return _size(_value(operand, names))
        case ("orValue", True, (target, argument)):
            return _or_value(_optional(target, names), _value(argument, names))
        case ("hasValue", True, (target,)):
            return _has_value(_optional(target, names))
        case (("startsWith" | "endsWith" | "contains") as name, True, (target, argument)):
            return _text(_TEXTS[name], _value(target, names), _value(argument, names))
    raise _NoClosureError


# ------------------------------------------------------------------ reading


def _path(node: Node, names: Collection[str]) -> Closure:
    """Return what reads a name and fields of it."""
    fields: list[str] = []
    while True:
        match node:
            case Select(operand, field, test=False) | Invocation("_[_]", None, (operand, Constant(str(field)))):
                fields.append(field)
                node = operand
            case Ident(name) if name in names:
                return _reading(name, *reversed(fields))
            case _:
                raise _NoClosureError


# Nothing of the kinds that we know but a dict takes a string as its index: all others raise TypeError.


def _reading(name: str, *fields: str) -> Closure:
    if len(fields) == _FIELD:
        return _reading_field(name, *fields)
    if len(fields) == _NESTED:
        return _reading_nested(name, *fields)

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


_FIELD: Final = 1
_NESTED: Final = 2


def _has(operand: Closure, field: str) -> Closure:
    def has(bindings: Bindings) -> bool:
        value = operand(bindings)
        if type(value) is dict:
            return field in value
        raise _unfit(value)

    return has


def _optional(node: Node, names: Collection[str]) -> Closure:
    """Return what reads an optional field: its value, or `_ABSENT`."""
    match node:
        case Invocation("_?._", None, (operand, Constant(str(field)))):
            pass
        case _:
            raise _NoClosureError
    nested = isinstance(operand, Invocation) and operand.function == "_?._"
    inner = _optional(operand, names) if nested else _value(operand, names)

    def read(bindings: Bindings) -> Value:
        value = inner(bindings)
        if type(value) is dict:
            return value.get(field, _ABSENT)
        if value is _ABSENT:
            return _ABSENT
        raise _unfit(value)

    return read


def _or_value(optional: Closure, otherwise: Closure) -> Closure:
    def read(bindings: Bindings) -> Value:
        value = optional(bindings)
        return otherwise(bindings) if value is _ABSENT else value

    return read


def _has_value(optional: Closure) -> Closure:
    def has(bindings: Bindings) -> bool:
        return optional(bindings) is not _ABSENT

    return has


def _unfit(*values: Value) -> Exception:
    """Return the error for operands that an operation does not take: CEL's own, if their kinds are known."""
    return FailedError() if all(type(value) in _KINDS for value in values) else DeferredError()


# ------------------------------------------------------------------ logic


def _chain(node: Node, function: str) -> list[Node]:
    """Return the operands of a chain of one operator, in order."""
    if isinstance(node, Invocation) and node.function == function:
        return [part for operand in node.arguments for part in _chain(operand, function)]
    return [node]


def _logical(function: str, left: Node, right: Node, names: Collection[str]) -> Closure:
    """`&&` and `||`: one that decides makes up for every error, before it or after it."""
    parts = tuple(_value(part, names) for operand in (left, right) for part in _chain(operand, function))
    decides = function == "_||_"

    def evaluate(bindings: Bindings) -> bool:
        failed = False
        for part in parts:
            try:
                held = part(bindings)
            except FailedError:
                failed = True
                continue
            if held is decides:
                return decides
            if type(held) is not bool:
                failed = True
        if failed:
            raise FailedError
        return not decides

    return evaluate


def _not(operand: Closure) -> Closure:
    def evaluate(bindings: Bindings) -> bool:
        return not _truth(operand(bindings))

    return evaluate


def _choice(condition: Closure, yes: Closure, no: Closure) -> Closure:
    def evaluate(bindings: Bindings) -> Value:
        return yes(bindings) if _truth(condition(bindings)) else no(bindings)

    return evaluate


def _truth(value: Value) -> bool:
    if value is True or value is False:
        return value
    raise _unfit(value)


# ------------------------------------------------------------------ comparing


def _same(left: Value, right: Value) -> bool:
    """CEL's equality: numbers by their value whatever their type, else only within a type."""
    kind, other = type(left), type(right)
    if kind not in _KINDS or other not in _KINDS:
        raise DeferredError
    if kind is other:
        if kind is dict or kind is list:
            raise DeferredError
        return bool(left == right)
    if (kind is int and other is float) or (kind is float and other is int):
        _exact(left, right)
        return bool(left == right)
    return False


def _exact(*numbers: float) -> None:
    for number in numbers:
        if type(number) is int and not -_SAFE < number < _SAFE:
            raise DeferredError


def _equality(function: str, left: Node, right: Node, names: Collection[str]) -> Closure:
    same = function == "_==_"
    first, second = _value(left, names), _value(right, names)
    for literal, other in ((right, first), (left, second)):
        if isinstance(literal, Constant) and isinstance(literal.value, str):
            return _equal_to(other, literal.value, same=same)

    def equal(bindings: Bindings) -> bool:
        return _same(first(bindings), second(bindings)) is same

    return equal


def _equal_to(read: Closure, text: str, *, same: bool) -> Closure:
    def equal(bindings: Bindings) -> bool:
        value = read(bindings)
        if type(value) is str:
            return (value == text) is same
        return _same(value, text) is same

    return equal


def _order(function: str, left: Node, right: Node, names: Collection[str]) -> Closure:
    compare = _ORDERS[function]
    first, second = _value(left, names), _value(right, names)

    def ordered(bindings: Bindings) -> bool:
        one, other = first(bindings), second(bindings)
        kind = type(one)
        if kind is type(other) and (kind is str or kind is float or kind is bool):
            return compare(one, other)
        if kind in _NUMBERS and type(other) in _NUMBERS:
            _exact(one, other)
            return compare(one, other)
        raise _unfit(one, other)

    return ordered


_NUMBERS: Final = frozenset({int, float})


def _membership(_function: str, item: Node, collection: Node, names: Collection[str]) -> Closure:
    wanted = _value(item, names)
    if not isinstance(collection, Sequence):
        return _within(wanted, _value(collection, names))
    literals = [element.value for element in collection.elements if isinstance(element, Constant)]
    texts = frozenset(value for value in literals if isinstance(value, str))
    if len(literals) == len(collection.elements) and all(isinstance(value, str) for value in literals):
        return _among(wanted, texts)
    elements = tuple(_value(element, names) for element in collection.elements)
    return _within(wanted, lambda bindings: [element(bindings) for element in elements])


def _among(wanted: Closure, texts: frozenset[str]) -> Closure:
    def among(bindings: Bindings) -> bool:
        value = wanted(bindings)
        if type(value) is str:
            return value in texts
        if type(value) in _KINDS:
            return False
        raise DeferredError

    return among


def _within(wanted: Closure, collection: Closure) -> Closure:
    def within(bindings: Bindings) -> bool:
        value, values = wanted(bindings), collection(bindings)
        if type(values) is list:
            # Each, so that none defers unseen behind one that is the same.
            return True in [_same(value, one) for one in values]
        if type(values) is dict and type(value) is str:
            return value in values
        if type(values) is dict:
            raise DeferredError
        raise _unfit(value, values)

    return within


# ------------------------------------------------------------------ text


def _text(test: Callable[[str, str], bool], target: Closure, argument: Closure) -> Closure:
    def evaluate(bindings: Bindings) -> bool:
        text, part = target(bindings), argument(bindings)
        if type(text) is str and type(part) is str:
            return test(text, part)
        raise _unfit(text, part)

    return evaluate


def _size(operand: Closure) -> Closure:
    def size(bindings: Bindings) -> int:
        value = operand(bindings)
        if type(value) is str or type(value) is list or type(value) is dict:
            return len(value)
        raise _unfit(value)

    return size


_OPERATORS: Final[Mapping[str, Callable[[str, Node, Node, Collection[str]], Closure]]] = {
    "_&&_": _logical,
    "_||_": _logical,
    "_==_": _equality,
    "_!=_": _equality,
    **dict.fromkeys(_ORDERS, _order),
    "@in": _membership,
}
