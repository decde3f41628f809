"""An OpenAPI document, and what it has against what is sent and what comes."""

import json
from collections.abc import Mapping
from email.message import Message
from typing import Any

import jsonschema
from aiohttp import web  # noqa: TID251 - the application whose routes are read


class HeldDocument:
    """A document that is held against a running decision point."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    @property
    def shapes(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["components"]["schemas"]
        return found

    def told(self, method: str, path: str) -> dict[str, Any]:
        """Return what the document says of an operation."""
        found: dict[str, Any] = self.document["paths"][path][method]
        return found

    def against(self, shape: Mapping[str, Any], value: object, *, closed: bool = False) -> list[str]:
        """Return what a shape has against a value. `closed`: a member that the document does not name is an error."""
        schema = {"components": self.document["components"], **shape}
        validator = jsonschema.Draft202012Validator(
            _closed(schema) if closed else schema, format_checker=jsonschema.FormatChecker()
        )
        return [f"{one.json_path}: {one.message}" for one in validator.iter_errors(value)]

    def answered(self, method: str, path: str, status: int, kind: str, body: bytes) -> list[str]:
        """Return what the document has against an answer of this type of content, with parameters or without."""
        said = self.told(method, path)["responses"].get(str(status))
        if said is None:
            return [f"{status} is not in the document"]
        if "content" not in said:
            return [f"a body with {status}"] if body else []
        named = kind if kind in said["content"] else bare(kind)
        if named not in said["content"]:
            return [f"{kind} is not in the document"]
        value = json.loads(body) if bare(kind).endswith("json") else body.decode()
        return self.against(said["content"][named]["schema"], value, closed=True)


def bare(kind: str) -> str:
    """Return a type of content without its parameters."""
    message = Message()
    message["Content-Type"] = kind
    return message.get_content_type()


def routes(application: web.Application) -> set[tuple[str, str]]:
    """Return method and path of what an application serves."""
    return {
        (route.method.lower(), str(route.resource.canonical))
        for route in application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def _closed(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    if isinstance(node, list):
        return [_closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {key: _closed(value) for key, value in node.items()}
    return {"additionalProperties": False, **found} if found.get("type") == "object" else found
