"""CEL conditions: the expressions of one policy, with its variables, and what they say of a call.

Holds: a condition yields True, False, UNKNOWN or TOO_COSTLY. An error, a missing value and a value that is no boolean
are UNKNOWN; what would take longer than it may is not evaluated. What either does is decided elsewhere, never to
anybody's advantage.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from bailiwick_api.kinds.endpointpolicy import Variable
from bailiwick_engine.cel import hints, histories
from bailiwick_engine.cel.cost.estimate import Cost
from bailiwick_engine.cel.cost.judge import PolicyCosts
from bailiwick_engine.cel.expressions import ANY, FAILED, ROOTS, Expression, compile_expression, evaluate_expression
from bailiwick_engine.cel.inputs import NO_NUMBERS, HistoryInputs, Inputs
from bailiwick_engine.cel.tree import Node, tree
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps, whole
from bailiwick_engine.truth import TOO_COSTLY, UNKNOWN, Truth

# A party as a whole, or any member of it but those that are always known.
_CLAIMS = re.compile(r"\b(?:subject|actor)\b(?!\s*\.\s*\??\s*(?:id|type|properties)\b)")


class Scope:
    """The expressions of one policy, with its variables.

    A variable is declared as `variables.<name>` with the type of its expression. One that fails is unbound: using it,
    and asking `has()` of it, is an error, and an error never widens.
    """

    def __init__(self, variables: Sequence[Variable], path: str = "spec.variables") -> None:
        self._variables: dict[str, Expression] = {}
        self._declared: dict[str, Any] = {}
        self._broken: set[str] = set()
        self._costing = self._costs_of()
        self._costs: dict[Expression, Cost | Problem] = {}
        self._histories: dict[Expression, frozenset[str]] = {}
        self.problems: tuple[Problem, ...] = ()
        whole(self.declaring(variables, path))

    @property
    def data(self) -> Collection[str]:
        """The names that expressions can read as `data.<name>`; see `datascope`."""
        return ()

    def _costs_of(self) -> PolicyCosts:
        return PolicyCosts(ROOTS)

    def declaring(self, variables: Sequence[Variable], path: str) -> Steps[None]:
        """Declare variables, one a step."""
        for index, variable in enumerate(variables):
            where = f"{path}[{index}].expression"
            made = compile_expression(variable.expression, where, self._declared, self.data)
            found: tuple[Problem, ...] = ()
            if isinstance(made, Expression):
                wrong = self._declare(variable.name, made, where)
                found = () if wrong is None else (wrong,)
            else:
                found = made
            self.problems += found
            if found:
                # Later expressions that use it must not fail for that reason too.
                self._broken.add(variable.name)
            self._declared[variable.name] = made.yields if isinstance(made, Expression) else ANY
            yield

    def _declare(self, name: str, expression: Expression, path: str) -> Problem | None:
        serialized = expression.program.serialize()
        self._variables[name] = expression
        return self._costing.declare(f"variables.{name}", tree(serialized), serialized, expression.text, path)

    @classmethod
    def steps(cls, variables: Sequence[Variable]) -> Steps["Scope"]:
        """Return the scope of these variables, a variable a step.

        There is one for all policies that declare the same ones in the same order.
        """
        return (yield from cls.shared(cls(()), variables, ()))

    @staticmethod
    def shared(empty: "Scope", variables: Sequence[Variable], sources: Sequence[tuple[str, str]]) -> Steps["Scope"]:
        """Return the scope of these variables that there is already, or else the empty one with them declared."""
        key = (tuple((variable.name, variable.expression) for variable in variables), tuple(sources))
        known = _SCOPES.get(key)
        if known is not None:
            return known
        yield from empty.declaring(variables, "spec.variables")
        return _SCOPES.setdefault(key, empty)

    @classmethod
    def of(cls, variables: Sequence[Variable]) -> "Scope":
        """Return the scope of these variables at once."""
        return whole(cls.steps(variables))

    def condition(self, text: str, path: str) -> Expression | tuple[Problem, ...]:
        """Compile a condition; it must be of type bool. Returns the problems instead where there are any."""
        made = compile_expression(text, path, self._declared, self.data)
        if isinstance(made, tuple) or made.uses & self._broken:
            return made
        kind = made.yields.name()
        if kind != "BOOL":
            hint = hints.of_type(text, kind)
            return (Problem(path, f"the expression returns {kind.lower()}, not bool: {hint}", 1, 1),)
        cost = self._cost(made, path)
        return (cost,) if isinstance(cost, Problem) else made

    def cost(self, expression: Expression) -> Cost | None:
        """Return the cost of a condition, with the variables that it reaches; None where it has none."""
        found = self._cost(expression, "")
        return None if isinstance(found, Problem) else found

    def _cost(self, expression: Expression, path: str) -> Cost | Problem:
        if expression.cost is not None:
            return expression.cost
        found = self._costs.get(expression)
        if found is None:
            serialized = expression.program.serialize()
            reached = [f"variables.{name}" for name in self._reached((expression,))]
            found = self._costing.cost(tree(serialized), reached, serialized, expression.text, path)
            self._costs[expression] = found
        return found

    def light(self, expression: Expression) -> bool:
        """Tell whether a condition need not be counted for a call that is small: it takes some microseconds.

        None that reads a history: `evaluate` asks only the others whether they do.
        """
        reached = [self._variables[name] for name in self._reached((expression,))]
        return not self.histories(expression) and all(
            one.closure is not None or (one.cost is not None and one.cost.light) for one in (expression, *reached)
        )

    def histories(self, expression: Expression) -> frozenset[str]:
        """Return the names of the histories that an expression reads, itself or by a variable."""
        if not expression.uses:
            # Not kept: a scope without variables is that of most policies, and outlives their expressions.
            return expression.histories
        found = self._histories.get(expression)
        if found is None:
            reached = [self._variables[name].histories for name in self._reached((expression,))]
            found = self._histories[expression] = expression.histories.union(*reached)
        return found

    def trees(self, expression: Expression) -> tuple[Node, dict[str, Node]]:
        """Return the tree of an expression, and those of all variables by their full names."""
        named = {f"variables.{name}": tree(variable.program.serialize()) for name, variable in self._variables.items()}
        return tree(expression.program.serialize()), named

    @property
    def scalars(self) -> frozenset[str]:
        """The full names of the variables that yield a truth or a number: those are bound as what they are."""
        return frozenset(
            f"variables.{name}" for name, variable in self._variables.items() if variable.yields.name() in _SCALARS
        )

    def used_by(self, expressions: Sequence[Expression]) -> tuple[tuple[str, str], ...]:
        """Return name and text of every variable that these expressions reach, in order of name."""
        return tuple((name, self._variables[name].text) for name in sorted(self._reached(expressions)))

    def sources_of(self, expressions: Sequence[Expression]) -> tuple[tuple[str, str], ...]:
        """Return the data that these expressions reach, each by its name and its object; see `datascope`."""
        del expressions
        return ()

    def timed(self, expression: Expression) -> bool:
        """Tell whether an expression, or a variable that it reaches, names `now`."""
        return expression.timed or any(self._variables[name].timed for name in self._reached((expression,)))

    def evaluate(
        self, expression: Expression, inputs: Inputs, cost: Cost | None = None, *, light: bool = False
    ) -> Truth:
        """Return what a condition says of these inputs. `cost` and `light` are the condition's own, if they are known.

        One that is `light` is not counted for inputs that are small. Where a history that it reads has no numbers, it
        is UNKNOWN, whatever else it says.
        """
        if not inputs.certain and self._is_unknown(expression, inputs):
            return UNKNOWN
        numbers = _NOTHING
        if not (light and inputs.small and inputs.left is None):
            if names := self.histories(expression):
                found = self._numbers(names, inputs)
                if found is None:
                    return UNKNOWN
                numbers = found
            cost = cost or self.cost(expression)
            if cost is None or not inputs.affords(cost):
                return TOO_COSTLY
        bound = self._bindings(expression, inputs, numbers) if expression.uses else numbers
        held = evaluate_expression(expression, bound, inputs)
        return held if isinstance(held, bool) else UNKNOWN

    @staticmethod
    def _numbers(names: frozenset[str], inputs: Inputs) -> dict[str, Any] | None:
        """Return the numbers of histories under their full names; None where some of them are unknown."""
        known = inputs.history if isinstance(inputs, HistoryInputs) else NO_NUMBERS
        if not names <= known.keys():
            return None
        return {histories.full_name(name): known[name] for name in names}

    def _bindings(self, expression: Expression, inputs: Inputs, numbers: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of the variables that an expression reaches, and the numbers, by their full names."""
        bound: dict[str, Any] = {**numbers}
        reached = self._reached((expression,))
        # In the order in which they are written: a variable sees only earlier ones.
        for name, variable in self._variables.items():
            if name in reached:
                value = evaluate_expression(variable, bound, inputs)
                if value is not FAILED:
                    bound[f"variables.{name}"] = value
        return bound

    def _is_unknown(self, expression: Expression, inputs: Inputs) -> bool:
        """Tell whether nothing can be said of these inputs, whatever they hold."""
        return not inputs.whole or ("claims" not in inputs["subject"] and self._reads_claims(expression))

    def _reads_claims(self, expression: Expression) -> bool:
        """By the text alone: an optional reach for what is unknown, or a look at all, would find claims absent."""
        texts = [expression.text, *(text for _, text in self.used_by((expression,)))]
        return any(_CLAIMS.search(text) for text in texts)

    def _reached(self, expressions: Sequence[Expression]) -> frozenset[str]:
        reached: set[str] = set()
        waiting = [name for expression in expressions for name in expression.uses]
        while waiting:
            name = waiting.pop()
            if name not in reached and name in self._variables:
                reached.add(name)
                waiting += self._variables[name].uses
        return frozenset(reached)


_NOTHING: Final[Mapping[str, Any]] = {}
_SCALARS: Final = frozenset({"BOOL", "INT", "DOUBLE"})
_Pairs = tuple[tuple[str, str], ...]
_SCOPES: Final[WeakValueDictionary[tuple[_Pairs, _Pairs], Scope]] = WeakValueDictionary()
