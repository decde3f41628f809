"""A module that is mutated, and how a mutant of it is put in force: its function gets the changed code.

Standing: between `changes` and `play`. Holds: nothing is written to disk or imported anew, so that whoever holds the
function already, a test or another module, runs the mutant.
"""

import ast
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final, Self

from mutants.changes import Mutant, functions_of, mutants

ENGINE: Final = Path(__file__).parents[2] / "engine" / "src" / "bailiwick_engine"

_TELL: Final = "__mutants_called__"
_BEHIND: Final = ("__wrapped__", "__func__", "fget", "func")
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Target:
    """`file` is relative to the engine; `functions` are those of the module by qualified name."""

    file: str
    source: str
    path: str
    functions: Mapping[str, FunctionType]

    @classmethod
    def of(cls, file: str) -> Self:
        """Import it."""
        path = ENGINE / file
        name = ".".join(("bailiwick_engine", *Path(file).with_suffix("").parts))
        module = importlib.import_module(name)
        functions = {found.__qualname__: found for found in _functions(vars(module), name)}
        return cls(file, path.read_text(encoding="utf-8"), str(path), functions)

    def watched(self, called: Callable[[str, str], None]) -> None:
        """Let every function tell its file and its name when it is called: a tracer would slow down all else too."""
        tree = ast.parse(self.source)
        for name, node in functions_of(tree.body):
            tell = ast.parse(f"{_TELL}({self.file!r}, {name!r})").body
            node.body[:0] = [ast.copy_location(ast.fix_missing_locations(one), node.body[0]) for one in tell]
        for code in _codes(compile(ast.fix_missing_locations(tree), self.path, "exec")):
            if (function := self.functions.get(code.co_qualname)) is not None:
                function.__globals__[_TELL] = called
                function.__code__ = code

    def mutants(self) -> Iterator[Mutant]:
        """Yield the mutants of those functions that the module has when it is imported."""
        for mutant in mutants(self.source):
            if mutant.name.function in self.functions:
                yield mutant

    def code(self, mutant: Mutant) -> CodeType | None:
        """Compile a mutant and return the code of its function; None where that is no Python."""
        try:
            whole = compile(ast.fix_missing_locations(mutant.module), self.path, "exec")
        except (SyntaxError, ValueError):
            return None
        return next((code for code in _codes(whole) if code.co_qualname == mutant.name.function), None)


def _functions(held: Mapping[str, Any], module: str) -> Iterator[FunctionType]:
    for value in held.values():
        if isinstance(value, type) and value.__module__ == module:
            yield from _functions(vars(value), module)
        elif (function := _behind(value)) is not None and function.__module__ == module:
            yield function


def _behind(value: object) -> FunctionType | None:
    """Return the function of a method, of a property and of what is decorated."""
    for _ in range(_DEEPEST):
        if isinstance(value, FunctionType) and not hasattr(value, "__wrapped__"):
            return value
        value = next((found for name in _BEHIND if (found := getattr(value, name, None)) is not None), None)
    return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
