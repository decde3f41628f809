"""CEL conditions: the one module that knows the CEL library (DESIGN, "EndpointPolicy", CEL).

Holds: a condition yields True, False or UNKNOWN; an error, a missing value and a value that is not a boolean are all
UNKNOWN, and what UNKNOWN does is decided elsewhere, never to anybody's advantage.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from weakref import WeakValueDictionary

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from bailiwick_api.endpointpolicy import Variable
from bailiwick_engine import hints
from bailiwick_engine.celvalues import SAFE
from bailiwick_engine.checkedexpr import Node, tree
from bailiwick_engine.closures import Closure, DeferredError, FailedError, closure
from bailiwick_engine.inputs import NUL, Inputs
from bailiwick_engine.problem import Problem

UNKNOWN: Final = "unknown"
Outcome = Literal[True, False, "unknown"]

_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_DECLARED: Final[dict[str, Any]] = {
    "subject": _MAP,
    "actor": _MAP,
    "action": _MAP,
    "resource": _MAP,
    "context": _MAP,
    "now": cel.Type.TIMESTAMP,
}
_READABLE: Final = frozenset({"BOOL", "INT", "DOUBLE", "STRING", "NULL", "DYN", _MAP.name()})
_EXTENSIONS: Final = (ext_optional.ExtOptional(), ext_strings.ExtStrings(), ext_bindings.ExtBindings())
_POSITION = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
# A party as a whole, or any member of it but those that are always known.
_CLAIMS = re.compile(r"\b(?:subject|actor)\b(?!\s*\.\s*\??\s*(?:id|type|properties)\b)")
_VARIABLE = re.compile(r"\bvariables\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Expression:
    """A compiled expression, the type that it yields and the variables that its text names.

    `closure` says the same as `program`, faster, of bindings that are plain (see `Inputs`); None where there is none.
    """

    text: str
    program: Any
    yields: Any
    uses: frozenset[str]
    closure: Closure | None


class _Environment:
    """The types of what expressions can name. The same text is compiled once for all policies that see the same types.

    The library's environment takes a millisecond and 130 KB, and a compiled expression keeps it alive: policies that
    declare variables of the same names and types share one, and it goes with the last of them.
    """

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self.declared = declared
        self._library = cel.NewEnv(variables=dict(declared), extensions=list(_EXTENSIONS))
        self._expressions: WeakValueDictionary[str, Expression] = WeakValueDictionary()
        # What closures may read: of a variable of another type, the library knows more than its Python value says.
        self._readable = frozenset(name for name, kind in declared.items() if kind.name() in _READABLE)

    def compile(self, text: str, path: str) -> Expression | tuple[Problem, ...]:
        """Compile, or find, an expression."""
        known = self._expressions.get(text)
        if known is not None:
            return known
        try:
            program = self._library.compile(text)
            yields = program.return_type()
        except RuntimeError as error:
            found = _POSITION.findall(str(error))
            if not found:
                return (Problem(path, str(error).splitlines()[0], 1, 1),)
            names = tuple(self.declared)
            return tuple(
                Problem(path, message + hints.of_message(text, message, names), int(line), int(column))
                for line, column, message in found
            )
        made = closure(tree(program.serialize()), self._readable)
        compiled = Expression(text, program, yields, frozenset(_VARIABLE.findall(text)), made)
        # Whoever came first stays: what is shared must be one object.
        return self._expressions.setdefault(text, compiled)

    def with_variable(self, name: str, kind: Any) -> "_Environment":  # noqa: ANN401 - the library's type is not public
        """Return the environment that declares one variable more."""
        declared = {**self.declared, f"variables.{name}": kind}
        if "ERROR" in kind.name():
            # What stands for every type that has no name here: two of them need not be the same.
            return _Environment(declared)
        key = tuple((name, kind.name()) for name, kind in declared.items())
        known = _ENVIRONMENTS.get(key)
        return known if known is not None else _ENVIRONMENTS.setdefault(key, _Environment(declared))


class Scope:
    """The expressions of one policy, with its variables.

    A variable is declared as `variables.<name>` with the type of its expression. One that fails is unbound: using it,
    and asking `has()` of it, is an error, and an error never widens.
    """

    def __init__(self, variables: Sequence[Variable], path: str = "spec.variables") -> None:
        self._variables: dict[str, Expression] = {}
        self._broken: set[str] = set()
        self.problems: tuple[Problem, ...] = ()
        self._environment = _BARE
        for index, variable in enumerate(variables):
            compiled = self._environment.compile(variable.expression, f"{path}[{index}].expression")
            if isinstance(compiled, tuple):
                self.problems += compiled
                # Later expressions that use it must not fail for that reason too.
                self._broken.add(variable.name)
            else:
                self._variables[variable.name] = compiled
            kind = cel.Type.DYN if isinstance(compiled, tuple) else compiled.yields
            self._environment = self._environment.with_variable(variable.name, kind)

    @classmethod
    def of(cls, variables: Sequence[Variable]) -> "Scope":
        """Return the scope of these variables: one for all policies that declare the same ones in the same order."""
        key = tuple((variable.name, variable.expression) for variable in variables)
        known = _SCOPES.get(key)
        return known if known is not None else _SCOPES.setdefault(key, cls(variables))

    def condition(self, text: str, path: str) -> Expression | tuple[Problem, ...]:
        """Compile a condition; it must be of type bool. Returns the problems instead where there are any."""
        compiled = self._environment.compile(text, path)
        if isinstance(compiled, tuple):
            return compiled
        kind = compiled.yields.name()
        if kind != "BOOL" and not compiled.uses & self._broken:
            hint = hints.of_type(text, kind)
            return (Problem(path, f"the expression yields {kind.lower()}, not bool: {hint}", 1, 1),)
        return compiled

    def trees(self, expression: Expression) -> tuple[Node, dict[str, Node]]:
        """Return the tree of an expression, and those of all variables by their full names."""
        named = {f"variables.{name}": tree(variable.program.serialize()) for name, variable in self._variables.items()}
        return tree(expression.program.serialize()), named

    def used_by(self, expressions: Sequence[Expression]) -> tuple[tuple[str, str], ...]:
        """Return name and text of every variable that these expressions reach, in order of name."""
        return tuple((name, self._variables[name].text) for name in sorted(self._reached(expressions)))

    def evaluate(self, expression: Expression, inputs: "Inputs") -> Outcome:
        """Return what a condition says of these inputs."""
        if not inputs.whole or ("claims" not in inputs["subject"] and self._reads_claims(expression)):
            return UNKNOWN
        bindings: dict[str, Any] = inputs
        if expression.uses:
            bindings = dict(inputs)
            reached = self._reached((expression,))
            # In the order in which they are written: a variable sees only earlier ones.
            for name, variable in self._variables.items():
                if name in reached:
                    value = _evaluated(variable, bindings, inputs)
                    if value is not _FAILED:
                        bindings[f"variables.{name}"] = value
        held = _evaluated(expression, bindings, inputs)
        return held if isinstance(held, bool) else UNKNOWN

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


_FAILED: Final = object()
_SCALARS: Final = frozenset({str, float, type(None)})
_PLAIN: Final = frozenset({"BOOL", "INT", "DOUBLE", "STRING", "BYTES"})
_TYPED: Final = _PLAIN | {"TIMESTAMP", "DURATION"}


def matches_whole(pattern: str, text: str) -> bool | Problem:
    """Tell whether RE2 `pattern` matches the whole text; a `Problem`, whatever the text, where it is not RE2."""
    # Alone too: a pattern with unbalanced parentheses could otherwise step out of the group.
    results = [_MATCHES.eval(data={"text": text, "pattern": anchored}) for anchored in (pattern, f"^(?:{pattern})$")]
    if any(result.type().name() != "BOOL" for result in results):
        return Problem("pattern", f"not a regular expression (RE2): {pattern!r}")
    # What follows a NUL the library does not see.
    return NUL not in text and all(result.value() for result in results)


_ENVIRONMENTS: Final[WeakValueDictionary[tuple[tuple[str, str], ...], _Environment]] = WeakValueDictionary()
_SCOPES: Final[WeakValueDictionary[tuple[tuple[str, str], ...], Scope]] = WeakValueDictionary()
_BARE: Final = _Environment(_DECLARED)
_MATCHES: Final = cel.NewEnv(variables={"text": cel.Type.STRING, "pattern": cel.Type.STRING}).compile(
    "text.matches(pattern)"
)


def _evaluated(expression: Expression, bindings: Mapping[str, Any], inputs: Inputs) -> Any:  # noqa: ANN401 - any value
    """Return what an expression yields as a Python value that can be bound again, or `_FAILED`.

    `bindings` are the inputs, with the values of variables.
    """
    if inputs.plain and expression.closure is not None:
        try:
            value = expression.closure(bindings)
        except FailedError:
            return _FAILED
        except (DeferredError, RecursionError):
            pass
        else:
            if type(value) is bool:
                return value
            if type(value) is str and NUL in value:
                return _FAILED
            # Of lists, maps and large numbers the library decides below if they can be bound again.
            if type(value) in _SCALARS or (type(value) is int and -SAFE < value < SAFE):
                return value
    return _by_library(expression, bindings, inputs.moment)


def _by_library(expression: Expression, bindings: Mapping[str, Any], moment: float) -> Any:  # noqa: ANN401 - likewise
    try:
        result = expression.program.eval(data={**bindings, "now": datetime.fromtimestamp(moment, UTC)})
        if result.type().name() == "UINT" and expression.yields.name() == "UINT":
            return result.value()
        # A time, and what holds one, it takes back only under its own type.
        return _plain(result, _PLAIN if "DYN" in expression.yields.name() else _TYPED)
    except Exception:  # noqa: BLE001 - whatever the library raises for inputs and results that it cannot convert
        return _FAILED


def _plain(value: Any, scalars: frozenset[str]) -> Any:  # noqa: ANN401 - likewise
    """Convert a value member by member. Raises `TypeError` for what would come back as something else.

    Not by the library's `plain_value`: that ends the process when a map holds an optional.
    """
    kind = value.type().name()
    if kind == "NULL":
        # The library hands out None without counting the reference: asked for often enough, it ends the process.
        return None
    held = value.value()
    if kind in scalars and not (kind == "STRING" and NUL in held):
        return held
    if isinstance(held, list):
        return [_plain(item, scalars) for item in held]
    if isinstance(held, dict) and all(isinstance(key, str) and NUL not in key for key in held):
        return {key: _plain(item, scalars) for key, item in held.items()}
    message = f"{kind} cannot be bound again"
    raise TypeError(message)
