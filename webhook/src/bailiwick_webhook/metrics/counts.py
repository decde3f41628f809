"""What is counted while decisions are made: plain numbers in places that were made at start.

Holds: written on the event loop alone, so that nothing is locked; read from anywhere.
"""

from bisect import bisect_left
from itertools import product
from typing import Final

from bailiwick_engine.reasons import Reason
from bailiwick_webhook.metrics.shadowtable import ShadowTally
from bailiwick_webhook.metrics.table import (
    BOUNDS,
    CLASSES,
    Admission,
    CallerClass,
    ConnectionLimit,
    DecisionOutcome,
    Handshake,
    Overload,
    Port,
    RequestKind,
    TokenProblem,
    TokenReviewOutcome,
    Use,
)
from bailiwick_webhook.metrics.usage import UsageTally

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


# Nobody says who they are on the status port.
_NOBODY: Final = {(Overload.STATUS, CallerClass.ENFORCERS)}


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


class Counts:
    """Everything that is counted rather than looked up."""

    __slots__ = (
        *("admissions", "batch", "bodies_slow", "body_bytes", "connections", "connections_limited", "evaluation"),
        *("handshakes", "handshakes_waiting", "malformed", "notes_refused", "overloads", "request", "responses"),
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
        self.reviews = dict.fromkeys(TokenReviewOutcome, 0)
        self.admissions = dict.fromkeys(Admission, 0)
        self.overloads = {(why, who): 0 for why in Overload for who in CallerClass if (why, who) not in _NOBODY}
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

    def answered(self, status: int) -> None:
        """Count an HTTP answer."""
        self.responses[status // 100 - 1] += 1
