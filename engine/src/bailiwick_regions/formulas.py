"""Formulas: a condition as conjunctions, disjunctions and negations of atoms, read from its checked expression.

Standing: under `worlds`. Holds: CEL treats errors in `&&`, `||` and `!` by Kleene's logic, so that a formula has the
outcome of its condition for all outcomes of its atoms. A part that the tree does not contain as a whole is one atom, by
its text. A variable is expanded only if its value is certain to be bound unchanged; using any other can be an error.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_engine.cel.data import Data
from bailiwick_engine.cel.datascope import DataScope
from bailiwick_engine.cel.members import HISTORY
from bailiwick_engine.cel.tree import (
    Blob,
    Comprehension,
    Constant,
    Entries,
    Ident,
    Invocation,
    Node,
    Other,
    Select,
    Sequence,
    walk,
)
from bailiwick_engine.policy.model import CompiledCondition

_ROOTS: Final = frozenset({"subject", "actor", "action", "resource", "context"})
_HISTORY: Final = f"{HISTORY}."
_FLIPPED: Final = {"_==_": "_==_", "_!=_": "_!=_", "_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_SIGNS: Final = {"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_ORDER: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_"})
_SAFE: Final = 2**53 - 1
MemberPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class OpaqueAtom:
    """An expression that can only be compared for identity. `text` is for people, and not a part of it."""

    key: Hashable
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One member of the call against constants: `sign` is CEL's, or `in`. Each constant stands with its type's name."""

    path: MemberPath
    sign: str
    constants: tuple[tuple[str, Any], ...]

    def text(self, path: str) -> str:
        """Return it as CEL, of the member of this name."""
        spelled = [_constant(value) for _, value in self.constants]
        return f"{path} in [{', '.join(spelled)}]" if self.sign == "in" else f"{path} {self.sign} {spelled[0]}"


@dataclass(frozen=True, slots=True)
class Junction:
    """All of the parts, or `any` of them."""

    any: bool
    parts: "tuple[Formula, ...]"


@dataclass(frozen=True, slots=True)
class Negation:
    """Not this."""

    part: "Formula"


Formula = Literal | OpaqueAtom | Comparison | Junction | Negation


def formula_of(condition: CompiledCondition, data: Data) -> Formula:
    """Return the formula of a condition, with its variables expanded. `data`: what its expressions can read."""
    scope, expression = condition.scope, condition.expression
    node, named = scope.trees(expression)
    sources = scope.sources if isinstance(scope, DataScope) else {}
    reading = _Reading(node, named, scope.scalars, sources, data, " ".join(expression.text.split()))
    whole = [node, *named.values()] if expression.uses else [node]
    if any(_partly(part) for one in whole for part in walk(one)):
        used = tuple(scope.used_by((expression,)))
        objects = tuple(sorted((name, reading.digest(name)) for name in sources))
        return OpaqueAtom(("text", expression.text, used, objects), reading.text)
    return reading.formula(node)


def data_read(condition: CompiledCondition) -> frozenset[str]:
    """Return the data objects that a condition reads."""
    scope = condition.scope
    if not isinstance(scope, DataScope):
        return frozenset()
    return frozenset(scope.sources[name] for name in scope.names(condition.expression))


def is_unknown(name: str, data: Data) -> bool:
    """Tell whether a data object is unknown on this side: then every condition that reads it is unknown as a whole."""
    held = data.get(name)
    return held is None or held.value is None


def changed_data(base: Data, head: Data) -> frozenset[str]:
    """Return the data objects that say something else on one side than on the other. An unknown one says nothing."""
    return frozenset(
        name
        for name in base.keys() | head.keys()
        if is_unknown(name, base) != is_unknown(name, head)
        or (not is_unknown(name, base) and base[name].digest != head[name].digest)
    )


def atoms(formula: Formula) -> Iterator[OpaqueAtom | Comparison]:
    """Yield every atom of a formula."""
    match formula:
        case Junction(_, parts):
            for part in parts:
                yield from atoms(part)
        case Negation(part):
            yield from atoms(part)
        case OpaqueAtom() | Comparison():
            yield formula


def has_literal(formula: Formula) -> bool:
    """Tell whether a formula may come to something whatever its atoms are."""
    match formula:
        case Junction(_, parts):
            return any(has_literal(part) for part in parts)
        case Negation(part):
            return has_literal(part)
    return isinstance(formula, Literal)


class _Reading:
    def __init__(
        self,
        whole: Node,
        variables: Mapping[str, Node],
        scalars: frozenset[str],
        sources: Mapping[str, str],
        data: Data,
        text: str,
    ) -> None:
        self._whole, self._sources, self._data = whole, sources, data
        self.text = text
        self._variables = variables
        # In order: a variable sees only earlier ones.
        self._named: dict[str, Node] = {}
        for name, node in variables.items():
            if name in scalars or self._is_bound_whole(node):
                self._named[name] = node

    def digest(self, name: str) -> str:
        """Return the object that a name of data stands for, and what is in it."""
        source = self._sources.get(name, name)
        held = self._data.get(source)
        return f"{source} {'unknown' if held is None or held.value is None else held.digest}"

    def formula(self, node: Node) -> Formula:
        match node:
            case Constant(bool(value)):
                return Literal(value)
            case Ident(name) if name in self._named:
                return self.formula(self._named[name])
            case Invocation("_&&_" | "_||_" as name, None, parts):
                return Junction(name == "_||_", tuple(self.formula(part) for part in parts))
            case Invocation("!_", None, (part,)):
                return Negation(self.formula(part))
            case Invocation(name, None, (left, right)) if name in _FLIPPED or name == "@in":
                return self._comparison(name, left, right) or self._opaque(node)
        return self._opaque(node)

    def _opaque(self, node: Node) -> OpaqueAtom:
        return OpaqueAtom(self._key(node), self.text if node is self._whole else f"a part of {self.text}")

    def _comparison(self, name: str, left: Node, right: Node) -> Comparison | None:
        if name == "@in":
            path = self._path(left)
            if path is None or not isinstance(right, Sequence) or right.optional:
                return None
            constants = [one.value for one in right.elements if isinstance(one, Constant)]
            whole = len(constants) == len(right.elements) and all(_plain(one) for one in constants)
            listed = tuple(sorted(((type(one).__name__, one) for one in constants), key=repr))
            return Comparison(path, "in", listed) if whole and constants else None
        if isinstance(left, Constant):
            name, left, right = _FLIPPED[name], right, left
        path = self._path(left)
        if path is None or not isinstance(right, Constant) or not _plain(right.value):
            return None
        if name in _ORDER and (isinstance(right.value, bool | str) or right.value is None):
            return None
        return Comparison(path, _SIGNS[name], ((type(right.value).__name__, right.value),))

    def _path(self, node: Node) -> MemberPath | None:
        match node:
            case Ident(name) if name in self._named:
                return self._path(self._named[name])
            case Ident(name):
                return tuple(name.split(".")) if name in _ROOTS or name.startswith(_HISTORY) else None
            case Select(operand, field, False):
                above = self._path(operand)
                return None if above is None else (*above, field)
        return None

    def _is_bound_whole(self, node: Node) -> bool:
        """Tell whether every value of an expression is bound again as what it is: a member, or constants."""
        match node:
            case Constant(value):
                return _plain(value)
            case Ident(name):
                return name in _ROOTS or name in self._named or name.startswith(("data.", _HISTORY))
            case Select(operand, _, False):
                return self._is_bound_whole(operand)
            case Sequence(elements):
                return not node.optional and all(self._is_bound_whole(one) for one in elements)
            case Entries(parts):
                keys = parts[::2]
                return all(isinstance(one, Constant) and isinstance(one.value, str) for one in keys) and all(
                    self._is_bound_whole(one) for one in parts
                )
        return False

    def _key(self, node: Node) -> Hashable:
        """Return what two trees have in common exactly if they are the same; 1, 1.0 and true are not."""
        match node:
            case Constant(value):
                return ("constant", type(value).__name__, repr(value))
            case Ident(name):
                return self._name_key(name)
            case Select(operand, field, test):
                return ("select", self._key(operand), field, test)
            case Invocation(function, target, arguments):
                before = None if target is None else self._key(target)
                return ("call", function, before, tuple(self._key(one) for one in arguments))
            case Sequence(elements) | Entries(elements):
                return (type(node).__name__, tuple(self._key(one) for one in elements))
            case Comprehension():
                parts = (node.range, node.initial, node.condition, node.step, node.result)
                return ("loop", node.variable, node.accumulator, tuple(self._key(one) for one in parts))
        return ("unread", self.text)

    def _name_key(self, name: str) -> Hashable:
        if name in self._named:
            return self._key(self._named[name])
        if name in self._variables:
            return ("variable", self._key(self._variables[name]))
        return ("data", self.digest(name[5:])) if name.startswith("data.") else ("name", name)


def _partly(node: Node) -> bool:
    """Tell whether a tree does not hold all that the text says here."""
    return isinstance(node, Blob | Other) or (isinstance(node, Sequence) and node.optional)


def _plain(value: object) -> bool:
    match value:
        case None | bool():
            return True
        case int():
            return -_SAFE < value < _SAFE
        case float():
            return -_SAFE < value < _SAFE
        case str():
            return value.isascii() and value.isprintable()
    return False


def _constant(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
    return repr(value)
