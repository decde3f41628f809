"""JSON Schemas of the kinds, for editors: what a file may hold, before anybody compiles it.

Standing: beside `schema`, which makes what the API server takes. Holds: draft 7 without references, since editors know
that best; closed wherever the models are; a rule that spans fields is left to the compiler.
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
# A file that is rendered has one of the two.
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


def stored(kind: str) -> dict[str, Any]:
    """Return the schema of a kind that the API server keeps. Raises `KeyError` for another."""
    own = written(MODELS[kind])
    return own | {
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": _METADATA,
            **own["properties"],
        },
        "required": ["apiVersion", "kind", "metadata", *own["required"]],
    }


def written(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a whole file that is an instance of this model."""
    return {"$schema": DIALECT, **_translated(resolved(model))}


def resolved(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model without references and titles; what is optional is left out, and never null."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    found: dict[str, Any] = _resolved(document, document.get("$defs", {}))
    return found


def _resolved(node: Any, definitions: Mapping[str, Any], *, null: bool = False) -> Any:  # noqa: ANN401 - any part
    """Resolve a node. `null`: it is the value of a map, where null says something else than absence."""
    if isinstance(node, list):
        return [_resolved(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    node = {key: _named(key, value, definitions) for key, value in node.items() if key not in {"$defs", "title"}}
    choices = [one for one in node.get("anyOf", ()) if null or one.get("type") != "null"]
    if len(choices) == 1:
        node = {**choices[0], **{key: value for key, value in node.items() if key != "anyOf"}}
    elif choices:
        node["anyOf"] = choices
    if node.get("default", ...) is None:
        del node["default"]
    return node


def _named(key: str, value: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - likewise
    """Resolve the value of a keyword; below `properties`, a name is a field's, and may be `title`."""
    if key == "properties":
        return {name: _resolved(child, definitions) for name, child in value.items()}
    return _resolved(value, definitions, null=key == "additionalProperties")


def _translated(node: Any) -> Any:  # noqa: ANN401 - likewise
    """Return a node without what only the API server reads; a set has each value once."""
    if isinstance(node, list):
        return [_translated(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _translated(value) for key, value in node.items() if not key.startswith(_OF_KUBERNETES)}
    if kept.get("format") == "int64":
        del kept["format"]
    if node.get(f"{_OF_KUBERNETES}list-type") == "set":
        kept["uniqueItems"] = True
    return kept
