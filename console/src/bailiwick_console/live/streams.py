"""The streams: what one person's watch tells, as server-sent events to their open pages.

Holds: a stream is no look at a page, so it keeps no visit alive; it ends when the visit does; a few at most are open at
once, so that a browser keeps connections for what is pressed.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from weakref import WeakKeyDictionary

from aiohttp import web

from bailiwick_console.live.watch import FeedListener, GrantChange, GrantFeed
from bailiwick_console.visits.entrance import Entrance
from bailiwick_console.visits.visitor import VISITOR, ConsoleVisitor
from bailiwick_governance.apiserver.cluster import grants_path
from bailiwick_governance.errors import UserError

EVENTS: Final = "/events"
STREAMS: Final = 4
"""How many are open at once in one visit. A browser has six connections for all of its pages."""
BEAT_SECONDS: Final = 15.0
# Between two writes to one stream: a flood of changes is sent as few.
_GATHER_SECONDS: Final = 0.2
_MANY: Final = 16
_NAMED: Final = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*")


class LiveStreams:
    """The streams of all visits."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._feeds: WeakKeyDictionary[ConsoleVisitor, GrantFeed] = WeakKeyDictionary()
        self._open: WeakKeyDictionary[ConsoleVisitor, list[web.Request]] = WeakKeyDictionary()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell of changes until the page goes, or the visit or the watch is over."""
        visitor = request[VISITOR]
        mine = self._open.setdefault(visitor, [])
        # A page that was left is noticed only at the next write.
        mine[:] = [one for one in mine if one.transport is not None and not one.transport.is_closing()]
        if len(mine) >= STREAMS:
            return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS, text="too many streams")
        mine.append(request)
        try:
            return await self._stream(request, visitor)
        finally:
            mine[:] = [one for one in mine if one is not request]

    async def end(self, _: web.Application) -> None:
        """End all of them, since the console ends."""
        for feed in list(self._feeds.values()):
            feed.end()

    async def _stream(self, request: web.Request, visitor: ConsoleVisitor) -> web.StreamResponse:
        feed, namespace = self._feeds.get(visitor), visitor.source.namespace
        if feed is None or feed.namespace != namespace:
            feed = self._feeds[visitor] = GrantFeed(visitor.source.cluster, namespace)
        since = request.headers.get("Last-Event-ID", "")
        try:
            listener = await feed.listen(since)
        except UserError as error:
            # The page asks by itself, and learns there what is wrong.
            return web.Response(status=HTTPStatus.BAD_GATEWAY, text=str(error))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        try:
            await response.prepare(request)
            if not since:
                await self._greet(request.query, visitor, response)
            await self._tell(request, visitor, listener, response)
        except ConnectionError:
            # The page is gone.
            pass
        finally:
            feed.leave(listener)
        return response

    async def _greet(self, asked: Mapping[str, str], visitor: ConsoleVisitor, response: web.StreamResponse) -> None:
        """Tell what changed between the page and its stream: of a list anything may have."""
        grant = asked.get("grant", "")
        if not _NAMED.fullmatch(grant):
            await response.write(event(GrantChange("")))
            return
        namespace, _, name = grant.partition("/")
        try:
            found = await visitor.threads.run(lambda: visitor.source.cluster.get(grants_path(namespace, name)))
        except UserError:
            version = ""
        else:
            version = str(found["metadata"]["resourceVersion"])
        if version != asked.get("version"):
            await response.write(event(GrantChange("", grant)))
        else:
            await response.write(_BEAT)

    async def _tell(
        self, request: web.Request, visitor: ConsoleVisitor, listener: FeedListener, response: web.StreamResponse
    ) -> None:
        while True:
            changes: list[GrantChange | None] = []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    changes.append(await listener.heard.get())
            if changes and changes != [None]:
                await asyncio.sleep(_GATHER_SECONDS)
            while not listener.heard.empty():
                changes.append(listener.heard.get_nowait())
            # Each time: a visit hears of nothing after its end.
            if await self._entrance.admit(request, looked=False) is not visitor:
                return
            await response.write(b"".join(event(one) for one in gather(changes)) or _BEAT)
            if None in changes:
                await response.write(_OVER)
                return


def gather(changes: list[GrantChange | None]) -> list[GrantChange]:
    """Return what of these is to be sent, each grant once; of very many, that anything may have changed."""
    told = {change.grant: change for change in changes if change is not None}
    if len(told) > _MANY or "" in told:
        last = [change for change in changes if change is not None][-1]
        return [GrantChange(last.version)]
    return sorted(told.values(), key=changes.index)


def event(change: GrantChange) -> bytes:
    """Return an event of a stream. Its id is the resourceVersion; without one, the page's last stays what it was."""
    line = f"id: {change.version}\n" if change.version.isascii() and change.version.isalnum() else ""
    return f"{line}event: change\ndata: {json.dumps({'grant': change.grant})}\n\n".encode()


_BEAT: Final = b":\n\n"
_OVER: Final = b"event: over\ndata:\n\n"
