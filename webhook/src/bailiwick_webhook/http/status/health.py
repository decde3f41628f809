"""Health, on a port of its own: /healthz (the loop turns), /readyz (decisions can be trusted), and /metrics.

`/served` answers the operator, which asks which generations of which policies this process decides by at the moment,
`/usage` likewise which of them were used, and `/checkpoint` the witness of the record.
Holds: ready means that both kinds were listed and compiled, the store is fresh, we listen and are not about to stop,
and the certificate that we serve with has not ended; nothing here tells a policy to who does not know its uid already;
what costs more than a moment is rationed (see `ration`), and whether we live and are ready is not, and is never
refused.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson
from aiohttp import web

from bailiwick_engine.circumstances import Freshness
from bailiwick_webhook.http.problems import ProblemError
from bailiwick_webhook.http.status.checkpoint import CheckpointHandler
from bailiwick_webhook.http.status.exposition import CONTENT_TYPE, Exposition
from bailiwick_webhook.http.status.ration import Ration, SharedResult
from bailiwick_webhook.http.status.senders import StatusSenders
from bailiwick_webhook.http.status.served import ServedHandler
from bailiwick_webhook.http.status.usage import UsageHandler
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.store.view import View
from bailiwick_webhook.tls.reload import Certificates

# Prometheus is two, and all who wait are answered with the same.
_MOST_SCRAPING: Final = 16

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(
    store: View,
    serving: Callable[[], bool],
    notice: Mapping[str, str],
    exposition: Exposition,
    counts: Counts,
    tls: Certificates | None = None,
    checkpoints: CheckpointHandler | None = None,
) -> web.Application:
    """Return the application of the status port. `notice` is added; without `tls` nothing is served by it.

    Without `checkpoints` there is no such path, and all who ask are strangers.
    """
    senders = StatusSenders(counts) if checkpoints is None else checkpoints.senders

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    def checks() -> dict[str, bool]:
        """Return what must hold for our decisions to be trusted, and whether it does."""
        return {
            "synced": store.synced,
            "fresh": store.freshness is Freshness.FRESH,
            "serving": serving(),
        } | ({} if tls is None else {"certificate": tls.good})

    def certificate() -> dict[str, object]:
        if tls is None:
            return {}
        ends = tls.not_after
        return {"certificate": {"not_after": None if ends is None else ends.isoformat(), "problem": tls.problem}}

    async def readyz(_: web.Request) -> web.Response:
        looked = checks()
        body = {
            "ready": all(looked.values()),
            "checks": looked,
            "store": {"revision": store.revision, "age_seconds": round(store.age, 3) if store.synced else None},
            **store.report(),
            **certificate(),
            **notice,
        }
        status = 200 if body["ready"] else 503
        return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")

    # In a thread: going through thousands of policies must not keep decisions waiting.
    scraped = SharedResult(Ration(_MOST_SCRAPING, counts), exposition.text)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await scraped.get(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(middlewares=[_answered])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_post("/served", ServedHandler(store, lambda: all(checks().values()), counts, senders).__call__)
    app.router.add_post("/usage", UsageHandler(counts, senders).__call__)
    app.router.add_get("/metrics", metrics)
    if checkpoints is not None:
        app.router.add_get("/checkpoint", checkpoints.get)
        app.router.add_post("/checkpoint", checkpoints.post)
    return app


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem.response()
