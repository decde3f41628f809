"""Routes, compiled: map a proxied HTTP call to an action and a resource.

Standing: in an endpoint's settings; `compile.routes` makes the table, `paths` parses the call. Holds: a call has no
action if no route matches it, or if two match and neither is more specific. An absent value is left out, so that it is
unknown to rules. A value with two readings is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from bailiwick_engine.call import Action, Json, Resource
from bailiwick_engine.policy.membernames import other_spelling, twin_members
from bailiwick_engine.policy.paths import (
    CanonicalPath,
    PathDefect,
    body_twins,
    canonical_host,
    canonical_path,
    query_twin,
    query_values,
    without_port,
)
from bailiwick_engine.policy.segments import caseless_text
from bailiwick_engine.reasons import Reason

MAX_VALUE: Final = 1_024
_HIDDEN: Final = (
    "the path differs from that of another route only in case, a slash at its end or an extension, and some upstreams"
    " do not tell the two apart"
)
_ELSEWHERE: Final = "which some upstreams take for what the route takes from another part of the call"
_ABSENT: Final = object()

Headers = Mapping[str, Sequence[str]]
"""Values by the name in small letters, each as often as it was sent."""


class SourceKind(StrEnum):
    """Where a value comes from."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"


class ValueSource(NamedTuple):
    """One name in braces."""

    kind: SourceKind
    name: str


Values = Mapping[ValueSource, str]
Template = tuple[str | ValueSource, ...]
"""A value as a route has it: text, and names in braces."""

Pointer = tuple[str, ...]
"""A JSON pointer (RFC 6901): the members that lead to a value; empty, the whole."""


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """One route. `segments`: a literal, or None where any one segment fits, under the name in `names` there.

    `args` are sources, or pointers into the body. `forms`: a body may be a form, since it names no other method.
    `folded` are the segments as upstreams see them that know no case.
    """

    methods: frozenset[str]
    segments: tuple[str | None, ...]
    names: tuple[str | None, ...]
    slash: bool
    action: str
    action_properties: Mapping[str, Template]
    type: str
    id: Template
    properties: Mapping[str, Template]
    args: Mapping[str, ValueSource | Pointer]
    queries: frozenset[str] = frozenset()
    forms: bool = False
    folded: tuple[str | None, ...] = ()

    @property
    def reads_body(self) -> bool:
        """An argument is taken from the body."""
        return bool(self.pointers)

    @property
    def pointers(self) -> tuple[Pointer, ...]:
        """What arguments are taken from the body."""
        return tuple(one for one in self.args.values() if not isinstance(one, ValueSource))

    @property
    def elsewhere(self) -> frozenset[str]:
        """The names of what is taken from the path, and of the members of the body; empty: the whole body is taken."""
        whole = ("",) if () in self.pointers else ()
        return frozenset((*filter(None, self.names), *(one[0] for one in self.pointers if one), *whole))

    def fits(self, path: CanonicalPath) -> bool:
        """Tell whether this path, which has as many segments, is one of the route's."""
        return all(
            literal is None or literal == segment for literal, segment in zip(self.segments, path.segments, strict=True)
        )

    def says_more_than(self, other: "CompiledRoute") -> bool:
        """Tell whether each path of this route, which has as many segments, is the other's too, and not conversely."""
        return self.segments != other.segments and all(
            theirs is None or mine == theirs for mine, theirs in zip(self.segments, other.segments, strict=True)
        )

    def hides(self, folded: Sequence[str | None], path: CanonicalPath) -> bool:
        """Tell whether this route takes by a name what some upstream takes for a literal of another one.

        Both have as many segments as the path; `folded` are the other one's. Some upstreams know no case and no slash
        at the end, or take what follows a dot of the last segment for a format, as in `/customers.json`. Which dot that
        is depends on their route: where it is `/reports/q1.2026`, they take `/reports/q1.2026.json` for it.
        """
        last = len(path.segments) - 1
        hidden = False
        for index, (segment, literal) in enumerate(zip(path.segments, folded, strict=True)):
            if literal is None:
                continue
            if not _is_read_as(segment, literal, has_format=index == last):
                return False
            hidden = hidden or self.segments[index] is None
        return hidden


class RouteRefusal(NamedTuple):
    """Why a call stands for no action: a reason, and more for the caller where there is more to tell."""

    reason: Reason
    detail: str | None = None


class MappedCall(NamedTuple):
    """What a call stands for. `args` None: its route declares none."""

    action: Action
    resource: Resource
    args: Mapping[str, Json] | None


class RouteMatch(NamedTuple):
    """The route of a call, with what path and query name."""

    route: CompiledRoute
    values: Values

    def call(self, headers: Headers, document: Json = None) -> MappedCall | RouteRefusal:
        """Return what the call stands for. `document` is its body where that was read."""
        route, filled = self.route, _Filler(self.values, headers)
        identifier = filled.text(route.id)
        doing, properties = filled.texts(route.action_properties), filled.texts(route.properties)
        args: dict[str, Json] = {}
        for name, source in route.args.items():
            found: Any = filled.value(source) if isinstance(source, ValueSource) else _pointed(document, source)
            if found is not None and found is not _ABSENT:
                args[name] = found
            elif found is None and not isinstance(source, ValueSource):
                args[name] = None
        if filled.ambiguous is not None:
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, f"the header {filled.ambiguous} is ambiguous")
        if isinstance(document, Mapping) and (twin := self._body_twin(document)) is not None:
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, f"the body has the member {twin[:64]}, {_ELSEWHERE}")
        twin = next((twin for one in route.pointers if (twin := _twin(document, one)) is not None), None)
        if twin is not None:
            return RouteRefusal(
                Reason.AMBIGUOUS_REQUEST,
                f"the body has the member {twin}, which some upstreams take for another one",
            )
        if identifier is None:
            return RouteRefusal(Reason.UNMAPPED, "the call lacks a value that the id of its resource needs")
        return MappedCall(
            Action(route.action, doing or None),
            Resource(route.type, identifier, properties or None),
            args if route.args else None,
        )

    def _body_twin(self, document: Mapping[str, Json]) -> str | None:
        """Return a member that some upstream takes for a value of query or path, unless it repeats that of the path."""
        for source, value in self.values.items():
            if source.kind is SourceKind.PATH:
                for twin in body_twins(document, source.name):
                    if not _repeats(document[twin], value):
                        return twin
        return next((twin for name in self.route.queries for twin in body_twins(document, name)), None)


class McpMatch(NamedTuple):
    """The call carries a message of MCP, see `mcpmessages`."""


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes of an endpoint, by method and number of segments. `hosts` with and without a port.

    `mcp`: the path to which messages of MCP are posted; None: nothing is MCP.
    """

    hosts: frozenset[str]
    routes: tuple[CompiledRoute, ...]
    by_length: Mapping[tuple[str, int, bool], tuple[CompiledRoute, ...]] = field(default_factory=dict)
    mcp: CanonicalPath | None = None

    def find(self, method: str, host: str, target: str) -> RouteMatch | McpMatch | RouteRefusal:
        """Return the route of a call. `target` is its raw path and query, as they stand in its request."""
        meant = canonical_host(host)
        if meant is None:
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, "the host is missing, not valid or ambiguous")
        if meant not in self.hosts and without_port(meant) not in self.hosts:
            return RouteRefusal(Reason.UNMAPPED)
        raw, _, query = target.partition("?")
        path = canonical_path(raw)
        if isinstance(path, PathDefect):
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, path.value)
        if method == "POST" and path == self.mcp:
            readable = query_values(query, ()) is not None
            return McpMatch() if readable else RouteRefusal(Reason.AMBIGUOUS_REQUEST, "the query is ambiguous")
        return self._routed(method, path, query)

    def _routed(self, method: str, path: CanonicalPath, query: str) -> RouteMatch | RouteRefusal:
        fitting = [
            route for route in self.by_length.get((method, len(path.segments), path.slash), ()) if route.fits(path)
        ]
        if not fitting:
            # A query that names another method is reported first: with it the upstream may run another method.
            readable = query_values(query, ()) is not None
            return RouteRefusal(Reason.UNMAPPED if readable else Reason.AMBIGUOUS_REQUEST)
        chosen = [one for one in fitting if all(one is other or one.says_more_than(other) for other in fitting)]
        if len(chosen) != 1:
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, "two routes match the call, and neither is more specific")
        route = chosen[0]
        if self._hidden(method, route, path):
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, _HIDDEN)
        asked = query_values(query, route.queries)
        if asked is None:
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, "the query is ambiguous")
        if (twin := query_twin(query, route.elsewhere, route.queries)) is not None:
            return RouteRefusal(Reason.AMBIGUOUS_REQUEST, f"the query has the parameter {twin}, {_ELSEWHERE}")
        values = {
            ValueSource(SourceKind.PATH, name): segment
            for name, segment in zip(route.names, path.segments, strict=True)
            if name is not None
        }
        values |= {ValueSource(SourceKind.QUERY, name): value for name, value in asked.items()}
        return RouteMatch(route, values)

    def _hidden(self, method: str, route: CompiledRoute, path: CanonicalPath) -> bool:
        """Tell whether some upstream takes this path for one of another route than the one that it fits."""
        length = len(path.segments)
        others = [one for slash in (True, False) for one in self.by_length.get((method, length, slash), ())]
        folded = [one.folded for one in others if not (one.slash == path.slash and one.fits(path))]
        if method == "POST" and self.mcp is not None and len(self.mcp.segments) == length:
            folded.append(tuple(map(caseless_text, self.mcp.segments)))
        return any(route.hides(one, path) for one in folded)


class _Filler:
    """Replaces names by values. `ambiguous`: a header that occurs twice, or that is not printable."""

    def __init__(self, values: Values, headers: Headers) -> None:
        self._values = values
        self._headers = headers
        self.ambiguous: str | None = None

    def value(self, source: ValueSource) -> str | None:
        if source.kind is not SourceKind.HEADER:
            return self._values.get(source)
        sent = self._headers.get(source.name, ())
        if not sent:
            return None
        # A proxy joins what is there twice by a comma.
        if len(sent) > 1 or "," in sent[0] or not (sent[0].isascii() and sent[0].isprintable()):
            self.ambiguous = source.name
            return None
        if len(sent[0]) > MAX_VALUE:
            self.ambiguous = source.name
            return None
        return sent[0].strip()

    def text(self, template: Template) -> str | None:
        whole = ""
        for part in template:
            found = part if isinstance(part, str) else self.value(part)
            if not found:
                return None
            whole += found
        return whole if len(whole) <= MAX_VALUE else None

    def texts(self, templates: Mapping[str, Template]) -> dict[str, Json]:
        filled = {name: self.text(template) for name, template in templates.items()}
        return {name: value for name, value in filled.items() if value is not None}


def _is_read_as(segment: str, literal: str, *, has_format: bool) -> bool:
    """Tell whether some upstream takes a segment for this one, which is folded. `has_format`: it is the last one."""
    folded = caseless_text(segment)
    return folded == literal or (has_format and folded.startswith(f"{literal}."))


def _repeats(held: Json, text: str) -> bool:
    """Tell whether a member says what stands in a path: as a text, or as a whole number."""
    return held == text if isinstance(held, str) else type(held) is int and str(held) == text


def _pointed(document: Json, pointer: Pointer) -> Json:
    """Return what a pointer leads to, or `_ABSENT` (RFC 6901, 4)."""
    here = document
    for token in pointer:
        if isinstance(here, Mapping) and token in here:
            here = here[token]
        elif isinstance(here, list) and token.isascii() and token.isdigit() and str(int(token)) == token:
            if int(token) >= len(here):
                return _ABSENT
            here = here[int(token)]
        else:
            return _ABSENT
    return here


def _twin(document: Json, pointer: Pointer) -> str | None:
    """Return a member on the way to a value, or in it, that some readers take for another one; None: there is none."""
    here = document
    for token in pointer:
        if isinstance(here, Mapping) and (other := other_spelling(here, token)) is not None:
            return other
        here = _pointed(here, (token,))
    return twin_members(here)
