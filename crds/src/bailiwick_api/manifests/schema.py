"""Pydantic models to structural OpenAPI v3, as apiextensions.k8s.io/v1 requires. `crds` wraps the result.

Holds: the result has no $ref, no anyOf and no title; every list, map and string is bounded, or `structural` raises.
"""

from typing import Any

from pydantic import BaseModel

_OPEN = "x-kubernetes-preserve-unknown-fields"
_KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
    _OPEN,
)


class UnboundedSchemaError(ValueError):
    """A list, map or string of the models has no bound, so the API server's cost budget cannot hold."""


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema of a model. Raises `UnboundedSchemaError` with the path of an unbounded part."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    return _node(document, document.get("$defs", {}), model.__name__)


def _node(node: dict[str, Any], definitions: dict[str, Any], path: str) -> dict[str, Any]:
    node = _resolve_node(node, definitions)
    out = {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        out["enum"] = [node["const"]]
    if out.get("default", ...) is None:
        del out["default"]
    if "enum" in out:
        out["type"] = "string"
    # A schema cannot limit the bytes of an open object. Admission does, and every reader.
    return out if _OPEN in out else _fill_node(out, node, definitions, path)


def _fill_node(out: dict[str, Any], node: dict[str, Any], definitions: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a node with its children."""
    match out.get("type"):
        case "object" if "properties" in node:
            out["properties"] = {
                name: _node(child, definitions, f"{path}.{name}") for name, child in node["properties"].items()
            }
        case "object":
            _require_bound(out, "maxProperties", path)
            out["additionalProperties"] = _node(node["additionalProperties"], definitions, f"{path}[*]")
        case "array":
            _require_bound(out, "maxItems", path)
            if "x-kubernetes-list-type" not in out:
                message = f"{path}: a list needs x-kubernetes-list-type"
                raise UnboundedSchemaError(message)
            out["items"] = _node(node["items"], definitions, f"{path}[]")
        case "string" if out.get("format") == "date-time":
            # The format bounds nothing, see meta.TIME_PATTERN.
            _require_bound(out, "pattern", path)
        case "string" if "enum" not in out:
            _require_bound(out, "maxLength", path)
        case _:
            pass
    return out


def _require_bound(out: dict[str, Any], bound: str, path: str) -> None:
    if bound not in out:
        message = f"{path}: {bound} is missing"
        raise UnboundedSchemaError(message)


def _resolve_node(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Follow $ref and fold `X | None` to X: an optional field is absent, not null."""
    if "anyOf" in node:
        choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
        if len(choices) != 1:
            message = f"a union of {len(choices)} types is not structural"
            raise UnboundedSchemaError(message)
        node = {**choices[0], **{key: value for key, value in node.items() if key != "anyOf"}}
    if "$ref" in node:
        target = _resolve_node(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node
