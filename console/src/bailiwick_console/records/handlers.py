"""The paths of decisions: the list of those that are asked for, and one of them.

Holds: nothing is written; a file is opened only where it was named when the console was started; each reading goes on
in the background, and at most a few are kept. A console without records says where decisions are found, since links
lead here from elsewhere.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from bailiwick_console.grants.source import AbsentError
from bailiwick_console.markup.listpages import page_of
from bailiwick_console.records import recordpage, scan
from bailiwick_console.records.query import RecordQuery
from bailiwick_console.threads.background import BackgroundWork, WorkProgress
from bailiwick_console.threads.recordfiles import RecordFiles
from bailiwick_console.visits.visitor import VISITOR, ConsoleVisitor
from bailiwick_governance.errors import UserError
from bailiwick_governance.records.listedrecords import VERDICTS

_PAGE: Final = 50
_KEPT: Final = 8
_AT_ONCE: Final = 2
_PATIENCE: Final = 3.0
_DIGITS: Final = 16


@dataclass
class RecordWork:
    """The last readings of the records, by what was asked for."""

    kept: OrderedDict[object, BackgroundWork[Any]] = field(default_factory=OrderedDict)

    def begin(self, key: object, work: Callable[[WorkProgress], Any], *, again: bool) -> BackgroundWork[Any]:
        """Return a reading, begun again where it is not kept, or is asked for again once it is over."""
        found = self.kept.get(key)
        if found is None or (again and found.over):
            self.kept[key] = found = BackgroundWork(work)
        self.kept.move_to_end(key)
        running = [one for one in self.kept.values() if not one.over]
        for one in running[:-_AT_ONCE]:
            # The person has asked for something else since.
            one.progress.give_up()
        while len(self.kept) > _KEPT:
            self.kept.popitem(last=False)[1].progress.give_up()
        return found


def routes() -> list[web.RouteDef]:
    """Return the paths."""
    return [web.get("/decisions", listing), web.get("/decisions/{chain}/{seq}", record)]


async def listing(request: web.Request) -> web.StreamResponse:
    """Show the decisions that are asked for, the newest first."""
    visitor = request[VISITOR]
    files = visitor.records
    if files is None:
        return _elsewhere(visitor)
    given: dict[str, Any] = {
        "files": files,
        "verdicts": VERDICTS,
        "found": None,
        "told": "",
        "problem": "",
        "shown": None,
    }
    status = HTTPStatus.OK
    asked = RecordQuery()
    try:
        asked = RecordQuery.parse(request.query)
        work = visitor.shelf.get(RecordWork).begin(
            asked, lambda progress: scan.scan(files.texts(progress), asked), again="again" in request.query
        )
        if await work.wait(_PATIENCE):
            given["found"] = found = work.result()
            given["shown"] = page_of(found.records, request.query.get("page", "1"), _PAGE)
        else:
            given["told"] = work.progress.summary
    except UserError as error:
        given["problem"], status = str(error), HTTPStatus.UNPROCESSABLE_ENTITY
    typed = {name: request.query.get(name, "") for name in RecordQuery.__dataclass_fields__}
    return visitor.views.page("decisions.html", status, asked=typed, words=asked.words, **given)


async def record(request: web.Request) -> web.StreamResponse:
    """Show one decision, why it came out so, and its evidence."""
    visitor = request[VISITOR]
    files, here = visitor.records, request.path
    chain, seq = request.match_info["chain"], request.match_info["seq"]
    if files is None:
        return _elsewhere(visitor, here)
    if not (seq.isascii() and seq.isdecimal() and len(seq) <= _DIGITS):
        raise AbsentError("there is no such decision in the record files")

    def work(progress: WorkProgress, files: RecordFiles = files) -> recordpage.RecordPage:
        return recordpage.compose(files.reading(progress), chain, int(seq))

    reading = visitor.shelf.get(RecordWork).begin((chain, seq), work, again="again" in request.query)
    if not await reading.wait(_PATIENCE):
        return visitor.views.page("working.html", HTTPStatus.OK, told=reading.progress.summary, here=here, failed=False)
    try:
        found = reading.result()
    except AbsentError:
        raise
    except UserError as error:
        again = f"{here}?again=1"
        return visitor.views.page(
            "working.html", HTTPStatus.UNPROCESSABLE_ENTITY, told=str(error), here=again, failed=True
        )
    return visitor.views.page("decision.html", HTTPStatus.OK, page=found, here=here)


def _elsewhere(visitor: ConsoleVisitor, wanted: str = "") -> web.StreamResponse:
    """Say where decisions are found. `wanted`: the path of the one that was asked for."""
    return visitor.views.page("norecords.html", HTTPStatus.OK, wanted=wanted)
