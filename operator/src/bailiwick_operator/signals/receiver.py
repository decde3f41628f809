"""Receives the security events of one issuer: polls, verifies, stores, and only then acknowledges.

Standing: over `transmitter`, `verification` and `storage`. Holds: an event is acknowledged once its revocation is
stored, so that a process that dies in between receives it again, which changes nothing. What cannot be stored or
verified at the moment is neither acknowledged nor refused. No failure denies anybody, and none ends the process.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import islice
from typing import Final

import structlog

from bailiwick_operator.reconcile.securityevent import OTHER, RefusedSet, SecurityEvent
from bailiwick_operator.reconcile.signals import ArrivedSignal, SignalCause, signal_effect
from bailiwick_operator.signals.counts import POLL, Outcome, SignalCounts
from bailiwick_operator.signals.storage import SignalStore
from bailiwick_operator.signals.transmitter import PollAnswer, PollReport, Transmitter, TransmitterUnavailableError
from bailiwick_operator.signals.verification import SetVerifier

_LOG: Final = structlog.get_logger(__name__)
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_IDLE_SECONDS: Final = 1.0
"""Seconds from one poll to the next if it changed nothing, for a transmitter that does not wait for events."""
PER_SECOND: Final = 100
"""Objects of one issuer that are written in a second at most, so that none takes the API server from others."""
_LOGGED: Final = 5


class SignalReceiver:
    """Lives in the main loop. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        transmitter: Transmitter,
        verifier: SetVerifier,
        store: SignalStore,
        counts: SignalCounts,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._transmitter = transmitter
        self._verifier = verifier
        self._store = store
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._report = PollReport()
        self._failures = 0
        self.counts: Final = counts
        self.problem: str | None = None
        """Why the last poll failed, for a person; None if it did not."""

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            try:
                pause = await self.round()
            except Exception:  # noqa: BLE001 - what one issuer sends must not end the process for all
                _LOG.exception("internal error while receiving signals", issuer=self.counts.issuer)
                pause = self._backoff("internal error")
            await self._sleep(pause)

    async def round(self) -> float:
        """Poll once. Returns after how many seconds to poll again."""
        began = self._clock()
        try:
            answer = await self._transmitter.poll(self._report)
        except TransmitterUnavailableError as error:
            self._count(POLL, "unanswered")
            return self._backoff(str(error))
        self._count(POLL, "answered")
        written, left = await self._receive(answer)
        if left is not None:
            return self._backoff(left)
        self._recover()
        least = written / PER_SECOND if written else _IDLE_SECONDS
        return max(0.0, began + least - self._clock())

    async def _receive(self, answer: PollAnswer) -> tuple[int, str | None]:
        """Take in what a transmitter sent. Returns how many changes were stored, and why a token is left, if one is."""
        arrived = self._clock()
        refused: dict[str, RefusedSet] = {}
        stored: list[str] = []
        signals: list[ArrivedSignal] = []
        left: str | None = None
        for jti, token in answer.tokens.items():
            try:
                event = await self._verifier.verify(jti, token, arrived)
                outcome = self._understand(event, token) if isinstance(event, SecurityEvent) else event
            except Exception:  # noqa: BLE001 - one token of an unforeseen shape must not keep the others out
                _LOG.exception("internal error while reading a signal", issuer=self.counts.issuer, jti=jti[:128])
                event = outcome = None
            # Others have their turn: a signature takes as long as many of their steps.
            await asyncio.sleep(0)
            if event is None:
                self._count(OTHER, "unverifiable")
                left = "tokens cannot be verified: the keys of the issuer cannot be read, or our clock is wrong"
                continue
            if isinstance(outcome, ArrivedSignal):
                signals.append(outcome)
            elif isinstance(outcome, RefusedSet):
                self._count(outcome.event, "refused")
                refused[jti] = outcome
            else:
                stored.append(jti)
        if refused:
            # One line, whatever a transmitter sends.
            first = {jti[:128]: one.description for jti, one in islice(refused.items(), _LOGGED)}
            _LOG.warning("signals refused", issuer=self.counts.issuer, count=len(refused), first=first)
        results = await self._store.store(signals)
        for signal in signals:
            result = results[signal.cause.jti]
            self._count(signal.cause.event, result)
            if result == "unstored":
                left = "a revocation cannot be stored"
            else:
                stored.append(signal.cause.jti)
        self._report = PollReport(tuple(stored), refused)
        return sum(one in ("stored", "everybody") for one in results.values()), left

    def _understand(self, event: SecurityEvent, token: str) -> ArrivedSignal | RefusedSet | None:
        """Return what to store for a verified event; None if there is nothing."""
        self.counts.verified = self._now().timestamp()
        effect = signal_effect(event)
        if isinstance(effect, str):
            return RefusedSet("invalid_request", effect, event.name)
        if effect is None:
            self._count(event.name, "ignored")
            return None
        cause = SignalCause(event.name, event.jti, hashlib.sha256(token.encode("ascii")).hexdigest())
        return ArrivedSignal(effect, cause)

    def _count(self, event: str, outcome: Outcome) -> None:
        self.counts.outcomes[event, outcome] += 1

    def _backoff(self, problem: str) -> float:
        if problem != self.problem:
            _LOG.warning("signals are not received: trying again", issuer=self.counts.issuer, problem=problem)
        self.problem = problem
        pause: float = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        # A bound for the exponent too: an outage can last for days.
        self._failures = min(self._failures + 1, 10)
        spread: float = random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        return pause * spread

    def _recover(self) -> None:
        if self.problem is not None:
            _LOG.info("signals are received again", issuer=self.counts.issuer)
        self.problem, self._failures = None, 0
