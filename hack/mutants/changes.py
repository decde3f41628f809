"""The changes that make a mutant: each takes a check away, turns it round or moves its edge by one.

Standing: knows Python's syntax only. Holds: a change is named by the function that it is in and by what it was and is
now, in the words of the source, so that the name outlives every change elsewhere in the file.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, cast

_TURNED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_REVERSED: Final[dict[type[ast.operator], ast.operator]] = {ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Add()}
_UNITED: Final = (ast.BitOr, ast.BitAnd)
_OTHER: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}
_TELLS: Final = frozenset({"all", "any", "bool", "isdisjoint", "isinstance", "issubset", "startswith"})


@dataclass(frozen=True, slots=True)
class Name:
    """What a mutant is known by: the function, by its qualified name, and the line's part before and after.

    `nth` tells apart the same change at several places of one function, from 1.
    """

    function: str
    was: str
    now: str
    nth: int


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one module. `module` is the whole of it, changed, to be compiled."""

    name: Name
    line: int
    module: ast.Module


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node hangs: in a field of its parent, at an index where that is a list."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module's functions and methods.

    The module of one is valid until the next is asked for: the same tree is changed and restored.
    """
    tree = ast.parse(source)
    for function, body in functions_of(tree.body):
        seen: dict[tuple[str, str], int] = {}
        for place, node in list(_nodes(body)):
            for other in _changed(node, place):
                was, now = _text(node), _text(other)
                if was == now:
                    continue
                seen[was, now] = nth = seen.get((was, now), 0) + 1
                place.put(ast.copy_location(other, node))
                ast.fix_missing_locations(tree)
                yield Mutant(Name(function, was, now, nth), getattr(node, "lineno", 0), tree)
                place.put(node)


def functions_of(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions and methods of a module with their qualified names."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions_of(node.body, f"{prefix}{node.name}.")


def _nodes(function: ast.FunctionDef) -> Iterator[tuple[_Place, ast.AST]]:
    """Yield what runs when the function is called, the outermost first: not its decorators, defaults nor types."""
    for index, node in enumerate(function.body):
        place = _Place(function, "body", index)
        yield place, node
        yield from _below(node)


def _below(node: ast.AST) -> Iterator[tuple[_Place, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list"} or isinstance(node, ast.JoinedStr):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield _Place(node, field, index), child
                yield from _below(child)


def _changed(node: ast.AST, place: _Place) -> Iterator[ast.AST]:
    """Yield what may stand in place of a node."""
    returned = isinstance(place.parent, ast.Return) and place.field == "value"
    if place.field in {"test", "ifs"} or (returned and _tells(node)):
        yield ast.Constant(value=True)
        yield ast.Constant(value=False)
    if isinstance(node, ast.stmt):
        yield from _done(node)
    elif isinstance(node, ast.expr):
        yield from _joined(node)
        yield from _listed(node, place)


def _done(node: ast.stmt) -> Iterator[ast.AST]:
    """Leave a statement out, and return nothing where it returns something else than a truth value."""
    match node:
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Assign([ast.Subscript() | ast.Attribute()]):
            yield ast.Pass()
        case ast.Return(value) if value is not None and not isinstance(value, ast.Constant) and not _tells(value):
            yield ast.Return(ast.Constant(value=None))
        case _:
            pass


def _joined(node: ast.expr) -> Iterator[ast.AST]:
    """Leave a part of an expression out, turn it round, or move it by one."""
    match node:
        case ast.BoolOp(op, values):
            for rest in _without_one(values):
                yield rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.Compare():
            yield from _compared(node)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.BinOp(left, op, right) if isinstance(op, _UNITED):
            yield left
            yield right
        case ast.BinOp(left, op, right) if type(op) in _REVERSED:
            yield ast.BinOp(left, _REVERSED[type(op)], right)
        case ast.Constant(value):
            yield from _constant(value)
        case ast.Call(ast.Name(called), arguments, keywords) if called in _OTHER:
            yield ast.Call(ast.Name(_OTHER[called], ast.Load()), arguments, keywords)
        case _:
            pass


def _listed(node: ast.expr, place: _Place) -> Iterator[ast.AST]:
    """Leave out one of several things that are listed for a call."""
    match node:
        case ast.Tuple(elements) | ast.List(elements) if len(elements) > 1 and isinstance(place.parent, ast.Call):
            for rest in _without_one(elements):
                yield _display(node, rest)
        case ast.Dict(keys, values) if len(keys) > 1 and isinstance(place.parent, ast.Call | ast.AnnAssign):
            for index in range(len(keys)):
                yield ast.Dict(keys[:index] + keys[index + 1 :], values[:index] + values[index + 1 :])
        case _:
            pass


def _without_one(listed: Sequence[ast.expr]) -> Iterator[list[ast.expr]]:
    for index in range(len(listed)):
        yield [*listed[:index], *listed[index + 1 :]]


def _compared(node: ast.Compare) -> Iterator[ast.AST]:
    for index, op in enumerate(node.ops):
        other = _TURNED[type(op)]()
        yield ast.Compare(node.left, [*node.ops[:index], other, *node.ops[index + 1 :]], node.comparators)
    if len(node.ops) > 1:
        # Of a chain, each link alone left out.
        links = [
            ast.Compare(a, [op], [b])
            for (a, b), op in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True)
        ]
        for rest in _without_one(links):
            yield rest[0] if len(rest) == 1 else ast.BoolOp(ast.And(), rest)
        return
    left, right = node.left, node.comparators[0]
    if isinstance(left, ast.Tuple) and isinstance(right, ast.Tuple) and len(left.elts) == len(right.elts):
        for index in range(len(left.elts)):
            yield ast.Compare(
                _display(left, left.elts[:index] + left.elts[index + 1 :]),
                node.ops,
                [_display(right, right.elts[:index] + right.elts[index + 1 :])],
            )


def _display(like: ast.AST, elements: list[ast.expr]) -> ast.expr:
    return cast("type[ast.Tuple | ast.List]", type(like))(elements, ast.Load())


def _constant(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(value=not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value=value + 1)


def _tells(node: ast.AST) -> bool:
    """Tell whether an expression surely is a truth value."""
    match node:
        case ast.Compare() | ast.UnaryOp(ast.Not()):
            return True
        case ast.BoolOp(_, values):
            return all(_tells(value) for value in values)
        case ast.Call(ast.Name(called)) | ast.Call(ast.Attribute(_, called)):
            return called in _TELLS
        case _:
            return False


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
