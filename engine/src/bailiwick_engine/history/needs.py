"""Needs: which objects a call has to read and to be counted in.

Standing: over the definitions in `policy.histories`. Holds: pure; the same call has the same needs in any process.
"""

from collections.abc import Iterable, Sequence

import msgspec

from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.inputs import Inputs
from bailiwick_engine.policy.histories import CompiledHistory
from bailiwick_engine.reasons import Reason


class Addition(msgspec.Struct, frozen=True, gc=False):
    """What this call adds to a history: one, and `total` in units of the amount's last digit."""

    history: CompiledHistory
    total: int


class ObjectNeed(msgspec.Struct, frozen=True, gc=False):
    """One object that a call needs. `name` is that of the EndpointHistory, `key` its `spec.key`.

    `reads`: the histories of this key that candidate rules read, or that count the call; `adds`: those that count it.
    """

    name: str
    key: str
    reads: tuple[CompiledHistory, ...]
    adds: tuple[Addition, ...]


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

    A reason (`history_uncountable`): the call would count, and a key, an amount or `when` cannot be told. A history
    that is only read, and whose key cannot be told, is left out: so it is unknown.
    """
    raise NotImplementedError(histories, call, subject, inputs, read)
