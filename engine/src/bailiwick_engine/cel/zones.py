"""Zones: the time zones that an expression names, and what is wrong with one that does not exist.

A condition with an unknown zone would compile and then fail in every call. Holds: pure; what is accepted here the CEL
library knows, wherever it runs (see `bailiwick_api.timezones`).
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from bailiwick_api import timezones
from bailiwick_engine.approval.display import visible
from bailiwick_engine.cel.cost.functions import OF_TIME
from bailiwick_engine.cel.tree import Constant, Invocation, Node, walk

# The sign stays as it is written; the library takes more hours and minutes than there are.
_OFFSET: Final = re.compile(r"[+-]?(?:[01]?[0-9]|2[0-3]):[0-5][0-9]")
# Files that a machine may have for the same zones, counted in another way.
_VARIANT: Final = re.compile(r"(?:posix|right)/")
_ADVICE: Final = "use an IANA time zone name, for example 'Europe/Berlin', or an offset, for example '+02:00'"
_PARTS: Final = "get"
"""How the name of each of `OF_TIME` begins."""
# Names are compared that begin alike and are about as long: a policy may hold thousands.
_BEGINNING: Final = 2
_LENGTHS: Final = 2


def unknown(tree: Node, text: str) -> Constant | None:
    """Return the first time zone of an expression, given as its tree and its text, that does not exist."""
    # Few expressions name any, and there may be ten thousand to go through.
    for literal in _literals(tree) if _PARTS in text else ():
        zone = literal.value
        if isinstance(zone, str) and zone not in timezones.names() and not _OFFSET.fullmatch(zone):
            return literal
    return None


def message(zone: str) -> str:
    """Return what to tell of a zone that does not exist."""
    return f"unknown time zone '{visible(zone)}': {_hint(zone)}"


def _literals(tree: Node) -> Iterator[Constant]:
    for node in walk(tree):
        if isinstance(node, Invocation) and node.function in OF_TIME:
            yield from (argument for argument in node.arguments if isinstance(argument, Constant))


def _hint(zone: str) -> str:
    wanted = _VARIANT.sub("", zone).casefold()
    alike = {
        name.casefold(): name
        for name in timezones.names()
        if name[:_BEGINNING].casefold() == wanted[:_BEGINNING] and abs(len(name) - len(wanted)) <= _LENGTHS
    }
    near = get_close_matches(wanted, sorted(alike), n=1, cutoff=0.8)
    return f"did you mean '{alike[near[0]]}'?" if near else _ADVICE
