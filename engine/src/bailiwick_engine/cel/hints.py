"""Hints: what is wrong with an expression, and what to write instead, for the author of the policy.

Holds: pure; a message of the CEL library is reworded only if its meaning is clear, and kept otherwise; no hint is
better than a wrong one.
"""

import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from bailiwick_engine.cel.cost.functions import FUNCTIONS

_SHOWN: Final = 80
_LONGEST_WORD: Final = 64
_CHAIN: Final = re.compile(r"[\w.?'\"\[\]()-]+")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD: Final = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")
_RESERVED: Final = re.compile(r"reserved identifier: (\w+)")
_CONTAINER: Final = " (in container '')"
_LITERALS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_SPELLINGS: Final = (
    (re.compile(r"\band\b"), "use && instead of and"),
    (re.compile(r"\bor\b"), "use || instead of or"),
    (re.compile(r"\bnot\b"), "use ! instead of not"),
    (re.compile(r"(?<![=!<>])=(?!=)"), "use == to compare"),
)
_SYNTAX: Final = (
    (re.compile(r"token recognition error at: '([\"'].*)"), "a string that starts here has no closing quote"),
    (re.compile(r"missing '(.+)' at '<EOF>'"), r"\1 is missing at the end"),
    (re.compile(r"missing '(.+)' at '(.+)'"), r"\1 is missing before \2"),
    (re.compile(r"(?:mismatched|extraneous) input '<EOF>'.*"), "the expression is incomplete"),
    (re.compile(r"token recognition error at: '(.*?)\s*'"), r"'\1' has no meaning here"),
    (re.compile(r"(?:mismatched|extraneous) input '(.+?)' expecting.*"), r"'\1' is not expected here"),
    (re.compile(r"no viable alternative at input '(.*)'"), r"'\1' is not expected here"),
)
_MACROS: Final = {
    "has": "has(context.a)",
    **dict.fromkeys(("all", "exists", "exists_one", "map", "filter"), "context.list.exists(x, x == 1)"),
    **dict.fromkeys(("optMap", "optFlatMap"), "context.?a.optMap(x, x + 1)"),
}
_METHODS: Final = frozenset(name for name in FUNCTIONS if name.isidentifier()) - {
    *("type", "dyn", "string", "bytes", "int", "uint", "double", "bool", "timestamp", "duration")
}
_CALLABLE: Final = (*sorted({name for name in FUNCTIONS if name.isidentifier()} | _MACROS.keys()),)
_OBJECTS: Final = {
    "subject": "subject.id",
    "actor": "actor.id",
    "action": "action.name",
    "resource": "resource.id",
    "context": "context.name",
}
_OPERATORS: Final = re.compile(r"@?_?([^_@].*?)_?\Z")
_TYPES: Final = {
    "dyn": "a value from the call",
    "int": "an integer",
    "uint": "an unsigned integer",
    "double": "a number",
    "bool": "true or false",
    "string": "a string",
    "bytes": "bytes",
    "null_type": "null",
    "type": "a type",
    "google.protobuf.Timestamp": "a time",
    "google.protobuf.Duration": "a duration",
}


def suggest_name(word: str, names: Collection[str]) -> str:
    """Return the question whether one of the names is meant; empty where none is like the word."""
    if len(word) > _LONGEST_WORD:
        return ""
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(word.casefold(), list(folded), n=1)
    return f"; did you mean {folded[near[0]]}?" if near else ""


def of_type(text: str, kind: str) -> str:
    """Return what to make of an expression that yields something else than a boolean."""
    if kind != "DYN":
        return "a condition must be true or false"
    stripped = text.strip()
    whole = stripped if _CHAIN.fullmatch(stripped) else f"({stripped})"
    example = f"{whole} == true" if len(whole) <= _SHOWN and "\n" not in whole else "(...) == true"
    why = "the type of the orValue() result is known only when a call is evaluated" if "orValue" in text else ""
    return f"compare the result, for example with `== true`: {example}" + (f" ({why})" if why else "")


def of_message(text: str, message: str, names: Collection[str], line: int = 1, column: int = 1) -> str:
    """Return what is wrong with a text, from what the library says of this line and column of it."""
    if (found := _UNDECLARED.search(message)) is not None:
        lines = text.split("\n")
        called = line <= len(lines) and lines[line - 1][column - 1 : column] == "("
        return _unknown_function(found[1]) if called else _unknown_name(found[1], names)
    if (found := _OVERLOAD.search(message)) is not None:
        return _mistyped(text, found[1], _split(found[2]))
    if "Syntax error" in message:
        return _syntax(text, message.partition("Syntax error: ")[2])
    if (found := _RESERVED.search(message)) is not None:
        return f"{found[1]} is a reserved word in CEL"
    if message.startswith("has() argument"):
        return "has() takes a member, for example has(context.a)"
    return message.replace(_CONTAINER, "")


def _unknown_function(name: str) -> str:
    if name in _MACROS:
        return f"{name} is used incorrectly: write it like {_MACROS[name]}"
    if name in _METHODS:
        return f"call {name} on a value, for example context.a.{name}(...)"
    return f"unknown function {name}{suggest_name(name, _CALLABLE)}"


def _unknown_name(name: str, names: Collection[str]) -> str:
    first, _, rest = name.partition(".")
    if first == "data":
        return _unknown_data(rest.partition(".")[0], names)
    if first == "history":
        return "read a history as history.NAME.count, history.NAME.sum or history.NAME.age"
    if first == "variables":
        declared = [one.partition(".")[2] for one in names if one.startswith("variables.")]
        word = rest.partition(".")[0]
        if word in declared:
            return f"unknown variable {word}; write variables.{word} without spaces"
        near = suggest_name(word, declared).replace("did you mean ", "did you mean variables.")
        return f"unknown variable {word}{near or '; declare variables in spec.variables, before you use them'}"
    roots = [one for one in names if "." not in one]
    listed = f"; a condition can use {', '.join(roots)} and variables; write strings in quotes"
    return f"unknown name {first}{suggest_name(first, roots) or listed}"


def _unknown_data(word: str, names: Collection[str]) -> str:
    declared = [one.partition(".")[2] for one in names if one.startswith("data.")]
    advice = "; name an EndpointData of the namespace in spec.data, and read it as data.<name>"
    if not word:
        return f"data can only be read by the names that spec.data declares{advice if not declared else ''}"
    near = suggest_name(word, declared).replace("did you mean ", "did you mean data.")
    return f"unknown data {word}{near or advice}"


def _mistyped(text: str, function: str, kinds: list[str]) -> str:
    named = [_kind(kind) for kind in kinds]
    operator = _OPERATORS.sub(r"\1", function)
    if operator == "in":
        return f"the right side of in must be a list or an object, not {named[-1]}"
    if function.isidentifier() and not function.startswith("_"):
        return f"{operator} does not accept these arguments: {', '.join(named)}"
    told = f"'{operator}' does not accept {' and '.join(named)}"
    outside = _LITERALS.sub("", text)
    if any(kind.startswith("map(") for kind in kinds) and "null_type" not in kinds:
        roots = [root for root in _OBJECTS if re.search(rf"(?<![.\w]){root}\b(?!\s*[.\[])", outside)]
        if roots:
            return f"{told}: {roots[0]} is an object, so compare one of its members, for example {_OBJECTS[roots[0]]}"
    if {*kinds} == {"int", "double"}:
        return f"{told}: write the integer with a decimal point, for example 1.0"
    if "google.protobuf.Timestamp" in kinds and "string" in kinds:
        return f"{told}: write a time as timestamp('2027-03-31T00:00:00Z')"
    return f"{told}: both sides must have the same type"


def _split(kinds: str) -> list[str]:
    """Split types at the commas that stand in no parentheses."""
    found, depth = [""], 0
    for character in kinds:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [kind.strip() for kind in found]


def _kind(kind: str) -> str:
    if kind in _TYPES:
        return _TYPES[kind]
    for beginning, told in (("map(", "an object"), ("list(", "a list"), ("optional_type(", "an optional value")):
        if kind.startswith(beginning):
            return told
    return kind


def _syntax(text: str, message: str) -> str:
    outside = _LITERALS.sub("", text)
    told = [spelling for pattern, spelling in _SPELLINGS if pattern.search(outside)]
    hint = f"; {', '.join(told)}" if told else ""
    for pattern, said in _SYNTAX:
        if (found := pattern.fullmatch(message)) is not None:
            return f"syntax error: {found.expand(said)}{hint}"
    return f"syntax error: {message}{hint}"
