"""EndpointHistory objects as the decision point writes them, for tests of the console's pages."""

import time

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.history.state import KeyState, Slot, StateLine, state_spec
from bailiwick_engine.history.windows import period_start, slot_length
from bailiwick_engine.policy.histories import CompiledHistory, SlidingWindow
from bailiwick_engine.policy.model import CompiledPolicy
from support.objects import Object

KEY = "sha256:" + "ab" * 32
OBJECT = "h-" + "ab" * 20


def definitions(policy: Object) -> dict[str, CompiledHistory]:
    """Return the histories of a policy's settings by name."""
    compiled = compile_object(policy)
    assert isinstance(compiled, CompiledPolicy)
    assert compiled.settings is not None
    return {one.name: one for one in compiled.settings.histories}


def slot(history: CompiledHistory, ago: float, count: int, total: int = 0) -> Slot:
    """Return a slot with calls of so many seconds ago."""
    moment = int((time.time() - ago) * 1000)
    if isinstance(history.window, SlidingWindow):
        return Slot(moment // slot_length(history.window), count, total)
    return Slot(period_start(history.window, moment), count, total)


def stored_object(
    counted: dict[CompiledHistory, list[Slot]], *, key: str = KEY, endpoint: str = "crm-api", seq: int = 7
) -> Object:
    """Return an object that holds these slots. The latest call of each line was just now."""
    now = int(time.time() * 1000)
    lines = {
        history.digest: StateLine(tuple(sorted(slots, key=lambda one: one.number)), now - 5_000)
        for history, slots in counted.items()
    }
    state = KeyState(endpoint, key, seq, now, lines)
    return {
        "metadata": {
            "namespace": "crm",
            "name": "h-" + key[7:47],
            "creationTimestamp": "2026-11-30T08:00:00Z",
            "labels": {"bailiwick.dev/endpoint": endpoint},
        },
        "spec": state_spec(state),
    }
