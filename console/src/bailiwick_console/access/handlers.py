"""The paths of the access review: whom policies name, and one of them.

Holds: nothing is written; records are read in the background, once for all identities, and again only when somebody
asks for it.
"""

from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from bailiwick_console.access import identities, identitypage, suggestions
from bailiwick_console.access.identities import NamedIdentity
from bailiwick_console.access.suggestions import ProposedNarrowing
from bailiwick_console.endpoints import source
from bailiwick_console.endpoints.knownuses import KnownUses
from bailiwick_console.endpoints.source import CompiledCache
from bailiwick_console.grants.source import AbsentError
from bailiwick_console.markup.listpages import page_of
from bailiwick_console.threads.background import BackgroundWork
from bailiwick_console.threads.recordfiles import RecordFiles
from bailiwick_console.visits.visitor import VISITOR, ConsoleVisitor
from bailiwick_governance.arguments import moment
from bailiwick_governance.errors import UserError
from bailiwick_governance.suggestion.report import SuggestionReport

_PAGE: Final = 50
_PATIENCE: Final = 3.0
"""Seconds that a page waits for the records before it says how far they are."""


@dataclass
class AccessWork:
    """The last reading of the records. `since`: from when on uses count, as it was typed; empty: as for `suggest`."""

    since: str = ""
    work: BackgroundWork[SuggestionReport] | None = None

    def begin(
        self, visitor: ConsoleVisitor, files: RecordFiles, since: str, *, again: bool
    ) -> BackgroundWork[SuggestionReport]:
        """Return the reading, begun again where none is there, or another one is asked for. Raises `UserError`."""
        if self.work is None or ((again or since != self.since) and self.work.over):
            begin = moment(since, "from") if since else None
            cluster, namespace = visitor.source.cluster, visitor.source.namespace
            self.since = since
            self.work = BackgroundWork(lambda progress: suggestions.report(cluster, namespace, files, begin, progress))
        return self.work


@dataclass
class _RecordsState:
    """What the page of an identity says of the records."""

    files: RecordFiles | None
    since: str = ""
    told: str = ""
    problem: str = ""
    report: SuggestionReport | None = None
    proposed: ProposedNarrowing | None = field(default=None)


def routes() -> list[web.RouteDef]:
    """Return the paths."""
    return [web.get("/access", listing), web.get("/access/{identity}", identity)]


async def listing(request: web.Request) -> web.StreamResponse:
    """Show whom policies name."""
    visitor = request[VISITOR]
    cluster, namespace = visitor.source.cluster, visitor.source.namespace
    cache = visitor.shelf.get(CompiledCache)
    wanted = request.query.get("find", "")
    readings = await visitor.threads.run(lambda: source.everywhere(cluster, namespace, cache))
    found = [one for one in identities.identities(readings) if wanted in one.label]
    shown = page_of(found, request.query.get("page", "1"), _PAGE)
    return visitor.views.page(
        "identities.html", 200, shown=shown, find=wanted, namespace=namespace, unread=identities.find_unread(readings)
    )


async def identity(request: web.Request) -> web.StreamResponse:
    """Show what somebody may do."""
    visitor = request[VISITOR]
    cluster, namespace = visitor.source.cluster, visitor.source.namespace
    cache = visitor.shelf.get(CompiledCache)
    wanted = request.match_info["identity"]

    def find() -> NamedIdentity:
        readings = source.everywhere(cluster, namespace, cache)
        found = next((one for one in identities.identities(readings) if one.name == wanted), None)
        if found is None:
            raise AbsentError("no policy that you can read names this identity any more")
        return found

    found = await visitor.threads.run(find)
    state = await _records(visitor, request)
    if state.report is not None:
        state.proposed = suggestions.narrowing_of(state.report, found.key)
    page = await visitor.threads.run(lambda: identitypage.compose(found, state.report, request.query.get("page", "1")))
    return visitor.views.page("identity.html", 200, page=page, records=state, namespace=namespace)


async def _records(visitor: ConsoleVisitor, request: web.Request) -> _RecordsState:
    """Return what the records say, or how far their reading is; nothing is read before a person asks for it."""
    kept = visitor.shelf.get(AccessWork)
    state = _RecordsState(visitor.records, request.query.get("from", kept.since))
    if visitor.records is None or (kept.work is None and not {"records", "from"} & request.query.keys()):
        return state
    try:
        work = kept.begin(visitor, visitor.records, state.since, again="again" in request.query)
        if await work.wait(_PATIENCE):
            state.report = work.result()
            visitor.shelf.get(KnownUses).uses = state.report.uses
        else:
            state.told = work.progress.summary
    except UserError as error:
        state.problem = str(error)
    return state
