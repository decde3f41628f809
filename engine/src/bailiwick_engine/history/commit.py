"""The commit: which of the calls that wait for one object pass, and the state after them.

Standing: over `state` and `needs`; the decision point, tests, replay and the simulation of the laws call it. Holds:
pure; a call is judged by numbers that hold all calls before it; what is not added is not counted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from bailiwick_engine.history.needs import ObjectNeed
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.history.state import KeyState


class ClockBounds(msgspec.Struct, frozen=True, gc=False):
    """Between which times the API server's clock certainly is, in milliseconds since the epoch."""

    earliest: int
    latest: int


class WaitingCall(msgspec.Struct, frozen=True, gc=False):
    """A call that waits for an object. `entry`: 32 hex digits that this call alone has, the same if it is sent again.

    `passes` tells whether it is let through with these numbers, by name.
    """

    need: ObjectNeed
    entry: str
    passes: Callable[[Mapping[str, HistoryNumbers]], bool]


class CommittedCall(msgspec.Struct, frozen=True, gc=False):
    """What became of a call in one object. `seq`: its number; None: nothing was added.

    `repeated`: it was counted a moment ago, when it was sent before.
    """

    numbers: Mapping[str, HistoryNumbers]
    passed: bool
    seq: int | None = None
    repeated: bool = False


def commit(
    state: KeyState, calls: Sequence[WaitingCall], clock: ClockBounds
) -> tuple[KeyState, tuple[CommittedCall, ...]]:
    """Judge the calls in order; return the state after them (the same object where nothing is to be written)."""
    raise NotImplementedError(state, calls, clock)


def numbers_at(state: KeyState, need: ObjectNeed, clock: ClockBounds, *, with_this: bool) -> dict[str, HistoryNumbers]:
    """Return the numbers of a need by name. `with_this`: with what this call adds, which is not in the state yet."""
    raise NotImplementedError(state, need, clock, with_this)


def release(state: KeyState, entries: Iterable[str]) -> KeyState:
    """Take entries out again, but those that an answer relies on; each that is taken out has a number (`seq`) too."""
    raise NotImplementedError(state, entries)
