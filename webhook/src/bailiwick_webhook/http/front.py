"""The front: the paths of single and batched decisions, answered before aiohttp's application is asked.

Standing: between aiohttp's `web.Server` and `web.Application`, put there by `server`. Holds: it answers only what it
recognises byte for byte, and as the application would, which answers the same paths too; everything else, however it
is spelled, goes to the application as it came.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final, cast

from aiohttp import web

from bailiwick_webhook.http import answers
from bailiwick_webhook.http.edge import Tenant

# Names as they are stored. Whatever else the application would make the same of is its to read.
_PATH: Final = re.compile(r"/endpoints/([a-z0-9-]+)/([a-z0-9-]+)/access/v1/(evaluations?)")

Decide = Callable[[web.BaseRequest, Tenant], Awaitable[bytes]]
Behind = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Front:
    """Answers decisions. `decide` has one handler for each last part of a path; it returns the body of a 200."""

    def __init__(self, app: web.Application, draining: Callable[[], bool], **decide: Decide) -> None:
        self._app = app
        self._draining = draining
        self.decide = decide

    def before(self, behind: Behind) -> Behind:
        """Return a handler that leaves to `behind` what is not for the front."""
        match_path, decide, draining, prepared = (
            _PATH.fullmatch,
            self.decide,
            self._draining,
            self._app.on_response_prepare,
        )

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            found = match_path(request.raw_path) if request.method == "POST" else None
            # Who waits to be told to go on is told so by the application.
            if found is None or "Expect" in request.headers:
                return await behind(request)
            namespace, endpoint, last = found.groups()
            try:
                body = await decide[last](request, Tenant(namespace, endpoint))
            except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
                response = answers.finished(request, answers.failed(request, error), draining=draining())
            else:
                response = answers.decided(request, body, draining=draining())
            if prepared:
                # Whoever follows the application's answers follows these too. Its server makes requests of its kind.
                await prepared.send(cast("web.Request", request), response)
            return response

        return handle


FRONT: Final[web.AppKey[Front]] = web.AppKey("front")
"""Where an application keeps its front."""
