"""The console's paths, and the one place where requests are let in and failures become pages.

Holds: no path answers before `security` and the entrance let it in, but those of the entrance and the static
files; GET writes nothing; a POST reviews a grant, or each of several, exactly as it was shown, or takes back those
that were shown, and is never sent again.
"""

import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from bailiwick_console import reviewpage
from bailiwick_console.access.handlers import routes as access_routes
from bailiwick_console.bulk import handlers as bulk
from bailiwick_console.bulk.choice import ACTS
from bailiwick_console.dashboard.handlers import routes as dashboard_routes
from bailiwick_console.endpoints.handlers import routes as endpoint_routes
from bailiwick_console.grants import inbox
from bailiwick_console.grants.inbox import InboxList
from bailiwick_console.grants.source import AbsentError, MissingRightError
from bailiwick_console.live.streams import EVENTS, LiveStreams
from bailiwick_console.markup import pages
from bailiwick_console.markup.listpages import number_of
from bailiwick_console.passkeys.handlers import routes as passkey_routes
from bailiwick_console.records.handlers import routes as record_routes
from bailiwick_console.threads.calls import FullConsoleError
from bailiwick_console.visits.entrance import Entrance
from bailiwick_console.visits.security import HEADERS, READS, RequestSource, refusal
from bailiwick_console.visits.views import bare, refused
from bailiwick_console.visits.visitor import SITE, UNKNOWN, VISITOR, ConsoleVisitor
from bailiwick_governance.display import talk
from bailiwick_governance.errors import ApiError, UserError

_STATIC: Final = "/static/"
_REFRESH: Final = "X-Bailiwick-Refresh"
_MAX_BODY: Final = 64 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(entrance: Entrance) -> web.Application:
    """Return the application, for those who come in by this entrance."""
    streams = LiveStreams(entrance)
    app = web.Application(middlewares=[_Door(entrance).let_in], client_max_size=_MAX_BODY)
    app[SITE] = entrance.address
    app.on_shutdown.append(streams.end)
    headers = {**HEADERS, **entrance.headers}

    async def with_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    app.on_response_prepare.append(with_headers)
    app.add_routes(
        [
            *entrance.routes,
            web.get(_STATIC + "{name}", _static),
            web.get("/", _inbox),
            web.get("/keys", _keys),
            web.get(EVENTS, streams.events, allow_head=False),
            web.get("/grants/{namespace}/{name}", reviewpage.grant),
            web.post("/grants/{namespace}/{name}/review", reviewpage.review),
            web.post("/grants/{namespace}/{name}/sign", reviewpage.sign),
            web.post("/grants/{namespace}/{name}/revoke", reviewpage.revoke),
            *dashboard_routes(),
            *endpoint_routes(),
            *access_routes(),
            *record_routes(),
            *passkey_routes(),
            web.post("/bulk/choose", bulk.choose),
            web.post("/bulk/deny", bulk.deny),
            web.post("/bulk/revoke", bulk.revoke),
        ]
    )
    return app


class _Door:
    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    @web.middleware
    async def let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in what is ours, and make a page of whatever goes wrong."""
        address = self._entrance.address
        opening = self._entrance.opens(request.path)
        if why := refusal(_source_of(request, followed=self._entrance.follows(request)), address):
            # Under another name nothing else is served, not even how it looks.
            return refused(why, styled=request.headers.get("Host") == address.host)
        try:
            if not opening and not request.path.startswith(_STATIC):
                admitted = await self._entrance.admit(request, looked=_is_by_person(request))
                if isinstance(admitted, web.StreamResponse):
                    return admitted
                request[VISITOR] = admitted
                if request.method in READS and request.path != EVENTS:
                    await admitted.strip.refresh()
            return self._end_visit(request, await handler(request))
        except UserError as error:
            unknown = isinstance(error, ApiError) and error.status == HTTPStatus.UNAUTHORIZED
            lost = self._entrance.lost(request) if unknown else None
            return _failure_page(request, error) if lost is None else lost
        except web.HTTPException as error:
            return bare(error.reason, "", error.status)
        except Exception as error:  # noqa: BLE001 - a defect: it is printed at the terminal alone
            # What it says may be of any person: where many are, only the place is printed.
            what = f"{type(error).__name__}: {error}" if self._entrance.private else _place(error)
            talk(f"error: this is a bug in the console ({what})")
            return bare("This did not work", "It is a fault of the console. Its terminal says more.", 500)

    def _end_visit(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        """Return an answer, after the visit was ended that it is the last of."""
        if request.get(UNKNOWN):
            self._entrance.lost(request)
        return answer


def _is_by_person(request: web.Request) -> bool:
    """Tell whether a person asked for it, and not a script of a page that is open."""
    return _REFRESH not in request.headers and request.path != EVENTS


def _place(error: Exception) -> str:
    """Return what kind of defect it is, and the line of ours or of a library that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _failure_page(request: web.Request, error: UserError) -> web.StreamResponse:
    title = "The API server refuses" if isinstance(error, ApiError) else "The API server cannot be asked"
    visitor: ConsoleVisitor | None = request.get(VISITOR)
    if visitor is None:
        return bare(title, str(error), 502)
    if isinstance(error, AbsentError):
        title = "It is not there"
    if isinstance(error, MissingRightError):
        return visitor.views.failed("You may not see this", error, request.path_qs, rights=error.rights)
    return visitor.views.failed(title, error, request.path_qs)


async def _inbox(request: web.Request) -> web.StreamResponse:
    """Show one page of one list."""
    visitor = request[VISITOR]
    chosen = _list_of(request.query.get("list", InboxList.REVIEW.value))
    number = number_of(request.query.get("page", "1"))
    if _REFRESH in request.headers and visitor.threads.full:
        # A script of a page that is open: what a person asked for comes first.
        raise FullConsoleError
    # Taken once: while the API server answers, the person may choose another namespace in another tab.
    source, permissions = visitor.source, visitor.permissions
    lists, left_out = await visitor.threads.run(lambda: source.lists(permissions))
    shown = inbox.page(lists, chosen, number, left_out)
    return visitor.views.inbox(shown, source.namespace, ACTS.get(chosen, ""))


async def _keys(request: web.Request) -> web.StreamResponse:
    """Say what the keys do."""
    return request[VISITOR].views.page("keys.html", HTTPStatus.OK)


async def _static(request: web.Request) -> web.StreamResponse:
    if (found := pages.static(request.match_info["name"])) is None:
        raise web.HTTPNotFound
    body, media = found
    return web.Response(body=body, content_type=media, charset="utf-8")


def _source_of(request: web.Request, *, followed: bool) -> RequestSource:
    return RequestSource(
        method=request.method,
        hosts=request.headers.getall("Host", ()),
        origins=request.headers.getall("Origin", ()),
        fetch_site=request.headers.get("Sec-Fetch-Site"),
        fetch_dest=request.headers.get("Sec-Fetch-Dest"),
        media=request.content_type,
        followed=followed,
    )


def _list_of(text: str) -> InboxList:
    try:
        return InboxList(text)
    except ValueError:
        return InboxList.REVIEW
