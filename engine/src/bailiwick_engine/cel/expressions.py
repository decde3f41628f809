"""CEL expressions: the one module that knows the CEL library.

Holds: an expression is compiled once, and evaluating it yields a value that can be bound again, or FAILED. An error, a
missing value and a value that would change when it is bound again are all FAILED.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakValueDictionary

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from bailiwick_api import timezones
from bailiwick_engine.cel import hints, histories, zones
from bailiwick_engine.cel.closures import Closure, DeferredError, FailedError, closure
from bailiwick_engine.cel.cost.estimate import Cost, Path, outermost, without_inner
from bailiwick_engine.cel.cost.judge import PolicyCosts
from bailiwick_engine.cel.inputs import NUL, Inputs, members
from bailiwick_engine.cel.members import DATA, HISTORY, paths
from bailiwick_engine.cel.tree import Comprehension, Node, positions, tree, walk
from bailiwick_engine.cel.values import SAFE
from bailiwick_engine.problem import Problem, place

# Before the library is asked for the first zone: it looks where this says.
timezones.provide()

_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
ROOTS: Final = ("subject", "actor", "action", "resource", "context")
"""What conditions see of a call, beside `now`."""
ANY: Final[Any] = cel.Type.DYN
"""The type of a variable that did not compile."""
FAILED: Final = object()
DEFERRED: Final = object()
"""No closure knows, and the library may not be asked."""
_DECLARED: Final[dict[str, Any]] = {**dict.fromkeys(ROOTS, _MAP), "now": cel.Type.TIMESTAMP}
_READABLE: Final = frozenset({"BOOL", "INT", "DOUBLE", "STRING", "NULL", "DYN", _MAP.name()})
_EXTENSIONS: Final = (ext_optional.ExtOptional(), ext_strings.ExtStrings(), ext_bindings.ExtBindings())
_POSITION = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_VARIABLE = re.compile(r"\bvariables\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)")
_NOW = re.compile(r"\bnow\b")
# Each of these doubles what stands before it while the library parses, so that a chain of them takes for ever.
_DOUBLING = re.compile(r"\boptM|\boptF")
_MOST_DOUBLING: Final = 6
# For one expression: people do not read more, and a hint is searched for each.
_MOST_PROBLEMS: Final = 20
# Values of these types, and lists and maps of them, are bound again unchanged, whatever type was declared.
_UNTYPED: Final = frozenset({"BOOL", "INT", "DOUBLE", "STRING", "BYTES", "NULL", "DYN", "LIST", "MAP"})
_TYPE_NAME = re.compile(r"[A-Za-z_.]+")
_NO_HISTORIES: Final = frozenset[str]()


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Expression:
    """A compiled expression, the type that it yields and the variables that its text names.

    `closure` says the same as `program`, faster, of bindings that are plain (see `Inputs`); None where there is none.
    `reads` are the members of a call that it looks at, none the beginning of another; `timed`: it names `now`; `bound`
    are the full names of the variables in `uses`. `cost` is that of an expression without variables and data, else see
    `Scope.cost`. `data` are the names of the data that its text names, `histories` those of the histories that it
    reads.
    """

    text: str
    program: Any
    yields: Any
    uses: frozenset[str]
    closure: Closure | None
    reads: tuple[Path, ...]
    timed: bool
    bound: frozenset[str]
    cost: Cost | None
    data: frozenset[str] = frozenset()
    histories: frozenset[str] = frozenset()


def compile_expression(
    text: str, path: str, declared: Mapping[str, Any], data: Collection[str] = ()
) -> Expression | tuple[Problem, ...]:
    """Compile, or find, an expression. `declared` are the types of the variables that it may name, by their names.

    `data` are the names of the data that it may read, each typed dyn. It may read a history of any name: which ones
    there are stands with the settings of the endpoint, which may be in another policy.

    The same text is compiled once for all policies that give the variables it names the same types. The library's
    environment takes a millisecond and 130 KB, so that one that declares variables is let go at once: what was checked
    is read into the one environment that stays, wherever values need no declared type to be bound.
    """
    uses = frozenset(_VARIABLE.findall(text))
    named = {name: declared[name] for name in sorted(uses) if name in declared}
    read = _data_read(text, data) if data else frozenset[str]()
    # ERROR stands for every type that has no name here: two of them need not be the same.
    shared = not any("ERROR" in kind.name() for kind in named.values())
    key = (text, tuple((name, kind.name()) for name, kind in named.items()), tuple(sorted(read)))
    known = _EXPRESSIONS.get(key) if shared else None
    if known is not None:
        return known
    if len(_DOUBLING.findall(text)) > _MOST_DOUBLING:
        return (
            Problem(
                path, f"an expression can use optMap and optFlatMap at most {_MOST_DOUBLING} times", 1, 1, costly=True
            ),
        )
    variables = {f"variables.{name}": kind for name, kind in named.items()}
    variables |= {f"{DATA}.{name}": ANY for name in sorted(read)}
    made = _checked(text, path, variables, _names(declared, data))
    if isinstance(made, tuple):
        return made
    serialized, node = made.serialized, made.node
    if (literal := zones.unknown(node, text)) is not None:
        line, column = place(text, positions(serialized).get(literal.at, 0))
        return (Problem(path, zones.message(str(literal.value)), line, column),)
    if read and (loop := _shadowed(node)) is not None:
        line, column = place(text, positions(serialized).get(loop.at, 0))
        return (
            Problem(path, f"{DATA} cannot be the name of a loop variable, because the policy reads data", line, column),
        )
    own = PolicyCosts(ROOTS)
    cost = own.cost(node, (), serialized, text, path) if not uses and not read else None
    if isinstance(cost, Problem):
        return (cost,)
    # What closures may read: of a variable of another type, the library knows more than its Python value says.
    readable = [name for name, kind in {**_DECLARED, **made.variables}.items() if kind.name() in _READABLE]
    expression = Expression(
        text,
        made.program,
        made.yields,
        uses,
        closure(node, frozenset(readable)),
        outermost(node, (*ROOTS, *(f"{DATA}.{name}" for name in read))) if cost is None else without_inner(cost.reads),
        timed=_NOW.search(text) is not None,
        bound=frozenset(made.variables),
        cost=cost,
        data=read,
        histories=histories.names_in_tree(node) if HISTORY in text else _NO_HISTORIES,
    )
    # The first one stays: a shared expression must be one object.
    return _EXPRESSIONS.setdefault(key, expression) if shared else expression


@dataclass(frozen=True, slots=True)
class _CheckedText:
    """What the library made of a text. `variables` are the types that were declared, by their full names."""

    program: Any
    yields: Any
    serialized: bytes
    node: Node
    variables: Mapping[str, Any]


def _checked(
    text: str, path: str, variables: Mapping[str, Any], names: Sequence[str]
) -> _CheckedText | tuple[Problem, ...]:
    """Let the library check a text that may read these variables, and histories. `names`: see `_problems`."""
    seeming = histories.names_in_text(text)
    made = _by_checker(text, {**variables, **{histories.full_name(name): ANY for name in sorted(seeming)}})
    if seeming and isinstance(made, _CheckedText):
        wrong = None
        if (loop := histories.loop_variable(made.node)) is not None:
            # All that seems to be a history is a loop variable then, or it does not compile.
            wrong = f"{HISTORY} cannot be the name of a loop variable, because the condition reads a history", loop.at
            alone = _by_checker(text, variables)
            if isinstance(alone, _CheckedText):
                return alone
        if (wrong := wrong or histories.misuse(made.node)) is not None:
            line, column = place(text, positions(made.serialized).get(wrong[1], 0))
            return (Problem(path, wrong[0], line, column),)
    return _problems(str(made), text, path, names) if isinstance(made, RuntimeError) else made


def _by_checker(text: str, variables: Mapping[str, Any]) -> _CheckedText | RuntimeError:
    environment = _environment(variables) if variables else _BARE
    try:
        program = environment.compile(text)
        yields = program.return_type()
    except RuntimeError as error:
        return error
    serialized = program.serialize()
    if variables and all(_untyped(kind) for kind in variables.values()):
        program = _BARE.deserialize(serialized)
    return _CheckedText(program, yields, serialized, tree(serialized), variables)


def _data_read(text: str, data: Collection[str]) -> frozenset[str]:
    """Return the names of the data that a text reads."""
    return frozenset(path[1] for path in paths(text) if path[0] == DATA and len(path) > 1).intersection(data)


def _names(declared: Collection[str], data: Collection[str]) -> tuple[str, ...]:
    """Return the full names of everything that an expression may name."""
    of_variables = (f"variables.{name}" for name in declared)
    return (*_DECLARED, HISTORY, *of_variables, *(f"{DATA}.{name}" for name in sorted(data)))


def _shadowed(node: Node) -> Comprehension | None:
    """Return a loop that would hide data behind its own variable."""
    loops = (one for one in walk(node) if isinstance(one, Comprehension))
    return next((loop for loop in loops if DATA in {loop.variable, loop.accumulator}), None)


def _environment(variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the library's type is not public
    return cel.NewEnv(variables={**_DECLARED, **variables}, extensions=list(_EXTENSIONS))


def _untyped(kind: Any) -> bool:  # noqa: ANN401 - likewise
    return _UNTYPED.issuperset(_TYPE_NAME.findall(kind.name().upper()))


def _problems(error: str, text: str, path: str, names: Sequence[str]) -> tuple[Problem, ...]:
    found = _POSITION.findall(error)
    if not found:
        return (Problem(path, error.splitlines()[0], 1, 1),)
    told = [
        Problem(path, hints.of_message(text, message, names, int(line), int(column)), int(line), int(column))
        for line, column, message in found[:_MOST_PROBLEMS]
    ]
    # Of a macro that is misspelled the library first misses the names that it would have bound.
    return tuple(sorted(told, key=lambda problem: problem.message.startswith("unknown name ")))


_SCALARS: Final = frozenset({str, float, type(None)})
_PLAIN: Final = frozenset({"BOOL", "INT", "DOUBLE", "STRING", "BYTES"})
_TYPED: Final = _PLAIN | {"TIMESTAMP", "DURATION"}


def matches_whole(pattern: str, text: str) -> bool | Problem:
    """Tell whether RE2 `pattern` matches the whole text; a `Problem`, whatever the text, where it is not RE2."""
    # Alone too: a pattern with unbalanced parentheses could otherwise step out of the group.
    results = [_MATCHES.eval(data={"text": text, "pattern": anchored}) for anchored in (pattern, f"^(?:{pattern})$")]
    if any(result.type().name() != "BOOL" for result in results):
        return Problem("pattern", f"not a valid regular expression (RE2): {pattern!r}")
    # What follows a NUL the library does not see.
    return NUL not in text and all(result.value() for result in results)


_Key = tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]
_EXPRESSIONS: Final[WeakValueDictionary[_Key, Expression]] = WeakValueDictionary()
_BARE: Final = _environment({})
_MATCHES: Final = cel.NewEnv(variables={"text": cel.Type.STRING, "pattern": cel.Type.STRING}).compile(
    "text.matches(pattern)"
)


def evaluate_expression(
    expression: Expression,
    bound: Mapping[str, Any],
    inputs: Inputs,
    *,
    handed: bool = True,
) -> Any:  # noqa: ANN401 - any value
    """Return what an expression yields as a Python value that can be bound again, or `FAILED`.

    `bound` are the values of variables and data by their full names. Not `handed`: the library is not asked, and where
    it would be, `DEFERRED` is returned.
    """
    if inputs.plain and expression.closure is not None:
        try:
            value = expression.closure({**inputs, **bound} if bound else inputs)
        except FailedError:
            return FAILED
        except (DeferredError, RecursionError):
            pass
        else:
            if type(value) is bool:
                return value
            if type(value) is str and NUL in value:
                return FAILED
            # Of lists, maps and large numbers the library decides below if they can be bound again.
            if type(value) in _SCALARS or (type(value) is int and -SAFE < value < SAFE):
                return value
    return _by_library(expression, bound, inputs) if handed else DEFERRED


def _by_library(expression: Expression, bound: Mapping[str, Any], inputs: Inputs) -> Any:  # noqa: ANN401 - likewise
    # Only what is read: the library takes over all of a value before it looks at any of it.
    data = inputs.read(expression.reads)
    data.update({name: value for name, value in bound.items() if name in expression.bound})
    if expression.data:
        data.update(members(bound, [path for path in expression.reads if path[0] in bound]))
    if expression.timed:
        data["now"] = datetime.fromtimestamp(inputs.moment, UTC)
    return _yielded(expression, data)


def _yielded(expression: Expression, data: Mapping[str, Any]) -> Any:  # noqa: ANN401 - likewise
    try:
        result = expression.program.eval(data=data)
        if result.type().name() == "UINT" and expression.yields.name() == "UINT":
            return result.value()
        # A time, and what holds one, it takes back only under its own type.
        return _plain(result, _PLAIN if "DYN" in expression.yields.name() else _TYPED)
    except Exception:  # noqa: BLE001 - whatever the library raises for inputs and results that it cannot convert
        return FAILED


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
