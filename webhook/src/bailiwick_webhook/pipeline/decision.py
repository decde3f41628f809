"""The answer to one evaluation, as the pipeline returns it, and what it goes through until then.

Standing: under `evaluator`, `pdp` and `recorder`, which make them in this order. Holds: frozen; every adapter turns the
answer into its own words, and the metrics count it.
"""

import os
import time
from typing import Final

import msgspec
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.decision.explain import Explanation
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.historynumbers import UNREAD, HistoryReadings
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasonrow import NextAction
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.history.handles import EntryHandle
from bailiwick_webhook.history.ports import Reservation
from bailiwick_webhook.metrics.table import DecisionOutcome as MetricOutcome
from bailiwick_webhook.store.view import StoreState

# Looked up slowly, and on every decision's way.
_ALLOW, _USE_GRANT, _FORBIDDEN = Outcome.ALLOW, Outcome.USE_GRANT, Outcome.FORBIDDEN
_METRIC_ALLOW, _METRIC_DENY = MetricOutcome.ALLOW, MetricOutcome.DENY
_FRESH = Freshness.FRESH
BATCH_SECONDS = 10.0

_BYTES: Final = 10
_BLOCK: Final = 256

# Taken from the end, which is one step for any number of threads.
_ready: Final[list[str]] = []
# A child would go on with what its parent has ready, and so would the next child.
os.register_at_fork(after_in_child=_ready.clear)


def new_evaluation_id() -> str:
    """Return a new id: 48 bits of milliseconds, then 80 random bits. It sorts by time, and cannot be guessed.

    The system is asked for random bytes in blocks: each time, this thread gives the interpreter lock away, and may wait
    for it longer than a decision takes.
    """
    try:
        random = _ready.pop()
    except IndexError:
        digits = os.urandom(_BYTES * _BLOCK).hex()
        random, *more = [digits[at : at + 2 * _BYTES] for at in range(0, len(digits), 2 * _BYTES)]
        _ready.extend(more)
    return f"eval_{int(time.time() * 1000):012x}{random}"


class DecisionInputs(msgspec.Struct, frozen=True, gc=False):
    """What a decision is made from, all of one moment. `now` and `earliest` as in `Circumstances`."""

    snapshot: Snapshot
    now: float
    seen: StoreState
    earliest: float | None = None

    def around(
        self, asked: EvaluationRequest, installation: Installation, history: HistoryReadings = UNREAD
    ) -> Circumstances:
        """Return the circumstances of a call that is decided from this, and from these numbers of its histories."""
        seen = self.seen
        freshness = seen.freshness
        if freshness is _FRESH and not asked.live_identity:
            # An identity from before an outage decides, but never uses a grant.
            freshness = Freshness.STALE
        outdated = bool(seen.waiting) and seen.is_outdated(asked.call.namespace, asked.call.endpoint)
        return Circumstances(
            now=self.now,
            freshness=freshness,
            guard_proven=seen.guard_proven,
            installation=installation,
            outdated=outdated,
            void=seen.void,
            history=history,
            revocations=seen.revocations,
            reviewers=seen.reviewers,
            earliest=self.earliest,
        )


class EvaluatedCall(msgspec.Struct, frozen=True, gc=False):
    """A call and the verdict on it, made from `inputs`. `weighed`: what it came from, see `decide.evaluate_hops`.

    `reserved`: what became of the attempt to count it, from whose numbers the verdict is; None: there was none.
    """

    asked: EvaluationRequest
    inputs: DecisionInputs
    verdict: Verdict
    weighed: tuple[Hop, ...] | None
    reserved: Reservation | None = None

    @property
    def history(self) -> HistoryReadings:
        """The numbers that the verdict is from."""
        return UNREAD if self.reserved is None else self.reserved.readings

    def history_in(self, snapshot: Snapshot) -> HistoryReadings:
        """Return these numbers for any policies: one of a history that they define otherwise is unknown to them."""
        if self.reserved is None:
            return UNREAD
        endpoint = snapshot.endpoints.get((self.asked.call.namespace, self.asked.call.endpoint))
        return self.reserved.readings_for(() if endpoint is None else endpoint.histories)

    @property
    def is_counted_enough(self) -> bool:
        """Whether it is counted wherever the verdict says that it has to be, which may be nowhere."""
        needs = self.verdict.needs
        if needs is None or not needs.counts:
            return True
        by_rule = self.verdict.outcome is _ALLOW
        return self.reserved is not None and self.reserved.covers(needs, by_rule or "grant")

    @property
    def must_be_counted(self) -> bool:
        """Whether it is let through, or could be with numbers that were not asked for yet, and is not counted."""
        opens = self.verdict.outcome is _ALLOW or self.verdict.outcome is _USE_GRANT
        return not self.is_counted_enough and (opens or self.reserved is None)

    @property
    def needs_grant(self) -> bool:
        """A grant has to be found and used, or asked for, before there is an answer."""
        return self.verdict.gate is not None and not self.verdict.dry_run

    @property
    def passes_as_judged(self) -> bool:
        """It is let through as it was judged, without a use: by a rule, or as a dry run that a grant would."""
        outcome = self.verdict.outcome
        return outcome is _ALLOW or (outcome is _USE_GRANT and self.verdict.dry_run)

    @property
    def needs_wait(self) -> bool:
        """More has to be done than to record it."""
        return self.needs_grant or self.verdict.needs is not None or self.asked.explain

    @staticmethod
    def deadline() -> float:
        """Return until when a batch that begins now asks somebody, see `denied_after`."""
        return time.perf_counter() + BATCH_SECONDS

    def denied_after(self, deadline: float) -> "EvaluatedCall":
        """Return it, or after the deadline (of `time.perf_counter`) denied where the API server would have to be asked.

        Each item of a batch may wait for an API server that hangs, and what the first was allowed for grows old.
        """
        counts = self.verdict.needs is not None
        if not (counts or self.needs_grant) or time.perf_counter() <= deadline:
            return self
        reason = Reason.HISTORY_UNAVAILABLE if counts else Reason.APPROVAL_UNVERIFIABLE
        verdict = replace(
            self.verdict, outcome=Outcome.DENY, reason=reason, gate=None, grants=(), pending=None, needs=None
        )
        return replace(self, verdict=verdict)


class FinalVerdict(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A verdict and what has become of it, before it is recorded.

    `inputs` is what the verdict was made from: with a grant that was read live, that is later than at first.
    `grant`: the one that lets it through, as it stands after this use; of what is denied, the one that was opened.
    `with_numbers`: the call as it was judged with the numbers of its histories, before a grant was used, whether it was
    counted or, as a dry run or a request, only looked up; None: no history has a say.
    `explanation`: of the verdict by its `inputs`; where a grant was used, of the one before the use.
    """

    asked: EvaluationRequest
    inputs: DecisionInputs
    verdict: Verdict
    evaluation_id: str
    allowed: bool
    grant: Grant | None = None
    explanation: Explanation | None = None
    with_numbers: EvaluatedCall | None = None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer to one evaluation.

    `explanation` stands where it was asked for and may be seen. Not `askable`: an approval may be what is missing, but
    there is no one to ask for it. `pending`: for so many seconds a change of the endpoint's policies was not compiled.
    `grant` and `with_numbers`: see `FinalVerdict`.
    """

    verdict: Verdict
    allowed: bool
    evaluation_id: str
    time: float
    revision: str
    age: float
    grant: Grant | None = None
    explanation: Explanation | None = None
    askable: bool = True
    pending: float | None = None
    with_numbers: EvaluatedCall | None = None

    @property
    def metric_outcome(self) -> MetricOutcome:
        """What this counts as in the metrics."""
        if self.allowed:
            return _METRIC_ALLOW if self.verdict.outcome is _ALLOW else MetricOutcome.GRANT
        return MetricOutcome.FORBIDDEN if self.verdict.outcome is _FORBIDDEN else _METRIC_DENY

    @property
    def unrecorded(self) -> "Decision":
        """What it is where it cannot be recorded: denied."""
        if self.verdict.outcome is _FORBIDDEN:
            return self
        verdict = replace(self.verdict, outcome=Outcome.DENY, reason=Reason.RECORD_FAILED, message=None)
        return replace(self, verdict=verdict, allowed=False, grant=None, askable=True)

    @property
    def retry_after_seconds(self) -> int | None:
        """After how many seconds the first of the calls that it was denied by is out; None: that is not known."""
        judged, verdict = self.with_numbers, self.verdict
        if self.allowed or judged is None or judged.reserved is None or verdict.needs is None:
            return None
        return None if verdict.reason is Reason.HISTORY_UNAVAILABLE else judged.reserved.retry_after

    @property
    def handle(self) -> EntryHandle | None:
        """By what the outcome of the call can be reported; None: no history awaits it."""
        judged = self.with_numbers
        return None if not self.allowed or judged is None or judged.reserved is None else judged.reserved.handle

    @property
    def requestable(self) -> bool:
        """An approval can be asked for."""
        return self.askable and self.verdict.requestable

    @property
    def next_action(self) -> NextAction:
        """What the caller can do (ARAP `next_action`)."""
        found = self.verdict.next_action
        return "none" if found == "request" and not self.askable else found

    @property
    def sentence(self) -> str:
        """Why, in one sentence."""
        if self.verdict.next_action == "request" and not self.askable:
            return "This call needs an approval, but approvals are not available without an API server."
        return self.verdict.sentence


def settle(one: EvaluatedCall, explanation: Explanation | None = None) -> FinalVerdict:
    """Settle what needs no wait: a grant is used by an enforcer's call alone, and here it is only named."""
    return FinalVerdict(
        asked=one.asked,
        inputs=one.inputs,
        verdict=one.verdict,
        evaluation_id=new_evaluation_id(),
        allowed=one.passes_as_judged,
        explanation=explanation,
        with_numbers=None if one.reserved is None else one,
    )
