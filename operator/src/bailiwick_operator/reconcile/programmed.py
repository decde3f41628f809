"""Whether a policy is Programmed: every ready process of the decision point decides by its generation. Pure.

Holds: once true for a generation it stays true for it, whoever starts or ends later; with no process ready nothing is
known, which is neither true nor false. A policy that does not compile is served like any other: it is denied by.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_engine.compile.acceptance import shorten
from bailiwick_operator.reconcile.conditions import DesiredCondition

Object = dict[str, Any]
Generation = tuple[str, int]
"""A policy's uid and its generation."""
_TOLD: Final = 3
_WHY: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from one process that was asked; `silent`: why nothing did.

    `ready` without an answer: it should be there, and what it decides by is not known.
    """

    name: str
    ready: bool
    served: frozenset[Generation] = frozenset()
    silent: str = ""


@dataclass(frozen=True, slots=True)
class ServedGeneration:
    """How one generation is served: by how many of the processes that are ready, and what is told besides."""

    ready: int
    serving: int
    silent: tuple[str, ...] = ()

    @property
    def everywhere(self) -> bool:
        """Every ready process serves it, and there is one."""
        return 0 < self.ready == self.serving


def tally(replies: Sequence[Reply], generation: Generation) -> ServedGeneration:
    """Count. A process that should be ready and says nothing counts as one that does not serve it."""
    counted = [reply for reply in replies if reply.ready]
    return ServedGeneration(
        len(counted),
        sum(generation in reply.served for reply in counted),
        tuple(f"{reply.name} ({reply.silent})".strip() for reply in counted or replies if reply.silent),
    )


def held(policy: Object) -> Object | None:
    """Return the condition that says that the present generation is programmed; None where there is none."""
    generation = policy["metadata"]["generation"]
    for entry in (policy.get("status") or {}).get("conditions") or ():
        told = (entry.get("type"), entry.get("status"), entry.get("observedGeneration"))
        if told == ("Programmed", "True", generation):
            found: Object = entry
            return found
    return None


def condition(policy: Object, serving: ServedGeneration | None, *, denies: str | None = None) -> DesiredCondition:
    """Return the condition. `serving` None: nobody was asked about this generation yet. `denies`: why it denies."""
    before = held(policy)
    if before is not None:
        return DesiredCondition("Programmed", "True", str(before.get("reason")), str(before.get("message")))
    generation = policy["metadata"]["generation"]
    if serving is None:
        return DesiredCondition(
            "Programmed", "Unknown", "Asking", f"asking the processes about generation {generation}"
        )
    if not serving.ready:
        return DesiredCondition(
            "Programmed",
            "Unknown",
            "NoneReady",
            "no process of the decision point is ready" + _silence(serving.silent),
        )
    counts = f"{serving.serving} of {serving.ready} processes serve generation {generation}"
    if serving.everywhere:
        how = "" if denies is None else f"; {denies}, so they deny the calls that it covers"
        return DesiredCondition("Programmed", "True", "Served", counts + how)
    return DesiredCondition("Programmed", "False", "Pending", counts + _silence(serving.silent))


def _silence(silent: Collection[str]) -> str:
    if not silent:
        return ""
    told = ", ".join(shorten(why, _WHY) for why in sorted(silent)[:_TOLD])
    more = f" and {len(silent) - _TOLD} more" if len(silent) > _TOLD else ""
    return f"; no answer from {told}{more}"
