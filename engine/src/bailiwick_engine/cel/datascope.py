"""Data scope: the expressions of a policy that reads data, and what they say of a call beside that data.

Stands above `conditions` and `data`. Holds: where an object that an expression reads is unknown, so is the expression,
whatever else it says: so that no data gone missing ever widens. What is too large to be handed to the CEL library is
read by closures alone, in place, and where they do not know, the condition is TOO_COSTLY.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from bailiwick_api.kinds.endpointdata import DataSource
from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.cost.estimate import CHARACTER_TAKEN, NODE_TAKEN, Cost, Extent
from bailiwick_engine.cel.cost.judge import PolicyCosts
from bailiwick_engine.cel.data import NO_DATA, Data
from bailiwick_engine.cel.expressions import DEFERRED, FAILED, ROOTS, Expression, evaluate_expression
from bailiwick_engine.cel.inputs import ABSENT, HistoryInputs, Inputs
from bailiwick_engine.cel.members import DATA
from bailiwick_engine.cel.tree import Invocation, tree, walk
from bailiwick_engine.cel.values import LONGEST
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps, whole
from bailiwick_engine.truth import TOO_COSTLY, UNKNOWN, Truth

_HANDED: Final = 100_000_000
"""What it may take to hand an expression's data to the library, in picoseconds; it is done in every evaluation."""
# By closures, in picoseconds: an `in`, which goes through no long list, and for each character of the data read.
_IN: Final = 100_000 * LONGEST
_CHARACTER: Final[Mapping[str, int]] = {
    "contains": 1_000,
    **dict.fromkeys(("@in", "startsWith", "endsWith", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), 100),
}


@dataclass(frozen=True, slots=True)
class DataCost(Cost):
    """What an expression takes that reads data. Its `reads` name data as `("data", <object>, ...)`.

    `closed`: closures can evaluate all of it. It takes them `looking` more in all, and `character` more for each that
    its data holds, in picoseconds.
    """

    closed: bool = False
    looking: int = 0
    character: int = 0


class DataInputs(HistoryInputs):
    """What conditions see of a call, of the endpoint's histories and of the namespace's data."""

    __slots__ = ("data",)
    data: Data

    def handed(self, cost: DataCost) -> bool:
        """Tell whether the library may have what an expression of this cost reads, should closures not know."""
        if not (cost.closed and self.plain):
            return True
        taken = 0
        for path in cost.reads:
            if path[0] == DATA:
                extent = self._extent(path)
                taken += extent.nodes * NODE_TAKEN + extent.characters * CHARACTER_TAKEN
        return taken <= _HANDED

    def cost(self, cost: Cost) -> int:
        """Return what an expression of this cost takes, in picoseconds: by closures alone where it is not handed."""
        if not isinstance(cost, DataCost) or self.handed(cost):
            return super().cost(cost)
        extents = [self._extent(path) for path in cost.reads]
        whose = [path[0] == DATA for path in cost.reads]
        held = sum(extent.characters for extent, ours in zip(extents, whose, strict=True) if ours)
        return (
            cost.looking
            + cost.character * held
            + cost.value_at([ABSENT if ours else extent for extent, ours in zip(extents, whose, strict=True)])
        )

    def _measured(self, path: tuple[str, ...]) -> Extent:
        if path[0] != DATA:
            return super()._measured(path)
        held = self.data.get(path[1])
        return ABSENT if held is None or held.value is None else held.extent(path[2:])


class DataScope(Scope):
    """The expressions of one policy that names data, with its variables.

    `sources`: of which object of the namespace each name stands. An object is declared as `data.<name>`, typed dyn.
    """

    def __init__(
        self, variables: Sequence[Variable], path: str = "spec.variables", sources: Mapping[str, str] | None = None
    ) -> None:
        self.sources: Mapping[str, str] = sources or {}
        self._read: dict[Expression, tuple[str, ...]] = {}
        super().__init__(variables, path)

    @property
    def data(self) -> frozenset[str]:
        """The names that expressions can read as `data.<name>`."""
        return frozenset(self.sources)

    def _costs_of(self) -> PolicyCosts:
        return PolicyCosts((*ROOTS, *(f"{DATA}.{name}" for name in self.sources)))

    def _cost(self, expression: Expression, path: str) -> Cost | Problem:
        found = super()._cost(expression, path)
        if isinstance(found, Problem | DataCost) or not self.names(expression):
            return found
        below = [expression, *(self._variables[name] for name in self._reached((expression,)))]
        called = [
            node.function
            for one in below
            for node in walk(tree(one.program.serialize()))
            if isinstance(node, Invocation)
        ]
        made = self._costs[expression] = DataCost(
            tuple(self._canonical(path) for path in found.reads),
            found.terms,
            all(one.closure is not None for one in below),
            _IN * called.count("@in"),
            sum(_CHARACTER.get(function, 0) for function in called),
        )
        return made

    def _canonical(self, path: tuple[str, ...]) -> tuple[str, ...]:
        _, _, name = path[0].partition(".")
        return (DATA, self.sources[name], *path[1:]) if name else path

    def light(self, expression: Expression) -> bool:
        """Tell whether a condition need not be counted: none that reads data."""
        return not self.names(expression) and super().light(expression)

    def names(self, expression: Expression) -> tuple[str, ...]:
        """Return the names of the data that an expression reads, itself or by a variable."""
        found = self._read.get(expression)
        if found is None:
            below = [expression, *(self._variables[name] for name in self._reached((expression,)))]
            found = self._read[expression] = tuple(sorted({name for one in below for name in one.data}))
        return found

    def sources_of(self, expressions: Sequence[Expression]) -> tuple[tuple[str, str], ...]:
        """Return the data that these expressions reach, each by its name and its object."""
        return tuple(sorted({(name, self.sources[name]) for one in expressions for name in self.names(one)}))

    def evaluate(
        self, expression: Expression, inputs: Inputs, cost: Cost | None = None, *, light: bool = False
    ) -> Truth:
        """Return what a condition says of these inputs, see `Scope.evaluate`; UNKNOWN where data that it reads is."""
        names = self.names(expression)
        if not names:
            return super().evaluate(expression, inputs, cost, light=light)
        bound = self._bound(names, inputs.data if isinstance(inputs, DataInputs) else NO_DATA)
        numbers = self._numbers(self.histories(expression), inputs)
        if bound is None or numbers is None or self._is_unknown(expression, inputs):
            return UNKNOWN
        bound |= numbers
        cost = cost or self.cost(expression)
        if not isinstance(cost, DataCost) or not inputs.affords(cost):
            return TOO_COSTLY
        found = self._found(expression, bound, inputs, handed=cast("DataInputs", inputs).handed(cost))
        if found is DEFERRED:
            return TOO_COSTLY
        return found if isinstance(found, bool) else UNKNOWN

    def _bound(self, names: Iterable[str], data: Data) -> dict[str, Any] | None:
        """Return what data comes to under its full names; None where some of it is unknown."""
        bound: dict[str, Any] = {}
        for name in names:
            held = data.get(self.sources[name])
            if held is None or held.value is None:
                return None
            bound[f"{DATA}.{name}"] = held.value
        return bound

    def _found(self, expression: Expression, bound: dict[str, Any], inputs: Inputs, *, handed: bool) -> object:
        reached = self._reached((expression,))
        for name, variable in self._variables.items():
            if name in reached:
                value = evaluate_expression(variable, bound, inputs, handed=handed)
                if value is DEFERRED:
                    return DEFERRED
                if value is not FAILED:
                    bound[f"variables.{name}"] = value
        return evaluate_expression(expression, bound, inputs, handed=handed)


def scope_steps(variables: Sequence[Variable], sources: Sequence[DataSource]) -> Steps[Scope]:
    """Return the scope of a policy's variables and data, a variable a step. Policies that declare the same share it."""
    if not sources:
        return (yield from Scope.steps(variables))
    named = {source.name: source.source for source in sources}
    return (yield from Scope.shared(DataScope((), sources=named), variables, sorted(named.items())))


def scope_of(variables: Sequence[Variable], sources: Sequence[DataSource]) -> Scope:
    """Return it at once."""
    return whole(scope_steps(variables, sources))
