"""Trees: bytes that are not what the library writes are `Other`, of which nothing is taken for granted."""

from itertools import pairwise
from typing import Final

import pytest

from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.tree import Ident, Node, Other, tree, walk

TEXT: Final = "has(context.a) && [1, 2].exists(x, x == context.a[1]) && {'b': 1.5}['b'] < 2.0 && subject.id != 'é'"
NAME: Final = b"\x0a\x01x"


def member(number: int, payload: bytes) -> bytes:
    """Return a field of a protobuf message whose length is given."""
    return bytes((number << 3 | 2, len(payload))) + payload


def checked(expression: bytes) -> Node:
    """Return the tree of this `Expr`, as the library wraps it."""
    return tree(member(2, member(4, expression)))


def serialized(text: str) -> bytes:
    found = Scope.of(()).condition(text, "spec")
    assert isinstance(found, Expression)
    return bytes(found.program.serialize())


IDENT: Final = member(4, NAME)
LOOP: Final = b"".join(member(number, NAME if number in {1, 3} else IDENT) for number in range(1, 8))


def test_a_name_by_hand_is_read() -> None:
    assert checked(IDENT) == Ident("x")


@pytest.mark.parametrize(
    "expression",
    [
        b"",
        IDENT + IDENT,
        member(2, b"x"),
        member(15, NAME),
        member(3, member(9, b"")),
        member(3, member(6, b"\xff")),
        member(3, member(5, b"1234")),
        member(4, b""),
        member(4, NAME + member(2, b"x")),
        member(4, b"\x08\x01"),
        member(5, member(1, IDENT)),
        member(5, member(1, IDENT) + member(2, b"f") + member(4, b"")),
        member(6, member(2, b"f") + member(4, IDENT)),
        member(7, member(3, IDENT)),
        member(8, member(1, b"google.protobuf.Any")),
        member(8, member(2, member(3, IDENT))),
        member(8, member(2, member(2, b"field") + member(4, IDENT))),
        member(9, LOOP[:-1]),
        member(9, LOOP + member(8, b"y")),
        member(9, b"".join(member(number, IDENT) for number in range(2, 8))),
        b"\x23\x01x",
        b"\x22\x7fx",
        b"\x22",
        b"\xff\xff",
    ],
)
def test_what_the_library_does_not_write_is_other(expression: bytes) -> None:
    assert any(isinstance(node, Other) for node in walk(checked(expression)))


def test_an_expression_that_is_cut_off_is_whole_or_other() -> None:
    whole = serialized(TEXT)
    read = tree(whole)
    assert not any(isinstance(node, Other) for node in walk(read))
    found = [tree(whole[:length]) for length in range(len(whole) + 1)]
    assert {node for node in found if node != read} == {Other()}
    # Once all that is looked at is there, more changes nothing.
    assert all(later == read for node, later in pairwise(found) if node == read)


def test_an_expression_nested_deeper_than_can_be_read_is_other() -> None:
    nested = IDENT
    for _ in range(2_000):
        nested = _long(7, _long(1, nested))
    assert tree(_long(2, _long(4, nested))) == Other()


def _long(number: int, payload: bytes) -> bytes:
    size, length = [], len(payload)
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes((number << 3 | 2, *size, length)) + payload
