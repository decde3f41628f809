"""Histories in the pipeline: a call that has to be counted is judged with the numbers that it makes.

Standing: under `pdp`, over the ports of `history`. Holds: the engine decides each time, from the same snapshot and
moment; the verdict is from the very numbers that the call was counted by; a call that is not counted wherever it has to
be is denied.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

import structlog
from msgspec.structs import replace

from bailiwick_engine.approval.binding import digest
from bailiwick_engine.approval.grants import Grant, chain
from bailiwick_engine.call import Call, Party
from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_engine.decision.historyneeds import denied_needs
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.history.needs import HistoryNeeds, Passing
from bailiwick_engine.history.state import CALL_DIGITS
from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.approvals.ports import UseConsumer
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.history.handles import entry_of, new_nonce
from bailiwick_webhook.history.ports import UNAVAILABLE, CountingRequest, DeniedCall, HistoryKeeper, Reservation
from bailiwick_webhook.metrics.counts import HistoryTally
from bailiwick_webhook.metrics.table import HistoryCause, HistoryDenials
from bailiwick_webhook.pipeline.decision import EvaluatedCall, FinalVerdict
from bailiwick_webhook.pipeline.evaluator import Evaluator
from bailiwick_webhook.pipeline.offload import Offload

_log = structlog.get_logger()
_ENTRY_DIGITS: Final = 32
_LARGE_DENIALS: Final = 16
"""Denied calls that are large and of which it is found out at once what counts them."""
_LARGE_OF_NAMESPACE: Final = _LARGE_DENIALS // 4
_SENTENCES: Final[Mapping[HistoryCause, str]] = {
    HistoryCause.API_SERVER: "The call could not be counted: the API server did not respond. Try again.",
    HistoryCause.CONFLICT: "The call could not be counted: too many calls are counted together with it. Try again.",
    HistoryCause.LATE: "The call could not be counted in time. Try again.",
    HistoryCause.RATION: "The call could not be counted: this namespace counts too many calls a second. Try again.",
    HistoryCause.CLOCK: "The call could not be counted: the clocks of the decision point and the API server differ.",
    HistoryCause.GUARD: "The call could not be counted: the guards over histories are not proven.",
    HistoryCause.STATE: "The call could not be counted: what was counted before cannot be read, or was set back.",
    HistoryCause.REFUSED: "The call could not be counted: the API server refused the write.",
    HistoryCause.NO_CLUSTER: "This endpoint counts calls, which needs an API server, and there is none.",
}


class HistoryCounter:
    """Counts calls by `keeper`."""

    def __init__(
        self,
        keeper: HistoryKeeper,
        evaluator: Evaluator,
        consumer: UseConsumer,
        offload: Offload,
        tally: HistoryTally,
    ) -> None:
        self._keeper = keeper
        self._evaluator = evaluator
        self._consumer = consumer
        self._offload = offload
        self._tally = tally
        # With the namespace of each, so that no tenant keeps the denied calls of another from being counted.
        self._weighing: dict[asyncio.Task[None], str] = {}

    async def count(self, one: EvaluatedCall, grants: Iterable[Grant] | None = None) -> EvaluatedCall:
        """Count a call whose verdict needs it, if it is let through; return it as it was judged with its numbers.

        `grants`: those that it may use, by default those that are known.
        """
        needs = one.verdict.needs
        if needs is None:
            return one
        judging = await self._judging(one, needs, grants)
        reserved = await self._keeper.reserve(judging.request())
        try:
            return await self._concluded(judging, reserved)
        except BaseException:
            await self._keeper.release(reserved)
            raise

    async def read(self, one: EvaluatedCall) -> EvaluatedCall:
        """Judge a call with the numbers that it would make, and count nothing."""
        needs = one.verdict.needs
        if needs is None:
            return one
        judging = await self._judging(one, needs, None)
        reserved = await self._keeper.read(judging.request(), dry_run=one.verdict.dry_run)
        judged = await self._evaluated(judging, reserved.readings)
        return replace(_explained(judged, reserved.cause), reserved=reserved)

    async def release(self, one: EvaluatedCall | None) -> None:
        """Take a call out again that is not let through after all."""
        if one is not None and one.reserved is not None:
            await self._keeper.release(one.reserved)

    def in_time(self, settled: FinalVerdict) -> FinalVerdict:
        """Return what is about to be recorded; denied where it is too late for an answer by its numbers."""
        reserved = None if settled.with_numbers is None else settled.with_numbers.reserved
        if reserved is None or not settled.allowed or settled.verdict.dry_run or not self._keeper.is_late(reserved):
            return settled
        self._tally.unavailable[HistoryCause.LATE] += 1
        if settled.grant is not None:
            # The only trace of why a use is spent.
            _log.error("use of a grant spent, call denied: too late", evaluation_id=settled.evaluation_id)
        verdict = _unavailable(settled.verdict, _SENTENCES[HistoryCause.LATE])
        return replace(settled, verdict=verdict, allowed=False, grant=None)

    def count_denied(self, one: EvaluatedCall, verdict: Verdict) -> None:
        """Count a call that is denied by this verdict, in a moment, where a history counts denied calls."""
        asked, call = one.asked, one.asked.call
        endpoint = one.inputs.snapshot.endpoints.get((call.namespace, call.endpoint))
        if endpoint is None or not endpoint.counts_denied or asked.explain:
            return
        work = partial(denied_needs, endpoint, call, verdict, one.inputs.now)
        if not asked.large:
            self._count_denied(endpoint, call, work())
        elif self._has_room(call.namespace):
            task = asyncio.get_running_loop().create_task(self._count_large(endpoint, call, work))
            # A task that nothing refers to may be collected.
            self._weighing[task] = call.namespace
            task.add_done_callback(self._weighing.pop)
        else:
            self._tally.denied[HistoryDenials.DROPPED] += 1

    def _has_room(self, namespace: str) -> bool:
        own = sum(one == namespace for one in self._weighing.values())
        return len(self._weighing) < _LARGE_DENIALS and own < _LARGE_OF_NAMESPACE

    async def _count_large(
        self, endpoint: CompiledEndpoint, call: Call, work: Callable[[], HistoryNeeds | None]
    ) -> None:
        self._count_denied(endpoint, call, await self._offload.run(call.namespace, work))

    def _count_denied(self, endpoint: CompiledEndpoint, call: Call, needs: HistoryNeeds | None) -> None:
        if needs is not None:
            self._keeper.count_denied(DeniedCall(call.namespace, call.endpoint, needs, endpoint.histories))

    async def close(self) -> None:
        """Stop."""
        if self._weighing:
            await asyncio.wait(self._weighing)
        await self._keeper.close()

    async def _judging(
        self, one: EvaluatedCall, needs: HistoryNeeds, grants: Iterable[Grant] | None
    ) -> "_JudgedWithNumbers":
        asked = one.asked
        # Grants are looked up here: another thread must not see how they change.
        known = tuple(self._evaluator.grants_for(asked.call) if grants is None else grants)
        work = partial(_nonce, asked)
        nonce = await self._offload.run(asked.call.namespace, work, large=asked.large)
        return _JudgedWithNumbers(self._evaluator, self._consumer, one, needs, known, nonce)

    async def _concluded(self, judging: "_JudgedWithNumbers", reserved: Reservation) -> EvaluatedCall:
        judged = replace(await self._evaluated(judging, reserved.readings), reserved=reserved)
        if judging.opens(judged.verdict) and not judged.is_counted_enough:
            # Only by a defect. It must not let the call through.
            judged = replace(await self._evaluated(judging, UNAVAILABLE), reserved=reserved)
        return _explained(judged, reserved.cause)

    async def _evaluated(self, judging: "_JudgedWithNumbers", readings: HistoryReadings) -> EvaluatedCall:
        """Return the call as it was judged with these numbers."""
        if judging.judged is not None and judging.readings is readings:
            return judging.judged
        work = partial(self._evaluator.with_numbers, judging.one, judging.grants, readings)
        asked = judging.one.asked
        return await self._offload.run(asked.call.namespace, work, large=asked.large)


class _JudgedWithNumbers:
    """A call that is judged with its numbers, perhaps several times. `judged`: as it was last, with `readings`."""

    __slots__ = ("_consumer", "_evaluator", "_nonce", "grants", "judged", "needs", "one", "readings")

    def __init__(
        self,
        evaluator: Evaluator,
        consumer: UseConsumer,
        one: EvaluatedCall,
        needs: HistoryNeeds,
        grants: tuple[Grant, ...],
        nonce: str,
    ) -> None:
        self._evaluator = evaluator
        self._consumer = consumer
        self.one = one
        self.grants = grants
        self.needs = needs
        self._nonce = nonce
        self.readings: HistoryReadings | None = None
        self.judged: EvaluatedCall | None = None

    def request(self) -> CountingRequest:
        """Return what asks to have the call counted, as an attempt of its own.

        It refers to this object, so it is not kept here: both would wait for the garbage collector.
        """
        asked, nonce = self.one.asked, self._nonce
        call = asked.call
        endpoint = self.one.inputs.snapshot.endpoints.get((call.namespace, call.endpoint))
        definitions = () if endpoint is None else endpoint.histories
        # The end is of this attempt alone, so that to take it out again never takes out what another attempt counted.
        entry = entry_of(call.caller.uid, nonce, secrets.token_hex((_ENTRY_DIGITS - CALL_DIGITS) // 2))
        return CountingRequest(
            namespace=call.namespace,
            endpoint=call.endpoint,
            needs=self.needs,
            entry=entry,
            passes=self.passes,
            definitions=definitions,
            large=asked.large,
            nonce=nonce,
        )

    def passes(self, readings: HistoryReadings) -> Passing:
        """Tell whether the call is let through with these numbers, and whether by a grant."""
        judged = self._evaluator.with_numbers(self.one, self.grants, readings)
        self.judged, self.readings = judged, readings
        return self.opens(judged.verdict)

    def opens(self, verdict: Verdict) -> Passing:
        """Tell whether a verdict lets the call through, be it with a grant that it used a moment ago."""
        if verdict.outcome is Outcome.ALLOW:
            return True
        used_up = verdict.reason is Reason.APPROVAL_CONSUMED
        by_grant = verdict.outcome is Outcome.USE_GRANT or (
            used_up and bool(self._consumer.taken_before(self.one.asked, verdict, self.grants))
        )
        return "grant" if by_grant else False


def uncounted_denied(one: EvaluatedCall) -> EvaluatedCall:
    """Return a call; denied where it is not counted wherever it has to be, since policies changed meanwhile."""
    if one.is_counted_enough:
        return one
    return replace(one, verdict=_unavailable(one.verdict, None))


def _unavailable(verdict: Verdict, message: str | None) -> Verdict:
    """Return the denial of a call that cannot be counted."""
    return replace(verdict, outcome=Outcome.DENY, reason=Reason.HISTORY_UNAVAILABLE, message=message, grants=())


def _explained(one: EvaluatedCall, cause: HistoryCause | None) -> EvaluatedCall:
    """Return a call whose denial says why it could not be counted."""
    if cause is None or one.verdict.reason is not Reason.HISTORY_UNAVAILABLE:
        return one
    return replace(one, verdict=replace(one.verdict, message=_SENTENCES[cause]))


def _nonce(asked: EvaluationRequest) -> str:
    """Return what the call's entries are made from: the same for a call that is sent again with its own request id."""
    call = asked.call
    if asked.request_id is None or not isinstance(call.subject, Party):
        return new_nonce()
    try:
        bound = digest(call, call.subject)
    except NotCanonicalError:
        return new_nonce()
    actors = (part or "" for actor in chain(call) for part in actor)
    own = (asked.request_id, f"{asked.item}", call.subject.uid, bound, *actors)
    framed = b"".join(len(part := text.encode("utf-8", "surrogatepass")).to_bytes(4, "big") + part for text in own)
    return hashlib.sha256(framed).hexdigest()
