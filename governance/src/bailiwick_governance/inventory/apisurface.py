"""What an API or an MCP server offers: operations of an OpenAPI description; tools, resources and prompts.

Standing: beside `clusterfacts`. Holds: which call an operation or a tool is, the routes and the mapping of the engine
say; a description that cannot be read whole is an error, never a short list. What is fetched is bounded.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import urllib3
import yaml

from bailiwick_coverage.facts import ApiOperation
from bailiwick_engine.policy.mcpmessages import message_call
from bailiwick_engine.policy.routes import RouteMatch, RouteRefusal
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_governance.errors import UserError

if TYPE_CHECKING:
    from mcp import Client

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_PAGES: Final = 1_000
_SECONDS: Final = 30.0
_SAMPLE: Final = "any-value"
_OPENAPI: Final = "openapi"
_MCP: Final = "mcp"
Json = Mapping[str, Any]


def read_openapi(source: str, endpoint: CompiledEndpoint) -> list[ApiOperation]:
    """Return the operations of an OpenAPI description (2.0, 3.x) in a file or at a URL. Raises `UserError`.

    An endpoint without HTTP routes is asked by its application: there, an operation is the action of its `operationId`.
    """
    document = _document(source)
    paths = document.get("paths")
    if not isinstance(paths, Mapping) or not (document.get("openapi") or document.get("swagger")):
        raise UserError(f"{source} is no OpenAPI description: it has no `openapi` and `paths`")
    return list(_operations(source, paths, _base(document), endpoint))


def _document(source: str) -> Json:
    text = _fetched(source) if source.startswith(("http://", "https://")) else _file(source)
    try:
        found = json.loads(text) if text.lstrip().startswith(b"{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{source} is neither JSON nor YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, Mapping):
        raise UserError(f"{source} is no OpenAPI description: it is no object")
    return found


def _file(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return _bounded(name, file.read(_MOST_BYTES + 1))
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}") from error


def _fetched(url: str) -> bytes:
    try:
        with urllib3.PoolManager() as pool:
            response = pool.request("GET", url, timeout=_SECONDS, retries=False, redirect=False, preload_content=False)
            try:
                if response.status != 200:  # noqa: PLR2004 - HTTP's OK
                    raise UserError(f"{url} answered {response.status}")
                return _bounded(url, response.read(_MOST_BYTES + 1))
            finally:
                response.close()
    except urllib3.exceptions.HTTPError as error:
        raise UserError(f"{url} cannot be read: {' '.join(str(error).split())}") from error


def _bounded(source: str, content: bytes) -> bytes:
    if len(content) > _MOST_BYTES:
        raise UserError(f"{source} has more than {_MOST_BYTES // 1024 // 1024} MiB")
    return content


def _base(document: Json) -> str:
    """Return what stands before every path: of `basePath`, or of the URL of the first server."""
    if document.get("basePath"):
        return str(document["basePath"]).rstrip("/")
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else {}
    url = str(first.get("url") or "") if isinstance(first, Mapping) else ""
    path = urllib3.util.parse_url(url).path if "{" not in url else None
    return (path or "").rstrip("/")


def _operations(source: str, paths: Json, base: str, endpoint: CompiledEndpoint) -> Iterator[ApiOperation]:
    for path, item in paths.items():
        if not isinstance(item, Mapping):
            raise UserError(f"{source}: the path {path} is no object")
        if "$ref" in item:
            raise UserError(f"{source}: the path {path} is in another document: give a description without such $ref")
        for method in _METHODS:
            operation = item.get(method)
            if isinstance(operation, Mapping):
                yield _operation(f"{base}{path}", method.upper(), operation, endpoint)


def _operation(path: str, method: str, operation: Json, endpoint: CompiledEndpoint) -> ApiOperation:
    label = f"{method} {path}"
    routes = None if endpoint.settings is None else endpoint.settings.routes
    if routes is None:
        name = operation.get("operationId")
        return ApiOperation(_OPENAPI, label, str(name) if name else None, method=method, path=path)
    sample = "/".join(_SAMPLE if "{" in part else part for part in path.split("/"))
    found = routes.find(method, min(routes.hosts), sample)
    if not isinstance(found, RouteMatch):
        return ApiOperation(_OPENAPI, label, None, method=method, path=path)
    return ApiOperation(_OPENAPI, label, found.route.action, found.route.type, method=method, path=path)


def read_mcp(url: str, key: EndpointKey) -> list[ApiOperation]:
    """Return the tools, resources and prompts of an MCP server. Raises `UserError`."""
    try:
        return asyncio.run(_list_offered(url, key))
    except UserError:
        raise
    except Exception as error:
        # Whatever it is: the client's library, or what it is built on, has raised it.
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        raise UserError(f"the MCP server {url} does not answer: {' '.join(str(cause).split())}") from error


async def _list_offered(url: str, key: EndpointKey) -> list[ApiOperation]:
    # The extra that has it is not installed with every command line.
    from mcp import Client  # noqa: PLC0415

    async with Client(url, read_timeout_seconds=_SECONDS) as client:
        has = client.server_capabilities
        offered: list[ApiOperation] = []
        if has.tools is not None:
            offered += [_mapped("tools/call", "name", one.name, key) for one in await _pages(client, "tools")]
        if has.resources is not None:
            offered += [
                _mapped("resources/read", "uri", str(one.uri), key) for one in await _pages(client, "resources")
            ]
        if has.prompts is not None:
            offered += [_mapped("prompts/get", "name", one.name, key) for one in await _pages(client, "prompts")]
        return offered


async def _pages(client: "Client", kind: str) -> list[Any]:
    """Return all pages of a list."""
    items: list[Any] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page: Any = await getattr(client, f"list_{kind}")(cursor=cursor)
        items += getattr(page, kind)
        cursor = page.next_cursor
        if cursor is None:
            return items
    raise UserError(f"the MCP server has more than {_MOST_PAGES} pages of {kind}")


def _mapped(method: str, member: str, name: str, key: EndpointKey) -> ApiOperation:
    """Return what a message about something is, as the decision point reads it."""
    document = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {member: name}}
    found = message_call(document, "/".join(key), {})
    label = f"{method} {name}"
    if isinstance(found, RouteRefusal):
        return ApiOperation(_MCP, label, None)
    call = found.call
    return ApiOperation(_MCP, label, call.action.name, call.resource.type, call.resource.id)
