"""Health, on a port of its own: /healthz (the loop turns), /readyz (decisions can be trusted), and /metrics.

`/served` answers the operator, which asks which generations of which policies this process decides by at the moment.
Holds: ready means that both kinds were listed and compiled, the store is fresh, we listen and are not about to stop,
and the certificate that we serve with has not ended, and, at the first of several processes, that all the others are
ready too, since it is asked for the pod; nothing here tells a policy to who does not know its uid already.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Final, Protocol

import msgspec
import orjson
from aiohttp import web

from bailiwick_engine.circumstances import Freshness
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.exposition import CONTENT_TYPE, Exposition
from bailiwick_webhook.store.view import View

# A uid and a generation of each policy that is asked about.
MOST_ASKED: Final = 10_000
_Asked = Annotated[list[tuple[str, int]], msgspec.Meta(max_length=MOST_ASKED)]
_ASKED: Final = msgspec.json.Decoder(_Asked)


class Tls(Protocol):
    """What the keeper of the serving certificate tells of itself."""

    problem: str | None

    @property
    def good(self) -> bool:
        """Whether clients can accept what is served."""

    @property
    def not_after(self) -> datetime | None:
        """When that ends."""


def checks(store: View, *, serving: bool, tls: Tls | None) -> dict[str, bool]:
    """Return what must hold for the decisions of this process to be trusted, and whether it does."""
    return {
        "synced": store.synced,
        "fresh": store.freshness is Freshness.FRESH,
        "serving": serving,
    } | ({} if tls is None else {"certificate": tls.good})


def build(
    store: View,
    serving: Callable[[], bool],
    notice: Mapping[str, str],
    exposition: Exposition,
    tls: Tls | None = None,
    others: Callable[[], Mapping[str, str]] | None = None,
) -> web.Application:
    """Return the application of the status port. `notice` is told besides; without `tls` nothing is served by it.

    `others` are the other processes that are not ready, where this one answers for them too.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    def looked_at() -> dict[str, bool]:
        return checks(store, serving=serving(), tls=tls)

    def certificate() -> dict[str, object]:
        if tls is None:
            return {}
        ends = tls.not_after
        return {"certificate": {"not_after": None if ends is None else ends.isoformat(), "problem": tls.problem}}

    async def readyz(_: web.Request) -> web.Response:
        unready = None if others is None else others()
        looked = looked_at() | ({} if unready is None else {"processes": not unready})
        body = {
            "ready": all(looked.values()),
            "checks": looked,
            "store": {"revision": store.revision, "age_seconds": round(store.age, 3) if store.synced else None},
            **store.report(),
            **certificate(),
            **({} if unready is None else {"unready_processes": unready}),
            **notice,
        }
        status = 200 if body["ready"] else 503
        return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")

    async def served(request: web.Request) -> web.Response:
        try:
            asked = _ASKED.decode(await request.read())
        except msgspec.MsgspecError as error:
            return web.Response(status=400, text=f"a JSON array of [uid, generation] is asked with: {error}\n")
        # Not a slice at a time: ten thousand take three milliseconds, and the answer is of one moment.
        found = [one for one in asked if store.serves(*one)]
        body = {"ready": all(looked_at().values()), "served": found}
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    async def metrics(_: web.Request) -> web.Response:
        # In a thread: going through thousands of policies must not keep decisions waiting.
        text = await asyncio.to_thread(exposition.text)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    # Of a longer body no more is read: 413.
    app = web.Application(client_max_size=2**20)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_post("/served", served)
    app.router.add_get("/metrics", metrics)
    return app


def count_answers(app: web.Application, counts: Counts) -> None:
    """Have every answer of an application counted by the class of its status."""

    async def count(_: web.Request, response: web.StreamResponse) -> None:
        counts.answered(response.status)

    app.on_response_prepare.append(count)
