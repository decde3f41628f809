"""Functions: every function and operator that a condition can use, with its cost and the maximum size of its value.

Standing: below `estimate`. Holds: pure; a function that is not listed is not offered. Costs are in picoseconds, in
addition to the cost of every node, and about twice the measured ones.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from bailiwick_engine.cel.cost import patterns
from bailiwick_engine.cel.cost.polynomials import Polynomial, add_to, constant, product, total
from bailiwick_engine.cel.cost.sizes import ONE, Size, summed

_COMPARED_NODE: Final = 50_000
_COMPARED_CHARACTER: Final = 200
_COPIED_NODE: Final = 50_000
_COPIED_CHARACTER: Final = 1_000
_WALKED_CHARACTER: Final = 15_000
_SEARCHED_PAIR: Final = 20
_SPLIT_CHARACTER: Final = 130_000
_PATTERN: Final = 10_000_000
_PATTERN_STATE: Final = 1_200_000
_PATTERN_STATE_CHARACTER: Final = 15_000
_PRINTED: Final = 1_100
"""Characters that one directive of a format prints at most, beside those of its argument: `%.999f`."""
_DIRECTIVES: Final = re.compile(r"%")
_PRECISE: Final = re.compile(r"\d{4}")


class CallCost(NamedTuple):
    """What a call of a function takes, and the size of its value."""

    cost: Polynomial
    size: Size


Formula = Callable[[list[Size], list[object]], CallCost | str]
"""From the sizes of its operands, the target first, and their values where they are literals; or why it is refused."""


def _scalar(_sizes: list[Size], _literals: list[object]) -> CallCost:
    return CallCost({}, ONE)


def _kept_cost(sizes: list[Size], _literals: list[object]) -> CallCost:
    """What yields one of its operands, or a member of one."""
    return CallCost({}, summed(sizes))


def _member(sizes: list[Size], _literals: list[object]) -> CallCost:
    return CallCost({}, sizes[0].part())


def _compared_cost(sizes: list[Size], _literals: list[object]) -> CallCost:
    """What looks at all of its operands once; `in` too, since what differs ends a comparison."""
    cost: Polynomial = {}
    for size in sizes:
        add_to(cost, size.nodes, _COMPARED_NODE)
        add_to(cost, size.characters, _COMPARED_CHARACTER)
    return CallCost(cost, ONE)


def _put_together(sizes: list[Size], _literals: list[object]) -> CallCost:
    """`+`, and conversions between texts and bytes."""
    size, cost = summed(sizes), Polynomial()
    add_to(cost, size.nodes, _COPIED_NODE)
    add_to(cost, size.characters, _COPIED_CHARACTER)
    return CallCost(cost, Size(size.length, size.nodes, total(size.characters, constant(64))))


def _walked_cost(sizes: list[Size], _literals: list[object]) -> CallCost:
    """What goes through a text character by character, and yields no more than that."""
    cost: Polynomial = {}
    add_to(cost, sizes[0].characters, _WALKED_CHARACTER)
    return CallCost(cost, Size({}, constant(1), total(sizes[0].characters, constant(64))))


def _quoted_cost(sizes: list[Size], _literals: list[object]) -> CallCost:
    cost: Polynomial = {}
    add_to(cost, sizes[0].characters, _WALKED_CHARACTER)
    return CallCost(cost, Size({}, constant(1), total(constant(2), *([sizes[0].characters] * 4))))


def _searched_cost(sizes: list[Size], _literals: list[object]) -> CallCost:
    """Functions that search one text in another, starting again at each of its characters."""
    cost = product(sizes[0].characters, sizes[1].characters)
    cost = {monomial: coefficient * _SEARCHED_PAIR for monomial, coefficient in cost.items()}
    add_to(cost, sizes[0].characters, _WALKED_CHARACTER)
    add_to(cost, sizes[1].characters, _WALKED_CHARACTER)
    return CallCost(cost, ONE)


def _replaced_cost(sizes: list[Size], literals: list[object]) -> CallCost:
    text, _, new, *_ = sizes
    size = Size({}, constant(1), total(text.characters, new.characters, product(text.characters, new.characters)))
    cost = _searched_cost(sizes, literals).cost
    add_to(cost, text.characters, _SPLIT_CHARACTER)
    add_to(cost, size.characters, _COPIED_CHARACTER)
    return CallCost(cost, size)


def _split(sizes: list[Size], literals: list[object]) -> CallCost:
    pieces = total(sizes[0].characters, constant(2))
    cost = _searched_cost(sizes, literals).cost
    add_to(cost, pieces, _SPLIT_CHARACTER)
    return CallCost(cost, Size(pieces, pieces, sizes[0].characters))


def _joined_cost(sizes: list[Size], _literals: list[object]) -> CallCost:
    listed, between = sizes[0], sizes[1].characters if len(sizes) > 1 else {}
    characters = total(listed.characters, product(listed.length, between))
    cost: Polynomial = {}
    add_to(cost, listed.nodes, _COPIED_NODE)
    add_to(cost, characters, _COPIED_CHARACTER)
    return CallCost(cost, Size({}, constant(1), characters))


def _matched_cost(sizes: list[Size], literals: list[object]) -> CallCost | str:
    pattern = literals[1]
    if not isinstance(pattern, str):
        return (
            "the pattern of matches() must be a string literal in the condition, because the cost of a pattern from the"
            " call cannot be bounded"
        )
    return CallCost(pattern_cost(pattern, sizes[0].characters), ONE)


def pattern_cost(pattern: str, characters: Polynomial) -> Polynomial:
    """Return what it takes to compile an RE2 pattern and to hold it against a text of so many characters."""
    states = patterns.states(pattern)
    cost = constant(_PATTERN + states * _PATTERN_STATE)
    add_to(cost, characters, states * _PATTERN_STATE_CHARACTER)
    return cost


def _formatted_cost(sizes: list[Size], literals: list[object]) -> CallCost | str:
    template = literals[0]
    if not isinstance(template, str) or _PRECISE.search(template):
        return (
            "the template of format() must be a string literal in the condition, without numbers of four or more digits"
        )
    directives = len(_DIRECTIVES.findall(template))
    characters: Polynomial = constant(len(template) + directives * _PRINTED)
    # Each argument may be printed once, with quotes and commas around each value in it.
    add_to(characters, sizes[1].characters, 4)
    add_to(characters, sizes[1].nodes, 64)
    cost: Polynomial = {}
    add_to(cost, characters, _WALKED_CHARACTER)
    return CallCost(cost, Size({}, constant(1), characters))


def _of_time(_sizes: list[Size], literals: list[object]) -> CallCost | str:
    if not all(isinstance(literal, str) for literal in literals[1:]):
        return (
            "a time zone must be a string literal in the condition, because the library keeps every zone name in memory"
        )
    return CallCost(constant(2_000_000), ONE)


OF_TIME: Final = frozenset(
    {
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getHours",
        "getMinutes",
        "getSeconds",
        "getMilliseconds",
    }
)
"""What tells a part of a time; its one argument, if it has one, is a time zone."""

FUNCTIONS: Final[Mapping[str, Formula]] = {
    **dict.fromkeys(("_&&_", "_||_", "!_", "@not_strictly_false", "hasValue", "optional.none"), _scalar),
    **dict.fromkeys(("_-_", "_*_", "_/_", "_%_", "-_"), _scalar),
    **dict.fromkeys(("type", "size"), _walked_cost),
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "startsWith", "endsWith", "@in"), _compared_cost),
    **dict.fromkeys(("_?_:_", "orValue", "or", "optional.of", "optional.ofNonZeroValue", "value", "dyn"), _kept_cost),
    **dict.fromkeys(("_[_]", "_?._", "_[?_]"), _member),
    **dict.fromkeys(("_+_", "string", "bytes"), _put_together),
    **dict.fromkeys(("int", "uint", "double", "bool", "timestamp", "duration"), _walked_cost),
    **dict.fromkeys(("charAt", "lowerAscii", "upperAscii", "substring", "trim", "reverse"), _walked_cost),
    **dict.fromkeys(("contains", "indexOf", "lastIndexOf"), _searched_cost),
    "strings.quote": _quoted_cost,
    "replace": _replaced_cost,
    "split": _split,
    "join": _joined_cost,
    "format": _formatted_cost,
    "matches": _matched_cost,
    **dict.fromkeys(OF_TIME, _of_time),
}
