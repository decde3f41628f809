"""Checked expressions: the tree that the CEL library made of a text, read from its bytes (`cel.expr.CheckedExpr`).

Holds: only kinds of node that `closures` can tell apart come out, everything else is `Other`; nothing is guessed, since
a field that is not known makes its node `Other` too.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_INT64: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal null, bool, int, double or string."""

    value: object


@dataclass(frozen=True, slots=True)
class Ident:
    """A name as the checker resolved it, `variables.<name>` included."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """A field; `test` is `has()`."""

    operand: "Node"
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Invocation:
    """A function or operator. `target` is what stands before the dot, if anything does."""

    function: str
    target: "Node | None"
    arguments: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list that is written out."""

    elements: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else: comprehensions, maps and messages, bytes, unsigned numbers."""


Node = Constant | Ident | Select | Invocation | Sequence | Other


class _MalformedError(ValueError):
    """Not what the library's version that we know writes."""


def tree(serialized: bytes) -> Node:
    """Return the tree of a serialized expression; `Other` where the bytes are not what we know."""
    try:
        checked = _one(dict(_fields(serialized)), 2)
        return _node(_one(dict(_fields(checked)), 4))
    except (_MalformedError, UnicodeDecodeError, IndexError, struct.error, RecursionError):
        return Other()


def _node(data: bytes) -> Node:
    """Read one `Expr`: its id, and exactly one member that says what it is."""
    match [field for field in _fields(data) if field[0] != _ID]:
        case [(number, bytes(value))] if number in _READERS:
            return _READERS[number](value)
        case _:
            return Other()


def _constant(data: bytes) -> Node:
    fields = list(_fields(data))
    if len(fields) != 1:
        return Other()
    match fields[0]:
        case (1, 0):
            return Constant(None)
        case (2, (0 | 1) as value):
            return Constant(value == 1)
        case (3, int(value)):
            return Constant(value if value < _INT64 else value - 2 * _INT64)
        case (5, bytes(value)):
            return Constant(struct.unpack("<d", value)[0])
        case (6, bytes(value)):
            return Constant(value.decode())
    return Other()


def _ident(data: bytes) -> Node:
    fields = dict(_fields(data))
    return Ident(_one(fields, 1).decode()) if fields.keys() == {1} else Other()


def _select(data: bytes) -> Node:
    fields = dict(_fields(data))
    if not fields.keys() <= {1, 2, 3}:
        return Other()
    return Select(_node(_one(fields, 1)), _one(fields, 2).decode(), test=fields.get(3, 0) == 1)


def _call(data: bytes) -> Node:
    target: Node | None = None
    function = ""
    arguments: list[Node] = []
    for field in _fields(data):
        match field:
            case (1, bytes(value)):
                target = _node(value)
            case (2, bytes(value)):
                function = value.decode()
            case (3, bytes(value)):
                arguments.append(_node(value))
            case _:
                return Other()
    return Invocation(function, target, tuple(arguments))


def _list(data: bytes) -> Node:
    elements = []
    for number, value in _fields(data):
        # Any other field names elements that are optional.
        if number != 1 or not isinstance(value, bytes):
            return Other()
        elements.append(_node(value))
    return Sequence(tuple(elements))


_ID: Final = 2
_READERS: Final = {3: _constant, 4: _ident, 5: _select, 6: _call, 7: _list}


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
