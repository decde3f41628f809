"""The metrics of shadow decisions. Standing: under `table`.

Holds: an endpoint is a label only here, of those that have a candidate, which a policy's author chooses and no caller
does, and so many of them at most.
"""

from enum import StrEnum
from itertools import product
from typing import Final, NamedTuple

from bailiwick_engine.decision.shadow import VerdictClass
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_process.metric import Metric

MOST_ENDPOINTS: Final = 32
"""Endpoints that have series of their own: the first of the life of a process that are decided with a candidate."""
MOST_OF_ONE: Final = 4
"""Those of them that are of one namespace, so that none takes the series of all."""
MOST_CANDIDATES: Final = 1_024
"""Candidates of which a process remembers what they came to, the last that it saw."""
MOST_CANDIDATES_OF_ONE: Final = 128
"""Those of them that are of one namespace, so that none makes a process forget those of all."""
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
    f" namespace/name, {MOST_OF_ONE} of a namespace at most; the rest is other.",
    (
        ("endpoint", (f"at most {MOST_ENDPOINTS} endpoints", OTHERS)),
        ("live", tuple(VerdictClass)),
        ("shadow", _SHADOWED),
    ),
)
DROPS: Final = Metric(
    "bailiwick_shadow_dropped_total",
    "counter",
    "Shadow decisions that were left out, so that they do not take what answers need. queue: too many"
    " calls wait, of all or of the namespace, or calls wait that were decided by two other states of the endpoint's"
    " policies; large: a call with a large body waits, of the namespace or of too many others; record: decided, but the"
    " record had no room to spare, or could not be written; failed: an internal error.",
    (("why", tuple(ShadowDrop)),),
)

SHADOW_METRICS: Final = (SHADOWS, DROPS)


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
            self.met.setdefault(endpoint, dict.fromkeys(product(VerdictClass, _SHADOWED), 0))
        self.met[endpoint][live, UNDECIDED if shadow is None else shadow] += 1
