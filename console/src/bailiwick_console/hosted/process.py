"""The console in the cluster as a process: two ports, a certificate that is renewed, and its end.

Holds: people reach one port alone, over TLS and under the public URL; the other says to the kubelet whether there is
a certificate, and nothing else.
"""

import asyncio
import logging
import signal
import socket
from contextlib import suppress
from typing import Final

from aiohttp import web

from bailiwick_console.app import build
from bailiwick_console.hosted.certificate import ConsoleCertificate
from bailiwick_console.hosted.entrance import CALLBACK, HostedEntrance
from bailiwick_console.hosted.loginpages import LoginPages
from bailiwick_console.hosted.provider import LoginProvider
from bailiwick_console.hosted.settings import HostedSettings
from bailiwick_console.server import LINGERING_SECONDS, TALKATIVE, ConsolePort, listen
from bailiwick_governance.apiserver import cluster
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError

CONNECTIONS: Final = 512
_IDLE_SECONDS: Final = 30.0
_ENDING_SECONDS: Final = 10.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def serve(settings: HostedSettings) -> None:
    """Serve until a signal ends it. Raises `UserError` where a port is taken."""
    asyncio.run(_serve(settings))


def entrance_of(settings: HostedSettings) -> HostedEntrance:
    """Return the way in that these settings describe."""
    return HostedEntrance(
        settings.address,
        LoginPages(settings.client),
        LoginProvider(settings.client, f"{settings.address.origin}{CALLBACK}"),
        lambda token: cluster.client_of_token(settings.api_server, settings.api_ca_file, token.bearer),
        places=settings.places,
    )


async def _serve(settings: HostedSettings) -> None:
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    certificate = ConsoleCertificate(settings.certificate, settings.key)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, ended.set)
    pages = web.AppRunner(
        build(entrance_of(settings)),
        access_log=None,
        keepalive_timeout=_IDLE_SECONDS,
        lingering_time=LINGERING_SECONDS,
        shutdown_timeout=_ENDING_SECONDS,
    )
    health = web.AppRunner(_health(certificate), access_log=None)
    watching = asyncio.create_task(certificate.run())
    listening: ConsolePort | None = None
    try:
        await pages.setup()
        await health.setup()
        await _start(web.TCPSite(health, settings.listen, settings.health_port))
        sockets = [_socket(settings.listen, settings.port)]
        listening = await listen(pages, sockets, most=CONNECTIONS, tls=certificate.listening)
        talk(f"The console is at {settings.address.origin}.")
        await ended.wait()
    finally:
        if listening is not None:
            await listening.close()
        await pages.cleanup()
        await health.cleanup()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    talk("The console has ended. Everybody has to log in again.")


def _health(certificate: ConsoleCertificate) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        status, text = (200, "ok\n") if certificate.there else (503, "there is no certificate yet\n")
        return web.Response(status=status, text=text)

    app = web.Application()
    app.add_routes([web.get("/healthz", live), web.get("/readyz", ready)])
    return app


def _socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
    except OSError as error:
        made.close()
        raise _port_error(address, port, error) from error
    return made


async def _start(site: web.TCPSite) -> None:
    try:
        await site.start()
    except OSError as error:
        raise UserError(f"cannot listen for health checks on {site.name}: {error.strerror}") from error


def _port_error(address: str, port: int, error: OSError) -> UserError:
    return UserError(f"cannot listen on {address} port {port}: {error.strerror}")
