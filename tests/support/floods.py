"""Floods: what anybody on the network can do to a port, sent from a process of its own.

Standing: `Floods` runs `python -m support.floods`, which is given what to do as JSON on its input. Holds: it speaks to
loopback alone; the number of connections, of attempts and of seconds is bounded, and it ends with its input; it is
nicer than the process under test, since on a real network it would run on other machines.
"""

import asyncio
import json
import os
import random
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import PIPE
from types import TracebackType
from typing import IO, Any, Final, Self

from support.priority import yield_processor

MOST_SECONDS: Final = 120.0
MOST_ATTEMPTS: Final = 50_000
_TESTS: Final = Path(__file__).parents[1]
_PAUSE_SECONDS: Final = 0.02
NUMBER: Final = "#number#"
"""In a body, a number that no other request of the flood has."""


@dataclass(frozen=True, slots=True)
class Flood:
    """One kind of flood. `what` is a method of `_Client`; `sources` are so many addresses of 127.0.0.0/8.

    `path`, `body` and one of the `tokens` each are of the requests that it sends, if it sends any; `size` is that of a
    body that comes slowly. `pause` comes between two connections, `rest` between two requests on one.
    """

    what: str
    port: int
    connections: int
    sources: int = 1
    path: str = "/nothing"
    tokens: Sequence[str] = ()
    body: str = "{}"
    tls: bool = True
    pause: float = _PAUSE_SECONDS
    rest: float = 0.0
    size: int = 100_000


@dataclass
class Floods:
    """Runs floods while the block runs. `counts` are what came of them, once it has ended."""

    floods: Sequence[Flood]
    seconds: float
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Begin, and return once every flood has begun."""
        given = {"seconds": self.seconds, "floods": [asdict(flood) for flood in self.floods]}
        environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
        command = [sys.executable, "-m", "support.floods"]
        # In a session of its own, since its priority is one of sessions too.
        self._process = subprocess.Popen(
            command, stdin=PIPE, stdout=PIPE, text=True, env=environment, start_new_session=True
        )
        yield_processor(self._process.pid)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        try:
            self._next()
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        with self._process as flooding:
            try:
                assert flooding.stdin is not None
                flooding.stdin.close()
                if kind is None:
                    self.counts = self._next()
            finally:
                flooding.kill()

    def _next(self) -> Any:  # noqa: ANN401 - any JSON value
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


class _Client:
    """Acts for one flood. What it did is counted."""

    def __init__(self, flood: Flood, until: float) -> None:
        self._flood = flood
        self._until = until
        self.what = flood.what
        self.counts: Counter[str] = Counter()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self._number = 0

    async def run(self) -> None:
        """Act until the time is over."""
        await asyncio.gather(*(self._again(number) for number in range(self._flood.connections)))

    async def _again(self, number: int) -> None:
        # Not all in the same moment: one process cannot shake so many hands at once, and would time itself out.
        await asyncio.sleep(random.random())  # noqa: S311 - no secret
        while time.monotonic() < self._until and self.counts["attempts"] < MOST_ATTEMPTS:
            self.counts["attempts"] += 1
            writer: asyncio.StreamWriter | None = None
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._until - time.monotonic()):
                    reader, writer = await self._connect(number)
                    self.counts["connected"] += 1
                    await getattr(self, self._flood.what)(reader, writer, number)
            except (OSError, EOFError):
                self.counts["ended"] += 1
            finally:
                if writer is not None:
                    writer.transport.abort()
            await asyncio.sleep(self._flood.pause)

    async def _connect(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = 0x7F020000 + number % self._flood.sources
        local = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
        tls = self._tls if self._flood.tls else None
        return await asyncio.open_connection("127.0.0.1", self._flood.port, ssl=tls, local_addr=(local, 0))

    async def hold(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: int) -> None:
        """Connect, and say nothing."""
        await reader.read()

    async def shake(self, _: asyncio.StreamReader, __: asyncio.StreamWriter, ___: int) -> None:
        """Shake hands, and go away."""

    async def idle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        """Ask once, and stay."""
        await self._ask(reader, writer, number)
        await reader.read()

    async def storm(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        """Ask without end."""
        while True:
            await self._ask(reader, writer, number)
            await asyncio.sleep(self._flood.rest)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._number += 1
        body = self._flood.body.replace(NUMBER, f"{self._number}").encode()
        writer.write(self._head(number, len(body)) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        self.counts[head.split(b" ", 2)[1].decode()] += 1
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))

    async def slow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        """Send a body a byte at a time."""
        writer.write(self._head(number, self._flood.size))
        answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        try:
            while not answer.done():
                writer.write(b" ")
                await writer.drain()
                await asyncio.wait([answer], timeout=0.3)
            self.counts[answer.result().split(b" ", 2)[1].decode()] += 1
        finally:
            answer.cancel()

    async def tear(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        """Send half a body, and go away."""
        writer.write(self._head(number, 100_000) + b"{" * 10_000)
        if number % 2:
            # Else before anybody has looked at the head.
            await writer.drain()
            await asyncio.sleep(0.05)

    async def babble(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        """Send what is no request."""
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : no\x01\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        self.counts[head.split(b" ", 2)[1].decode()] += 1

    def _head(self, number: int, length: int) -> bytes:
        tokens = self._flood.tokens
        proof = [f"Authorization: Bearer {tokens[number % len(tokens)]}"] if tokens else []
        lines = [
            f"POST {self._flood.path} HTTP/1.1",
            "Host: elsewhere.example",
            "Content-Type: application/json",
            f"Content-Length: {length}",
            *proof,
        ]
        return "\r\n".join([*lines, "", ""]).encode()


async def _run(given: Any, out: IO[str]) -> None:  # noqa: ANN401 - any JSON value
    until = time.monotonic() + min(float(given["seconds"]), MOST_SECONDS)
    clients = [_Client(Flood(**flood), until) for flood in given["floods"]]
    running = [asyncio.ensure_future(client.run()) for client in clients]
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.sleep(1.5)
    print("[]", file=out, flush=True)
    await asyncio.wait([*running, ended], return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    told = {f"{number} {client.what}": client.counts for number, client in enumerate(clients)}
    print(json.dumps(told), file=out, flush=True)


def main() -> None:
    """Do what the input says."""
    asyncio.run(_run(json.loads(sys.stdin.readline()), sys.stdout))
    # A thread still reads.
    os._exit(0)


if __name__ == "__main__":
    main()
