"""Looks names up, each in a thread of its own, which is the only way that asks as the system does.

Holds: a lookup that hangs cannot be ended, so it keeps the slot of its holder until it ends, and nothing waits for the
thread: neither another holder nor the end of the process.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from functools import partial
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from bailiwick_notifications.sending.slots import HeldSlot

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class NameLookup(AbstractResolver):
    """Resolves one name, in a slot that it gives back as soon as it knows. Without a slot it holds none."""

    def __init__(self, slot: HeldSlot | None = None) -> None:
        self._slot = slot
        self._looking = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        self._looking = True

        def finish(infos: list[Any] | None, error: Exception | None) -> None:
            self._looking = False
            self.done()
            if found.done():
                # No caller waits for it any longer.
                return
            if error is None:
                found.set_result(infos or [])
            else:
                found.set_exception(error)

        def look() -> None:
            infos, wrong = None, None
            try:
                infos = ask()
            except (OSError, UnicodeError) as error:
                wrong = error
            with suppress(RuntimeError):
                # The loop may have ended meanwhile.
                loop.call_soon_threadsafe(finish, infos, wrong)

        threading.Thread(target=look, name="bailiwick-name", daemon=True).start()
        return [
            ResolveResult(hostname=host, host=str(at[0]), port=port, family=of, proto=protocol, flags=_NUMERIC)
            for of, _, protocol, _, at in await found
        ]

    def done(self) -> None:
        """Give the slot back, unless a lookup still runs in it."""
        if self._slot is not None and not self._looking:
            self._slot.give()

    async def close(self) -> None:
        """Leave the lookup as it is: it gives its slot back by itself."""
