"""Clause: one thing that a rule asks of a call, and whether it held, for an explanation.

Holds: nothing of the call but its outcome is in a clause.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.effect import Effect
from bailiwick_engine.truth import Truth

_SHOWN: Final = 8


class Clause(NamedTuple):
    """`kind` is its dimension's word. `met`: it does not keep the rule from applying.

    An unknown workload or condition keeps an Allow and a RequireApproval from applying; an unknown property only an
    Allow.

    `name` is the property's or the condition's. `wanted` is what the policy says: at most its first few names.
    """

    kind: str
    held: Truth
    met: bool
    wanted: tuple[str, ...]
    name: str | None = None
    message: str | None = None


class CallView(NamedTuple):
    """The call that a rule with this effect is held against, for one party. `values` are what conditions see."""

    effect: Effect
    call: Call
    party: Party
    now: float
    values: Inputs | None = None


def plain_clause(kind: str, *, held: bool, wanted: Iterable[str] = ()) -> Clause:
    """Return a clause of something that is never unknown."""
    return Clause(kind, held, held, first_few(wanted))


def truth_clause(
    kind: str, held: Truth, wanted: Iterable[str], name: str | None = None, message: str | None = None, *, certain: bool
) -> Clause:
    """Return a clause of something that may be unknown. `certain`: then it is not met."""
    return Clause(kind, held, held is True if certain else held is not False, first_few(wanted), name, message)


def spelled_names(names: NameSet) -> tuple[str, ...]:
    """Return names as a policy writes them."""
    everything = ("*",) if names.everything else ()
    return (*everything, *(f"{prefix}*" for prefix in names.prefixes), *sorted(names.exact))


def first_few(texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts, of many the first few."""
    listed = tuple(texts)
    return listed if len(listed) <= _SHOWN else (*listed[:_SHOWN], "…")
