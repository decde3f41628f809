"""Checked expressions: the tree that the CEL library made of a text, read from its bytes (`cel.expr.CheckedExpr`).

Holds: nothing is guessed. A node, or a field of one, that is not known here comes out as `Other`.
`at` is the node's id in the library's table of positions, see `positions`.
"""

import dataclasses
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_INT64: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal null, bool, int, double or string."""

    value: object
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Blob:
    """A literal of a type that has no Python value of its own: bytes, or an unsigned number. `size` is in bytes."""

    size: int
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Ident:
    """A name as the checker resolved it, `variables.<name>` included."""

    name: str
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """A field; `test` is `has()`."""

    operand: "Node"
    field: str
    test: bool
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A function or operator. `target` is what stands before the dot, if anything does."""

    function: str
    target: "Node | None"
    arguments: "tuple[Node, ...]"
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list that is written out. `optional`: some elements are, so that it may come out shorter."""

    elements: "tuple[Node, ...]"
    optional: bool = False
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Entries:
    """A map that is written out: keys and values in turn."""

    parts: "tuple[Node, ...]"
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comprehension:
    """What the macros `all`, `exists`, `exists_one`, `map`, `filter` and `cel.bind` come to (`cel.expr.Expr`).

    For each element of `range`, as `variable`, `accumulator` becomes `step` for as long as `condition` holds, starting
    from `initial`; then `result` is the value.
    """

    variable: str
    range: "Node"
    accumulator: str
    initial: "Node"
    condition: "Node"
    step: "Node"
    result: "Node"
    at: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else, messages among them."""

    at: int = dataclasses.field(default=0, compare=False)


Node = Constant | Blob | Ident | Select | Invocation | Sequence | Entries | Comprehension | Other


class _MalformedError(ValueError):
    """Not what the library's version that we know writes."""


def tree(serialized: bytes) -> Node:
    """Return the tree of a serialized expression; `Other` where the bytes are not what we know."""
    try:
        checked = _one(dict(_fields(serialized)), 2)
        return _node(_one(dict(_fields(checked)), 4))
    except (_MalformedError, UnicodeDecodeError, IndexError, struct.error, RecursionError):
        return Other()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all that is below it."""
    yield node
    match node:
        case Select(operand):
            parts: tuple[Node, ...] = (operand,)
        case Invocation(_, target, arguments):
            parts = arguments if target is None else (target, *arguments)
        case Sequence(parts) | Entries(parts):
            pass
        case Comprehension():
            parts = (node.range, node.initial, node.condition, node.step, node.result)
        case _:
            parts = ()
    for part in parts:
        yield from walk(part)


def positions(serialized: bytes) -> Mapping[int, int]:
    """Return where the nodes of a serialized expression begin: offsets into its text, in code points, by `at`."""
    found: dict[int, int] = {}
    try:
        checked = _one(dict(_fields(serialized)), 2)
        source = _one(dict(_fields(checked)), 5)
        for number, entry in _fields(source):
            if number == 4 and isinstance(entry, bytes):  # noqa: PLR2004 - protobuf's number of the field
                pair = dict(_fields(entry))
                at, offset = pair.get(1, 0), pair.get(2, 0)
                if isinstance(at, int) and isinstance(offset, int):
                    found[at] = offset
    except (_MalformedError, IndexError):
        return {}
    return found


def _node(data: bytes) -> Node:
    """Read one `Expr`: its id, and exactly one member that says what it is."""
    at, kinds = 0, []
    for number, value in _fields(data):
        if number == _ID:
            at = value if isinstance(value, int) else 0
        else:
            kinds.append((number, value))
    match kinds:
        case [(number, bytes(value))] if number in _READERS:
            return _READERS[number](value, at)
        case _:
            return Other(at)


def _constant(data: bytes, at: int) -> Node:
    found: Node = Other(at)
    match list(_fields(data)):
        case [(1, 0)]:
            found = Constant(None, at)
        case [(2, (0 | 1) as value)]:
            found = Constant(value == 1, at)
        case [(3, int(value))]:
            found = Constant(value if value < _INT64 else value - 2 * _INT64, at)
        case [(4, int())]:
            found = Blob(8, at)
        case [(5, bytes(value))]:
            found = Constant(struct.unpack("<d", value)[0], at)
        case [(6, bytes(value))]:
            found = Constant(value.decode(), at)
        case [(7, bytes(value))]:
            found = Blob(len(value), at)
    return found


def _ident(data: bytes, at: int) -> Node:
    fields = dict(_fields(data))
    return Ident(_one(fields, 1).decode(), at) if fields.keys() == {1} else Other(at)


def _select(data: bytes, at: int) -> Node:
    fields = dict(_fields(data))
    if not fields.keys() <= {1, 2, 3}:
        return Other(at)
    return Select(_node(_one(fields, 1)), _one(fields, 2).decode(), test=fields.get(3, 0) == 1, at=at)


def _call(data: bytes, at: int) -> Node:
    target: Node | None = None
    function = ""
    arguments: list[Node] = []
    for member in _fields(data):
        match member:
            case (1, bytes(value)):
                target = _node(value)
            case (2, bytes(value)):
                function = value.decode()
            case (3, bytes(value)):
                arguments.append(_node(value))
            case _:
                return Other(at)
    return Invocation(function, target, tuple(arguments), at)


def _list(data: bytes, at: int) -> Node:
    elements, optional = [], False
    for member in _fields(data):
        match member:
            case (1, bytes(value)):
                elements.append(_node(value))
            case (2, _):
                optional = True
            case _:
                return Other(at)
    return Sequence(tuple(elements), optional, at)


def _struct(data: bytes, at: int) -> Node:
    """Read a map; a message, which has a name, is `Other`."""
    parts: list[Node] = []
    for member in _fields(data):
        match member:
            case (2, bytes(entry)):
                fields = dict(_fields(entry))
                if not fields.keys() <= {1, 3, 4, 5}:
                    return Other(at)
                parts += [_node(_one(fields, 3)), _node(_one(fields, 4))]
            case _:
                return Other(at)
    return Entries(tuple(parts), at)


def _comprehension(data: bytes, at: int) -> Node:
    fields = dict(_fields(data))
    # An eighth would be a second variable, of macros that are not switched on.
    if fields.keys() != {1, 2, 3, 4, 5, 6, 7}:
        return Other(at)
    over, initial, condition, step, result = (_node(_one(fields, number)) for number in (2, 4, 5, 6, 7))
    variable, accumulator = (_one(fields, number).decode() for number in (1, 3))
    return Comprehension(variable, over, accumulator, initial, condition, step, result, at)


_ID: Final = 2
_READERS: Final = {
    3: _constant,
    4: _ident,
    5: _select,
    6: _call,
    7: _list,
    8: _struct,
    9: _comprehension,
}


def _one(fields: dict[int, int | bytes], number: int) -> bytes:
    value = fields.get(number)
    if not isinstance(value, bytes):
        raise _MalformedError
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a protobuf message: what is counted as int, all else as bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if wire == 1:
            length = 8
        elif wire == 2:  # noqa: PLR2004 - protobuf's number for what says its length
            length, at = _varint(data, at)
        else:
            raise _MalformedError
        if at + length > end:
            raise _MalformedError
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last of a number has its high bit clear
            return value, at
        shift += 7
