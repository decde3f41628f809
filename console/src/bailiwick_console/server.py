"""The console as a process: a loopback port, a browser that is sent there, and its end with the terminal.

Holds: it listens on loopback alone, on both of its addresses where there are two, since a browser may take either;
the URL that works once goes to the terminal and to a file of the person's own, never into another program's arguments.
"""

import asyncio
import errno
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from bailiwick_console.app import build
from bailiwick_console.markup import pages
from bailiwick_console.visits.entrance import OPENING, LoopbackEntrance
from bailiwick_console.visits.security import SUFFIX, ConsoleAddress
from bailiwick_console.visits.session import ConsoleSession
from bailiwick_console.visits.visitor import ConsoleVisitor
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError

_TRIES: Final = 16
CONNECTIONS: Final = 128
"""How many connections are held at once. A browser opens six."""
_BACKLOG: Final = 16
_ARRIVAL_SECONDS: Final = 45.0
_HANDSHAKE_SECONDS: Final = 10.0
_REST_SECONDS: Final = 0.1
_IDLE_SECONDS: Final = 30.0
_ENDING_SECONDS: Final = 2.0
LINGERING_SECONDS: Final = 2.0
"""For so long we read on what a browser still sends after its answer; a connection has its place for that long too."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TALKATIVE: Final = ("aiohttp.server", "asyncio")
"""Loggers that tell of requests that are none."""
_NO_SUCH_ADDRESS: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def serve(visitor: ConsoleVisitor, *, browser: bool) -> None:
    """Serve one person until the terminal ends it, or no browser uses it any more."""
    asyncio.run(_serve(visitor, browser=browser))


async def _serve(visitor: ConsoleVisitor, *, browser: bool) -> None:
    for name in TALKATIVE:
        # A request that is none would have a traceback printed, and every user of the machine can send one.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sockets = loopback()
    address = ConsoleAddress(f"r{secrets.token_hex(8)}", sockets[0].getsockname()[1])
    session = ConsoleSession()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, ended.set)
    runner = web.AppRunner(
        build(LoopbackEntrance(visitor, address, session)),
        access_log=None,
        keepalive_timeout=_IDLE_SECONDS,
        lingering_time=LINGERING_SECONDS,
        shutdown_timeout=_ENDING_SECONDS,
    )
    await runner.setup()
    listening: ConsolePort | None = None
    try:
        listening = await listen(runner, sockets)
        with _invite(address, session, browser=browser):
            why = await until_over(ended, session, address)
    finally:
        if listening is not None:
            await listening.close()
        await runner.cleanup()
        for one in sockets:
            one.close()
    talk(f"The console has ended{why}.")


class ConsolePort:
    """Serves on sockets, at most so many connections at once. Each costs the process a file from when it is accepted.

    Those that have shaken hands are the server's; of those that have not, or never will, this counts.
    """

    def __init__(self, server: web.Server, sockets: Sequence[socket.socket], most: int) -> None:
        self._server = server
        self._sockets = sockets
        self._most = most
        self._shaking: dict[asyncio.Task[None], asyncio.BaseProtocol] = {}
        self._accepting: list[asyncio.Task[None]] = []

    def open(self, tls: ssl.SSLContext | None) -> None:
        """Begin to accept."""
        for one in self._sockets:
            one.settimeout(0)
            one.listen(_BACKLOG)
            self._accepting.append(asyncio.create_task(self._accept(one, tls)))

    async def close(self) -> None:
        """Accept nothing more. What has shaken hands is the server's to end."""
        tasks = [*self._accepting, *self._shaking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in self._sockets:
            one.close()

    async def _accept(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:
                # No file is left, or the one who knocked has gone.
                await asyncio.sleep(_REST_SECONDS)
                continue
            if self._held >= self._most:
                connection.close()
                continue
            handler = self._server()
            task = asyncio.create_task(self._shake(connection, handler, tls))
            self._shaking[task] = handler
            task.add_done_callback(self._shaking.pop)

    @property
    def _held(self) -> int:
        # Between the end of a handshake and that of its task, the server counts it already.
        shaken = set(self._server.connections)
        return len(shaken) + sum(handler not in shaken for handler in self._shaking.values())

    async def _shake(
        self, connection: socket.socket, handler: asyncio.BaseProtocol, tls: ssl.SSLContext | None
    ) -> None:
        patience = None if tls is None else _HANDSHAKE_SECONDS
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: handler, connection, ssl=tls, ssl_handshake_timeout=patience)
        except OSError:
            # It spoke no TLS, or too slowly, or has gone.
            connection.close()


async def listen(
    runner: web.AppRunner,
    sockets: Sequence[socket.socket],
    *,
    most: int = CONNECTIONS,
    tls: ssl.SSLContext | None = None,
) -> ConsolePort:
    """Serve on these sockets, which are closed with what is returned. The runner is set up."""
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    port = ConsolePort(runner.server, sockets, most)
    port.open(tls)
    return port


async def until_over(
    ended: asyncio.Event, session: ConsoleSession, address: ConsoleAddress, patience: float = _ARRIVAL_SECONDS
) -> str:
    """Wait for the end, and return why it has come. Where no browser comes for so many seconds, tells what to do."""
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), patience)
        return ""
    if session.opening is not None:
        talk(
            f"No browser has come yet. If yours does not find {address.name}{SUFFIX}, it does not resolve names under"
            " .localhost: open the URL in Chromium or Firefox, or have the system resolve them, as systemd-resolved and"
            " nss-myhostname do. `kubectl bailiwick list --to-review` and `approve` need no browser."
        )
    while (left := session.remaining) > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), left)
            return ""
    return ": it was not used for half an hour"


@contextmanager
def _invite(address: ConsoleAddress, session: ConsoleSession, *, browser: bool) -> Iterator[None]:
    """Tell the URL, and send a browser there. What it is sent to lies in a folder that only this user can read."""
    url = f"{address.origin}{OPENING}?token={session.opening}"
    talk(f"The console is at the URL below. It works once, in one browser. Ctrl-C ends the console.\n  {url}")
    if not browser or not _has_display():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="bailiwick-console-", ignore_cleanup_errors=True) as folder:
        # The URL itself would stand among the arguments of the browser, which every user of the machine can list.
        page = Path(folder) / "console.html"
        page.touch(mode=0o600)
        page.write_text(
            pages.render("bare.html", title="Opening the console", what="One moment.", leads=url, styled=False),
            encoding="utf-8",
        )
        threading.Thread(target=_open, args=(page.as_uri(),), name="console-browser", daemon=True).start()
        yield


def _open(url: str) -> None:
    with suppress(webbrowser.Error, OSError):
        webbrowser.open(url)


def _has_display() -> bool:
    # Without one, what would be opened is a browser of the terminal, which this program has.
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def loopback() -> list[socket.socket]:
    """Return sockets of one free port, on each address of loopback. Raises `UserError` where there is none.

    Both, since a browser asks either: another user of the machine who held the other one would be sent our cookie.
    """
    for _ in range(_TRIES):
        first = _bound(socket.AF_INET, "127.0.0.1", 0)
        if first is None:
            break
        port = first.getsockname()[1]
        try:
            second = _bound(socket.AF_INET6, "::1", port)
        except OSError:
            first.close()
            continue
        return [first, second] if second is not None else [first]
    raise UserError("no port of 127.0.0.1 is free for the console")


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket | None:
    """Return a socket; None where this machine has no such address."""
    made = None
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
    except OSError as error:
        if made is not None:
            made.close()
        if error.errno in _NO_SUCH_ADDRESS:
            return None
        raise
    return made
