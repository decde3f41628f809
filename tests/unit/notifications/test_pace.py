"""How often one target is told: what finds no room is counted, and nothing is left out."""

from datetime import UTC, datetime

from hypothesis import given, strategies

from bailiwick_notifications.notification import Notification, NotificationType
from bailiwick_notifications.pace import WINDOW_SECONDS, MessageRate, retry_after

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def told(number: int = 0, type_: NotificationType = NotificationType.GRANT_PENDING) -> Notification:
    return Notification(str(number), type_, AT)


def test_so_many_a_minute_are_told_and_one_digest_counts_the_others() -> None:
    rate = MessageRate(2)
    assert [rate.take(told(number), 0.0) for number in range(5)] == [True, True, False, False, False]
    assert rate.take(told(type_=NotificationType.GRANT_DENIED), 1.0) is False
    assert rate.digest(WINDOW_SECONDS - 1) is None
    digest = rate.digest(WINDOW_SECONDS)
    assert digest is not None
    assert digest.counts == {NotificationType.GRANT_DENIED: 1, NotificationType.GRANT_PENDING: 3}
    assert rate.digest(2 * WINDOW_SECONDS) is None
    # The digest counts as a message.
    assert [rate.take(told(number), WINDOW_SECONDS + 1) for number in range(2)] == [True, False]


def test_the_same_that_was_counted_is_the_same_digest() -> None:
    ids = set()
    for _ in range(2):
        rate = MessageRate(1)
        for number in range(3):
            rate.take(told(number), 0.0)
        digest = rate.digest(WINDOW_SECONDS)
        assert digest is not None
        ids.add(digest.id)
    assert len(ids) == 1


@given(
    most=strategies.integers(1, 5),
    steps=strategies.lists(strategies.floats(0, 90), max_size=60),
)
def test_nothing_is_left_out_and_never_more_than_the_rate_is_told(most: int, steps: list[float]) -> None:
    rate, now = MessageRate(most), 0.0
    sent: list[float] = []
    counted = alone = 0
    for step in steps:
        now += step
        if (digest := rate.digest(now)) is not None:
            counted += sum(digest.counts.values())
            sent.append(now)
        if rate.take(told(), now):
            alone += 1
            sent.append(now)
    if (digest := rate.digest(now + WINDOW_SECONDS)) is not None:
        counted += sum(digest.counts.values())
    assert alone + counted == len(steps)
    for begin in sent:
        # Any minute touches two windows at most.
        assert sum(begin <= one < begin + WINDOW_SECONDS for one in sent) <= 2 * most


@given(attempt=strategies.integers(1, 50), chance=strategies.floats(0, 1))
def test_one_tries_again_later_and_later_but_within_a_minute(attempt: int, chance: float) -> None:
    assert 0.5 <= retry_after(attempt, chance) <= 60.0
    assert retry_after(attempt, chance) <= retry_after(attempt + 1, chance)
