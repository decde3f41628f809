"""The state of one key, as the object at the API server holds it.

Standing: over the definitions in `policy.histories`. Holds: what does not parse is no state; to write what was parsed gives the same texts.
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class Slot(msgspec.Struct, frozen=True, gc=False):
    """What was counted in one slot of a window: `number` is that of the slot since the epoch."""

    number: int
    count: int
    total: int


class Line(msgspec.Struct, frozen=True, gc=False):
    """What one definition has counted. `last`: when the latest was counted, in milliseconds since the epoch."""

    slots: tuple[Slot, ...]
    last: int | None


class Share(msgspec.Struct, frozen=True, gc=False):
    """What one entry added to one line."""

    line: str
    slot: int
    count: int
    total: int


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One call that was counted. `id`: 32 hex digits; `time`: milliseconds since the epoch.

    `relied_on`: an answer relies on it a second time, so that it is never taken back.
    """

    id: str
    time: int
    shares: tuple[Share, ...]
    relied_on: bool = False


class KeyState(msgspec.Struct, frozen=True, gc=False):
    """The state of one key. `clock` is in milliseconds since the epoch and never goes back."""

    endpoint: str
    key: str
    seq: int = 0
    clock: int = 0
    lines: Mapping[str, Line] = {}
    recent: tuple[Entry, ...] = ()


def parse_state(spec: object) -> KeyState | None:
    """Return the state that a `spec` of EndpointHistory holds; None where it is not one."""
    raise NotImplementedError(spec)


def state_spec(state: KeyState) -> dict[str, Any]:
    """Return the `spec` that holds a state."""
    raise NotImplementedError(state)
