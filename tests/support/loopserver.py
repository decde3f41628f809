"""A server on an event loop in a thread of its own, for fakes and relays that stand between two real processes.

One thread reads and writes each connection: two threads on one TLS connection lose what they read now and then, since
Python's `ssl` does not lock it.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Final, Self

LOOPBACK: Final = "127.0.0.1"
LIMIT: Final = 16 * 1024 * 1024
_PATIENCE: Final = 20.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def cut(*connections: Streams) -> None:
    """Cut all of these, and return once their sockets are closed: the loop does that in turns of its own."""
    # All before the first is waited for: the wait may be cancelled, and the others were left open then.
    for _, writer in connections:
        writer.transport.abort()
    for _, writer in connections:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class LoopServer:
    """A context manager; `port` is known once it is entered. `serve` runs once a connection, and closes it.

    It may be cancelled. `context` None: in the clear.
    """

    def __init__(self, name: str, context: ssl.SSLContext | None, serve: Callable[[Streams], Awaitable[None]]) -> None:
        self.port = 0
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._serve = serve
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def soon(self, act: Callable[[], None]) -> None:
        """Have something done on the loop, without waiting for it."""
        self._loop.call_soon_threadsafe(act)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
            await self._serve((reader, writer))

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()

        async def begin() -> None:
            self._server = await asyncio.start_server(self._connected, LOOPBACK, 0, ssl=self._context, limit=LIMIT)
            self.port = self._server.sockets[0].getsockname()[1]

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(_PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut every connection and stop."""

        async def end() -> None:
            if self._server is not None:
                self._server.close()
            left = set(self._connections)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            # What still shakes hands, on either side, is no task of ours; 3.11 has no `Server.abort_clients`.
            transports: Iterable[asyncio.Transport] = self._loop._transports.values()  # type: ignore[attr-defined]
            for transport in [*transports]:
                transport.abort()
            # Their sockets are closed in a turn of the loop's own.
            for _ in range(3):
                await asyncio.sleep(0)
            await self._loop.shutdown_default_executor()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(_PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()
