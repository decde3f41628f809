"""`POST /usage` of the status port: on which day policies last let a call through, and what candidates came to.

Standing: under `health`; the operator asks, with the uid of each policy and the day that it knows already. Holds: a
caller learns nothing of a policy whose uid it does not know, of uses no more than a day, and only what is news; no more
is read than an operator sends, and it is rationed. Counts of a candidate are answered as they are now, since those of
several processes are added up before they are rounded: a caller that knows its uid can watch how often its endpoint is
called.
"""

from typing import Any, Final

import msgspec
import orjson
from aiohttp import web

from bailiwick_webhook.http.status.pairs import MOST_BYTES, parse
from bailiwick_webhook.http.status.ration import Rations, answered
from bailiwick_webhook.http.status.senders import StatusSenders
from bailiwick_webhook.metrics.counts import Counts

# One operator leads, and asks one question at a time.
MOST_WAITING: Final = 8
_DAY: Final = 86_400


class UsageHandler:
    """Answers. Days are counted since the epoch, in UTC; 0: none is known."""

    def __init__(self, counts: Counts, senders: StatusSenders) -> None:
        self._usage = counts.usage
        self._shadows = counts.shadows
        self._rations = Rations(MOST_WAITING, counts)
        self._senders = senders

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer one. Raises `ProblemError` (400, 429)."""
        return await answered(request, self._senders, self._rations, MOST_BYTES, self._answer)

    def _answer(self, raw: bytes) -> web.Response:
        try:
            asked = parse(raw)
        except msgspec.MsgspecError as error:
            return web.Response(status=400, text=f"the request body must be a JSON array of [uid, day]: {error}\n")
        used: list[Any] = []
        shadows: list[Any] = []
        for uid, known in asked:
            moment = self._usage.used.get(uid)
            if moment is not None and moment // _DAY > known:
                used.append((uid, int(moment // _DAY)))
            counted = self._shadows.candidates.get(uid)
            if counted is not None:
                shadows.append((uid, counted.generation, counted.compared, counted.different))
        body = {"memory": self._usage.memory, "used": used, "shadows": shadows}
        return web.Response(body=orjson.dumps(body), content_type="application/json")
