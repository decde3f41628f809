"""Absence: what a condition comes to when the call leaves out the attributes that it makes allowances for.

Stands beside the compiler, for a warning only. Holds: a condition counts as false here only if it is false whatever all
else of the call may be; what is not understood counts as unknown, so that nothing is warned of on a guess.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bailiwick_engine.cel.tree import Constant, Ident, Invocation, Node, Select, Sequence
from bailiwick_engine.cel.values import ORDERS, DeferredError, FailedError, is_same, ordered

_UNKNOWN: Final = object()
_NOTHING: Final = object()
"""An optional value that is not there."""

# What the caller, or the enforcer for it, may leave out. Claims are the issuer's, ids are always there.
_ATTRIBUTES: Final = (("context",), ("subject", "properties"), ("action", "properties"), ("resource", "properties"))


def silent_without(tree: Node, variables: Mapping[str, Node]) -> tuple[str, ...]:
    """Return the attributes without which a condition is false, whatever else the call brings; mostly there are none.

    Those of which each alone does it, or else all that it takes together. `variables` are the trees of those that the
    condition may name, by their full names.
    """
    try:
        attributes = tuple(dict.fromkeys(_allowed_for(tree, variables, set())))
        if _Absent(frozenset(attributes), variables).value(tree) is not False:
            return ()
        alone = tuple(one for one in attributes if _Absent(frozenset({one}), variables).value(tree) is False)
    except RecursionError:
        return ()
    found = alone or attributes
    # Where a member of an attribute is reached for, the attribute itself goes without saying.
    inner = [one for one in found if not any(one != other and other[: len(one)] == one for other in found)]
    return tuple(".".join(attribute) for attribute in inner)


def _allowed_for(node: Node, variables: Mapping[str, Node], seen: set[str]) -> Iterator[tuple[str, ...]]:
    """Yield each attribute that is asked for with `has()` or reached for as an optional; each variable is read once."""
    if isinstance(node, Ident) and node.name in variables and node.name not in seen:
        seen.add(node.name)
        yield from _allowed_for(variables[node.name], variables, seen)
    attribute = _attribute(node)
    if attribute is not None and _asks(node):
        yield attribute
    for part in _parts(node):
        yield from _allowed_for(part, variables, seen)


def _asks(node: Node) -> bool:
    return (isinstance(node, Select) and node.test) or (isinstance(node, Invocation) and node.function in _OPTIONAL)


_OPTIONAL: Final = frozenset({"_?._", "_[?_]"})


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Select(operand):
            return (operand,)
        case Invocation(_, target, arguments):
            return arguments if target is None else (target, *arguments)
        case Sequence(elements):
            return elements
        case _:
            return ()


def _attribute(node: Node) -> tuple[str, ...] | None:
    """Return the path of an attribute; None for everything else, the members that every call has included."""
    path = _path(node)
    if path is None or not any(len(path) > len(root) and path[: len(root)] == root for root in _ATTRIBUTES):
        return None
    return path


def _path(node: Node) -> tuple[str, ...] | None:
    match node:
        case Ident(name):
            return (name,)
        case Select(operand, field):
            inner = _path(operand)
        case Invocation("_?._" | "_[?_]" | "_[_]", None, (operand, Constant(str(field)))):
            inner = _path(operand)
        case _:
            return None
    return None if inner is None else (*inner, field)


class _Absent:
    """Values of a tree where some attributes are absent and everything else of the call is unknown."""

    def __init__(self, absent: frozenset[tuple[str, ...]], variables: Mapping[str, Node]) -> None:
        self._absent = absent
        self._variables = variables
        self._values: dict[str, Any] = {}

    def value(self, node: Node) -> Any:  # noqa: ANN401 - any value of CEL, or one of the two above
        """Return the value, `_UNKNOWN`, or `_NOTHING`. An error is unknown too: it never makes a condition false."""
        match node:
            case Constant(value):
                return value
            case Ident(name) if name in self._variables:
                # A variable names earlier ones only, so this ends; once each, or it would take for ever.
                if name not in self._values:
                    self._values[name] = self.value(self._variables[name])
                return self._values[name]
            case Select(test=True) if _attribute(node) in self._absent:
                return False
            case Invocation("_?._" | "_[?_]") if self._lacks(node):
                return _NOTHING
            case Invocation(function, target, arguments):
                return self._called(function, (*(() if target is None else (target,)), *arguments))
        return _UNKNOWN

    def _lacks(self, node: Node) -> bool:
        """Tell whether an optional reaches for what is absent, or for something inside of it."""
        path = _attribute(node)
        return path is not None and any(path[: len(absent)] == absent for absent in self._absent)

    def _called(self, function: str, operands: tuple[Node, ...]) -> Any:  # noqa: ANN401 - likewise
        values = [self.value(operand) for operand in operands]
        match (function, values):
            case ("_&&_" | "_||_", _):
                return _logical(values, decides=function == "_||_")
            case ("!_", [bool(value)]):
                return not value
            case ("_?_:_", [bool(value), yes, no]):
                return yes if value else no
            case ("orValue", [optional, otherwise]) if optional is _NOTHING:
                return otherwise
            case ("hasValue", [optional]) if optional is _NOTHING:
                return False
            case ("@in", [item, _]) if isinstance(operands[1], Sequence) and not operands[1].optional:
                return self._among(item, operands[1])
            case (_, [left, right]) if left is not _UNKNOWN and right is not _UNKNOWN:
                return _is_comparison(function, left, right)
        return _UNKNOWN

    def _among(self, item: Any, listed: Sequence) -> Any:  # noqa: ANN401 - likewise
        if item is _UNKNOWN:
            return _UNKNOWN
        return _logical(
            [_is_comparison("_==_", item, self.value(element)) for element in listed.elements], decides=True
        )


def _logical(values: list[Any], *, decides: bool) -> Any:  # noqa: ANN401 - likewise
    if any(value is decides for value in values):
        return decides
    return not decides if all(value is (not decides) for value in values) else _UNKNOWN


def _is_comparison(function: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - likewise
    if any(value is _UNKNOWN or value is _NOTHING for value in (left, right)):
        return _UNKNOWN
    try:
        if function in {"_==_", "_!=_"}:
            return is_same(left, right) is (function == "_==_")
        return ordered(ORDERS[function], left, right) if function in ORDERS else _UNKNOWN
    except (FailedError, DeferredError):
        return _UNKNOWN
