"""Footprint: how many bytes a policy takes once it is compiled, from the text of its spec, before that is done.

Standing: what `ledger` counts; decision point, operator, admission and command line all ask here. A class of text has
one factor: expressions, strings, and the keys that a rule's subjects come to. Holds: pure and total, whatever the spec
is; linear in its text; the same for the same spec, on every machine. It errs upwards, since what is counted must fit
the memory: tests/process/engine/test_footprint.py holds it against measured memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from bailiwick_engine.policy.index import SPREAD

# Bytes, as measured with Python 3.11 on 64 bits: of a policy with the settings of its endpoint, of a rule, of what an
# approval asks for, and of each of its steps.
_POLICY: Final = 2_000
_RULE: Final = 500
_GATE: Final = 3_600
_STEP: Final = 1_000
# Of an expression, of a variable beside its expression, of a node of the tree, and of a byte of the text, which is kept
# several times.
_EXPRESSION: Final = 2_000
_VARIABLE: Final = 400
_NODE: Final = 740
_CHARACTER: Final = 5
# Of a string of the rest, be it a name or a value, and of a byte of that text.
_STRING: Final = 140
_BYTE: Final = 3
# Of a text that is not all ASCII, Python may take four bytes for each character.
_WIDE: Final = 4
# Of a key of a subject: where it is kept; in the set of a rule; and in the index, by action or to be tried.
_KEY: Final = 100
_LISTED: Final = 64
_ENTRY: Final = 80
_TRIED: Final = 24
_MOST: Final = 1 << 40
"""More than any budget: a number of JSON's that is larger is no size."""

# How many nodes a character of an expression stands for at most, whatever it does there.
_ONE: Final = b".,=!&|("
_TWO: Final = b"+-*/%<>?:"
_BRACKET: Final = b"[{"
_IN_BRACKET: Final = 4
# What the library puts in the place of a macro. They are found by name alone, since spaces may stand around it.
_MACROS: Final = (b"all", b"exists", b"map", b"filter")
_IN_MACRO: Final = 5
# These two repeat what they are called on; an expression with more of them does not compile.
_DOUBLING: Final = ("optM", "optF")
_MOST_DOUBLING: Final = 6
_DOUBLED: Final = 8

Json = Any


class Footprint(NamedTuple):
    """`bytes`: of a policy, compiled. `text`: bytes of its spec as JSON."""

    bytes: int
    text: int


NO_FOOTPRINT: Final = Footprint(0, 0)
"""Of what is not there."""


@dataclass(slots=True)
class FootprintSum:
    """What some policies of a namespace take together."""

    bytes: int = 0
    text: int = 0
    count: int = 0

    def add(self, made: Footprint) -> None:
        """Take one more in."""
        self.bytes, self.text, self.count = self.bytes + made.bytes, self.text + made.text, self.count + 1

    def remove(self, made: Footprint) -> None:
        """Take one out that is in."""
        self.bytes, self.text, self.count = self.bytes - made.bytes, self.text - made.text, self.count - 1


def footprint(spec: Json, text: bytes | None = None) -> Footprint:
    """Return what a spec comes to. It takes some milliseconds for the largest that the API server stores.

    `text`: the spec as JSON, where it is known.
    """
    text = json_text(spec) if text is None else text
    members = _object(spec)
    keys = _keys_by_subject(members)
    size = _POLICY + _STRING * (text.count(b'"') // 2) + _BYTE * len(text) * (1 if text.isascii() else _WIDE)
    size += _KEY * sum(keys.values())
    for rule in map(_object, _list(members.get("rules"))):
        size += _RULE + _spread(rule, keys)
        approval = _object(rule.get("approval"))
        size += _GATE + _STEP * len(_list(approval.get("steps"))) if approval else 0
    size += _VARIABLE * len(_list(members.get("variables"))) + expression_bytes(*_expressions(members))
    return Footprint(min(_MOST, size), len(text))


def expression_bytes(*texts: str) -> int:
    """Return how many bytes expressions take at most when they are compiled."""
    # What is alike is counted at once: one by one, thousands of short ones would take long.
    alike: dict[tuple[int, int], list[str]] = {}
    for text in texts:
        doubling = min(_MOST_DOUBLING, sum(map(text.count, _DOUBLING))) if "opt" in text else 0
        alike.setdefault((doubling, 1 if text.isascii() else _WIDE), []).append(text)
    size = _EXPRESSION * len(texts)
    for (doubling, width), group in alike.items():
        joined = "\n".join(group).encode("utf-8", "replace")
        nodes = len(group) * (1 + (_DOUBLED if doubling else 0)) + _nodes(joined)
        size += _NODE * (nodes << doubling) + _CHARACTER * width * len(joined)
    return min(_MOST, size)


def json_text(spec: Json) -> bytes:
    """Return a spec as JSON."""
    try:
        return orjson.dumps(spec)
    except TypeError:
        # Half a character, or a number beyond 64 bits: no API server has let that through, and it does not compile.
        return repr(spec).encode("utf-8", "replace")


def _nodes(text: bytes) -> int:
    """Return how many nodes the trees of expressions have at most beside their first, macros expanded."""
    while b"((" in text:
        # Only the last of several is that of a call.
        text = text.replace(b"((", b"(")
    count = _count(text, _ONE) + 2 * _count(text, _TWO) + _IN_BRACKET * _count(text, _BRACKET)
    return count + _IN_MACRO * sum(map(text.count, _MACROS)) + 2 * text.count(b"in")


def _count(text: bytes, characters: bytes) -> int:
    return len(text) - len(text.translate(None, characters))


def _expressions(members: Mapping[str, Json]) -> Iterator[str]:
    """Yield the text of every expression of a spec."""
    settings = _object(members.get("endpointSettings"))
    delegation = _object(settings.get("delegation"))
    for holder in map(_object, (*_list(members.get("rules")), *_list(delegation.get("ceiling")))):
        yield from _texts(holder.get("conditions"))
    yield from _texts(members.get("variables"))
    for history in map(_object, _list(settings.get("history"))):
        if isinstance(when := _object(history.get("counts")).get("when"), str):
            yield when


def _texts(listed: Json) -> Iterator[str]:
    for one in map(_object, _list(listed)):
        if isinstance(text := one.get("expression"), str):
            yield text


def _keys_by_subject(members: Mapping[str, Json]) -> dict[str, int]:
    """Return how many keys the subjects of each name come to."""
    keys: dict[str, int] = {}
    for subject in map(_object, _list(members.get("subjects"))):
        name = subject.get("name")
        count = max(1, len(_list(_object(subject.get("entity")).get("ids"))))
        if isinstance(name, str):
            keys[name] = keys.get(name, 0) + count
    return keys


def _spread(rule: Mapping[str, Json], keys: Mapping[str, int]) -> int:
    """Return what the subjects of a rule take, for each of which it is found by each of its actions."""
    count = sum([keys.get(name, 0) for name in _list(rule.get("subjects")) if isinstance(name, str)])
    actions = len(_list(rule.get("actions")))
    return count * (_LISTED + (_ENTRY * actions if count * actions <= SPREAD else _TRIED + _ENTRY))


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
