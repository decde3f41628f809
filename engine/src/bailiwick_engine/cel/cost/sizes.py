"""Sizes: how large a value can be that an expression comes by, as polynomials in the sizes of what a call brings.

Stands below `functions` and `estimate`. Holds: pure; a size is never less than that of any value that can be there.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from bailiwick_engine.cel.cost.polynomials import Polynomial, constant, total


class Size(NamedTuple):
    """`length`: elements of a list or entries of a map, 0 of anything else. `nodes`: values in all of it, itself too.

    `characters`: of all texts and names in it; bytes count as such.
    """

    length: Polynomial
    nodes: Polynomial
    characters: Polynomial

    def part(self) -> "Size":
        """Return the size of some member of it, which may hold nearly all of it."""
        return Size(self.nodes, self.nodes, self.characters)


ONE: Final = Size({}, constant(1), constant(64))
"""A number, a boolean, a time: some of them become a text of this length at most."""


def joined_size(parts: Iterable[Size]) -> tuple[Polynomial, Polynomial]:
    """Return nodes and characters of what holds all these values."""
    listed = list(parts)
    return (
        total(constant(1), *(part.nodes for part in listed)),
        total(*(part.characters for part in listed)),
    )


def summed(parts: Iterable[Size]) -> Size:
    """Return a size that is at least that of any of these values, and of any two of them put together."""
    listed = list(parts)
    return Size(
        total(*(part.length for part in listed)),
        total(*(part.nodes for part in listed)),
        total(*(part.characters for part in listed)),
    )
