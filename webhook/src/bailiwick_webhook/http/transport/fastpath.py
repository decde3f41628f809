"""Fast path: the paths of single and batched decisions, answered before aiohttp's application is asked.

Standing: between aiohttp's `web.Server` and `web.Application`, put there by `server`. Holds: it answers only what it
recognises byte for byte, and as the application would, which answers the same paths too; everything else, however it
is spelled, goes to the application as it came.
"""

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web

from bailiwick_webhook.http.addressing import Tenant
from bailiwick_webhook.http.transport import answers, connections
from bailiwick_webhook.http.transport.answers import WholeAnswer
from bailiwick_webhook.http.transport.connections import Origin, is_last
from bailiwick_webhook.http.transport.plainrequest import PlainRequest

# Names as they are stored. Whatever else the application would make the same of is its to read.
_PATH: Final = re.compile(r"/endpoints/([a-z0-9-]+)/([a-z0-9-]+)/access/v1/(evaluations?)")

# Members of an enumeration are looked up slowly.
_OK: Final = int(HTTPStatus.OK)
# Longer than any path of names that can be: those have 63 characters at most.
_LONGEST: Final = 256
_REMEMBERED: Final = 4096

Decide = Callable[[web.BaseRequest, Tenant], Awaitable[bytes]]
Behind = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Front:
    """Answers decisions. `decide` has one handler for each last part of a path; it returns the body of a 200."""

    def __init__(
        self,
        app: web.Application,
        draining: Callable[[], bool],
        at_once: Callable[[PlainRequest, Origin], bytes | None] | None = None,
        **decide: Decide,
    ) -> None:
        self._prepared = app.on_response_prepare
        self.draining = draining
        self._at_once = at_once
        self._followers: list[Callable[[int], None]] = []
        self.decide = decide

    def followed(self, by: Callable[[int], None]) -> None:
        """Tell this the status of each answer given at once. It stands for one that follows the application's."""
        self._followers.append(by)

    @property
    def answers_at_once(self) -> bool:
        """Plain requests are answered at once, and nobody follows the answers who would not hear of it."""
        return self._at_once is not None and len(self._prepared) == len(self._followers)

    def answered(self, sent: PlainRequest, origin: Origin) -> WholeAnswer | None:
        """Return the whole answer to a request on an enforcer's connection, in the moment in which it came.

        None: nothing is decided, so that it is for aiohttp to read, as it came.
        """
        echoed, answer = sent.marked.request_id, None
        try:
            body = None if self._at_once is None else self._at_once(sent, origin)
        except Exception as error:  # noqa: BLE001 - the last line: a defect must deny; what it did is not done again
            answer = answers.broken(sent.path, error, echoed)
        else:
            if body is not None:
                answer = WholeAnswer(answers.whole(body, echoed), _OK, closing=False)
        if answer is not None:
            for follower in self._followers:
                follower(answer.status)
        return answer

    def before(self, behind: Behind) -> Behind:
        """Return a handler that leaves to `behind` what is not for the front."""
        decide, draining, prepared = self.decide, self.draining, self._prepared

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            connections.asked(request)
            path = request.raw_path
            found = place_of(path) if request.method == "POST" and len(path) <= _LONGEST else None
            # Who waits to be told to go on is told so by the application.
            if found is None or "Expect" in request.headers:
                return await behind(request)
            of, last = found
            try:
                body = await decide[last](request, of)
            except Exception as error:  # noqa: BLE001 - the last line: a defect must deny, and tell the caller nothing
                response = answers.finished(
                    request, answers.failed(request, error), closing=draining() or is_last(request)
                )
            else:
                response = answers.decided(request, body, closing=draining() or is_last(request))
            if prepared:
                # Whoever follows the application's answers follows these too. Its server makes requests of its kind.
                await prepared.send(cast("web.Request", request), response)
            return response

        return handle


@lru_cache(_REMEMBERED)
def place_of(path: str) -> tuple[Tenant, str] | None:
    """Return whose endpoint a path names, and its last part; None where it is not for the front."""
    found = _PATH.fullmatch(path)
    return None if found is None else (Tenant(found[1], found[2]), found[3])


FRONT: Final[web.AppKey[Front]] = web.AppKey("front")
"""Where an application keeps its front."""
