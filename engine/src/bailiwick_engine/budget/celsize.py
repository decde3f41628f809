"""The size of a compiled CEL expression, estimated from its text alone: before anything is compiled, and for nothing.

Standing: under `footprint`. Holds: pure and total; linear in the text; what is no CEL has a size too. The numbers
were measured (tests/process/engine/test_footprint.py does it again): a node of the tree, as the library and the
closure beside it hold it, and the text, which is kept several times.
"""

import re
from functools import lru_cache
from typing import Final

EXPRESSION: Final = 1_600
"""Bytes of an expression, whatever its text."""
NODE: Final = 740
"""Bytes of a node: a name, a literal, an operator, a call."""
MOST: Final = 1 << 40
"""More than any budget; what macros multiply to is not counted further."""

# The library keeps the characters of a text and of its literals, the closure those of literals, and we the text.
_KEPT: Final = 2
_TEXT: Final = 3
_LAST_LATIN, _LAST_OF_TWO_BYTES = "\xff", "\uffff"
_STRING: Final = (
    r"(?:[rR][bB]?|[bB][rR]?)?"
    r'(?:"""(?s:.*?)"""|\'\'\'(?s:.*?)\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\')'
)
_NUMBER: Final = r"0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?"
_TOKEN: Final = re.compile(
    rf"(?P<skip>\s+|//[^\n]*|,)|(?P<literal>{_STRING}|{_NUMBER})"
    r"|(?P<macro>\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*(?=\())"
    r"|(?P<twice>\.\s*(?:optMap|optFlatMap)\s*(?=\())"
    r"|(?P<member>\.\s*(?:[A-Za-z_][A-Za-z0-9_]*|`[^`\n]*`))|(?P<optional>\.\?|\[\?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<operator>&&|\|\||[=!<>]=|.)",
    re.DOTALL,
)
# What these add to the operand that they belong to: a field; a constant and what tells that it may be absent; what the
# library puts in the place of a macro, less what stands in the text.
_ADDED: Final = {"member": 1, "optional": 2, "macro": 5}
_TWICE: Final = 8
# Of an index, a list or a map: a node and its type. Parentheses alone are none.
_BRACKETS: Final = 3
_SHORT: Final = 256


def expression_bytes(text: str) -> int:
    """Return how many bytes an expression takes when it is compiled."""
    # Thousands of policies have the same few short ones.
    return _remembered(text) if len(text) <= _SHORT else _estimated(text)


def _estimated(text: str) -> int:
    characters = _KEPT * kept(text) + _TEXT * len(text.encode("utf-8", "replace"))
    return min(MOST, EXPRESSION + NODE * _nodes(text) + characters)


def kept(text: str) -> int:
    """Return the bytes of a string's characters as Python keeps them: all as wide as the widest."""
    if text.isascii():
        return len(text)
    widest = max(text)
    return len(text) * (1 if widest <= _LAST_LATIN else 2 if widest <= _LAST_OF_TWO_BYTES else 4)


_remembered: Final = lru_cache(maxsize=1_024)(_estimated)


def _nodes(text: str) -> int:
    """Count the nodes, macros expanded: what `optMap` is called on stands in its expansion twice."""
    # Of each bracket that is open: all before the operand that it stands in, and that operand so far.
    outside: list[tuple[int, int]] = []
    before, operand = 0, 0
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or ""
        if kind in {"literal", "name"}:
            before, operand = before + operand, 1
        elif kind in _ADDED:
            operand += _ADDED[kind]
        elif kind == "twice":
            operand = min(MOST, 2 * operand + _TWICE)
        elif kind == "open":
            outside.append((before, operand))
            before, operand = 0, 0
        elif kind == "close":
            inner = before + operand
            before, operand = outside.pop() if outside else (0, 0)
            operand += inner + (0 if found[0] == ")" else _BRACKETS)
        elif kind == "operator":
            before, operand = before + operand + 1, 0
    total = before + operand
    for one, other in outside:
        total += one + other
    return min(MOST, total)
