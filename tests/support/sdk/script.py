"""A transport whose answers are written down, and a clock that only it and pauses move."""

import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from bailiwick.breaker import Breaker
from bailiwick.exchange import Exchanger, Pause, Send
from bailiwick.transports.base import HttpRequest, HttpResponse, TransportError

JSON: Final = {"content-type": "application/json"}
_T = TypeVar("_T")

# An answer, or the error instead of it; with the seconds that it takes.
Scripted = HttpResponse | TransportError


def answer(body: object = None, status: int = 200, **headers: str) -> HttpResponse:
    """Return an answer in JSON; underscores of header names are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, {**JSON, **named}, text)


def allow(**context: object) -> HttpResponse:
    return answer({"decision": True, "context": context})


def deny(reason: str = "no_rule", **context: object) -> HttpResponse:
    return answer({"decision": False, "context": {"reason": reason, **context}})


def echoed(request: HttpRequest, came: HttpResponse) -> HttpResponse:
    """Return an answer with the request's X-Request-ID, as AuthZEN demands, unless it has another; empty: none."""
    headers = {"x-request-id": header(request, "x-request-id") or "", **came.headers}
    return replace(came, headers={name: value for name, value in headers.items() if value})


class Script:
    """Answers requests in turn, and the last one for ever. Is a `SyncTransport`; `asynchronous` is the other kind."""

    def __init__(self, *answers: Scripted) -> None:
        self._answers = list(answers)
        self.sent: list[HttpRequest] = []
        self.given: list[float] = []
        self.closed = 0

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        self.sent.append(request)
        self.given.append(seconds)
        came = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        if isinstance(came, TransportError):
            raise came
        return echoed(request, came)

    def close(self) -> None:
        self.closed += 1

    @property
    def bodies(self) -> list[Any]:
        return [None if request.body is None else json.loads(request.body) for request in self.sent]

    @property
    def asynchronous(self) -> "AsyncScript":
        return AsyncScript(self)


class AsyncScript:
    """The same for asyncio."""

    def __init__(self, of: Script) -> None:
        self._of = of

    async def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        return self._of.send(request, seconds)

    async def close(self) -> None:
        self._of.close()


def decisions_in(script: Script) -> list[Any]:
    """Return the questions that were sent and were no dry runs."""
    return [body for body in script.bodies if body.get("context", {}).get("dry_run") is not True]


class Driver:
    """Drives steps as the clients do, on a clock of its own: sends take no time unless `takes` says so."""

    def __init__(self, script: Script, *, takes: Iterable[float] = (), chance: float = 1.0, echo: bool = True) -> None:
        self.now = 1000.0
        self.paused: list[float] = []
        self.script = script
        self._takes = list(takes)
        self.breaker = Breaker(clock=lambda: self.now)
        self.exchanger = Exchanger(lambda: "own", self.breaker, lambda: self.now, lambda: chance, echo=echo)

    def run(self, steps: Generator[Send | Pause, HttpResponse | TransportError | None, _T]) -> _T:
        came: HttpResponse | TransportError | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as end:
                found: _T = end.value
                return found
            came = None
            if isinstance(step, Pause):
                self.paused.append(step.seconds)
                self.now += step.seconds
                continue
            self.now += self._takes.pop(0) if self._takes else 0.0
            try:
                came = self.script.send(step.request, step.seconds)
            except TransportError as error:
                came = error


def header(request: HttpRequest, name: str) -> str | None:
    """Return a header of a request."""
    found: Mapping[str, str] = {key.lower(): value for key, value in request.headers.items()}
    return found.get(name.lower())
