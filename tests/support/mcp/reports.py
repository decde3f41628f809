"""MCP servers that report which resource a read resolved to, and with which parameters: the oracle of names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastmcp import FastMCP
from mcp.server import MCPServer

Reading = tuple[str, tuple[tuple[str, str], ...]]
Reads = list[Reading]


@dataclass(frozen=True)
class ResourceShape:
    """A template or a plain URI. `reads` makes the function that reports a read of it."""

    uri: str
    reads: Callable[[str, Reads], Callable[..., str]]


def _reading(uri: str, **params: object) -> Reading:
    return uri, tuple(sorted((name, repr(value)) for name, value in params.items()))


def _plain(uri: str, reads: Reads) -> Callable[..., str]:
    def read() -> str:
        reads.append(_reading(uri))
        return "read"

    return read


def _by_id(uri: str, reads: Reads) -> Callable[..., str]:
    def read(id: str) -> str:  # noqa: A002 - the name in the template
        reads.append(_reading(uri, id=id))
        return "read"

    return read


def _by_kind_and_id(uri: str, reads: Reads) -> Callable[..., str]:
    def read(kind: str, id: str) -> str:  # noqa: A002 - likewise
        reads.append(_reading(uri, kind=kind, id=id))
        return "read"

    return read


def _by_path(uri: str, reads: Reads) -> Callable[..., str]:
    def read(path: str) -> str:
        reads.append(_reading(uri, path=path))
        return "read"

    return read


def _by_parts(uri: str, reads: Reads) -> Callable[..., str]:
    def read(path: list[str]) -> str:
        reads.append(_reading(uri, path=path))
        return "read"

    return read


def _by_id_and_view(uri: str, reads: Reads) -> Callable[..., str]:
    def read(id: str, view: str = "short") -> str:  # noqa: A002 - likewise
        reads.append(_reading(uri, id=id, view=view))
        return "read"

    return read


PROTECTED: Final = "crm://customers/vip"
PLAIN: Final = ResourceShape(PROTECTED, _plain)
BY_ID: Final = ResourceShape("crm://customers/{id}", _by_id)
BY_KIND: Final = ResourceShape("crm://{kind}/{id}", _by_kind_and_id)
BY_VIEW: Final = ResourceShape("crm://customers/{id}{?view}", _by_id_and_view)
FASTMCP_SHAPES: Final[Sequence[ResourceShape]] = (
    PLAIN,
    BY_ID,
    BY_KIND,
    BY_VIEW,
    ResourceShape("crm://customers/{path*}", _by_path),
    ResourceShape("crm://{path*}", _by_path),
)
OFFICIAL_SHAPES: Final[Sequence[ResourceShape]] = (
    PLAIN,
    BY_ID,
    BY_KIND,
    BY_VIEW,
    ResourceShape("crm://customers/{+path}", _by_path),
    ResourceShape("crm://customers{/path*}", _by_parts),
    ResourceShape("crm://{+path}", _by_path),
)


@dataclass
class ReportingServer:
    """A server of these shapes; `reads` is what it resolved, in turn."""

    server: Any
    reads: Reads = field(default_factory=list)


def fastmcp_server(shapes: Sequence[ResourceShape], **settings: Any) -> ReportingServer:  # noqa: ANN401 - a server's own
    """Return a FastMCP server of these shapes, in this order."""
    made = ReportingServer(FastMCP("reporting", **settings))
    _register(made, shapes)
    return made


def official_server(shapes: Sequence[ResourceShape], **settings: Any) -> ReportingServer:  # noqa: ANN401 - likewise
    """Return a server of the official SDK of these shapes, in this order."""
    made = ReportingServer(MCPServer("reporting", **settings))
    _register(made, shapes)
    return made


def mounting_server(shapes: Sequence[ResourceShape], **settings: Any) -> ReportingServer:  # noqa: ANN401 - likewise
    """Return a FastMCP server that mounts another one with these shapes, whose namespace is `customers`."""
    made = ReportingServer(FastMCP("mounted"))
    _register(made, shapes)
    outer: FastMCP[Any] = FastMCP("reporting", **settings)
    outer.mount(made.server, namespace="customers")
    return ReportingServer(outer, made.reads)


def _register(made: ReportingServer, shapes: Sequence[ResourceShape]) -> None:
    for number, shape in enumerate(shapes):
        made.server.resource(shape.uri, name=f"shape-{number}")(shape.reads(shape.uri, made.reads))


# As the mounted server has them, without the namespace.
MOUNTED_SHAPES: Final[Sequence[ResourceShape]] = (
    ResourceShape("crm://vip", _plain),
    ResourceShape("crm://{id}", _by_id),
    ResourceShape("crm://{id}{?view}", _by_id_and_view),
    ResourceShape("crm://{path*}", _by_path),
)
SERVERS: Final[Mapping[str, tuple[Callable[..., ReportingServer], Sequence[ResourceShape]]]] = {
    "FastMCP": (fastmcp_server, FASTMCP_SHAPES),
    "official SDK": (official_server, OFFICIAL_SHAPES),
}
# Also those that serve resources of others.
ALL_SERVERS: Final[Mapping[str, tuple[Callable[..., ReportingServer], Sequence[ResourceShape]]]] = {
    **SERVERS,
    "FastMCP, mounted": (mounting_server, MOUNTED_SHAPES),
}
