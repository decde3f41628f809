"""One question and its answer, over as many tries as are allowed: written once, for threads and for asyncio.

Standing: a generator that asks its driver to send or to pause, and gets back what came of it (`client`, `aio`).
Holds: one deadline over all tries; sent again is only what no server can have read, or what was turned away with
Retry-After, with the same X-Request-ID, at most twice; a report, which counts once however often it comes, is sent
again for want of any answer, at most once; an answer of 200 is never asked for again. What is no answer to
this very question is none: bytes that an earlier exchange left on the connection do not know its X-Request-ID.
Where several questions had no answer, the next one first asks whether the decision point lives: its metadata, which
need no token and wait for nothing. So what one caller asks, and gets no answer to, closes nothing for the others.
"""

import random
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from bailiwick.breaker import Breaker
from bailiwick.call import decoded
from bailiwick.transports.base import HttpRequest, HttpResponse, NotSentError, TransportError

RETRIES: Final = 2
REQUEST_ID: Final = "X-Request-ID"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_TURNED_AWAY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# At most, before the first and the second retry; each waits a random part of it, so that clients do not march in step.
_PAUSES: Final = (0.05, 0.2)
# Added to Retry-After, at most this part of it.
_JITTER: Final = 0.1
_SERVER_ERROR: Final = 500
_DETAIL: Final = 1000
# At most, for a look whether the decision point lives; and no more than half of what the question has.
LOOK_SECONDS: Final = 0.5
_LOOKS: Final = "looks"
# The one member that all metadata have (AuthZEN 1.0, 9.1.1).
_POINT: Final = "policy_decision_point"


@dataclass(frozen=True, slots=True)
class Send:
    """Asks the driver to send; answered with the response, or with the `TransportError` that came instead."""

    request: HttpRequest
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Asks the driver to wait; answered with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class QuestionReply:
    """What came of a question. `status` 0: no answer; `detail` says why."""

    status: int
    body: object = None
    detail: str = ""
    attempts: int = 0
    retry_after: float | None = None


Steps = Generator[Send | Pause, HttpResponse | TransportError | None, QuestionReply]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `id` is the X-Request-ID of every try, and its Idempotency-Key where there is one to be.

    `retries`: how often it may be sent again. `repeatable`: also where a server may have read it. `metadata` is the URL
    of the decision point's metadata, which tell that it lives; None: only an answer to the question itself does.
    """

    url: str
    body: bytes | None
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    retries: int = RETRIES
    repeatable: bool = False
    metadata: str | None = None
    lane: str = ""


class Exchanger:
    """Asks questions of one decision point. Shared by threads and tasks."""

    def __init__(
        self,
        token: Callable[[], str] | None,
        breaker: Breaker,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        *,
        echo: bool = True,
    ) -> None:
        """Remember what all questions share. `echo`: the decision point sends X-Request-ID back (AuthZEN 1.0)."""
        self._echo = echo
        self._token = token
        self._breaker = breaker
        self._clock = clock
        self._chance = chance

    def with_own_breaker(self) -> "Exchanger":
        """Return one whose failures are not those of this one, nor the other way round."""
        return Exchanger(self._token, Breaker(clock=self._clock), self._clock, self._chance, echo=self._echo)

    def ask(self, question: Question) -> Steps:
        """Return the steps of a question. Its end is a `Reply`; nothing is raised but by the driver."""
        entered = self._breaker.enter()
        if entered is None:
            return QuestionReply(0, detail="the decision point did not answer lately, so it is left alone for a moment")
        ends = self._clock() + question.seconds
        settled = False
        try:
            if entered.settles and (yield from self._lives(question)):
                entered = self._breaker.succeed(entered)
            reply = yield from self._tries(question, ends)
            settled = True
        finally:
            if not settled:
                self._breaker.leave(entered)
        if reply.status == 0 or (reply.status >= _SERVER_ERROR and reply.retry_after is None):
            self._breaker.fail(entered)
        else:
            self._breaker.succeed(entered)
        return reply

    def _lives(self, question: Question) -> Generator[Send | Pause, HttpResponse | TransportError | None, bool]:
        """Look whether the decision point lives. Only its metadata count: a proxy answers for one that is dead."""
        if question.metadata is None:
            return False
        look = Question(question.metadata, None, min(LOOK_SECONDS, question.seconds / 2), lane=_LOOKS)
        came = yield Send(HttpRequest(look.url, self._own_headers(look), None, look.lane), look.seconds)
        if not isinstance(came, HttpResponse):
            return False
        reply = _reply(came, look, 1, echo=self._echo)
        return reply.status == HTTPStatus.OK and isinstance(reply.body, Mapping) and _POINT in reply.body

    def _tries(self, question: Question, ends: float) -> Steps:
        attempts, detail = 0, ""
        while True:
            try:
                request = HttpRequest(question.url, self._headers(question), question.body, question.lane)
            except (OSError, ValueError) as error:
                return QuestionReply(0, detail=f"no token of our own: {error}", attempts=attempts)
            left = ends - self._clock()
            if left <= 0:
                return QuestionReply(0, detail=detail or "the deadline is over", attempts=attempts)
            attempts += 1
            came = yield Send(request, left)
            if isinstance(came, HttpResponse):
                reply = _reply(came, question, attempts, echo=self._echo)
                again = reply.retry_after is not None or question.repeatable
                if reply.status not in _TURNED_AWAY or not again:
                    return reply
                wait = reply.retry_after
                pause = self._pause(attempts) if wait is None else wait * (1 + _JITTER * self._chance())
                detail = reply.detail
            else:
                detail = str(came) or type(came).__name__
                reply = QuestionReply(0, detail=detail, attempts=attempts)
                if not isinstance(came, NotSentError) and not question.repeatable:
                    return reply
                pause = self._pause(attempts)
            if attempts > question.retries or self._clock() + pause >= ends:
                return reply
            yield Pause(pause)

    def _pause(self, attempts: int) -> float:
        return _PAUSES[min(attempts, len(_PAUSES)) - 1] * self._chance()

    def _headers(self, question: Question) -> dict[str, str]:
        own = self._own_headers(question)
        if self._token is not None:
            own["Authorization"] = f"Bearer {self._token()}"
        return {**question.headers, **own}

    def _own_headers(self, question: Question) -> dict[str, str]:
        own = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "bailiwick-python",
            REQUEST_ID: question.id,
        }
        if question.body is not None:
            own["Content-Type"] = "application/json"
        if not self._echo:
            # Nothing tells its answer from what was left on a connection, so no connection is used again.
            own["Connection"] = "close"
        return own


def _reply(response: HttpResponse, question: Question, attempts: int, *, echo: bool) -> QuestionReply:
    status = response.status
    wait = _seconds(response.headers.get("retry-after"))
    echoed = response.headers.get(REQUEST_ID.lower())
    if echoed is not None and echoed != question.id:
        return QuestionReply(0, detail="the answer is to another request", attempts=attempts)
    if echo and echoed is None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        detail = (
            f"the answer does not carry the {REQUEST_ID} of the request; if the decision point never does: echo=False"
        )
        return QuestionReply(0, detail=detail, attempts=attempts)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return QuestionReply(
            0, detail=f"redirected ({status}), which is not followed: a token would go along", attempts=attempts
        )
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return QuestionReply(status, detail=f"answered {status}, and not in JSON", attempts=attempts, retry_after=wait)
    try:
        body = decoded(response.body)
    except ValueError as error:
        return QuestionReply(
            status, detail=f"answered {status}, and no JSON: {error}", attempts=attempts, retry_after=wait
        )
    return QuestionReply(status, body, _detail(status, body), attempts, wait)


def _detail(status: int, body: object) -> str:
    """Return what an answer says of itself: a problem's detail, or the message of an error as others write it."""
    said: list[Any] = [body.get("detail"), body.get("message")] if isinstance(body, Mapping) else [body]
    words = [word for word in said if isinstance(word, str) and word]
    return f"answered {status}: {words[0][:_DETAIL]}" if words else f"answered {status}"


def _seconds(retry_after: str | None) -> float | None:
    """Return how long to wait (RFC 9110, 10.2.3): seconds, or until a date."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
