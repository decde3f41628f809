"""A receiver of notifications on loopback: keeps what comes, answers as it is told to, and may hang.

Holds: no more than a minute of hanging, and no request is kept beyond its bound.
"""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from support.waits import until

_MOST_BYTES: Final = 100_000
_HANGS_SECONDS: Final = 60.0
_PIECE: Final = 1 << 20


@dataclass(frozen=True)
class ReceivedRequest:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Its body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """Answers `statuses` in their order, and then 200. `hangs`: does not answer until it is closed.

    `answer_bytes`: of each answer, of no meaning.
    """

    def __init__(self, *statuses: int, hangs: bool = False, host: str = "127.0.0.1", answer_bytes: int = 0) -> None:
        self.received: list[ReceivedRequest] = []
        self._statuses: Iterator[int] = iter(statuses)
        self._hangs = hangs
        self._closed = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers["Content-Length"]), _MOST_BYTES)
                receiver.received.append(
                    ReceivedRequest(self.path, dict(self.headers.items()), self.rfile.read(length))
                )
                if receiver._hangs:
                    receiver._closed.wait(_HANGS_SECONDS)
                    return
                status = next(receiver._statuses, 200)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(answer_bytes))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for begin in range(0, answer_bytes, _PIECE):
                        self.wfile.write(bytes(min(_PIECE, answer_bytes - begin)))

            def log_message(self, *said: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Its port."""
        return int(self._server.server_address[1])

    def events(self) -> list[dict[str, Any]]:
        """Return what came as CloudEvents."""
        return [
            one.json for one in self.received if one.headers["Content-Type"].startswith("application/cloudevents+json")
        ]

    def types(self, grant: str) -> list[str]:
        """Return what was told of a grant, in the order in which it came."""
        return [one["type"].removeprefix("dev.bailiwick.") for one in self.events() if one.get("subject") == grant]

    def await_types(self, grant: str, *types: str, seconds: float = 30.0) -> None:
        """Wait until this was told of a grant."""
        until(lambda: self.types(grant) == [*types], f"{grant}: {types}", seconds)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
