"""Health, on a port of its own: /healthz (the loop turns), /readyz (decisions can be trusted), and /metrics.

Holds: ready means that both kinds were listed and compiled, the store is fresh, we listen and are not about to stop.
"""

import asyncio
from collections.abc import Callable, Mapping

import orjson
from aiohttp import web

from bailiwick_engine.circumstances import Freshness
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.exposition import CONTENT_TYPE, Exposition
from bailiwick_webhook.store.view import View


def build(
    store: View, serving: Callable[[], bool], notice: Mapping[str, str], exposition: Exposition
) -> web.Application:
    """Return the application of the status port. `notice` is told besides."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        checks = {
            "synced": store.synced,
            "fresh": store.freshness is Freshness.FRESH,
            "serving": serving(),
        }
        body = {
            "ready": all(checks.values()),
            "checks": checks,
            "store": {"revision": store.revision, "age_seconds": round(store.age, 3) if store.synced else None},
            **store.report(),
            **notice,
        }
        status = 200 if body["ready"] else 503
        return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")

    async def metrics(_: web.Request) -> web.Response:
        # In a thread: going through thousands of policies must not keep decisions waiting.
        text = await asyncio.to_thread(exposition.text)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


def count_answers(app: web.Application, counts: Counts) -> None:
    """Have every answer of an application counted by the class of its status."""

    async def count(_: web.Request, response: web.StreamResponse) -> None:
        counts.answered(response.status)

    app.on_response_prepare.append(count)
