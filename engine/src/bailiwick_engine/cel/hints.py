"""Hints: what to write instead of an expression that does not compile.

Holds: a hint is only added to what the CEL library says, and never replaces it; none is better than a wrong one.
"""

import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

_SHOWN: Final = 80
_CHAIN: Final = re.compile(r"[\w.?'\"\[\]()-]+")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_OPERANDS: Final = re.compile(r"'_(==|!=|<|<=|>|>=)_' applied to '\((.*), (.*)\)'")
_LITERALS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_SPELLINGS: Final = (
    (re.compile(r"\band\b"), "and is written &&"),
    (re.compile(r"\bor\b"), "or is written ||"),
    (re.compile(r"\bnot\b"), "not is written !"),
    (re.compile(r"(?<![=!<>])=(?!=)"), "equality is written =="),
)


def of_type(text: str, kind: str) -> str:
    """Return what to make of an expression that yields something else than a boolean."""
    if kind != "DYN":
        return "a condition must be true or false"
    stripped = text.strip()
    whole = stripped if _CHAIN.fullmatch(stripped) else f"({stripped})"
    example = f"{whole} == true" if len(whole) <= _SHOWN and "\n" not in whole else "(...) == true"
    why = "what orValue() yields has a type that only the call tells" if "orValue" in text else ""
    return f"compare it, for example with `== true`: {example}" + (f" ({why})" if why else "")


def of_message(text: str, message: str, names: Collection[str]) -> str:
    """Return what to write instead, after what the library says of a text; empty where that is not clear."""
    if (found := _UNDECLARED.search(message)) is not None:
        return _undeclared(found[1], names)
    if (found := _OPERANDS.search(message)) is not None:
        return f"; both sides must be of one type, here {found[2]} and {found[3]}: write one of them as the other's"
    if "Syntax error" in message:
        outside = _LITERALS.sub("", text)
        told = [spelling for pattern, spelling in _SPELLINGS if pattern.search(outside)]
        return f"; {', '.join(told)}" if told else ""
    return ""


def _undeclared(name: str, names: Collection[str]) -> str:
    first, _, rest = name.partition(".")
    if first == "variables":
        declared = [one.partition(".")[2] for one in names if one.startswith("variables.")]
        near = get_close_matches(rest.partition(".")[0], declared, n=1)
        meant = f"did you mean variables.{near[0]}?" if near else ""
        return f"; {meant or 'a variable is declared in spec.variables, before it is used'}"
    roots = [one for one in names if "." not in one]
    near = get_close_matches(name, roots, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; a condition can name {', '.join(roots)} and variables, and a text stands in quotes"
