"""The floor: an aiohttp server on uvloop that parses the body with orjson, answers, and does nothing else.

Standing: a process of its own, `python -m benchmarks.targets.bare`. Its variants: `application` with a router,
`server`, aiohttp's lower-level `web.Server` without one, `echo`, the same as the SDK wants it, `allow`, which says 200
to any call that a proxy asks about, and `upstream`, which serves the calls of proxies. The answers of the first three
have the members that every decision needs.
"""

import argparse
import asyncio
import ssl
from typing import Final

import orjson
import uvloop
from aiohttp import web  # noqa: TID251 - the floor that serving HTTP is measured against

HOST: Final = "127.0.0.1"


async def evaluation(request: web.BaseRequest) -> web.Response:
    """Parse and answer."""
    body = orjson.loads(await request.read())
    answer = {"decision": body["action"]["name"] != "", "context": {"evaluation_id": "eval_0", "reason": "allowed"}}
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def ready(_: web.BaseRequest) -> web.Response:
    """Say that we listen."""
    return web.Response(text="ok")


async def _either(request: web.BaseRequest) -> web.Response:
    return await (evaluation if request.method == "POST" else ready)(request)


async def _echo(request: web.BaseRequest) -> web.Response:
    # The SDK takes no answer that does not say which question it is for.
    response = await evaluation(request)
    response.headers["X-Request-ID"] = request.headers.get("X-Request-ID", "")
    return response


async def _allow(_: web.BaseRequest) -> web.Response:
    # Without the header, the shipped file of HAProxy takes it for no answer of a decision point.
    return web.Response(headers={"X-Bailiwick-Decision": "eval_0"})


async def _upstream(_: web.BaseRequest) -> web.Response:
    return web.Response(text="true")


_HANDLERS: Final = {"server": _either, "echo": _echo, "allow": _allow, "upstream": _upstream}


def _context(certificate: str, key: str, authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authorities)
    context.load_cert_chain(certificate, key)
    # As the decision point: HAProxy shows no certificate.
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def _serve(kind: str, port: int, tls: list[str] | None) -> None:
    runner: web.BaseRunner
    if kind == "application":
        app = web.Application()
        app.router.add_post("/access/v1/evaluation", evaluation)
        app.router.add_get("/ready", ready)
        runner = web.AppRunner(app, access_log=None)
    else:
        runner = web.ServerRunner(web.Server(_HANDLERS[kind], access_log=None))
    await runner.setup()
    await web.TCPSite(runner, HOST, port, ssl_context=None if tls is None else _context(*tls)).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kind", choices=("application", *_HANDLERS), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", nargs=3, metavar=("CERTIFICATE", "KEY", "AUTHORITIES"))
    options = parser.parse_args()
    uvloop.run(_serve(options.kind, options.port, options.tls))


if __name__ == "__main__":
    main()
