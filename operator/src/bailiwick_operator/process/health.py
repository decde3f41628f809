"""`/healthz`: whether the process still makes progress; and `/metrics`. A tiny HTTP/1.0 answer is all that they need.

Holds: a broken guard or an unreachable API server is shown in the body and is no failure: a restart would fix neither.
Only a loop that is stuck is a failure. It is judged by the loop's progress, not by whether this server can answer.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from bailiwick_operator.process.metrics import CONTENT_TYPE, Leader, Metrics
from bailiwick_operator.reconcile.guard import KeepState

_REQUEST_SECONDS: Final = 5.0
_FOLLOWING: Final = {
    "guard": "not leading",
    "keep": "not leading",
    "clock": "not leading",
    "keys": "not leading",
    "certificates": "not leading",
    "witness": "not leading",
    "histories": "not leading",
    "notifications": "not leading",
    "coverage": "not leading",
}


class HealthPortError(Exception):
    """The port is in use, or we may not use it."""


class Progress:
    """A counter that must move within `limit` seconds, by `clock`, which is monotonic."""

    def __init__(self, count: Callable[[], int], limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = count
        self._limit = limit
        self._last = count()
        self._at = clock()

    def age(self) -> float:
        """Return the seconds since it was last seen to have moved. Only a call of this notices that it did."""
        if (count := self._count()) != self._last:
            self._last, self._at = count, self._clock()
        return self._clock() - self._at

    def is_stuck(self) -> bool:
        """Tell whether it has not moved for too long."""
        return self.age() > self._limit


class Health:
    """What `/healthz` says of a process that leads or waits to lead. `lease`: the progress of the election."""

    def __init__(self, lease: Progress) -> None:
        self._watched = {"lease": lease}
        self._leader: Leader | None = None
        self._metrics: Final = Metrics()

    def lead(self, leader: Leader, watched: Mapping[str, Progress]) -> None:
        """Report from now on that the process leads, and what else has to move. It was asked before that too."""
        self._leader = leader
        self._watched |= watched
        self._metrics.lead(leader)

    def report(self) -> tuple[int, dict[str, Any]]:
        """Return status and body. What moves decides the status, everything else is for people."""
        stuck = [name for name, progress in self._watched.items() if progress.is_stuck()]
        leader = self._leader
        parts = _FOLLOWING if leader is None else _parts(leader)
        ends = None if leader is None else leader.certificates.not_after
        body = {
            "leading": leader is not None,
            **parts,
            "certificateNotAfter": None if ends is None else ends.isoformat(),
            "lastProgressSeconds": {name: round(progress.age(), 1) for name, progress in self._watched.items()},
        }
        return (503 if stuck else 200), body

    @contextlib.asynccontextmanager
    async def serve(self, port: int) -> AsyncIterator[None]:
        """Serve while the block runs; port 0 serves nothing. Raises `HealthPortError`."""
        if not port:
            yield
            return
        async with self.listen(port):
            yield

    @contextlib.asynccontextmanager
    async def listen(self, port: int, host: str | None = None) -> AsyncIterator[int]:
        """Serve while the block runs, which is given the port; for 0 the kernel chooses. Raises `HealthPortError`."""
        try:
            # Without a host, on all addresses: the kubelet uses the pod's.
            server = await asyncio.start_server(self._answer, host, port)
        except OSError as error:
            message = f"cannot listen on --health-port {port}: {error.strerror}"
            raise HealthPortError(message) from error
        look = asyncio.create_task(self._look())
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            look.cancel()
            server.close()

    async def _look(self) -> None:
        while True:
            for progress in self._watched.values():
                progress.age()
            await asyncio.sleep(1)

    def _response(self, path: bytes) -> tuple[int, str, bytes]:
        """Return status, content type and content."""
        if path == b"/metrics":
            return 200, CONTENT_TYPE, self._metrics.text()
        known = path == b"/healthz"
        status, body = self.report() if known else (404, {"message": "not found: use GET /healthz or GET /metrics"})
        return status, "application/json", json.dumps(body).encode()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                line = (await reader.readline()).split()
                status, content_type, content = self._response(line[1] if line[:1] == [b"GET"] else b"")
                head = f"HTTP/1.0 {status} -\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
                writer.write(head.encode() + content)
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()


def _parts(leader: Leader) -> dict[str, str]:
    return {
        "guard": leader.guard.problem or "proven",
        "keep": _keep_text(leader.keep.state),
        "clock": leader.skew.problem or "ok",
        "keys": leader.keys.problem or "ok",
        "certificates": leader.certificates.problem or "ok",
        "witness": leader.witness.problem or "ok",
        "histories": leader.sweeper.problem or "ok",
        "signals": leader.signals.problem or ("ok" if leader.signals.counts else "off"),
        "notifications": leader.notifier.problem or ("ok" if leader.notifier.on else "off"),
        "coverage": leader.coverage.problem or ("ok" if leader.coverage.settings else "off"),
    }


def _keep_text(state: KeepState | None) -> str:
    """Return how many API servers keep the guards, and what is wrong where not all of them do."""
    if state is None:
        return "not known yet"
    return state.text if state.problem is None else f"{state.text}: {state.problem}"
