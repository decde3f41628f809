"""`POST /served` of the status port: which generations of which policies this process decides by at the moment.

Standing: under `health`; the operator asks, with a uid and a generation of each policy. Holds: a caller learns
nothing of a policy whose uid it does not know; no more is read than an operator sends, and it is rationed.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import orjson
from aiohttp import web

from bailiwick_webhook.http.status.pairs import MOST_BYTES, parse
from bailiwick_webhook.http.status.ration import Rations, answered
from bailiwick_webhook.http.status.senders import StatusSenders
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.store.view import View

# One operator leads, and asks one question at a time.
MOST_WAITING: Final = 8


class ServedHandler:
    """Answers. `ready` tells whether the decisions of this process can be trusted."""

    def __init__(self, store: View, ready: Callable[[], bool], counts: Counts, senders: StatusSenders) -> None:
        self._store = store
        self._ready = ready
        self._rations = Rations(MOST_WAITING, counts)
        self._senders = senders

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer one. Raises `ProblemError` (400, 429)."""
        return await answered(request, self._senders, self._rations, MOST_BYTES, self._answer)

    def _answer(self, raw: bytes) -> web.Response:
        try:
            asked = parse(raw)
        except msgspec.MsgspecError as error:
            return web.Response(
                status=400, text=f"the request body must be a JSON array of [uid, generation]: {error}\n"
            )
        # Not a slice at a time: ten thousand take some milliseconds, and the answer is of one moment.
        found = [one for one in asked if self._store.serves(*one)]
        body = {"ready": self._ready(), "served": found}
        return web.Response(body=orjson.dumps(body), content_type="application/json")
