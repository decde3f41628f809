"""Changes: the results of a comparison. Holds: the classes are in order; the first is the one that a gate must stop."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bailiwick_engine.approval.strength import WEAKER, Components, gets_further, split_outcomes
from bailiwick_engine.policy.model import CompiledRule


class ChangeClass(StrEnum):
    """How the head compares with the base, the worst first."""

    WIDER = "wider"
    """There is a call that gets further with the head than with the base."""
    MAY_WIDEN = "may widen"
    """It is not proven that there is no such call."""
    CHANGED = "changed"
    """An approval is requested in another way: stricter in one respect, less strict in another."""
    NARROWER = "narrower"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of an endpoint: a setting's, or that of a region.

    `where` is the region by dimension, as labels, see `atoms.describe_labels`. `rule` is the reason, of the head if
    `of_head`, else of the base.
    `when`: what the conditions said in the world that shows it.
    """

    kind: ChangeClass
    endpoint: tuple[str, str]
    what: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rule: CompiledRule | None = None
    of_head: bool = True
    why: str = ""
    when: tuple[str, ...] = ()


def approval_change(components: Components) -> ChangeClass:
    """Return the class of all components together in which two approvals differ."""
    deciding, asking = split_outcomes(components)
    if gets_further(components):
        proven = None not in asking or not deciding.isdisjoint({WEAKER, None})
        return ChangeClass.WIDER if proven else ChangeClass.MAY_WIDEN
    if WEAKER in asking:
        return ChangeClass.CHANGED
    return ChangeClass.NARROWER if components else ChangeClass.SAME
