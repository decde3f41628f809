"""Histories in expressions: which ones an expression reads, and whether it reads them as it may.

Standing: over `members` and `tree`, for `expressions`. Holds: an expression reads a history as `history.NAME.count`,
`.sum` or `.age` and in no other way, so that its text shows which numbers it needs before it is evaluated.
"""

from difflib import get_close_matches
from typing import Final

from bailiwick_engine.cel.members import HISTORY, paths
from bailiwick_engine.cel.tree import Comprehension, Ident, Node, Select, walk

AGE: Final = "age"
MEMBERS: Final = ("count", "sum", AGE)
"""What a history has for a condition."""
SPELLING: Final = "read a history as history.NAME.count, history.NAME.sum or history.NAME.age"
_PREFIX: Final = f"{HISTORY}."


def names_in_text(text: str) -> frozenset[str]:
    """Return the names of histories that a text seems to read: one that a loop variable hides is among them."""
    if HISTORY not in text:
        return _NONE
    return frozenset(path[1] for path in paths(text) if path[0] == HISTORY and len(path) > 1)


def names_in_tree(tree: Node) -> frozenset[str]:
    """Return the names of histories that an expression reads."""
    names = (node.name for node in walk(tree) if isinstance(node, Ident) and _is_history(node))
    return frozenset(name.removeprefix(_PREFIX) for name in names)


def loop_variable(tree: Node) -> Comprehension | None:
    """Return a loop, or a `cel.bind`, whose variable is called `history`."""
    loops = (one for one in walk(tree) if isinstance(one, Comprehension))
    return next((loop for loop in loops if HISTORY in {loop.variable, loop.accumulator}), None)


def misuse(tree: Node) -> tuple[str, int] | None:
    """Return what is wrong with how an expression reads a history, and the node where; None where nothing is."""
    known: set[int] = set()
    for node in walk(tree):
        match node:
            case Select(Ident() as history, field, test) if _is_history(history):
                known.add(id(history))
                if (wrong := _wrong_member(history.name, field, test=test)) is not None:
                    return wrong, node.at
            case Select(Select(Ident() as history, field, False)) if _is_history(history):
                return f"{history.name}.{field} is a number, which has no members", node.at
            case Ident() if _is_history(node) and id(node) not in known:
                return f"{node.name} can only be read by its members: {SPELLING}", node.at
    return None


def _is_history(node: Ident) -> bool:
    return node.name.startswith(_PREFIX)


def _wrong_member(history: str, field: str, *, test: bool) -> str | None:
    if field not in MEMBERS:
        near = get_close_matches(field.casefold(), MEMBERS, n=1)
        hint = f"; did you mean {history}.{near[0]}?" if near else f": {SPELLING}"
        return f"a history has no member {field}{hint}"
    if test and field != AGE:
        return f"has({history}.{field}) is always true: only age can be absent"
    return None


def full_name(name: str) -> str:
    """Return the name under which an expression reads a history."""
    return f"{_PREFIX}{name}"


_NONE: Final = frozenset[str]()
