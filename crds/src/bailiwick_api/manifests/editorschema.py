"""JSON Schemas of the kinds, for editors: they check a file before it is compiled.

Standing: beside `schema`, which makes the schemas for the API server. Holds: draft 7 without references, which editors
support best; closed where the models are closed; rules across fields are left to the compiler.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from bailiwick_api.kinds.approvalgrant import ApprovalGrant
from bailiwick_api.kinds.endpointdata import EndpointData
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from bailiwick_api.kinds.meta import API_VERSION

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
MODELS: Final[Mapping[str, type[BaseModel]]] = {
    model.__name__: model for model in (EndpointPolicy, EndpointData, ApprovalGrant)
}
"""The kinds that the API server keeps, by name."""
_OF_KUBERNETES: Final = "x-kubernetes-"
# A rendered file has one of the two.
_METADATA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Name and namespace of the object, labels and annotations.",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 253},
        "generateName": {"type": "string", "minLength": 1, "maxLength": 253},
        "namespace": {"type": "string", "minLength": 1, "maxLength": 63},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "anyOf": [{"required": ["name"]}, {"required": ["generateName"]}],
}


def kind_schema(kind: str) -> dict[str, Any]:
    """Return the schema of a kind that the API server stores. Raises `KeyError` for any other kind."""
    own = file_schema(MODELS[kind])
    return own | {
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": _METADATA,
            **own["properties"],
        },
        "required": ["apiVersion", "kind", "metadata", *own["required"]],
    }


def file_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a whole file that is an instance of this model."""
    return {"$schema": DIALECT, **_without_extensions(model_schema(model))}


def model_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model without references and titles. An optional field can be absent, never null."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    schema: dict[str, Any] = _resolve_node(document, document.get("$defs", {}))
    return schema


def _resolve_node(node: Any, definitions: Mapping[str, Any], *, null: bool = False) -> Any:  # noqa: ANN401 - any part
    """Resolve a node. `null`: the node is the value of a map, where null and absence mean different things."""
    if isinstance(node, list):
        return [_resolve_node(child, definitions) for child in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    node = {
        key: _resolve_keyword(key, value, definitions) for key, value in node.items() if key not in {"$defs", "title"}
    }
    choices = [child for child in node.get("anyOf", ()) if null or child.get("type") != "null"]
    if len(choices) == 1:
        node = {**choices[0], **{key: value for key, value in node.items() if key != "anyOf"}}
    elif choices:
        node["anyOf"] = choices
    if node.get("default", ...) is None:
        del node["default"]
    return node


def _resolve_keyword(key: str, value: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - likewise
    """Resolve the value of a keyword. Below `properties` each name is a field, which may be called `title`."""
    if key == "properties":
        return {name: _resolve_node(child, definitions) for name, child in value.items()}
    return _resolve_node(value, definitions, null=key == "additionalProperties")


def _without_extensions(node: Any) -> Any:  # noqa: ANN401 - likewise
    """Return a node without the keywords that only the API server reads; a set has unique items."""
    if isinstance(node, list):
        return [_without_extensions(child) for child in node]
    if not isinstance(node, dict):
        return node
    standard = {key: _without_extensions(value) for key, value in node.items() if not key.startswith(_OF_KUBERNETES)}
    if standard.get("format") == "int64":
        del standard["format"]
    if node.get(f"{_OF_KUBERNETES}list-type") == "set":
        standard["uniqueItems"] = True
    return standard
