"""The path of the overview.

Holds: nothing is written; each figure is read as the person, and one that cannot be had leaves the others as they are.
"""

import time
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from bailiwick_console.dashboard.decisionfigures import DecisionFigures, decision_figures
from bailiwick_console.dashboard.requestfigures import RequestFigures, request_figures
from bailiwick_console.endpoints import overview, source
from bailiwick_console.grants.source import GrantSource
from bailiwick_console.records.handlers import RecordWork
from bailiwick_console.visits.visitor import VISITOR, ConsoleVisitor
from bailiwick_governance.apiserver.people import Permissions
from bailiwick_governance.errors import ApiError, UserError

_PATIENCE: Final = 1.0
_KEY: Final = "overview"
_UNKNOWN_PERSON: Final = 401


@dataclass(frozen=True, slots=True)
class PolicyFigures:
    """How many policies there are, and how many of them are ready."""

    ready: int
    total: int


@dataclass(frozen=True, slots=True)
class UnknownFigure:
    """Figures that are not known. `why`: in words; `working`: they are being read."""

    why: str
    working: bool = False


def routes() -> list[web.RouteDef]:
    """Return the paths."""
    return [web.get("/overview", figures)]


async def figures(request: web.Request) -> web.StreamResponse:
    """Show the figures."""
    visitor = request[VISITOR]
    # Taken once: the person may choose another namespace in another tab meanwhile.
    grants, permissions = visitor.source, visitor.permissions
    requests, policies = await visitor.threads.run(lambda: (_requests(grants, permissions), _policies(grants)))
    decisions = await _decisions(visitor, again="again" in request.query)
    return visitor.views.page(
        "overview.html",
        200,
        requests=requests,
        policies=policies,
        decisions=decisions,
        namespace=grants.namespace,
        health=visitor.strip.items(),
    )


def _requests(grants: GrantSource, permissions: Permissions) -> RequestFigures | UnknownFigure:
    try:
        lists, left_out = grants.lists(permissions)
    except UserError as error:
        return _unknown(error)
    return request_figures(lists, left_out, time.time())


def _policies(grants: GrantSource) -> PolicyFigures | UnknownFigure:
    try:
        items = source.policies(grants.cluster, grants.namespace)
    except UserError as error:
        return _unknown(error)
    states = [policy for one in overview.endpoints(items) for policy in one.policies]
    return PolicyFigures(sum(one.ready for one in states), len(states))


def _unknown(error: UserError) -> UnknownFigure:
    if isinstance(error, ApiError) and error.status == _UNKNOWN_PERSON:
        raise error
    return UnknownFigure(str(error))


async def _decisions(visitor: ConsoleVisitor, *, again: bool) -> DecisionFigures | UnknownFigure:
    files = visitor.records
    if files is None:
        return UnknownFigure("")
    reading = visitor.shelf.get(RecordWork).begin(
        _KEY, lambda progress: decision_figures(files.texts(progress), time.time()), again=again
    )
    if not await reading.wait(_PATIENCE):
        return UnknownFigure(reading.progress.summary, working=True)
    try:
        found: DecisionFigures = reading.result()
    except UserError as error:
        return UnknownFigure(str(error))
    return found
