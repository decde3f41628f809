"""Fields of a kind, from its model: path, type, default and description, as the API server is told them.

Standing: between `bounds` and the generator. Holds: a field of the model is a row, and no row is anything else.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from bailiwick_api.manifests.editorschema import model_schema
from policypage import bounds

WORDS: Final = Path(__file__).with_name("words.toml")
Schema = Mapping[str, Any]
# A description that says what holds without the field.
_ABSENT: Final = re.compile(r"[Ii]f absent|Defaults? to|by default")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A field. `path` has `[]` behind a list and `NAME` in a map.

    `what` is the model's description, empty where it has none. `optional`: somebody can leave it out, and neither a
    default nor the description says what then holds.
    """

    path: str
    kind: str
    default: str
    what: str
    optional: bool


@dataclass(frozen=True, slots=True)
class SchemaCheck:
    """What the API server checks across fields: the path of the object, and what it says to whoever breaks it."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Words:
    """What is told of a field beside the model: `what` it is, and what holds if it is `absent`."""

    what: str = ""
    absent: str = ""


def rows(model: type[BaseModel]) -> Iterator[FieldRow]:
    """Yield the fields of a kind, each before what is below it."""
    for path, node, required in _nodes(model):
        if path:
            default, what = bounds.default(node, required=required), _described(node)
            # A status is written, and not left out, by whoever writes policies.
            optional = not (default or path.startswith("status") or _ABSENT.search(what))
            yield FieldRow(path, bounds.told(node), default, what, optional)


def checks(model: type[BaseModel]) -> Iterator[SchemaCheck]:
    """Yield the rules that the schema has across fields."""
    for path, node, _ in _nodes(model):
        yield from (SchemaCheck(path, rule["message"]) for rule in node.get("x-kubernetes-validations", ()))
        items = node.get("items", {})
        yield from (SchemaCheck(f"{path}[]", rule["message"]) for rule in items.get("x-kubernetes-validations", ()))


@cache
def words(kind: str) -> Mapping[str, Words]:
    """Return what is told of the fields of a kind by hand, by their paths or the ends of them."""
    with WORDS.open("rb") as file:
        known = tomllib.load(file)
    return {path: Words(**said) for path, said in {**known["Every"], **known[kind]}.items()}


def told(kind: str, row: FieldRow) -> tuple[str, Words]:
    """Return the entry of `words` for a field and what it says: that of its path, or of the longest end of it.

    Raises `KeyError` for a field that needs words and has none.
    """
    known = words(kind)
    parts = row.path.split(".")
    ends = (".".join(parts[start:]) for start in range(len(parts)))
    found = next((end for end in ends if end in known), "")
    said = known.get(found, Words())
    if (not row.what and not said.what) or (row.optional and not said.absent):
        raise KeyError(f"{kind}: {row.path} needs {'absent' if row.what or said.what else 'what'} in {WORDS.name}")
    return found, said


def _nodes(model: type[BaseModel]) -> Iterator[tuple[str, Schema, bool]]:
    yield from _below("", model_schema(model), required=True)


def _below(path: str, node: Schema, *, required: bool) -> Iterator[tuple[str, Schema, bool]]:
    yield path, node, required
    inner, behind = node, ""
    while (value := bounds.held(inner)) is not None:
        inner, behind = value, f"{behind}{'[]' if 'items' in inner else '.NAME'}"
    for one in inner.get("anyOf", (inner,)):
        for name, child in one.get("properties", {}).items():
            below = f"{path}{behind}.{name}".removeprefix(".")
            yield from _below(below, child, required=name in one.get("required", ()))


def _described(node: Schema) -> str:
    said = node.get("description") or node.get("items", {}).get("description", "")
    return " ".join(said.split())
