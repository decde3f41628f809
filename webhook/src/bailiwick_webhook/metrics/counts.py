"""What is counted while decisions are made: plain numbers in places that were made at start.

Holds: written on the event loop alone, so that nothing is locked; read from anywhere.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import product
from typing import Final, NamedTuple
from uuid import uuid4

from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.shadow import VerdictClass
from bailiwick_engine.decision.uses import used_rules
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.metrics.table import (
    BOUNDS,
    CLASSES,
    MOST_ENDPOINTS,
    MOST_OF_ONE,
    OTHERS,
    SHADOWED,
    UNDECIDED,
    Admission,
    CallerClass,
    ConnectionLimit,
    DecisionOutcome,
    Handshake,
    HistoryCause,
    HistoryCommit,
    HistoryDenials,
    OutcomeResult,
    Overload,
    Port,
    RequestKind,
    ShadowDrop,
    TokenProblem,
    TokenReviewOutcome,
    Use,
)

# Of which outcomes there can be which reasons; the rest has no series.
_ONE_REASON: Final = {
    DecisionOutcome.ALLOW: Reason.ALLOWED,
    DecisionOutcome.GRANT: Reason.ALLOWED,
    DecisionOutcome.FORBIDDEN: Reason.NO_RULE,
}
_NEVER: Final = {
    RequestKind.EVALUATION: {DecisionOutcome.OPENED},
    RequestKind.BATCH: {DecisionOutcome.OPENED},
    RequestKind.REQUEST: {DecisionOutcome.ALLOW, DecisionOutcome.GRANT},
    RequestKind.SEARCH: {DecisionOutcome.OPENED, DecisionOutcome.GRANT},
}
MOST_CANDIDATES: Final = 1_024
"""Candidates of which a process remembers what they came to, the last that it saw."""
MOST_CANDIDATES_OF_ONE: Final = 128
"""Those of them that are of one namespace, so that none makes a process forget those of all."""
MOST_POLICIES: Final = 65_536
"""Policies of which uses are remembered, those that are gone among them."""

# No caller is authenticated on the status port, and only enforcers look at tasks.
_NO_CALLER: Final = {(Overload.STATUS, CallerClass.ENFORCERS), (Overload.LOOKS, CallerClass.OTHERS)}


class Tally:
    """One kind of question: how often it came to what, and how long that took (seconds)."""

    __slots__ = ("buckets", "outcomes", "seconds")

    def __init__(self, kind: RequestKind) -> None:
        self.outcomes: dict[DecisionOutcome, dict[Reason, int]] = {
            outcome: dict.fromkeys([_ONE_REASON[outcome]] if outcome in _ONE_REASON else Reason, 0)
            for outcome in DecisionOutcome
            if outcome not in _NEVER[kind]
        }
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, outcome: DecisionOutcome, reason: Reason) -> None:
        """Count one decision."""
        self.outcomes[outcome][reason] += 1

    def took(self, seconds: float) -> None:
        """Count the time of one answer."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class CandidateCount(NamedTuple):
    """What one generation of a candidate came to: calls that were compared, and those of them that differed."""

    namespace: str
    generation: int
    compared: int
    different: int


CandidateCounts = dict[str, CandidateCount]
"""By the uid; those that were seen last are the last."""


class ShadowTally:
    """How often which verdict met which. Written on the event loop alone."""

    __slots__ = ("candidates", "dropped", "met")

    def __init__(self) -> None:
        self.candidates: CandidateCounts = {}
        self.met: dict[str, dict[tuple[str, str], int]] = {}
        self.dropped = dict.fromkeys(ShadowDrop, 0)

    def compare(self, candidate: PolicyRef, *, different: bool) -> None:
        """Take note of a call that was decided once more with a candidate."""
        found = self.candidates.pop(candidate.uid, None)
        if found is None:
            self._make_room(candidate.namespace)
        if found is None or found.generation != candidate.generation:
            found = CandidateCount(candidate.namespace, candidate.generation, 0, 0)
        counts = found._replace(compared=found.compared + 1, different=found.different + different)
        self.candidates[candidate.uid] = counts

    def _make_room(self, namespace: str) -> None:
        """Forget the one that was not seen for longest: of the namespace, if that has its share, else of all."""
        own = [uid for uid, one in self.candidates.items() if one.namespace == namespace]
        if len(own) >= MOST_CANDIDATES_OF_ONE:
            del self.candidates[own[0]]
        elif len(self.candidates) >= MOST_CANDIDATES:
            del self.candidates[next(iter(self.candidates))]

    def count(self, key: EndpointKey, live: VerdictClass, shadow: VerdictClass | None) -> None:
        """Count one decision; `shadow` None: undecided."""
        endpoint = "/".join(key)
        if endpoint not in self.met:
            of_one = sum(one.startswith(f"{key[0]}/") for one in self.met)
            if len(self.met) >= MOST_ENDPOINTS or of_one >= MOST_OF_ONE:
                endpoint = OTHERS
            self.met.setdefault(endpoint, dict.fromkeys(product(VerdictClass, SHADOWED), 0))
        self.met[endpoint][live, UNDECIDED if shadow is None else shadow] += 1


class UsageTally:
    """When each policy last let a call through, for the operator to ask by uid (`http/status/usage`).

    One store for a call that is allowed; bounded, and where that is too little it begins again, as a process that
    restarts.

    `memory` names it, and what the process remembers of candidates as well: another name, and both are forgotten.
    """

    __slots__ = ("_candidates", "memory", "used")

    def __init__(self, candidates: CandidateCounts) -> None:
        self._candidates = candidates
        self.memory = uuid4().hex
        self.used: dict[str, float] = {}
        """The moment of the last use, in seconds since the epoch, by the policy's uid."""

    def use(self, verdict: Verdict, passed: Sequence[Hop] | None, moment: float) -> None:
        """Take note of a call that was let through, by this verdict. `passed`: see `decide.evaluate_hops`."""
        if verdict.dry_run:
            return
        used = self.used
        if verdict.gate is not None:
            for gate in verdict.gate.rules:
                used[gate.policy_uid] = moment
        elif verdict.rule is not None:
            used[verdict.rule.policy.uid] = moment
        if passed is not None and len(passed) > 1:
            # On behalf of another: the verdict names one rule, and each party passed by its own.
            for _, rule in used_rules(passed):
                used[rule.policy.uid] = moment
        if len(used) > MOST_POLICIES:
            self.memory = uuid4().hex
            used.clear()
            # Counts of two names are added up.
            self._candidates.clear()


class HistoryTally:
    """What became of writes of histories, how long they took (seconds), and of calls that could not be counted."""

    __slots__ = ("buckets", "calls", "commits", "denied", "outcomes", "seconds", "unavailable")

    def __init__(self) -> None:
        self.commits = dict.fromkeys(HistoryCommit, 0)
        self.unavailable = dict.fromkeys(HistoryCause, 0)
        self.denied = dict.fromkeys(HistoryDenials, 0)
        self.outcomes = dict.fromkeys(OutcomeResult, 0)
        self.calls = 0
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def took(self, seconds: float) -> None:
        """Count the time of one write."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Counts:
    """Everything that is counted rather than looked up."""

    __slots__ = (
        *("admissions", "batch", "bodies_slow", "body_bytes", "connections", "connections_limited", "evaluation"),
        *(
            "handshakes",
            "handshakes_waiting",
            "histories",
            "malformed",
            "notes_refused",
            "overloads",
            "request",
            "responses",
        ),
        *("reviews", "search", "shadows", "tokens_refused", "under_way", "usage", "uses"),
    )

    def __init__(self) -> None:
        self.evaluation = Tally(RequestKind.EVALUATION)
        self.batch = Tally(RequestKind.BATCH)
        self.request = Tally(RequestKind.REQUEST)
        self.search = Tally(RequestKind.SEARCH)
        self.shadows = ShadowTally()
        self.usage = UsageTally(self.shadows.candidates)
        self.uses = dict.fromkeys(Use, 0)
        self.histories = HistoryTally()
        self.reviews = dict.fromkeys(TokenReviewOutcome, 0)
        self.admissions = dict.fromkeys(Admission, 0)
        self.overloads = {(why, who): 0 for why in Overload for who in CallerClass if (why, who) not in _NO_CALLER}
        # Of enforcers, and of all others: by index, since it is on the way of every decision.
        self.under_way = [0, 0]
        self.body_bytes = dict.fromkeys(CallerClass, 0)
        self.bodies_slow = dict.fromkeys(product(Port, CallerClass), 0)
        self.connections = dict.fromkeys(product(Port, CallerClass), 0)
        self.connections_limited = dict.fromkeys(product(Port, ConnectionLimit), 0)
        self.handshakes = dict.fromkeys(product(Port, Handshake), 0)
        self.handshakes_waiting = dict.fromkeys(Port, 0)
        self.notes_refused = 0
        self.malformed = dict.fromkeys(Port, 0)
        self.tokens_refused = dict.fromkeys(TokenProblem, 0)
        self.responses = [0] * len(CLASSES)

    def count_response(self, status: int) -> None:
        """Count an HTTP answer."""
        self.responses[status // 100 - 1] += 1
