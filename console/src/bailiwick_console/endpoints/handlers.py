"""The paths of endpoints: their list, the matrix of one, who is several subjects at once, one cell, and the graph.

Holds: nothing is written; what waits for the API server or computes runs in a thread, as the person.
"""

from typing import Final

from aiohttp import web

from bailiwick_console.endpoints import cellpage, graphpage, historiespage, matrixpage, overview, source, togetherpage
from bailiwick_console.endpoints.historiespage import HistoriesPart
from bailiwick_console.endpoints.knownuses import KnownUses
from bailiwick_console.endpoints.matrixpage import MatrixQuestion
from bailiwick_console.endpoints.source import CompiledCache, EndpointReading
from bailiwick_console.grants.source import AbsentError
from bailiwick_console.markup.listpages import page_of
from bailiwick_console.visits.visitor import VISITOR
from bailiwick_engine.policy.dimensions.atom import TooManyError
from bailiwick_regions.rights.matrix import AccessMatrix

_PATH: Final = "/endpoints/{namespace}/{endpoint}"
_POLICIES: Final = 50


def routes() -> list[web.RouteDef]:
    """Return the paths."""
    return [
        web.get("/endpoints", listing),
        web.get("/endpoints/graph", whole_graph),
        web.get(_PATH, matrix),
        web.get(f"{_PATH}/cell", cell),
        web.get(f"{_PATH}/together", together),
        web.get(f"{_PATH}/graph", graph),
    ]


async def listing(request: web.Request) -> web.StreamResponse:
    """Show which endpoints there are."""
    visitor = request[VISITOR]
    cluster, namespace = visitor.source.cluster, visitor.source.namespace
    wanted = request.query.get("find", "")
    items = await visitor.threads.run(lambda: source.policies(cluster, namespace))
    found = overview.matching(overview.endpoints(items), wanted)
    shown = page_of(found, request.query.get("page", "1"), overview.PAGE)
    return visitor.views.page("endpoints.html", 200, shown=shown, find=wanted, namespace=namespace)


async def matrix(request: web.Request) -> web.StreamResponse:
    """Show the policies of an endpoint, its matrix, and what its histories have counted."""
    visitor = request[VISITOR]
    query = request.query
    asked = MatrixQuestion(
        query.get("subject", ""), query.get("action", ""), query.get("rows", "1"), query.get("columns", "1")
    )
    cluster, cache, place = visitor.source.cluster, visitor.shelf.get(CompiledCache), _place(request)

    def work() -> tuple[EndpointReading, matrixpage.MatrixPage | None, HistoriesPart | None]:
        found = source.endpoint(cluster, *place, cache)
        reading = source.histories(cluster, found, query.get("history", "").strip())
        counted = historiespage.compose(found, reading, query.get("objects", "1"))
        made = _matrix(found)
        return found, None if made is None else matrixpage.compose(made, asked), counted

    found, composed, counted = await visitor.threads.run(work)
    policies = page_of(found.state.policies, query.get("policies", "1"), _POLICIES)
    return visitor.views.page(
        "endpoint.html",
        200,
        found=found,
        matrix=composed,
        asked=asked,
        policies=policies,
        histories=counted,
        here=_here(place),
    )


async def cell(request: web.Request) -> web.StreamResponse:
    """Show one cell in full."""
    visitor = request[VISITOR]
    query, uses = request.query, visitor.shelf.get(KnownUses)
    cluster, cache, place = visitor.source.cluster, visitor.shelf.get(CompiledCache), _place(request)

    def work() -> tuple[EndpointReading, cellpage.CellPage]:
        found = source.endpoint(cluster, *place, cache)
        made = _matrix(found)
        at = None if made is None else matrixpage.find(made, query.get("subject", ""), query.get("action", ""))
        if made is None or at is None:
            raise AbsentError("the policies have changed since, and no longer have this subject or action")
        return found, cellpage.compose(found, made, at, uses, query.get("page", "1"))

    found, composed = await visitor.threads.run(work)
    asked = {name: query.get(name, "") for name in ("subject", "action")}
    return visitor.views.page("cell.html", 200, found=found, cell=composed, asked=asked, here=_here(place))


async def together(request: web.Request) -> web.StreamResponse:
    """Show what those may do who are several subjects at once, where it is something else."""
    visitor = request[VISITOR]
    cluster, cache, place = visitor.source.cluster, visitor.shelf.get(CompiledCache), _place(request)

    def work() -> tuple[EndpointReading, togetherpage.TogetherPage | None]:
        found = source.endpoint(cluster, *place, cache)
        made = _matrix(found)
        return found, None if made is None else togetherpage.compose(made, request.query.get("columns", "1"))

    found, composed = await visitor.threads.run(work)
    return visitor.views.page("together.html", 200, found=found, matrix=composed, here=_here(place))


async def graph(request: web.Request) -> web.StreamResponse:
    """Show who may ask whom at one endpoint."""
    visitor = request[VISITOR]
    cluster, cache, place = visitor.source.cluster, visitor.shelf.get(CompiledCache), _place(request)

    def work() -> tuple[EndpointReading, graphpage.GraphPage]:
        found = source.endpoint(cluster, *place, cache)
        return found, graphpage.compose([found], _matrix, request.query.get("page", "1"))

    found, composed = await visitor.threads.run(work)
    return visitor.views.page("graph.html", 200, found=found, graph=composed, here=_here(place), namespace=place[0])


async def whole_graph(request: web.Request) -> web.StreamResponse:
    """Show who may ask whom at every endpoint."""
    visitor = request[VISITOR]
    cluster, namespace = visitor.source.cluster, visitor.source.namespace
    cache = visitor.shelf.get(CompiledCache)

    def work() -> graphpage.GraphPage:
        readings = source.everywhere(cluster, namespace, cache)
        return graphpage.compose(readings, _matrix, request.query.get("page", "1"))

    composed = await visitor.threads.run(work)
    return visitor.views.page("graph.html", 200, found=None, graph=composed, here="/endpoints", namespace=namespace)


def _matrix(found: EndpointReading) -> AccessMatrix | None:
    """Return the matrix of an endpoint; None where it denies every call, or has more names than are compared."""
    if found.compiled is None:
        return None
    try:
        return AccessMatrix(found.key, found.compiled, found.now)
    except TooManyError:
        return None


def _place(request: web.Request) -> tuple[str, str]:
    return request.match_info["namespace"], request.match_info["endpoint"]


def _here(place: tuple[str, str]) -> str:
    """Return the path of the endpoint's page. What was found has names that Kubernetes lets be."""
    return "/endpoints/{}/{}".format(*place)
