"""HTTP routes, compiled: from the settings of an endpoint to the table that calls are looked up in.

Holds: routes that name what their path does not have, or whose ids two calls could share by chance, do not compile;
what compiles and fits nothing, or fits what another route fits too, is a warning, and such calls are refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Final

from bailiwick_api.kinds.httproutes import HttpRoute, HttpSettings
from bailiwick_engine.policy.paths import PathDefect, canonical_path
from bailiwick_engine.policy.routes import CompiledRoute, Pointer, RouteTable, SourceKind, Template, ValueSource
from bailiwick_engine.policy.segments import caseless_text
from bailiwick_engine.problem import Problem

PATH: Final = "spec.endpointSettings.http"
_NAME: Final = re.compile(r"\{(?:(query|header)\.)?([A-Za-z0-9_-]+)\}")


def compile_routes(settings: HttpSettings) -> RouteTable | tuple[Problem, ...]:
    """Compile the routes of an endpoint, or return the problems."""
    problems: list[Problem] = []
    routes: list[CompiledRoute] = []
    if not (settings.routes or settings.mcp):
        problems.append(Problem(PATH, "http needs routes, mcp: true or both"))
    mcp = canonical_path(settings.mcp_path) if settings.mcp else None
    if isinstance(mcp, PathDefect):
        problems.append(Problem(f"{PATH}.mcpPath", f"the path matches no call that Bailiwick accepts: {mcp.value}"))
    for index, route in enumerate(settings.routes or ()):
        compiled = _route(route)
        found = list(_problems(route, compiled, f"{PATH}.routes[{index}]"))
        problems += found
        routes.append(compiled)
    if problems or isinstance(mcp, PathDefect):
        return tuple(problems)
    by_length: dict[tuple[str, int, bool], list[CompiledRoute]] = {}
    for compiled in routes:
        for method in compiled.methods:
            by_length.setdefault((method, len(compiled.segments), compiled.slash), []).append(compiled)
    lengths = {key: tuple(found) for key, found in by_length.items()}
    return RouteTable(frozenset(settings.hosts), tuple(routes), lengths, mcp)


def route_warnings(settings: HttpSettings) -> list[Problem]:
    """Return the routes that fit no call, and those of which two fit the same and neither says more."""
    written = settings.routes or []
    routes = [_route(route) for route in written]
    found = []
    for index, route in enumerate(written):
        if settings.mcp and route.path == settings.mcp_path and "POST" in route.methods:
            message = f"unreachable: what is posted to {route.path} is read as MCP, see mcp"
            found.append(Problem(f"{PATH}.routes[{index}].path", message))
        literal = re.sub(r"\{[^}]*\}", "x", route.path)
        if isinstance(defect := canonical_path(literal), PathDefect):
            message = f"the route matches no call that Bailiwick accepts: {defect.value}"
            found.append(Problem(f"{PATH}.routes[{index}].path", message))
    for (first, one), (index, other) in combinations(enumerate(routes), 2):
        if not overlap(one, other) or one.says_more_than(other) or other.says_more_than(one):
            continue
        paths = written[first].path, written[index].path
        if one.segments == other.segments:
            methods = ", ".join(sorted(one.methods & other.methods))
            message = (
                f"unreachable: {paths[1]} matches the same calls as {paths[0]} (routes[{first}]) for {methods}, so"
                " these calls are denied: keep one of the two routes"
            )
        else:
            message = (
                f"overlap: a path can match both {paths[1]} and {paths[0]} (routes[{first}]), and neither is more"
                " specific, so such a call is denied: add a route for it, or separate the two routes"
            )
        found.append(Problem(f"{PATH}.routes[{index}].path", message))
    return found


def _route(route: HttpRoute) -> CompiledRoute:
    slash = route.path.endswith("/")
    inner = route.path[1:-1] if slash else route.path[1:]
    segments = inner.split("/") if inner else []
    names = [segment[1:-1] if segment.startswith("{") else None for segment in segments]
    templates = [
        route.resource.id,
        *(route.resource.properties or {}).values(),
        *(route.action_properties or {}).values(),
    ]
    written = [*templates, *(argument for argument in (route.args or {}).values() if argument.startswith("{"))]
    return CompiledRoute(
        methods=frozenset(route.methods),
        segments=tuple(None if name else segment for segment, name in zip(segments, names, strict=True)),
        folded=tuple(None if name else caseless_text(segment) for segment, name in zip(segments, names, strict=True)),
        names=tuple(names),
        slash=slash,
        action=route.action,
        action_properties=_templates(route.action_properties),
        type=route.resource.type,
        id=_template(route.resource.id),
        properties=_templates(route.resource.properties),
        args={name: _argument(argument) for name, argument in (route.args or {}).items()},
        queries=frozenset(
            source.name for one in written for source in _sources(_template(one)) if source.kind is SourceKind.QUERY
        ),
        forms=route.forms,
    )


def _problems(route: HttpRoute, compiled: CompiledRoute, path: str) -> Iterator[Problem]:
    named = [name for name in compiled.names if name is not None]
    for name in sorted({name for name in named if named.count(name) > 1}):
        yield Problem(f"{path}.path", f"the path has two segments with the same name: {{{name}}}")
    places: list[tuple[str, Sequence[str | ValueSource]]] = [("resource.id", compiled.id)]
    places += [(f"resource.properties.{name}", one) for name, one in compiled.properties.items()]
    places += [(f"actionProperties.{name}", one) for name, one in compiled.action_properties.items()]
    places += [(f"args.{name}", (one,)) for name, one in compiled.args.items() if isinstance(one, ValueSource)]
    for place, template in places:
        for source in _sources(template):
            if source.kind is SourceKind.PATH and source.name not in named:
                yield Problem(f"{path}.{place}", f"the path has no segment {{{source.name}}}: {route.path}")
    if not _parted(compiled.id):
        yield Problem(
            f"{path}.resource.id",
            "put a / between two names of the path, and use a name of the query or headers alone: otherwise two calls"
            " could have the same id by chance",
        )


def _parted(template: Template) -> bool:
    """Tell whether no two different calls fill a template with the same text: no segment of a path holds a slash."""
    sources = _sources(template)
    if len(sources) < 2:  # noqa: PLR2004 - two things can be taken for one another
        return True
    if any(source.kind is not SourceKind.PATH for source in sources):
        return False
    at = [index for index, part in enumerate(template) if isinstance(part, ValueSource)]
    return all(
        "/" in "".join(part for part in template[first + 1 : second] if isinstance(part, str))
        for first, second in pairwise(at)
    )


def overlap(one: CompiledRoute, other: CompiledRoute) -> bool:
    """Tell whether one call can match both routes."""
    return (
        not one.methods.isdisjoint(other.methods)
        and (len(one.segments), one.slash) == (len(other.segments), other.slash)
        and all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in zip(one.segments, other.segments, strict=True)
        )
    )


def _templates(values: Mapping[str, str] | None) -> dict[str, Template]:
    return {name: _template(value) for name, value in (values or {}).items()}


def _template(text: str) -> Template:
    parts: list[str | ValueSource] = []
    last = 0
    for found in _NAME.finditer(text):
        parts += [text[last : found.start()]] if found.start() > last else []
        parts.append(ValueSource(SourceKind(found[1] or "path"), found[2]))
        last = found.end()
    return (*parts, text[last:]) if last < len(text) else tuple(parts)


def _sources(template: Sequence[str | ValueSource]) -> list[ValueSource]:
    return [part for part in template if isinstance(part, ValueSource)]


def _argument(argument: str) -> ValueSource | Pointer:
    if argument.startswith("{"):
        (source,) = _sources(_template(argument))
        return source
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in argument.split("/")[1:])
