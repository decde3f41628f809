"""What is kept of objects, and what is remembered of how far they had come."""

import pytest

from bailiwick_engine.history.commit import ClockBounds, WaitingCall, commit
from bailiwick_engine.history.state import KeyState
from bailiwick_webhook.history import heldstates
from bailiwick_webhook.history.heldstates import HeldState, HeldStates, hour_of
from support.histories import HOUR, empty_state, entry_id, history, need

NOW = 1_764_439_200_000


def held(calls: int, keep_until: int = NOW + 2 * HOUR) -> HeldState:
    state: KeyState = empty_state()
    waiting = [WaitingCall(need(history()), entry_id(number), lambda _: True) for number in range(calls)]
    state, _ = commit(state, waiting, ClockBounds(NOW, NOW))
    return HeldState(state, "1" if calls else None, "u", keep_until, 0.0, 0.0)


def test_memory_is_bounded_by_what_is_in_the_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heldstates, "MOST_PARTS", 10 * held(20).parts)
    states = HeldStates()
    for number in range(100):
        states.put(("crm", f"h-{number}"), held(20))
    assert len(states) == 10
    assert states.get(("crm", "h-99")) is not None
    assert states.get(("crm", "h-0")) is None


def test_a_state_that_lacks_what_was_seen_is_behind_until_all_of_that_is_out() -> None:
    states, key = HeldStates(), ("crm", "h")
    states.put(key, held(5))
    assert states.is_behind(key, held(4), NOW)
    assert states.is_behind(key, held(0), NOW)
    assert not states.is_behind(key, held(5), NOW)
    assert not states.is_behind(key, held(4), NOW + 2 * HOUR)


def test_how_far_an_object_had_come_outlives_its_state() -> None:
    states, key = HeldStates(), ("crm", "h")
    states.put(key, held(5))
    states.drop(key)
    assert states.get(key) is None
    assert states.is_behind(key, held(4), NOW)


def test_another_object_is_not_behind() -> None:
    states = HeldStates()
    states.put(("crm", "h"), held(5))
    assert not states.is_behind(("sales", "h"), held(0), NOW)


@pytest.mark.parametrize(
    ("label", "time"),
    [
        ("2025-11-29T18", NOW),
        ("", None),
        ("2025-11-29", None),
        ("2025-11-29T24", None),
        ("2025-11-29T1", None),
        ("9999-99-99T99", None),
    ],
)
def test_an_hour_is_what_the_label_says(label: str, time: int | None) -> None:
    assert hour_of(label) == time
