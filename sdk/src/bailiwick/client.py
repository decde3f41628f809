"""`Bailiwick`: asks the decision point from threads. `aio.AsyncBailiwick` is the same for asyncio.

Holds: `evaluate` never raises for want of an answer; what is not an allow is a denial. Nothing is remembered between
two calls: no decision is ever cached. A report that fails is logged, and never fails the block that it is about.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from bailiwick.answers import BatchSemantic
from bailiwick.breaker import Breaker
from bailiwick.call import AccessCall, AccessResource, Principal, copy_of, visible_reason
from bailiwick.credentials import ServiceAccountFile
from bailiwick.decision import AccessDecision, Approval, ApprovalNeeded, Denied
from bailiwick.exchange import Exchanger, Pause, Send
from bailiwick.outcomes import (
    SUCCEEDED,
    CallOutcome,
    OutcomeReport,
    ReportState,
    check_outcome,
    outcome_of_error,
)
from bailiwick.questions import Hits, Questions, base_url, denial_of, needed, opened, searched
from bailiwick.telemetry import Telemetry
from bailiwick.transports.base import HttpResponse, SyncTransport, TransportError

DEADLINE: Final = 2.0
_LOG: Final = logging.getLogger("bailiwick.outcomes")
_T = TypeVar("_T")


class Bailiwick:
    """A decision point's client for one endpoint. Shared by threads; close it, or use it in `with`."""

    def __init__(  # noqa: PLR0913 - all but the URL have names and defaults
        self,
        url: str,
        *,
        endpoint: str | None = None,
        token: Callable[[], str] | None = ServiceAccountFile(),  # noqa: B008 - a path alone; the file is read when a call is made
        ca: Path | str | None = None,
        deadline: float = DEADLINE,
        transport: SyncTransport | None = None,
        plaintext: bool = False,
        echo: bool = True,
    ) -> None:
        """Prepare; nothing is sent.

        `url` is the decision point's; `endpoint` is `<namespace>/<endpoint>`, and None where `url` is the base of any
        other AuthZEN decision point. `token` returns the application's own token. `ca` is a file of certificates
        (default: the system's), read again when it changes. `deadline` is in seconds, over all tries. `transport` takes
        the place of the default one, and of `ca`. `plaintext` lets a URL of http:// leave this machine, where a mesh
        encrypts it. `echo` False is for a decision point that does not send `X-Request-ID` back, as AuthZEN demands:
        each question then has a connection of its own. Raises `ValueError` for a URL that would send tokens in the
        clear, `ImportError` without a transport and without the extra `[http]`.
        """
        base = base_url(url, endpoint, plaintext=plaintext)
        self._transport = transport or default_transport(ca)
        self._questions = Questions(base, Exchanger(token, Breaker(), echo=echo), deadline)
        self._telemetry = Telemetry(endpoint or base)

    def evaluate(self, call: AccessCall, *, approval: Approval | None = None, dry_run: bool = False) -> AccessDecision:
        """Ask about a call. Raises `ValueError` for a call that JSON cannot carry, and nothing else.

        `dry_run`: only ask what the call would come to. Nothing is used, requested or counted, and the decision is
        never an allow: see its `would_allow`.
        """
        with self._telemetry.observe(call.traceparent) as observation:
            decision = self._run(self._questions.evaluate(call, approval, observation.headers, dry_run=dry_run))
            if not dry_run:
                # Else it would count among the denials.
                observation.tell(decision)
        return decision

    def evaluate_many(
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
            return self._run(self._questions.evaluate_many(calls, semantic, observation.headers, dry_run=dry_run))

    def require(self, call: AccessCall, *, approval: Approval | None = None) -> AccessDecision:
        """Ask about a call that is about to be made. Raises `Denied`, `ApprovalNeeded` or `Unavailable`."""
        decision = self.evaluate(call, approval=approval)
        if not decision.allowed:
            raise needed(decision, call)
        return decision

    @contextmanager
    def guarded(self, call: AccessCall, *, approval: Approval | None = None) -> Iterator[AccessDecision]:
        """Make a call in the block, if it is allowed, and report what became of it.

        Raises `Denied`, `ApprovalNeeded` or `Unavailable` before the block. The outcome is `failed` after an exception,
        `cancelled` after `asyncio.CancelledError` and `GeneratorExit`, and else `succeeded`.
        """
        decision = self.require(call, approval=approval)
        try:
            yield decision
        except BaseException as error:
            self._report_quietly(decision, outcome_of_error(error))
            raise
        self._report_quietly(decision, SUCCEEDED)

    def report(self, decision: AccessDecision, outcome: CallOutcome) -> OutcomeReport:
        """Report what became of a call. Raises `ValueError` for a word that is no outcome, and nothing else.

        Nothing is sent where no history needs the outcome. A report that is lost is logged; the call then stays counted
        as it is.
        """
        check_outcome(outcome)
        handle = decision.outcome
        if handle is None:
            return OutcomeReport(state=ReportState.UNNEEDED)
        return log_if_lost(handle.evaluation_id, outcome, self._run(self._questions.report(handle, outcome)))

    def _report_quietly(self, decision: AccessDecision, outcome: CallOutcome) -> None:
        try:
            self.report(decision, outcome)
        except Exception:  # noqa: BLE001 - whatever it is, the block has run
            _LOG.exception("the outcome of evaluation %s was not reported", decision.evaluation_id)

    def request_approval(
        self, of: ApprovalNeeded | AccessCall, *, reason: str, idempotency_key: str | None = None
    ) -> Approval:
        """Ask for an approval of a call, in the caller's words. Raises `Denied` where none can be asked for."""
        if (found := opened(of)) is not None:
            return found
        call, denial = (of, None) if isinstance(of, AccessCall) else (of.call, of.decision)
        with self._telemetry.observe(call.traceparent) as observation:
            steps = self._questions.request_approval(call, denial, reason, idempotency_key, observation.headers)
            return self._run(steps)

    def resume(self, call: AccessCall, *, reason: str, until: float) -> AccessDecision:
        """Ask about a call; where it needs an approval, ask for it, wait, and ask about the very same call once more.

        `reason` is for the reviewers; `until` is when to stop waiting (seconds since the epoch). Make the call only if
        what comes back is an allow. It is asked about once more only after an approval, and never after an answer that
        was lost: an approval may be used then. Nothing is kept beyond this call. Raises `ValueError` for a call that
        JSON cannot carry, and for a reason without a visible character.
        """
        visible_reason(reason)
        # What the application changes in a call while it waits for it is another call.
        call = copy_of(call)
        decision = self.evaluate(call)
        if decision.access_request is None and decision.task is None:
            return decision
        try:
            pending = self.request_approval(ApprovalNeeded(decision, call), reason=reason)
        except Denied as error:
            return error.decision
        approval = self.wait(pending, until=until)
        return self.evaluate(call, approval=approval) if approval.approved else denial_of(approval)

    def approval(self, identifier: str) -> Approval | AccessDecision:
        """Look once what became of a request; a denial where that is unknown."""
        return self._run(self._questions.task(identifier))

    def withdraw(self, identifier: str) -> Approval | AccessDecision:
        """Withdraw a request that is pending; a denial where that is not possible."""
        return self._run(self._questions.withdraw(identifier))

    def wait(self, approval: Approval, *, until: float) -> Approval:
        """Wait until somebody has decided about a request, or until this time (seconds since the epoch).

        Whatever comes back is no allow: make the call again, with `approval=`.
        """
        return self._run(self._questions.wait(approval, until))

    def search_subjects(
        self, subject_type: str, action: str, resource: AccessResource, *, context: Mapping[str, Any] | None = None
    ) -> Hits:
        """Return who may do this. Raises `Unavailable`."""
        return self._run(self._questions.search("subject", searched(subject_type, action, resource, None, context), {}))

    def search_resources(
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
        return self._run(self._questions.search("resource", parts, {}))

    def search_actions(
        self,
        subject: Principal | None,
        resource: AccessResource,
        *,
        token: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Hits:
        """Return what somebody may do with this. Raises `Unavailable`."""
        return self._run(self._questions.search("action", searched(subject, None, resource, token, context), {}))

    def close(self) -> None:
        """End the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Generator[Send | Pause, HttpResponse | TransportError | None, _T]) -> _T:
        came: HttpResponse | TransportError | None = None
        try:
            while True:
                step = steps.send(came)
                came = None
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    continue
                try:
                    came = self._transport.send(step.request, step.seconds)
                except TransportError as error:
                    came = error
        except StopIteration as end:
            answer: _T = end.value
            return answer
        finally:
            steps.close()


def log_if_lost(evaluation_id: str, outcome: str, report: OutcomeReport) -> OutcomeReport:
    """Return a report, after a warning where it was lost."""
    if report.lost:
        words = "evaluation %s %s, which is not recorded (%s: %s): the call stays counted as it is"
        _LOG.warning(words, evaluation_id, outcome, report.state, report.detail)
    return report


def default_transport(ca: Path | str | None) -> SyncTransport:
    """Return the transport of the extra `[http]`. Raises `ImportError` that says what to install."""
    try:
        from bailiwick.transports.http import SyncHttpTransport  # noqa: PLC0415 - the extra need not be there
    except ImportError as error:
        raise ImportError(NO_TRANSPORT) from error
    return SyncHttpTransport(ca=ca)


NO_TRANSPORT: Final = "Bailiwick has no HTTP client here: install bailiwick-authz[http], or pass transport=."
