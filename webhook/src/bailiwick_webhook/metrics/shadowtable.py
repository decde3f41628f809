"""The metrics of shadow decisions. Standing: under `table`.

Holds: an endpoint is a label only here, of those that have a candidate, which a policy's author chooses and no caller
does, and so many of them at most.
"""

from enum import StrEnum
from itertools import product
from typing import Final

from bailiwick_engine.decision.shadow import VerdictClass
from bailiwick_webhook.metrics.metric import Metric

MOST_ENDPOINTS: Final = 32
"""Endpoints that have series of their own: the first of the life of a process that are decided with a candidate."""
OTHERS: Final = "other"
UNDECIDED: Final = "undecided"


class ShadowDrop(StrEnum):
    """Why a call was not decided again, or what it came to not recorded."""

    QUEUE = "queue"
    LARGE = "large"
    RECORD = "record"
    FAILED = "failed"


_SHADOWED: Final = (*VerdictClass, UNDECIDED)

SHADOWS: Final = Metric(
    "bailiwick_shadow_total",
    "counter",
    "Calls that were decided once more, with a candidate (spec.replaces) in place of the policy that it replaces. live:"
    " the verdict that was answered by; shadow: the candidate's; undecided: a rule of the candidate asks for the"
    " workload of a party, and no rule in force does. endpoint: the first endpoints with a candidate, as"
    " namespace/name; the rest is other.",
    (
        ("endpoint", (f"at most {MOST_ENDPOINTS} endpoints", OTHERS)),
        ("live", tuple(VerdictClass)),
        ("shadow", _SHADOWED),
    ),
)
DROPS: Final = Metric(
    "bailiwick_shadow_dropped_total",
    "counter",
    "Shadow decisions that were left out, so that they do not take what answers need. queue: too many wait; large: too"
    " many calls with a large body wait; record: decided, but the record has no room to spare; failed: an internal"
    " error.",
    (("why", tuple(ShadowDrop)),),
)

SHADOW_METRICS: Final = (SHADOWS, DROPS)


class ShadowTally:
    """How often which verdict met which. Written on the event loop alone."""

    __slots__ = ("dropped", "met")

    def __init__(self) -> None:
        self.met: dict[str, dict[tuple[str, str], int]] = {}
        self.dropped = dict.fromkeys(ShadowDrop, 0)

    def count(self, endpoint: str, live: VerdictClass, shadow: VerdictClass | None) -> None:
        """Count one decision; `shadow` None: undecided."""
        if endpoint not in self.met:
            if len(self.met) >= MOST_ENDPOINTS:
                endpoint = OTHERS
            self.met.setdefault(endpoint, dict.fromkeys(product(VerdictClass, _SHADOWED), 0))
        self.met[endpoint][live, UNDECIDED if shadow is None else shadow] += 1
