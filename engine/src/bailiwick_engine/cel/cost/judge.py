"""Cost of a policy: what its expressions cost, variables included, and how one that is too costly is refused.

Stands between `conditions` and `estimate`. Holds: pure; an expression without a cost is not evaluated by anybody.
"""

from collections.abc import Iterable
from typing import Final

from bailiwick_engine.cel.cost.estimate import LIMIT, REFERENCE, Cost, Estimate, NotOfferedError, Symbols, estimate
from bailiwick_engine.cel.cost.polynomials import BoundlessError, Polynomial, total
from bailiwick_engine.cel.cost.sizes import Size
from bailiwick_engine.cel.tree import Comprehension, Entries, Invocation, Node, Select, Sequence, positions
from bailiwick_engine.problem import Problem, place

_MILLISECOND: Final = 1_000_000_000
_BOUND: Final = (
    f"a condition must process members of {REFERENCE.length} elements, {REFERENCE.nodes:,} values and"
    f" {REFERENCE.characters:,} characters within {LIMIT // _MILLISECOND} ms"
)
_ADVICE: Final = "avoid nested loops over lists, and avoid building lists or strings from one another"


class PolicyCosts:
    """Costs of expressions, each with the variables that it reaches. `roots` are the names of what conditions see."""

    def __init__(self, roots: Iterable[str]) -> None:
        self._roots = frozenset(roots)
        self._symbols = Symbols()
        self._sizes: dict[str, Size] = {}
        self._bounds: dict[str, Polynomial] = {}

    def declare(self, name: str, tree: Node, serialized: bytes, text: str, path: str) -> Problem | None:
        """Take in a variable under its full name; its problem where it has no bounded cost."""
        try:
            found = self._estimate(tree)
            cost = Cost.of(found.cost, self._symbols)
        except (NotOfferedError, BoundlessError) as error:
            return self._refused(error, tree, serialized, text, path)
        if cost.value_at([REFERENCE] * len(cost.reads)) > LIMIT:
            return self._costly(cost, tree, serialized, text, path)
        self._sizes[name], self._bounds[name] = found.size, found.bound_cost()
        return None

    def cost(self, tree: Node, reached: Iterable[str], serialized: bytes, text: str, path: str) -> Cost | Problem:
        """Return the cost of an expression with the variables that it reaches, by their full names.

        `serialized` is what the library made of the text, for the place of what is refused.
        """
        try:
            own = self._estimate(tree).cost
            cost = Cost.of(total(own, *(self._bounds.get(name, {}) for name in reached)), self._symbols)
        except (NotOfferedError, BoundlessError) as error:
            return self._refused(error, tree, serialized, text, path)
        if cost.value_at([REFERENCE] * len(cost.reads)) > LIMIT:
            return self._costly(cost, tree, serialized, text, path)
        return cost

    def _estimate(self, tree: Node) -> Estimate:
        return estimate(tree, self._roots, self._sizes, self._symbols)

    def _refused(
        self, error: NotOfferedError | BoundlessError, tree: Node, serialized: bytes, text: str, path: str
    ) -> Problem:
        if isinstance(error, NotOfferedError):
            return Problem(path, str(error), *_place(text, serialized, error.at), costly=True)
        return self._costly(None, tree, serialized, text, path)

    def _costly(self, cost: Cost | None, tree: Node, serialized: bytes, text: str, path: str) -> Problem:
        takes = None if cost is None else cost.value_at([REFERENCE] * len(cost.reads)) // _MILLISECOND
        told = "more than 1,000,000 ms" if takes is None or takes > 10**6 else f"up to {takes:,} ms"
        culprit = _place(text, serialized, self._culprit(tree).at)
        return Problem(path, f"the expression could take {told}: {_BOUND}; {_ADVICE}", *culprit, costly=True)

    def _culprit(self, tree: Node) -> Node:
        """Return the innermost part that is too costly by itself; the whole where no part is."""
        for part in _parts(tree):
            try:
                cost = Cost.of(self._estimate(part).cost, self._symbols)
                if cost.value_at([REFERENCE] * len(cost.reads)) <= LIMIT:
                    continue
            except NotOfferedError:
                continue
            except BoundlessError:
                pass
            return self._culprit(part)
        return tree


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Select(operand):
            return (operand,)
        case Invocation(_, target, arguments):
            return arguments if target is None else (target, *arguments)
        case Sequence(parts) | Entries(parts):
            return parts
        case Comprehension():
            return (node.range, node.initial, node.result)
        case _:
            return ()


def _place(text: str, serialized: bytes, at: int) -> tuple[int, int]:
    """Return line and column of a node, both from 1."""
    return place(text, positions(serialized).get(at, 0))
