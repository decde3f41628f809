"""Health, on a port of its own: /healthz says that the loop turns, /readyz that decisions can be trusted.

Holds: ready means that both kinds were listed and compiled, the store is fresh, we listen and are not about to stop.
"""

from collections.abc import Callable, Mapping

import orjson
from aiohttp import web

from bailiwick_engine.circumstances import Freshness
from bailiwick_webhook.store.view import View


def build(store: View, serving: Callable[[], bool], notice: Mapping[str, str]) -> web.Application:
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

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app
