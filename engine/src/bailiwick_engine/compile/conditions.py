"""Conditions: the expressions of a rule, a ceiling or a history, compiled.

Standing: under `policies`, `settings` and `histories`. Holds: a condition is compiled, or is a problem; none is left
out, so that what it limits is never wider.
"""

from bailiwick_api.kinds.endpointpolicy import ConditionExpression
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.reads import reads
from bailiwick_engine.policy.dimensions.condition import CompiledCondition
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps


def compile_conditions(
    conditions: list[ConditionExpression] | None, scope: Scope, path: str
) -> Steps[tuple[tuple[CompiledCondition, ...], list[Problem]]]:
    """Compile the conditions of a rule or a ceiling; return them and the problems."""
    compiled: list[CompiledCondition] = []
    problems: list[Problem] = []
    for index, condition in enumerate(conditions or ()):
        where = f"{path}.conditions[{index}].expression"
        result = compile_condition(condition.expression, scope, where, condition.name, condition.message)
        if isinstance(result, CompiledCondition):
            compiled.append(result)
        else:
            problems += result
        yield
    return tuple(compiled), problems


def compile_condition(
    text: str, scope: Scope, path: str, name: str, message: str | None = None
) -> CompiledCondition | tuple[Problem, ...]:
    """Compile one condition, or return its problems."""
    expression = scope.condition(text, path)
    if not isinstance(expression, Expression):
        return expression
    cost = scope.cost(expression)
    if cost is None:
        # It reads a variable that does not compile. Settings may hold all the same, but never with a condition less.
        return scope.problems
    light, read, histories = scope.light(expression), reads(scope, (expression,)), scope.histories(expression)
    return CompiledCondition(name, expression, message, scope, cost, light, read, histories)
