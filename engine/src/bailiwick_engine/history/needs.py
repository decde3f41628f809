"""Needs: which objects a call has to read and to be counted in.

Standing: over `keys` and `amounts`. Holds: pure; the same call has the same needs in any process; what is not
known of a call that may count is a reason, never a need less.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.cost.estimate import LIMIT
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.history.amounts import amount_units
from bailiwick_engine.history.keys import ObjectKey, member_at, object_key
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_engine.reasons import Reason
from bailiwick_engine.truth import UNKNOWN, Truth

Passing: TypeAlias = bool | Literal["grant"]
"""Whether a call is let through; "grant": by a grant."""


class Addition(msgspec.Struct, frozen=True, gc=False):
    """What this call adds to a history: one, and `total` in units of the amount's last digit.

    Where the history awaits the outcome of calls, it adds that only when the outcome is reported.
    """

    history: CompiledHistory
    total: int


class ObjectNeed(msgspec.Struct, frozen=True, gc=False):
    """One object that a call needs. `name` is that of the EndpointHistory, `key` its `spec.key`.

    `reads`: the histories of this key that candidate rules read, or that count the call; `adds`: those that count it.
    `outcome_within`: for how many milliseconds its outcome can be reported; None: none of `adds` awaits it.
    """

    name: str
    key: str
    reads: tuple[CompiledHistory, ...]
    adds: tuple[Addition, ...]
    outcome_within: int | None = None

    def additions(self, passed: Passing) -> tuple[Addition, ...]:
        """Return what the call adds that is let through so."""
        return self.adds if passed is True else tuple(one for one in self.adds if not one.history.ignores_approved)


class HistoryNeeds(msgspec.Struct, frozen=True, gc=False):
    """All objects that a call needs, in order of their names; none twice."""

    objects: tuple[ObjectNeed, ...]

    @property
    def counts(self) -> bool:
        """Whether the call is to be counted anywhere."""
        return any(need.adds for need in self.objects)


def history_needs(
    histories: Sequence[CompiledHistory], call: Call, subject: Party, inputs: Inputs, read: Iterable[str]
) -> HistoryNeeds | Reason | None:
    """Return what a call needs; None: nothing. `read`: the names of histories that candidate rules read.

    `inputs` is what conditions see of the call without an actor, with all that one condition may take (`LIMIT`) left.

    A reason (`history_uncountable`): the call would count, and a key, an amount, a property or `when` is not known.
    A history that is only read, and whose key is not known, is left out: so it is unknown.
    """
    wanted = frozenset(read)
    spoken = [
        (history, about)
        for history in histories
        if not history.counts_denied and (about := _speaks_of(history, call)) is not False
    ]
    conditions = [history.when for history, _ in spoken if history.when is not None]
    # All or none: so the order in which histories are written never matters.
    affordable = sum(inputs.cost(one.cost) for one in conditions) <= LIMIT
    counting: dict[str, int] = {}
    for history, about in spoken:
        held: Truth = True
        if history.when is not None:
            held = history.when.outcome(inputs) if affordable else UNKNOWN
        if held is False:
            continue
        total = _total(history, inputs) if about is True and held is True else None
        if total is None:
            return Reason.HISTORY_UNCOUNTABLE
        counting[history.name] = total
    needed = [history for history in histories if history.name in wanted or history.name in counting]
    return _needs(needed, counting, call, subject, inputs)


def denial_needs(
    histories: Sequence[CompiledHistory], call: Call, subject: Party, inputs: Inputs
) -> HistoryNeeds | None:
    """Return the objects that a denied call is counted in; None: it is counted in none. `inputs`: see `history_needs`.

    What is unknown of it counts it: it is denied already. Where the key is not known, nothing can count it.
    """
    spoken = [one for one in histories if one.counts_denied and _speaks_of(one, call) is not False]
    conditions = [history.when for history in spoken if history.when is not None]
    affordable = sum(inputs.cost(one.cost) for one in conditions) <= LIMIT
    counting = {
        history.name: 0
        for history in spoken
        if history.when is None or not affordable or history.when.outcome(inputs) is not False
    }
    counted = [
        one for one in spoken if one.name in counting and object_key(call.endpoint, one.key, call, subject, inputs)
    ]
    needs = _needs(counted, counting, call, subject, inputs)
    return needs if isinstance(needs, HistoryNeeds) else None


def _needs(
    histories: Sequence[CompiledHistory], counting: dict[str, int], call: Call, subject: Party, inputs: Inputs
) -> HistoryNeeds | Reason | None:
    """Return the objects of these histories; `counting`: what the call adds to those that count it, by name."""
    found: dict[ObjectKey, tuple[list[CompiledHistory], list[Addition]]] = {}
    for history in histories:
        key = object_key(call.endpoint, history.key, call, subject, inputs)
        if key is None:
            if history.name in counting:
                return Reason.HISTORY_UNCOUNTABLE
            continue
        reads, adds = found.setdefault(key, ([], []))
        reads.append(history)
        if history.name in counting:
            adds.append(Addition(history, counting[history.name]))
    if not found:
        return None
    # The same in all objects, so that a report is late in all of them or in none, as like as not.
    within = min((one.outcome_within for one in histories if one.name in counting and one.awaits_outcome), default=None)
    return HistoryNeeds(
        tuple(
            ObjectNeed(
                *key,
                tuple(reads),
                tuple(adds),
                within if any(one.history.awaits_outcome for one in adds) else None,
            )
            for key, (reads, adds) in sorted(found.items())
        )
    )


def _speaks_of(history: CompiledHistory, call: Call) -> Truth:
    """Tell whether a history counts this action and resource; UNKNOWN where the resource lacks a property.

    A limit would ask that it counts then, and a rule that wants an earlier call that it does not.
    """
    if call.action.name not in history.actions:
        return False
    if history.resources is None or any(one.covers(call.resource, absent_matches=False) for one in history.resources):
        return True
    return UNKNOWN if any(one.covers(call.resource, absent_matches=True) for one in history.resources) else False


def _total(history: CompiledHistory, inputs: Inputs) -> int | None:
    """Return what a call adds to a sum; None where it is not known."""
    if history.amount is None:
        return 0
    return amount_units(member_at(inputs, history.amount.path), history.amount.digits)
