"""Closures: common CEL expressions as Python functions, built from the tree that the CEL library checked.

Stands beside `conditions`, which asks the library wherever this module has no answer. Holds: a closure yields what the
library yields, fails where the library fails, and defers, so that the library is asked, where it is not sure; a value
of a kind that is not modelled here always defers. The property test of both is what allows this module to be there.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from bailiwick_engine.cel.lookups import (
    NOTHING,
    Bindings,
    Closure,
    Value,
    has_field,
    has_value,
    index,
    optional_index,
    or_value,
    reading,
    reading_of,
)
from bailiwick_engine.cel.tree import Constant, Ident, Invocation, Node, Select, Sequence
from bailiwick_engine.cel.values import (
    KINDS,
    ORDERS,
    SAFE,
    TEXTS,
    DeferredError,
    FailedError,
    is_same,
    ordered,
    truth,
    unfit,
    within,
)

__all__ = ["Closure", "DeferredError", "FailedError", "closure"]


class _NoClosureError(Exception):
    """The tree holds something that is not modelled."""


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
        case Sequence(elements, False) if all(isinstance(one, Constant) for one in elements):
            listed = [one.value for one in elements if isinstance(one, Constant)]
            return lambda _: listed
        case Ident() | Select(test=False) | Invocation("_[_]", None, (_, Constant(str()))):
            return _path(node, names)
        case Select(operand, field, test=True):
            return has_field(_value(operand, names), field)
        case Invocation("_[_]", None, (operand, key)):
            return index(_value(operand, names), _value(key, names))
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
            return or_value(_optional(target, names), _value(argument, names))
        case ("hasValue", True, (target,)):
            return has_value(_optional(target, names))
        case (("startsWith" | "endsWith" | "contains") as name, True, (target, argument)):
            return _text(TEXTS[name], _value(target, names), _value(argument, names))
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
                return reading(name, *reversed(fields))
            case Invocation("_[_]", None, (_, key)) if fields and not isinstance(key, Constant):
                return reading_of(_value(node, names), *reversed(fields))
            case _:
                raise _NoClosureError


def _optional(node: Node, names: Collection[str]) -> Closure:
    """Return what reads an optional field: its value, or `NOTHING`."""
    match node:
        case Invocation("_?._", None, (operand, Constant(str(field)))):
            pass
        case Invocation("_[?_]", None, (operand, key)):
            return optional_index(_inner(operand, names), _value(key, names))
        case _:
            raise _NoClosureError
    inner = _inner(operand, names)

    def read(bindings: Bindings) -> Value:
        value = inner(bindings)
        if type(value) is dict:
            return value.get(field, NOTHING)
        if value is NOTHING:
            return NOTHING
        raise unfit(value)

    return read


def _inner(operand: Node, names: Collection[str]) -> Closure:
    nested = isinstance(operand, Invocation) and operand.function in {"_?._", "_[?_]"}
    return _optional(operand, names) if nested else _value(operand, names)


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
                held: object = part(bindings)
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
        return not truth(operand(bindings))

    return evaluate


def _choice(condition: Closure, yes: Closure, no: Closure) -> Closure:
    def evaluate(bindings: Bindings) -> Value:
        return yes(bindings) if truth(condition(bindings)) else no(bindings)

    return evaluate


# ------------------------------------------------------------------ comparing


def _equality(function: str, left: Node, right: Node, names: Collection[str]) -> Closure:
    wanted = function == "_==_"
    first, second = _value(left, names), _value(right, names)
    for literal, other in ((right, first), (left, second)):
        if isinstance(literal, Constant) and isinstance(literal.value, str):
            return _equal_to(other, literal.value, wanted=wanted)

    def equal(bindings: Bindings) -> bool:
        one, other = first(bindings), second(bindings)
        if type(one) is str and type(other) is str:
            return (one == other) is wanted
        return is_same(one, other) is wanted

    return equal


def _equal_to(read: Closure, text: str, *, wanted: bool) -> Closure:
    def equal(bindings: Bindings) -> bool:
        value = read(bindings)
        if type(value) is str:
            return (value == text) is wanted
        return is_same(value, text) is wanted

    return equal


def _order(function: str, left: Node, right: Node, names: Collection[str]) -> Closure:
    compare, first, second = ORDERS[function], _value(left, names), _value(right, names)
    if isinstance(right, Constant) and type(right.value) is int and -SAFE < right.value < SAFE:
        return _order_to(compare, first, right.value)

    def evaluate(bindings: Bindings) -> bool:
        return ordered(compare, first(bindings), second(bindings))

    return evaluate


def _order_to(compare: Callable[[Any, Any], bool], read: Closure, number: int) -> Closure:
    def evaluate(bindings: Bindings) -> bool:
        value = read(bindings)
        if type(value) is int and -SAFE < value < SAFE:
            return compare(value, number)
        return ordered(compare, value, number)

    return evaluate


def _membership(_function: str, item: Node, collection: Node, names: Collection[str]) -> Closure:
    wanted = _value(item, names)
    if not isinstance(collection, Sequence) or collection.optional:
        return _membership_closure(wanted, _value(collection, names))
    literals = [element.value for element in collection.elements if isinstance(element, Constant)]
    texts = frozenset(value for value in literals if isinstance(value, str))
    if len(literals) == len(collection.elements) and all(isinstance(value, str) for value in literals):
        return _among(wanted, texts)
    elements = tuple(_value(element, names) for element in collection.elements)
    return _membership_closure(wanted, lambda bindings: [element(bindings) for element in elements])


def _among(wanted: Closure, texts: frozenset[str]) -> Closure:
    def among(bindings: Bindings) -> bool:
        value = wanted(bindings)
        if type(value) is str:
            return value in texts
        if type(value) in KINDS:
            return False
        raise DeferredError

    return among


def _membership_closure(wanted: Closure, collection: Closure) -> Closure:
    def evaluate(bindings: Bindings) -> bool:
        return within(wanted(bindings), collection(bindings))

    return evaluate


# ------------------------------------------------------------------ text


def _text(test: Callable[[str, str], bool], target: Closure, argument: Closure) -> Closure:
    def evaluate(bindings: Bindings) -> bool:
        text, part = target(bindings), argument(bindings)
        if type(text) is str and type(part) is str:
            return test(text, part)
        raise unfit(text, part)

    return evaluate


def _size(operand: Closure) -> Closure:
    def size(bindings: Bindings) -> int:
        value = operand(bindings)
        if type(value) is str or type(value) is list or type(value) is dict:
            return len(value)
        raise unfit(value)

    return size


_OPERATORS: Final[Mapping[str, Callable[[str, Node, Node, Collection[str]], Closure]]] = {
    "_&&_": _logical,
    "_||_": _logical,
    "_==_": _equality,
    "_!=_": _equality,
    **dict.fromkeys(ORDERS, _order),
    "@in": _membership,
}
