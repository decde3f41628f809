"""A web application or an MCP server, guarded by the SDK or not: `python -m benchmarks.targets.guardedapp KIND`.

Standing: a process of its own, for `applications`. Holds: what is guarded and what is not is the same application; it
answers each call with `true`; one process, its event loop is uvloop wherever the framework's server takes it.
"""

import argparse
import asyncio
from collections.abc import Callable
from typing import Any, Final

import uvicorn
import uvloop
from aiohttp import web  # noqa: TID251 - the application that is guarded
from fastapi import FastAPI
from fastmcp import FastMCP

from bailiwick import AsyncBailiwick, aiohttp as for_aiohttp, fastapi as for_fastapi
from bailiwick.asgi import Application, Deliver, Guard, Receive, Route, Routes, Scope

HOST: Final = "127.0.0.1"
ENDPOINT: Final = "mcp/tools"
ACTION: Final = "refund"
RESOURCE: Final = ("tool", "refund")
PATH: Final = "/refund"
# An enforcer proves itself, and a decision point for tests believes it.
_OWN: Final = "test"


def _asking(url: str | None) -> AsyncBailiwick | None:
    return None if url is None else AsyncBailiwick(url, endpoint=ENDPOINT, token=lambda: _OWN)


def _fastapi(pdp: AsyncBailiwick | None) -> Application:
    app = FastAPI()

    async def refund(body: dict[str, Any]) -> bool:
        return bool(body)

    if pdp is not None:
        refund = for_fastapi.guarded(pdp, ACTION, resource=RESOURCE)(refund)
    app.post(PATH)(refund)
    if pdp is not None:
        for_fastapi.install(app, pdp)
    return app


def _asgi(pdp: AsyncBailiwick | None) -> Application:
    async def app(scope: Scope, receive: Receive, send: Deliver) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"true"})

    if pdp is None:
        return app
    return Guard(app, pdp, Routes([Route("POST", PATH, ACTION, RESOURCE)]))


def _mcp(_: AsyncBailiwick | None) -> Application:
    server: FastMCP[Any] = FastMCP("tools")

    @server.tool
    def refund(amount: int, currency: str) -> str:
        return "true" if amount and currency else "false"

    return server.http_app(stateless_http=True, json_response=True)


_ASGI: Final[dict[str, Callable[[AsyncBailiwick | None], Application]]] = {
    "fastapi": _fastapi,
    "asgi": _asgi,
    "mcp": _mcp,
}
KINDS: Final = (*_ASGI, "aiohttp")


async def _aiohttp(pdp: AsyncBailiwick | None, port: int) -> None:
    async def refund(request: web.Request) -> web.StreamResponse:
        return web.Response(text="true" if await request.json() else "false")

    app = web.Application()
    handler = refund if pdp is None else for_aiohttp.guarded(pdp, ACTION, resource=RESOURCE)(refund)
    app.router.add_post(PATH, handler)
    if pdp is not None:
        for_aiohttp.install(app, pdp)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pdp")
    options = parser.parse_args()
    if options.kind == "aiohttp":
        uvloop.run(_aiohttp(_asking(options.pdp), options.port))
    else:
        app: Any = _ASGI[options.kind](_asking(options.pdp))
        uvicorn.run(app, host=HOST, port=options.port, loop="uvloop", log_level="error", access_log=False, ws="none")


if __name__ == "__main__":
    main()
