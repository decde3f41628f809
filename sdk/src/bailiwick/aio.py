"""`AsyncBailiwick`: asks the decision point from asyncio. Shape and promises are those of `client.Bailiwick`.

Holds: what a method returns before it is awaited is neither true nor false: a forgotten `await` raises, where a
coroutine would be true and let every call pass. A report goes out also where it is not awaited; `close` waits for it.
"""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, Self, TypeVar

from bailiwick.answers import BatchSemantic
from bailiwick.breaker import Breaker
from bailiwick.call import AccessCall, AccessResource, Principal, copy_of, visible_reason
from bailiwick.client import DEADLINE, NO_TRANSPORT, log_if_lost
from bailiwick.credentials import ServiceAccountFile
from bailiwick.decision import AccessDecision, Approval, ApprovalNeeded, Denied
from bailiwick.exchange import Exchanger, Pause, Send
from bailiwick.outcomes import (
    CANCELLED,
    SUCCEEDED,
    CallOutcome,
    OutcomeReport,
    ReportState,
    check_outcome,
    outcome_of_error,
)
from bailiwick.questions import Hits, Questions, base_url, denial_of, needed, opened, searched
from bailiwick.telemetry import Telemetry
from bailiwick.transports.base import AsyncTransport, HttpResponse, TransportError

_T = TypeVar("_T")
_P = ParamSpec("_P")
_Of = TypeVar("_Of")
_LOG: Final = logging.getLogger("bailiwick.outcomes")


class _Awaitable(Coroutine[Any, Any, _T]):
    """A coroutine that has no truth of its own."""

    __slots__ = ("_of",)

    def __init__(self, of: Coroutine[Any, Any, _T]) -> None:
        self._of = of

    def __bool__(self) -> NoReturn:
        self._of.close()
        raise TypeError("what was not awaited is neither true nor false, and no allow: write `await`")

    def __await__(self) -> Generator[Any, Any, _T]:
        return self._of.__await__()

    def send(self, value: Any, /) -> Any:  # noqa: ANN401 - as collections.abc.Coroutine has it
        return self._of.send(value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None, /) -> Any:  # noqa: ANN401 - likewise
        return self._of.throw(typ) if val is None and tb is None else self._of.throw(typ, val, tb)

    def close(self) -> None:
        self._of.close()


def _must_be_awaited(
    method: Callable[Concatenate[_Of, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[_Of, _P], Coroutine[Any, Any, _T]]:
    @functools.wraps(method)
    def called(self: _Of, /, *args: _P.args, **kwargs: _P.kwargs) -> Coroutine[Any, Any, _T]:
        return _Awaitable(method(self, *args, **kwargs))

    return called


class AsyncBailiwick:
    """A decision point's client for one endpoint. Of one event loop; close it, or use it in `async with`."""

    def __init__(  # noqa: PLR0913 - all but the URL have names and defaults
        self,
        url: str,
        *,
        endpoint: str | None = None,
        token: Callable[[], str] | None = ServiceAccountFile(),  # noqa: B008 - a path alone; the file is read when a call is made
        ca: Path | str | None = None,
        deadline: float = DEADLINE,
        transport: AsyncTransport | None = None,
        plaintext: bool = False,
        echo: bool = True,
    ) -> None:
        """Prepare; nothing is sent. Arguments and errors are those of `Bailiwick`."""
        base = base_url(url, endpoint, plaintext=plaintext)
        self._transport = transport or default_transport(ca)
        self._questions = Questions(base, Exchanger(token, Breaker(), echo=echo), deadline)
        self._telemetry = Telemetry(endpoint or base)
        self._deadline = deadline
        # Reports on their way. An event loop itself keeps no task alive.
        self._reports: set[asyncio.Task[OutcomeReport]] = set()

    @_must_be_awaited
    async def evaluate(
        self, call: AccessCall, *, approval: Approval | None = None, dry_run: bool = False
    ) -> AccessDecision:
        """Ask about a call. Raises `ValueError` for a call that JSON cannot carry, and nothing else.

        `dry_run`: only ask what the call would come to. Nothing is used, requested or counted, and the decision is
        never an allow: see its `would_allow`.
        """
        with self._telemetry.observe(call.traceparent) as observation:
            decision = await self._run(self._questions.evaluate(call, approval, observation.headers, dry_run=dry_run))
            if not dry_run:
                # Else it would count among the denials.
                observation.tell(decision)
        return decision

    @_must_be_awaited
    async def evaluate_many(
        self,
        calls: Sequence[AccessCall],
        *,
        semantic: str = BatchSemantic.EXECUTE_ALL,
        dry_run: bool = False,
    ) -> list[AccessDecision]:
        """Ask about up to a hundred calls in one request; the decisions are in the calls' order.

        `dry_run`: as for `evaluate`, for each of them.
        """
        with self._telemetry.observe(calls[0].traceparent if calls else None) as observation:
            return await self._run(self._questions.evaluate_many(calls, semantic, observation.headers, dry_run=dry_run))

    @_must_be_awaited
    async def require(self, call: AccessCall, *, approval: Approval | None = None) -> AccessDecision:
        """Ask about a call that is about to be made. Raises `Denied`, `ApprovalNeeded` or `Unavailable`."""
        decision = await self.evaluate(call, approval=approval)
        if not decision.allowed:
            raise needed(decision, call)
        return decision

    @asynccontextmanager
    async def guarded(self, call: AccessCall, *, approval: Approval | None = None) -> AsyncIterator[AccessDecision]:
        """Make a call in the block, if it is allowed, and report what became of it.

        Raises `Denied`, `ApprovalNeeded` or `Unavailable` before the block. The outcome is `failed` after an exception,
        `cancelled` after `asyncio.CancelledError` and `GeneratorExit`, and else `succeeded`. The block's end waits for
        the report, so that the next call can depend on it, but not where the block was cancelled.
        """
        decision = await self.require(call, approval=approval)
        try:
            yield decision
        except BaseException as error:
            await self._report_quietly(decision, outcome_of_error(error))
            raise
        await self._report_quietly(decision, SUCCEEDED)

    def report(self, decision: AccessDecision, outcome: CallOutcome) -> asyncio.Task[OutcomeReport]:
        """Start to report what became of a call, and return the task, which need not be awaited.

        Raises `ValueError` for a word that is no outcome. Nothing is sent where no history needs the outcome. A report
        that is lost is logged; the call then stays counted as it is.
        """
        check_outcome(outcome)
        task = asyncio.get_running_loop().create_task(self._report(decision, outcome))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)
        return task

    async def _report(self, decision: AccessDecision, outcome: CallOutcome) -> OutcomeReport:
        handle = decision.outcome
        if handle is None:
            return OutcomeReport(state=ReportState.UNNEEDED)
        return log_if_lost(handle.evaluation_id, outcome, await self._run(self._questions.report(handle, outcome)))

    async def _report_quietly(self, decision: AccessDecision, outcome: CallOutcome) -> None:
        if decision.outcome is None:
            return
        try:
            task = self.report(decision, outcome)
            if outcome != CANCELLED:
                # The report goes on where the wait for it is cancelled.
                await asyncio.shield(task)
        except Exception:  # noqa: BLE001 - whatever it is, the block has run
            _LOG.exception("the outcome of evaluation %s was not reported", decision.evaluation_id)

    @_must_be_awaited
    async def request_approval(
        self, of: ApprovalNeeded | AccessCall, *, reason: str, idempotency_key: str | None = None
    ) -> Approval:
        """Ask for an approval of a call, in the caller's words. Raises `Denied` where none can be asked for."""
        if (found := opened(of)) is not None:
            return found
        call, denial = (of, None) if isinstance(of, AccessCall) else (of.call, of.decision)
        with self._telemetry.observe(call.traceparent) as observation:
            steps = self._questions.request_approval(call, denial, reason, idempotency_key, observation.headers)
            return await self._run(steps)

    @_must_be_awaited
    async def resume(self, call: AccessCall, *, reason: str, until: float) -> AccessDecision:
        """Ask about a call; where it needs an approval, ask for it, wait, and ask about the very same call once more.

        `reason` is for the reviewers; `until` is when to stop waiting (seconds since the epoch). Make the call only if
        what comes back is an allow. It is asked about once more only after an approval, and never after an answer that
        was lost: an approval may be used then. Nothing is kept beyond this call. Raises `ValueError` for a call that
        JSON cannot carry, and for a reason without a visible character.
        """
        visible_reason(reason)
        # What the application changes in a call while it waits for it is another call.
        call = copy_of(call)
        decision = await self.evaluate(call)
        if decision.access_request is None and decision.task is None:
            return decision
        try:
            pending = await self.request_approval(ApprovalNeeded(decision, call), reason=reason)
        except Denied as error:
            return error.decision
        approval = await self.wait(pending, until=until)
        return await self.evaluate(call, approval=approval) if approval.approved else denial_of(approval)

    @_must_be_awaited
    async def approval(self, identifier: str) -> Approval | AccessDecision:
        """Look once what became of a request; a denial where that is unknown."""
        return await self._run(self._questions.task(identifier))

    @_must_be_awaited
    async def withdraw(self, identifier: str) -> Approval | AccessDecision:
        """Withdraw a request that is pending; a denial where that is not possible."""
        return await self._run(self._questions.withdraw(identifier))

    @_must_be_awaited
    async def wait(self, approval: Approval, *, until: float) -> Approval:
        """Wait until somebody has decided about a request, or until this time (seconds since the epoch).

        Whatever comes back is no allow: make the call again, with `approval=`.
        """
        return await self._run(self._questions.wait(approval, until))

    @_must_be_awaited
    async def search_subjects(
        self, subject_type: str, action: str, resource: AccessResource, *, context: Mapping[str, Any] | None = None
    ) -> Hits:
        """Return who may do this. Raises `Unavailable`."""
        parts = searched(subject_type, action, resource, None, context)
        return await self._run(self._questions.search("subject", parts, {}))

    @_must_be_awaited
    async def search_resources(
        self,
        subject: Principal | None,
        action: str,
        resource_type: str,
        *,
        token: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Hits:
        """Return on what somebody may do this. `subject` None: whose token it is. Raises `Unavailable`."""
        parts = searched(subject, action, resource_type, token, context)
        return await self._run(self._questions.search("resource", parts, {}))

    @_must_be_awaited
    async def search_actions(
        self,
        subject: Principal | None,
        resource: AccessResource,
        *,
        token: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Hits:
        """Return what somebody may do with this. Raises `Unavailable`."""
        return await self._run(self._questions.search("action", searched(subject, None, resource, token, context), {}))

    async def close(self) -> None:
        """End the connections, after the reports that are on their way; they have the deadline of a decision."""
        if self._reports:
            _, late = await asyncio.wait(self._reports, timeout=self._deadline)
            for task in late:
                task.cancel()
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Generator[Send | Pause, HttpResponse | TransportError | None, _T]) -> _T:
        came: HttpResponse | TransportError | None = None
        try:
            while True:
                step = steps.send(came)
                came = None
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    continue
                try:
                    async with asyncio.timeout(step.seconds):
                        came = await self._transport.send(step.request, step.seconds)
                except TransportError as error:
                    came = error
                except TimeoutError:
                    came = TransportError(TOO_LATE)
        except StopIteration as end:
            answer: _T = end.value
            return answer
        finally:
            steps.close()


TOO_LATE: Final = "no answer within the deadline"


def default_transport(ca: Path | str | None) -> AsyncTransport:
    """Return the transport of the extra `[http]`. Raises `ImportError` that says what to install."""
    try:
        from bailiwick.transports.http import AsyncHttpTransport  # noqa: PLC0415 - the extra need not be there
    except ImportError as error:
        raise ImportError(NO_TRANSPORT) from error
    return AsyncHttpTransport(ca=ca)
