"""From models to structural schemas: what is not bounded is refused, and what is not structural does not come out."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import pytest
from pydantic import BaseModel, Field

from bailiwick_api.kinds.meta import SET, Label, Model, Time
from bailiwick_api.manifests import crds, schema
from bailiwick_api.manifests.schema import UnboundedSchemaError, structural

DEFINITIONS: Final = {"EndpointPolicy": crds.endpoint_policies(), "ApprovalGrant": crds.approval_grants()}
Bounded = Annotated[list[Label], Field(max_length=4), SET]


class Inner(Model):
    word: str


class ListWithoutEnd(Model):
    items: Annotated[list[Label], SET]


class ListWithoutType(Model):
    items: Annotated[list[Label], Field(max_length=4)]


class TextWithoutEnd(Model):
    word: str


class TextWithoutEndInside(Model):
    inner: Annotated[list[Inner], Field(max_length=4), SET]


class OptionalTextWithoutEnd(Model):
    word: str | None = None


class MapWithoutEnd(Model):
    words: dict[str, Label]


class MapOfTextWithoutEnd(Model):
    words: Annotated[dict[str, str], Field(max_length=4)]


class TimeWithoutPattern(Model):
    moment: datetime


class TwoTypes(Model):
    either: int | bool


class Fine(Model):
    """What this is."""

    word: Label
    """What the word is."""
    choice: Literal["One", "Two"] = "One"
    only: Literal["Only"] = "Only"
    number: Annotated[int, Field(ge=1)] = 1
    flag: bool = False
    moment: Time | None = None
    many_words: Bounded | None = None
    by_name: Annotated[dict[str, Label] | None, Field(max_length=4)] = None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ListWithoutEnd, "ListWithoutEnd.items: maxItems is missing"),
        (ListWithoutType, "ListWithoutType.items: a list needs x-kubernetes-list-type"),
        (TextWithoutEnd, "TextWithoutEnd.word: maxLength is missing"),
        (TextWithoutEndInside, "TextWithoutEndInside.inner[].word: maxLength is missing"),
        (OptionalTextWithoutEnd, "OptionalTextWithoutEnd.word: maxLength is missing"),
        (MapWithoutEnd, "MapWithoutEnd.words: maxProperties is missing"),
        (MapOfTextWithoutEnd, "MapOfTextWithoutEnd.words[*]: maxLength is missing"),
        (TimeWithoutPattern, "TimeWithoutPattern.moment: pattern is missing"),
        (TwoTypes, "a union of 2 types is not structural"),
    ],
)
def test_a_model_that_is_not_bounded_is_refused_with_the_path(model: type[BaseModel], message: str) -> None:
    with pytest.raises(UnboundedSchemaError) as caught:
        structural(model)
    assert str(caught.value) == message


def test_a_bounded_model_becomes_a_structural_schema() -> None:
    label = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "minLength": 1, "maxLength": 63}
    found = structural(Fine)
    time = found["properties"].pop("moment")
    assert found == {
        "description": "What this is.",
        "type": "object",
        "required": ["word"],
        "properties": {
            "word": {**label, "description": "What the word is."},
            "choice": {"type": "string", "enum": ["One", "Two"], "default": "One"},
            "only": {"type": "string", "enum": ["Only"], "default": "Only"},
            "number": {"type": "integer", "minimum": 1, "default": 1},
            "flag": {"type": "boolean", "default": False},
            "manyWords": {"type": "array", "maxItems": 4, "x-kubernetes-list-type": "set", "items": label},
            "byName": {"type": "object", "maxProperties": 4, "additionalProperties": label},
        },
    }
    assert (time["type"], time["format"]) == ("string", "date-time")


def walk(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from walk(node[key], f"{path}[]")


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_every_node_of_a_definition_has_a_type_and_only_structural_keys(kind: str) -> None:
    root = DEFINITIONS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    allowed = {*schema._KEPT, "properties", "items", "additionalProperties"}
    found = list(walk(root, kind))
    assert len(found) > 70
    assert {path: set(node) - allowed for path, node in found if set(node) - allowed} == {}
    assert [path for path, node in found if "type" not in node] == []
    # A default of null would be a value; absence is how a field is left out.
    assert [path for path, node in found if "default" in node and node["default"] is None] == []


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_no_word_of_json_schema_that_kubernetes_refuses_comes_out(kind: str) -> None:
    forbidden = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "title", "x-kubernetes-preserve-unknown-fields"}
    root = DEFINITIONS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert {path: forbidden & set(node) for path, node in walk(root, kind) if forbidden & set(node)} == {}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_every_field_of_a_spec_that_is_not_plain_from_its_name_is_explained(kind: str) -> None:
    root = DEFINITIONS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert [path for path, node in walk(root, kind) if node["type"] == "object" and "properties" in node
            and "description" not in node] == []  # fmt: skip
