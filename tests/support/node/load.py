"""A bounded load on the decision points of a node, through their Service, from this machine.

Standing: each request is an evaluation that must be answered and allowed; nothing is tried twice, so that whatever is
lost shows. Connections are kept and used again, as enforcement points do.
"""

import asyncio
import itertools
import socket
import ssl
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

CONNECTIONS: Final = 6
# Of one connection, so that the whole stays well below what two cores can do.
_PAUSE: Final = 0.02
_LONGEST: Final = 600.0


class Load:
    """Asks until told to stop; `answers` counts what came, by status and decision or by the name of the error."""

    def __init__(self, url: str, address: str, authority: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        self.answers: Counter[str] = Counter()
        self.errors: list[str] = []
        self._url, self._address, self._authority = url, address, authority
        self._headers, self._body = headers, body
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def asked(self) -> int:
        """How many answers there are so far."""
        return self.answers.total()

    @property
    def lost(self) -> int:
        """How many of them were not what they should be."""
        return self.asked - self.answers["200 True"]

    def until_asked(self, number: int, seconds: float = 120.0) -> None:
        """Go on until so many were asked."""
        deadline = time.monotonic() + seconds
        while self.asked < number and time.monotonic() < deadline:
            time.sleep(0.2)
        assert self.asked >= number, f"only {self.asked} of {number} were asked in {seconds:g} s"

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, when each connection has its answer."""
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(
            resolver=_To(self._address), ssl=ssl.create_default_context(cadata=self._authority), limit=CONNECTIONS
        )
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._ask(session) for _ in range(CONNECTIONS)))

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        ends = time.monotonic() + _LONGEST
        for number in itertools.count():
            if self._stop.is_set() or time.monotonic() > ends:
                return
            try:
                # aiohttp repeats a request whose connection was closed on it, but not one that is no GET.
                async with session.post(self._url, json=self._body, headers=self._headers) as answer:
                    said = await answer.json(content_type=None)
                    self._count(f"{answer.status} {said.get('decision')}", str(said))
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self._count(type(error).__name__, f"{number}: {error}")
            await asyncio.sleep(_PAUSE)

    def _count(self, what: str, said: str) -> None:
        self.answers[what] += 1
        if what != "200 True":
            self.errors = [*self.errors[-9:], said]


class _To(AbstractResolver):
    """Every name is at one address: this machine does not ask the cluster's DNS."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the address."""
        return [
            ResolveResult(hostname=host, host=self._address, port=port, family=family, proto=0, flags=0),
        ]

    async def close(self) -> None:
        """Nothing to close."""
