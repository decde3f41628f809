"""Shadow decisions: calls that were answered are decided once more, with each candidate in its place.

Standing: beside `pdp`, which hands over what it answered. Holds: nothing here changes, delays or fails an answer. It is
done behind the answers, in a thread of its own, a few milliseconds at a time and for a fifth of the time at most; what
waits is bounded and each tenant has its turn; what there is no room for is dropped and counted. No grant is used. What
was known when the call was decided is what is looked at, and of a tenant no more is kept for it than its own endpoint.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.shadow import ShadowVerdict, decide_shadow, verdict_class
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.fairqueue import FairQueue
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey, Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_policystore.slices import Slices
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import ShadowTally
from bailiwick_webhook.metrics.table import ShadowDrop
from bailiwick_webhook.pipeline.decision import Decision, EvaluatedCall
from bailiwick_webhook.pipeline.ports import Records
from bailiwick_webhook.record.shadow import shadow_line
from bailiwick_webhook.threadturns import TurnTakingPool

MOST_WAITING: Final = 1_024
MOST_LARGE: Final = 4
"""Calls that wait, and those of them that keep a large body in memory, of which a tenant has one."""
_TENANT: Final = MOST_WAITING // 4
# States of one endpoint that calls keep in memory while they wait: one who writes policies between the calls would keep
# one for each.
_STATES: Final = 2
# Before the first of a batch: by then its answer is out, and others have come.
_GATHER: Final = 0.005
# One batch takes so long, and a decision longer than that only once; then as many times that is for answers alone.
_SLICE: Final = 0.002
_REST: Final = 4
_AT_ONCE: Final = 64


class ShadowedCall(msgspec.Struct, frozen=True, eq=False):
    """A call whose verdict is known, with what that was made from, and nothing of other endpoints.

    `apart` is the snapshot without any endpoint: a call that waits must not keep the policies of all tenants in memory.
    """

    asked: EvaluationRequest
    verdict: Verdict
    apart: Snapshot
    revision: str
    endpoint: CompiledEndpoint
    around: Circumstances
    grants: Iterable[Grant]

    @property
    def key(self) -> EndpointKey:
        """The endpoint that is called."""
        return self.asked.call.namespace, self.asked.call.endpoint


class _QueuedCall(msgspec.Struct, frozen=True, eq=False):
    of: ShadowedCall
    evaluation_id: str


class Shadows:
    """Decides again. Lives in one loop; `draw` returns a number from 0 up to 1, and a share below `share` is taken."""

    def __init__(
        self,
        records: Records,
        tally: ShadowTally,
        installation: Installation,
        now: Callable[[], float],
        share: float,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._records = records
        self._tally = tally
        self._installation = installation
        self._now = now
        self._share = share
        self._draw = draw
        self._queue: FairQueue[_QueuedCall] = FairQueue()
        self._by_tenant: dict[str, int] = {}
        self._states: dict[EndpointKey, Counter[int]] = {}
        self._large: set[str] = set()
        # Taken out of the queue, for the next batches.
        self._next: deque[_QueuedCall] = deque()
        self._task: asyncio.Task[None] | None = None
        self._thread: TurnTakingPool | None = None
        self._limited = LogLimit()

    def shadowed_call(self, one: EvaluatedCall, known: Callable[[Call], Iterable[Grant]]) -> ShadowedCall | None:
        """Return what is to be decided again once it is answered; None, almost always: the endpoint has no candidate.

        Not what only a subject asked about itself, which enforces nothing.
        """
        call = one.asked.call
        endpoint = one.inputs.snapshot.endpoints.get((call.namespace, call.endpoint))
        if endpoint is None or not endpoint.shadows or one.verdict.dry_run or one.verdict.outcome is Outcome.FORBIDDEN:
            return None
        if self._draw() >= self._share:
            return None
        if self._by_tenant.get(call.namespace, 0) >= _TENANT:
            self._drop(ShadowDrop.QUEUE)
            return None
        # Of this moment: what is known of changes goes on while this waits.
        around = one.inputs.around(one.asked, self._installation)
        grants = known(call)
        if one.verdict.gate is not None:
            # A use that the answer takes must not make the candidate look stricter. Without a gate it takes none, and
            # to look for grants can wait until the answer is out.
            grants = tuple(grants)
        snapshot, seen = one.inputs.snapshot, one.inputs.seen
        unread = snapshot.unreadable.get(call.namespace)
        apart = Snapshot({}, snapshot.revision, {} if unread is None else {call.namespace: unread})
        return ShadowedCall(one.asked, one.verdict, apart, seen.revision, endpoint, around, grants)

    def put(self, begun: ShadowedCall | None, answered: Decision | None) -> None:
        """Put it in line, after its answer is known; what was denied for want of a record has no record to name."""
        if begun is None or answered is None or answered.verdict.reason is Reason.RECORD_FAILED:
            return
        if answered.with_numbers is not None:
            # The numbers are those that the call was judged by.
            judged = answered.with_numbers
            begun = replace(begun, verdict=judged.verdict, around=replace(begun.around, history=judged.history))
        tenant, large = begun.asked.call.namespace, begun.asked.large
        state, states = id(begun.endpoint), self._states.get(begun.key, Counter())
        if self._by_tenant.get(tenant, 0) >= _TENANT or (state not in states and len(states) >= _STATES):
            self._drop(ShadowDrop.QUEUE)
            return
        if large and (tenant in self._large or len(self._large) >= MOST_LARGE):
            self._drop(ShadowDrop.LARGE)
            return
        if self._queue.count + len(self._next) >= MOST_WAITING and not self._made_room(tenant):
            self._drop(ShadowDrop.QUEUE)
            return
        if large:
            self._large.add(tenant)
        # Not `states`: what was taken out to make room may have been the last of them.
        self._states.setdefault(begun.key, Counter())[state] += 1
        self._by_tenant[tenant] = self._by_tenant.get(tenant, 0) + 1
        self._queue.put(tenant, _QueuedCall(begun, answered.evaluation_id))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def _made_room(self, tenant: str) -> bool:
        """Take out the newest call of the tenant that has most in line, if this one has fewer by two or more."""
        if not self._queue.count:
            return False
        crowd, count = self._queue.crowd
        if self._by_tenant.get(tenant, 0) + 1 >= count:
            return False
        self._left(self._queue.newest(crowd).of)
        self._drop(ShadowDrop.QUEUE)
        return True

    def _left(self, of: ShadowedCall) -> None:
        """Take note that a call does not wait any more."""
        tenant, state, states = of.asked.call.namespace, id(of.endpoint), self._states[of.key]
        if of.asked.large:
            self._large.discard(tenant)
        self._by_tenant[tenant] -= 1
        if not self._by_tenant[tenant]:
            del self._by_tenant[tenant]
        states[state] -= 1
        if not states[state]:
            del states[state]
        if not states:
            del self._states[of.key]

    async def idle(self) -> None:
        """Return once nothing waits. For tests, which have no other sign of it."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop, and leave what waits."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        """Decide what waits, until nothing does."""
        try:
            while self._queue.count or self._next:
                await asyncio.sleep(_GATHER)
                took = await self._batch()
                await asyncio.sleep(_REST * took)
        finally:
            self._task = None

    async def _batch(self) -> float:
        """Decide for a slice of time. Returns how long that took, in seconds."""
        slices = Slices()
        while self._queue.count and len(self._next) < _AT_ONCE:
            waiting = self._queue.pop()
            # Here, since the thread must not see how they change.
            self._next.append(replace(waiting, of=replace(waiting.of, grants=tuple(waiting.of.grants))))
            await slices.turn()
        if self._thread is None:
            self._thread = TurnTakingPool(max_workers=1, thread_name_prefix="shadow")
        run = asyncio.get_running_loop().run_in_executor
        done, took = await run(self._thread, _decided, tuple(self._next))
        for found in done:
            self._tell(self._next.popleft(), found)
        return took

    def _tell(self, waiting: _QueuedCall, found: tuple[ShadowVerdict, ...] | Exception) -> None:
        """Count and record what a call came to."""
        of = waiting.of
        call, live = of.asked.call, of.verdict
        self._left(of)
        if isinstance(found, Exception):
            self._drop(ShadowDrop.FAILED)
            self._limited.error("internal error in a shadow decision", error=repr(found))
            return
        endpoint = f"{call.namespace}/{call.endpoint}"
        for shadow in found:
            verdict = shadow.verdict
            self._tally.count(of.key, verdict_class(live), None if verdict is None else verdict_class(verdict))
            if verdict is None:
                continue
            differs = shadow.differs(live)
            self._tally.compare(shadow.shadow.candidate, different=differs)
            if differs:
                now, told = self._now(), (waiting.evaluation_id, endpoint, live, shadow.shadow, verdict)
                line = shadow_line(*told, revision=of.revision, now=now)
                if not self._records.spare(line, self._unwritten):
                    self._unwritten()

    def _unwritten(self) -> None:
        self._drop(ShadowDrop.RECORD)

    def _drop(self, why: ShadowDrop) -> None:
        self._tally.dropped[why] += 1


def _decided(waiting: Sequence[_QueuedCall]) -> tuple[list[tuple[ShadowVerdict, ...] | Exception], float]:
    """Decide one after the other until the slice is over. Returns what they came to, and how many seconds it took."""
    started, took = time.perf_counter(), 0.0
    done: list[tuple[ShadowVerdict, ...] | Exception] = []
    for one in waiting:
        of = one.of
        try:
            found = decide_shadow(of.apart, of.endpoint, of.asked.call, of.grants, of.around, of.verdict.digest)
            done.append(tuple(found))
        except Exception as error:  # noqa: BLE001 - a defect of ours must not end what decides the others
            done.append(error)
        took = time.perf_counter() - started
        if took >= _SLICE:
            break
    return done, took
