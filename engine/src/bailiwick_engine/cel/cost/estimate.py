"""Cost: the maximum time of an expression, in picoseconds, as a polynomial in the sizes of what it reads of a call.

Standing: under `conditions`, which compiles no expression without a bound from here, and evaluates none whose cost for
the current call exceeds the budget. Holds: pure; a function that `functions` does not list is not offered. The
coefficients are about twice the measured times of the library, and the property test `test_condition_costs` searches
for a call that takes longer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bailiwick_engine.cel.cost.functions import FUNCTIONS, Formula
from bailiwick_engine.cel.cost.polynomials import (
    BoundlessError,
    Monomial,
    Polynomial,
    Symbol,
    add_to,
    constant,
    fold_constant,
    product,
    symbol,
    total,
    value,
)
from bailiwick_engine.cel.cost.sizes import ONE, Size, joined_size
from bailiwick_engine.cel.tree import (
    Blob,
    Comprehension,
    Constant,
    Entries,
    Ident,
    Invocation,
    Node,
    Select,
    Sequence,
)

Path = tuple[str, ...]
"""From what conditions see (`subject`, `context`, ...) down to one member."""

LIMIT: Final = 5_000_000_000
"""The limit for all conditions of one call, in picoseconds: half of the time that a call may block the event loop."""
LIGHT: Final = 50_000_000
"""The maximum time of a condition that reads nothing of a call and need not be counted."""
DEEPEST: Final = 4
"""The number of names of a path that are followed; below that, the whole member counts as read."""

_NODE: Final = 70_000
_ROUND: Final = 200_000
_EVALUATION: Final = 10_000_000
_GROWING: Final = 26_000
"""Of each element that `map` and `filter` copy: the library makes a new list in each round."""
NODE_TAKEN: Final = 300_000
CHARACTER_TAKEN: Final = 200
"""Of what the library takes over, for each value and each character."""
_DEEPEST_LOOP: Final = 8


class Extent(NamedTuple):
    """How large a value is: elements or entries, values in all of it, and characters of all texts and names in it."""

    length: int
    nodes: int
    characters: int


REFERENCE: Final = Extent(64, 256, 1_024)
"""What every condition must be able to look at in each member that it reads: one that cannot is `TooCostly`."""


class NotOfferedError(Exception):
    """A function, or a use of one, whose cost has no bound. `at` is the node, see `tree.positions`."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Cost:
    """What one expression takes, with all variables below it. `reads` are the members of the call that it looks at."""

    reads: tuple[Path, ...]
    terms: Mapping[Monomial, int]

    @classmethod
    def of(cls, terms: Polynomial, symbols: "Symbols") -> "Cost":
        """Keep what is needed of a sum of costs."""
        used = sorted({one // len(Extent._fields) for monomial in terms for one in monomial})
        moved = {number: index for index, number in enumerate(used)}
        width = len(Extent._fields)
        kept = {
            tuple(moved[one // width] * width + one % width for one in monomial): coefficient
            for monomial, coefficient in terms.items()
        }
        paths = symbols.paths()
        reads = tuple(paths[number] for number in used)
        return cls(reads, kept)

    @property
    def light(self) -> bool:
        """It reads nothing of the call, and takes next to nothing."""
        return not self.reads and self.value_at(()) <= LIGHT

    def value_at(self, extents: Iterable[Extent]) -> int:
        """Return the cost in picoseconds where the members that it reads are this large, in the order of `reads`."""
        return value(self.terms, _sizes(extents))


def _sizes(extents: Iterable[Extent]) -> dict[Symbol, int]:
    return dict(enumerate(number for extent in extents for number in extent))


@dataclass(slots=True)
class Symbols:
    """Numbers the members that are read, each with a symbol for each part of its `Extent`, and elements of loops."""

    _paths: dict[Path, int] = field(default_factory=dict)
    _elements: int = 0

    def size_of(self, path: Path) -> Size:
        """Return the size of a member."""
        number = self._paths.setdefault(path, len(self._paths)) * len(Extent._fields)
        return Size(*(symbol(number + offset) for offset in range(len(Extent._fields))))

    def element(self) -> tuple[Symbol, Symbol]:
        """Return symbols for the nodes and characters of one element of a loop: negative ones, which no member has."""
        self._elements += 2
        return -self._elements, -self._elements - 1

    def paths(self) -> tuple[Path, ...]:
        """Return the members by number."""
        return tuple(self._paths)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of an expression: what evaluating it takes, and the size of what it yields."""

    cost: Polynomial
    size: Size

    def bound_cost(self) -> Polynomial:
        """Return what it takes to evaluate it and to bind its value again, as is done with a variable."""
        return total(self.cost, _taken(self.size), _taken(self.size))


def estimate(tree: Node, roots: Iterable[str], variables: Mapping[str, Size], symbols: Symbols) -> Estimate:
    """Return the estimate of one evaluation, in which the variables it names are bound already.

    `roots` are the names of what conditions see of a call; `variables` are the sizes of variables by their full names.
    Raises `NotOfferedError`, `BoundlessError`.
    """
    estimator = _Estimator(frozenset(roots), variables, symbols)
    cost: Polynomial = constant(_EVALUATION)
    size = estimator.size(tree, {}, cost)
    for path in estimator.read:
        add_to(cost, _taken(symbols.size_of(path)))
    return Estimate(cost, size)


def outermost(tree: Node, roots: Iterable[str]) -> tuple[Path, ...]:
    """Return the members of a call that an expression looks at, but for those inside of another one."""
    estimator = _Estimator(frozenset(roots), {}, Symbols())
    try:
        estimator.size(tree, {}, {})
    except (NotOfferedError, BoundlessError):
        return tuple((root,) for root in roots)
    return without_inner(tuple(estimator.read))


def without_inner(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return these members but for those inside of another one."""
    if len(paths) <= 1:
        return paths
    return tuple(
        path for path in paths if not any(len(other) < len(path) and path[: len(other)] == other for other in paths)
    )


def _taken(size: Size) -> Polynomial:
    """What it takes the library to take over a value."""
    found: Polynomial = {}
    add_to(found, size.nodes, NODE_TAKEN)
    add_to(found, size.characters, CHARACTER_TAKEN)
    return found


class _Estimator:
    """Walks a tree. `names` are the sizes of what loops and `cel.bind` name; `cost` grows by each node."""

    def __init__(self, roots: frozenset[str], variables: Mapping[str, Size], symbols: Symbols) -> None:
        self._roots = roots
        self._variables = variables
        self._symbols = symbols
        self._loops = 0
        self.read: dict[Path, None] = {}

    def size(self, node: Node, names: Mapping[str, Size], cost: Polynomial) -> Size:
        """Return the size of a node's value, and add what the node takes."""
        cost[()] = cost.get((), 0) + _NODE
        path = self._path(node, names)
        if path is not None:
            return self._member(path)
        match node:
            case Constant() | Blob() | Ident():
                return self._leaf(node, names)
            case Select():
                return self._selected(node, names, cost)
            case Sequence(parts) | Entries(parts):
                held = [self.size(part, names, cost) for part in parts]
                return Size(constant(len(held)), *joined_size(held))
            case Invocation():
                return self._called(node, names, cost)
            case Comprehension():
                return self._loop(node, names, cost)
        raise NotOfferedError("you cannot use this in a condition, because its cost cannot be bounded", node.at)

    def _leaf(self, node: Constant | Blob | Ident, names: Mapping[str, Size]) -> Size:
        match node:
            case Constant(str(text)):
                return Size({}, constant(1), constant(len(text)))
            case Blob(size):
                return Size({}, constant(1), constant(size))
            case Ident(name):
                return names.get(name) or self._variables.get(name) or ONE
        return ONE

    def _selected(self, node: Select, names: Mapping[str, Size], cost: Polynomial) -> Size:
        if node.test and (held := self._path(node.operand, names)) is not None:
            # Only whether it is there.
            self._member((*held, node.field)[:DEEPEST])
            return ONE
        inner = self.size(node.operand, names, cost)
        return ONE if node.test else inner.part()

    def _member(self, path: Path) -> Size:
        self.read[path] = None
        return self._symbols.size_of(path)

    def _path(self, node: Node, names: Mapping[str, Size]) -> Path | None:
        """Return the member of the call that a node reads, followed as deep as the tree shows it."""
        fields: list[str] = []
        while True:
            match node:
                case Ident(name) if name in self._roots and name not in names:
                    return (name, *reversed(fields))[:DEEPEST]
                case Select(operand, name, test=False):
                    fields.append(name)
                    node = operand
                case Invocation("_[_]" | "_?._" | "_[?_]", None, (operand, Constant(str(name)))):
                    fields.append(name)
                    node = operand
                case _:
                    return None

    def _called(self, node: Invocation, names: Mapping[str, Size], cost: Polynomial) -> Size:
        formula: Formula | None = FUNCTIONS.get(node.function)
        if formula is None:
            raise NotOfferedError(
                f"the function {node.function} is not supported, because its cost cannot be bounded", node.at
            )
        operands = node.arguments if node.target is None else (node.target, *node.arguments)
        sizes = [self.size(operand, names, cost) for operand in operands]
        literals = [operand.value if isinstance(operand, Constant) else None for operand in operands]
        found = formula(sizes, literals)
        if isinstance(found, str):
            raise NotOfferedError(found, node.at)
        add_to(cost, found.cost)
        return found.size

    def _loop(self, loop: Comprehension, names: Mapping[str, Size], cost: Polynomial) -> Size:
        match loop:
            case Comprehension(range=Sequence(()), condition=Constant(False)):
                # `cel.bind`: the value is evaluated once, when it is first asked for.
                bound = self.size(loop.initial, names, cost)
                return self.size(loop.result, {**names, loop.accumulator: bound}, cost)
            case Comprehension(initial=Sequence(())):
                return self._gathered(loop, names, cost)
            case Comprehension(initial=Constant(bool() | int())):
                over, body, named, element = self._entered(loop, names, cost)
                inner = {**named, loop.accumulator: ONE}
                self.size(loop.condition, inner, body)
                self.size(loop.step, inner, body)
                self._left(over, body, element, cost)
                return self.size(loop.result, {**names, loop.accumulator: ONE}, cost)
        raise NotOfferedError("this loop is not supported, because its cost cannot be bounded", loop.at)

    def _gathered(self, loop: Comprehension, names: Mapping[str, Size], cost: Polynomial) -> Size:
        """`map` and `filter`: a list that grows by at most one element in each round."""
        match loop.step:
            case Invocation("_?_:_", None, (kept, Invocation("_+_", None, (Ident(accumulator), one)), Ident(same))):
                test: tuple[Node, ...] = (kept,)
            case Invocation("_+_", None, (Ident(accumulator), one)):
                test, same = (), accumulator
            case _:
                raise NotOfferedError("this loop is not supported, because its cost cannot be bounded", loop.at)
        if accumulator != loop.accumulator or same != accumulator or not isinstance(loop.result, Ident):
            raise NotOfferedError("this loop is not supported, because its cost cannot be bounded", loop.at)
        over, body, named, element = self._entered(loop, names, cost)
        for part in test:
            self.size(part, named, body)
        gathered = self.size(one, named, body)
        parts = self._left(over, body, element, cost)
        add_to(cost, product(over.length, over.length), _GROWING)
        return Size(
            over.length,
            total(constant(1), fold_constant(gathered.nodes, over.length, parts)),
            fold_constant(gathered.characters, over.length, parts),
        )

    def _entered(
        self, loop: Comprehension, names: Mapping[str, Size], cost: Polynomial
    ) -> tuple[Size, Polynomial, Mapping[str, Size], tuple[Symbol, Symbol]]:
        """Return what is looped over, the cost of one round so far, the names in it, and the symbols of an element."""
        self._loops += 1
        if self._loops > _DEEPEST_LOOP:
            raise BoundlessError
        over = self.size(loop.range, names, cost)
        element = self._symbols.element()
        nodes, characters = (symbol(one) for one in element)
        # An element may be a list itself, which has no more elements than it has values.
        inner = {**names, loop.variable: Size(nodes, nodes, characters)}
        return over, constant(_ROUND), inner, element

    def _left(
        self, over: Size, body: Polynomial, element: tuple[Symbol, Symbol], cost: Polynomial
    ) -> Mapping[Symbol, Polynomial]:
        self._loops -= 1
        parts = {element[0]: over.nodes, element[1]: over.characters}
        add_to(cost, fold_constant(body, over.length, parts))
        return parts
