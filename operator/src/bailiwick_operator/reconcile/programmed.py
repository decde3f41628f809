"""Whether a policy is Programmed: every ready process of the decision point decides by its generation. Pure.

Holds: once true for a generation, it stays true for it, even if processes start or end later. With no process ready it
is unknown, which is neither true nor false. A policy that does not compile is served like any other: processes deny by
it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_engine.compile.acceptance import shorten
from bailiwick_operator.reconcile.conditions import DesiredCondition, Object

Generation = tuple[str, int]
"""A policy's uid and its generation."""
_MOST_NAMED: Final = 3
_WHY: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply of one process that was asked; `silent`: why there is no answer.

    `ready` without an answer: the process should be there, and what it decides by is not known.
    """

    name: str
    ready: bool
    served: frozenset[Generation] = frozenset()
    silent: str = ""


@dataclass(frozen=True, slots=True)
class ServedGeneration:
    """How one generation is served: by how many of the ready processes. `silent`: those without an answer, and why."""

    ready: int
    serving: int
    silent: tuple[str, ...] = ()

    @property
    def everywhere(self) -> bool:
        """Every ready process serves it, and there is one."""
        return 0 < self.ready == self.serving


def tally(replies: Sequence[Reply], generation: Generation) -> ServedGeneration:
    """Count replies. A process that should be ready and does not answer counts as one that does not serve it."""
    counted = [reply for reply in replies if reply.ready]
    return ServedGeneration(
        len(counted),
        sum(generation in reply.served for reply in counted),
        tuple(f"{reply.name} ({reply.silent})".strip() for reply in counted or replies if reply.silent),
    )


def programmed_condition(policy: Object) -> Object | None:
    """Return the condition that says that the present generation is programmed; None where there is none."""
    generation = policy["metadata"]["generation"]
    for entry in (policy.get("status") or {}).get("conditions") or ():
        if (entry.get("type"), entry.get("status"), entry.get("observedGeneration")) == (
            "Programmed",
            "True",
            generation,
        ):
            programmed: Object = entry
            return programmed
    return None


def condition(policy: Object, serving: ServedGeneration | None, *, denies: str | None = None) -> DesiredCondition:
    """Return the condition. `serving` None: no process was asked about this generation yet. `denies`: why it denies."""
    before = programmed_condition(policy)
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
    names = ", ".join(shorten(why, _WHY) for why in sorted(silent)[:_MOST_NAMED])
    more = f" and {len(silent) - _MOST_NAMED} more" if len(silent) > _MOST_NAMED else ""
    return f"; no answer from {names}{more}"
