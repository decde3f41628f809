"""Leadership by a Lease: one process of an installation reconciles, the others wait. It uses the client's election.

Holds: no process leads on a lease that it did not renew within the deadline, by the monotonic clock from the *start* of
the last renewal. One that was stopped for longer ends, also if no other process has the lease, and marks nothing of
what lay unread as done. A follower waits for an API server that cannot be reached; for a leader it is a failed renewal.

The library decides who holds the lease. Its loops are not used: they ask without a time limit, let connection errors
through, log `.reason` of errors that have none, and measure the deadline by the wall clock from the end of a renewal.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import structlog
from kubernetes.aio.client import ApiClient, Configuration, V1Lease, V1ObjectMeta
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from bailiwick_api.accounts import OPERATOR_LEASE
from bailiwick_api.times import parse_time, stamp
from bailiwick_kube.access import Access, AccessError
from bailiwick_kube.connections import HttpTransport
from bailiwick_operator.settings import LeaseTimes

_LOG: Final = structlog.get_logger(__name__)
OBSERVED: Final = "bailiwick.dev/uses-observed"
"""The annotation of the lease that says up to when uses were observed without a break."""
NOTIFIED: Final = "bailiwick.dev/notified"
"""The annotation that says up to when people were notified of what happened."""
_NEVER: Final = float("-inf")
_UNREACHABLE: Final = (aiohttp.ClientError, AccessError, TimeoutError, OSError)


def election_client(access: Access, transport: HttpTransport) -> ApiClient:
    """Return the client that the election library wants, over our connections. The token is read for each call."""

    def refresh(configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = f"Bearer {access.token()}"

    configuration = transport.configuration
    configuration.api_key["BearerToken"] = "set before each call by the hook"
    # Typed by its default alone, None.
    configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]
    client = ApiClient(configuration)
    client.rest_client = transport.connections
    return client


class LostLeaseError(Exception):
    """Another process may lead now. This one must end, not continue."""


class Leadership:
    """One candidate. `acquire`, then `hold` until it returns or raises, then `release`. `clock` is monotonic."""

    def __init__(
        self,
        client: ApiClient,
        namespace: str,
        identity: str,
        times: LeaseTimes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._times = times
        self._lock = _Lock(OPERATOR_LEASE, namespace, identity, client, self._lapse)
        self._election = LeaderElection(
            Config(self._lock, times.duration, times.renew_deadline, times.retry_period, _do_nothing, _do_nothing)
        )
        self._renewed = _NEVER
        self._reported: str | None = None
        self.tries = 0
        """How many tries have ended, whatever their outcome. For the health of the process."""
        self.before: datetime | None = None
        """Up to when uses were observed without a break before the lease was ours; None where it is not known."""
        self.notified: datetime | None = None
        """Up to when people were notified before the lease was ours; None where it is not known."""

    def add_mark(self, mark: Callable[[], datetime | None], annotation: str = OBSERVED) -> None:
        """Write into the lease, with each renewal, up to when some work is complete; None: it is not.

        For `OBSERVED`, the work is to observe uses without a break.
        """
        self._lock.marks[annotation] = mark

    def valid(self) -> bool:
        """Tell whether the lease is still ours by our clock. A process that was paused and continued learns it here."""
        return self._clock() < self._renewed + self._times.duration

    def _lapse(self) -> str | None:
        """Return why a lease that was ours is not renewed any more; None: it is, or was never ours."""
        if self._renewed == _NEVER or self.valid():
            return None
        return f"this process was stopped for longer than its lease of {self._times.duration} s"

    async def acquire(self, stop: asyncio.Event) -> bool:
        """Wait until the lease is ours (True), or until `stop` is set (False)."""
        while not stop.is_set():
            if await self._try(stop, self._times.renew_deadline):
                self.before = parse_time(self._lock.before.get(OBSERVED))
                self.notified = parse_time(self._lock.before.get(NOTIFIED))
                _LOG.info("leading", identity=self._lock.identity, lease=OPERATOR_LEASE)
                return True
            self._tell(self._lock.problem or f"the lease is held by {self._holder()}")
            await _wait(stop, self._times.retry_period)
        return False

    async def hold(self, stop: asyncio.Event) -> None:
        """Renew until `stop` is set. Raises `LostLeaseError`."""
        while not await _wait(stop, self._times.retry_period):
            deadline = self._renewed + self._times.renew_deadline
            if await self._try(stop, max(0.1, deadline - self._clock())):
                self._reported = None
                continue
            if stop.is_set():
                return
            if self._holder() not in {None, self._lock.identity}:
                message = f"the lease was taken over by {self._holder()}"
                raise LostLeaseError(message)
            why = self._lock.problem or "the API server refused the renewal"
            if self._clock() >= deadline:
                message = f"the lease could not be renewed within {self._times.renew_deadline} s: {why}"
                raise LostLeaseError(message)
            self._tell(f"the lease was not renewed, retrying: {why}")

    async def release(self) -> None:
        """Give the lease up, so that the next one need not wait for its end. Best effort."""
        if not self.valid():
            return
        with contextlib.suppress(ApiException, *_UNREACHABLE):
            # Not `asyncio.timeout`: before Python 3.11.3 its end is a CancelledError in a task that was cancelled.
            await asyncio.wait_for(self._lock.give_up(), self._times.retry_period)

    async def _try(self, stop: asyncio.Event, seconds: float) -> bool:
        """Try once, for at most so many seconds. `stop` ends it too, since an API server may hang."""
        began = self._clock()
        self._lock.problem = None
        won = False
        attempt = asyncio.create_task(self._election.try_acquire_or_renew())
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({attempt, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if attempt in done and (error := attempt.exception()) is None:
                won = attempt.result()
            elif attempt in done:
                # Any error is a failed renewal. The library asserts, and parses what others wrote into the lease.
                self._lock.problem = f"{type(error).__name__}: {error}"
            elif stopped not in done:
                self._lock.problem = f"no answer within {seconds:.1f} s"
        finally:
            attempt.cancel()
            stopped.cancel()
            self.tries += 1
        if won:
            self._renewed = began
        return won

    def _holder(self) -> str | None:
        record = self._election.observed_record
        return record.holder_identity if record is not None else None

    def _tell(self, why: str) -> None:
        if why != self._reported:
            _LOG.warning("not leading" if self._renewed < 0 else "renewing", why=why)
        self._reported = why


class _Lock(LeaseLock):
    """The library's lock; a connection error becomes an answer that it understands, and `problem` says what it was.

    `refusal` returns why nothing is written, at the moment of a write.
    """

    problem: str | None = None

    def __init__(
        self, name: str, namespace: str, identity: str, api_client: ApiClient, refusal: Callable[[], str | None]
    ) -> None:
        super().__init__(name, namespace, identity, api_client)
        self._refusal = refusal
        self.before: dict[str, str] = {}
        """The annotations, as they were read."""
        self.marks: dict[str, Callable[[], datetime | None]] = {}
        """The functions that return up to when some work is complete, by annotation."""

    async def get(self, name: str, namespace: str) -> tuple[bool, Any]:
        try:
            exists, result = await super().get(name, namespace)
        except _UNREACHABLE as error:
            # Not a 404, so the library neither creates nor takes anything.
            exists, result = False, ApiException(status=0, reason=str(error) or type(error).__name__)
        if not exists and isinstance(result, ApiException) and result.status != HTTPStatus.NOT_FOUND:
            self.problem = _message(result) if result.status else result.reason
        if exists:
            self.before = self._annotations
        return exists, result

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        if self._is_refused():
            return False
        # Not the library's own, which cannot work: it says `pretty=True` where its client takes only a text.
        lease = V1Lease(metadata=V1ObjectMeta(name=name), spec=self.update_lease(election_record))
        return await self._succeeds(self.api_instance.create_namespaced_lease(namespace, lease))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        if self._is_refused():
            return False
        lease = self.lease_reference
        if self.marks and lease is not None and lease.metadata is not None:
            # A renewed lease shows that a process leads, and not that every process of the decision point answers.
            marks = {annotation: mark() for annotation, mark in self.marks.items()}
            others = {annotation: value for annotation, value in self._annotations.items() if annotation not in marks}
            lease.metadata.annotations = others | {
                annotation: stamp(at) for annotation, at in marks.items() if at is not None
            }
        return await self._succeeds(super().update(name, namespace, updated_record))

    @property
    def _annotations(self) -> dict[str, str]:
        """Those of the lease, as it was read."""
        lease = self.lease_reference
        return (lease.metadata.annotations or {}) if lease is not None and lease.metadata is not None else {}

    async def give_up(self) -> None:
        """Take our name out of the lease, if it is there."""
        lease = await self.api_instance.read_namespaced_lease(self.name, self.namespace)
        if lease.spec is not None and lease.spec.holder_identity == self.identity:
            lease.spec.holder_identity = None
            # With the resourceVersion that was read, so that a successor's name is never taken out.
            await self.api_instance.replace_namespaced_lease(self.name, self.namespace, lease)

    def _is_refused(self) -> bool:
        """Tell whether nothing is written. Asked here, as the process may be stopped between reading and writing."""
        self.problem = self._refusal()
        return self.problem is not None

    async def _succeeds(self, call: Awaitable[object]) -> bool:
        try:
            done = await call
        except ApiException as error:
            # Mostly 409: another process was quicker.
            self.problem = _message(error)
            return False
        except _UNREACHABLE as error:
            self.problem = str(error) or type(error).__name__
            return False
        return done is not False


def _message(error: ApiException) -> str:
    """Return status and the API server's message, which names the missing namespace or the missing permission."""
    try:
        message = json.loads(error.body or "")["message"]
    except (ValueError, LookupError, TypeError):
        message = error.reason
    return f"{error.status} {message}"


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for so many seconds at most; returns whether `stop` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def _do_nothing() -> None:
    """The library requires a function to run while leading; we run our own."""
