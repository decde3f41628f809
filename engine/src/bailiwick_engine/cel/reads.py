"""Reads: what an expression and the variables below it can read of a call, of data and of histories. For the record.

Holds: nothing that is read is left out (see `members`).
"""

from collections.abc import Iterable
from functools import lru_cache

from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.datascope import DataScope
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.members import DATA, HISTORY, Path, paths

__all__ = ["Path", "paths", "reads"]


def reads(scope: Scope, expressions: Iterable[Expression]) -> frozenset[Path]:
    """Return the attributes that these expressions and the variables below them read.

    Data is named by the object: `("data", <object>, ...)`, whatever the policy calls it; a history by its name.
    """
    listed = tuple(expressions)
    texts = [expression.text for expression in listed] + [text for _, text in scope.used_by(listed)]
    histories = frozenset[str]().union(*map(scope.histories, listed))
    found = {path for text in texts for path in paths(text)}
    # A loop variable may be called `history` too.
    found = {path for path in found if path[0] != HISTORY or not histories.isdisjoint(path[1:2])}
    sources = scope.sources if isinstance(scope, DataScope) else {}
    named = {path for path in found if path[0] == DATA}
    data = {(DATA, sources[path[1]], *path[2:]) for path in named if len(path) > 1 and path[1] in sources}
    return _one(frozenset((found - named) | data))


@lru_cache(maxsize=1_024)
def _one(found: frozenset[Path]) -> frozenset[Path]:
    """Return the same object for equal ones: most conditions read the same few attributes."""
    return found
