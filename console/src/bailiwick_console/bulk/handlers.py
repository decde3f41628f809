"""The two pages between a list and what is written: what was chosen, and what came of it.

Holds: the form of a list writes nothing, since Enter on a checkbox sends it; what is written is sent by the one button
of the page that names each grant.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from bailiwick_console.bulk import choice, writes
from bailiwick_console.bulk.choice import ACTS, BulkAct, GrantChoice
from bailiwick_console.bulk.writes import BulkOutcome, BulkResult, BulkRun
from bailiwick_console.grants.inbox import InboxList, card
from bailiwick_console.markup.pages import typed_markup
from bailiwick_console.visits.forms import read_form
from bailiwick_console.visits.views import here
from bailiwick_console.visits.visitor import VISITOR, ConsoleVisitor, heard
from bailiwick_engine.approval.display import visible
from bailiwick_governance.display import talk
from bailiwick_governance.grants.grantview import GrantView

_DONE: Final = {BulkAct.DENY: "denied", BulkAct.REVOKE: "took back"}


@dataclass(frozen=True, slots=True)
class BulkForm:
    """The fields of either page: those of the list, or the keys of what was shown."""

    chosen: str
    marked: tuple[str, ...]
    shown: tuple[str, ...]
    reason: str


async def choose(request: web.Request) -> web.StreamResponse:
    """Show what was chosen in a list, with the button that writes. Writes nothing."""
    visitor, form = request[VISITOR], await _form(request)
    try:
        chosen = InboxList(form.chosen)
        act = ACTS[chosen]
    except (ValueError, KeyError) as error:
        raise web.HTTPBadRequest(reason="Nothing can be done with several grants of this list") from error
    permissions = visitor.permissions
    lists, _ = await visitor.threads.run(lambda: visitor.source.lists(permissions))
    try:
        found = choice.match(form.marked, lists[chosen])
    except ValueError as error:
        raise web.HTTPBadRequest(reason="The form is not one of this console") from error
    return _confirmation(visitor, act, found)


async def deny(request: web.Request) -> web.StreamResponse:
    """Deny each grant that the page before named."""
    return await _write(request, BulkAct.DENY)


async def revoke(request: web.Request) -> web.StreamResponse:
    """Take back each grant that the page before named."""
    return await _write(request, BulkAct.REVOKE)


async def _write(request: web.Request, act: BulkAct) -> web.StreamResponse:
    visitor, form = request[VISITOR], await _form(request)
    reason = form.reason
    found = [visitor.memory.shown(key) for key in dict.fromkeys(form.shown)]
    grants = [one.grant for one in found if one is not None]
    if not grants or len(grants) < len(found):
        forgotten = "This page is older than what the console remembers, or was not the console's. Nothing was written."
        return _confirmation(visitor, act, GrantChoice((), ()), reason, forgotten, HTTPStatus.CONFLICT)
    if act is BulkAct.REVOKE and not reason:
        problem = "Nothing was written. Give a reason, for the record."
        return _confirmation(
            visitor, act, GrantChoice(tuple(grants), ()), reason, problem, HTTPStatus.UNPROCESSABLE_ENTITY
        )
    run = BulkRun()
    try:
        await visitor.threads.run(lambda: writes.write(act, grants, visitor.source, reason, run))
    except asyncio.CancelledError:
        # The console is being ended, and the thread must not go on unseen.
        run.ended = True
        _tell_of_the_end(visitor, act, grants, list(run.results))
        raise
    results = run.results
    for one in results:
        if one.error is not None:
            heard(request, one.error)
    _tell(visitor, act, results)
    done = all(one.outcome is BulkOutcome.DONE for one in results)
    by_outcome = {one: [result for result in results if result.outcome is one] for one in BulkOutcome}
    return visitor.views.page(
        "bulk/results.html",
        HTTPStatus.OK if done else HTTPStatus.CONFLICT,
        act=act.value,
        results={one.value: found for one, found in by_outcome.items() if found},
        here=here,
        reason=typed_markup("" if done else reason),
    )


def _confirmation(
    visitor: ConsoleVisitor,
    act: BulkAct,
    found: GrantChoice,
    reason: str = "",
    problem: str = "",
    status: HTTPStatus = HTTPStatus.OK,
) -> web.Response:
    return visitor.views.page(
        "bulk/choice.html",
        status,
        act=act.value,
        rows=[(card(grant), visitor.memory.show(grant).key) for grant in found.same],
        changed=found.changed,
        form_token=visitor.memory.form_token,
        namespace=visitor.source.namespace,
        reason=typed_markup(reason),
        problem=problem,
    )


async def _form(request: web.Request) -> BulkForm:
    form = await read_form(request)
    if not request[VISITOR].memory.sent(form.text("token")):
        raise web.HTTPForbidden(reason="The form is not one of this visit")
    return BulkForm(form.text("list"), form.texts("grant"), form.texts("shown"), form.text("reason").strip())


def _tell(visitor: ConsoleVisitor, act: BulkAct, results: Sequence[BulkResult]) -> None:
    done: list[GrantView] = [one.grant for one in results if one.outcome is BulkOutcome.DONE]
    for grant in done:
        who, what = visible(visitor.source.me.username), visible(grant.name)
        talk(f"{who} {_DONE[act]} {what} in {visible(grant.namespace)}")


def _tell_of_the_end(
    visitor: ConsoleVisitor, act: BulkAct, grants: Sequence[GrantView], results: Sequence[BulkResult]
) -> None:
    """Tell the terminal, of grants that no page tells of any more, what was written and what was not."""
    _tell(visitor, act, results)
    unsure = [one.grant for one in results if one.outcome is BulkOutcome.UNKNOWN]
    # That of the next one may be under way.
    unsure += grants[len(results) : len(results) + 1]
    for grant in unsure:
        named = f"{visible(grant.name)} in {visible(grant.namespace)}"
        talk(f"The API server has not answered yet about {named}: look again to see whether the change was made.")
    left = len(grants) - len([one for one in results if one.outcome is BulkOutcome.DONE]) - len(unsure)
    if left:
        talk(f"{left} more were not sent.")
