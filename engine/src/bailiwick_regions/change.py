"""Changes: what a comparison comes to. Holds: the classes are in order, the one that a gate must stop first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bailiwick_engine.policy.model import CompiledRule


class ChangeClass(StrEnum):
    """How the head stands to the base, the worst first."""

    WIDER = "wider"
    """A call exists that the head lets further than the base."""
    MAY_WIDEN = "may widen"
    """It is not shown that there is none."""
    CHANGED = "changed"
    """An approval is asked for in another way: stricter in one respect, less strict in another."""
    NARROWER = "narrower"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of an endpoint: a setting's, or that of a region.

    `where` is the region by dimension, as labels, see `atoms.told`. `rule` is the reason, of the head if `of_head`,
    else of the base.
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
