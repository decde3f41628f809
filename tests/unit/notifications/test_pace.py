"""How often one target is told: what finds no room is counted, and nothing is left out."""

from datetime import UTC, datetime

from hypothesis import given, strategies

from bailiwick_notifications.notification import GrantFacts, Notification, NotificationType
from bailiwick_notifications.pace import WINDOW_SECONDS, MessageLine, retry_after

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def told(
    number: int = 0, type_: NotificationType = NotificationType.GRANT_PENDING, namespace: str = "crm"
) -> Notification:
    facts = GrantFacts(namespace, f"agr-{number}", "uid", "api", "agent", "alice", (), "export", "customer/42")
    return Notification(f"{namespace}-{number}", type_, AT, facts)


def heard(line: MessageLine, now: float) -> list[Notification]:
    """Return all that a target is told at this moment."""
    return [one.notification for one in iter(lambda: line.next(now), None)]


def test_so_many_a_minute_are_told_and_one_digest_counts_the_others() -> None:
    line = MessageLine(2, 200)
    assert [line.put(told(number), 0.0) for number in range(5)] == [False, False, True, True, True]
    assert [one.id for one in heard(line, 0.0)] == ["crm-0", "crm-1"]
    assert line.put(told(type_=NotificationType.GRANT_DENIED), 1.0) is True
    assert heard(line, WINDOW_SECONDS - 1) == []
    (digest,) = heard(line, WINDOW_SECONDS)
    assert digest.counts == {NotificationType.GRANT_DENIED: 1, NotificationType.GRANT_PENDING: 3}
    assert heard(line, 2 * WINDOW_SECONDS) == []


def test_the_digest_is_a_message_of_its_minute() -> None:
    line = MessageLine(2, 200)
    for number in range(3):
        line.put(told(number), 0.0)
    heard(line, 0.0)
    assert [one.type for one in heard(line, WINDOW_SECONDS)] == [NotificationType.DIGEST]
    for number in range(2):
        line.put(told(number), WINDOW_SECONDS + 1)
    assert len(heard(line, WINDOW_SECONDS + 1)) == 1


def test_the_same_that_was_counted_is_the_same_digest() -> None:
    ids: set[str] = set()
    for _ in range(2):
        line = MessageLine(1, 200)
        for number in range(3):
            line.put(told(number), 0.0)
        heard(line, 0.0)
        ids.update(one.id for one in heard(line, WINDOW_SECONDS))
    assert len(ids) == 1


def test_one_namespace_hides_nothing_of_another() -> None:
    line = MessageLine(20, 200)
    for number in range(1_000):
        line.put(told(number, namespace="loud"), 0.0)
    assert len(heard(line, 0.0)) == 20
    assert [line.put(told(number, namespace="quiet"), 1.0) for number in range(15)] == [False] * 15
    for number in range(1_000):
        line.put(told(number, namespace="loud"), 2.0)
    said = heard(line, WINDOW_SECONDS)
    assert [one.id for one in said if one.grant is not None and one.grant.namespace == "quiet"] == [
        f"quiet-{number}" for number in range(15)
    ]
    assert said[0].counts == {NotificationType.GRANT_PENDING: 1_980}


def test_what_waits_behind_a_target_that_hangs_is_shared_too() -> None:
    line = MessageLine(1_000, 4)
    assert [line.put(told(number, namespace="loud"), 0.0) for number in range(6)] == [False] * 4 + [True] * 2
    # One of the loud ones is counted in its place.
    assert line.put(told(namespace="quiet"), 0.0) is True
    assert [one.id for one in heard(line, 0.0)] == ["loud-0", "quiet-0", "loud-1", "loud-2"]


@given(
    most=strategies.integers(1, 5),
    queue=strategies.integers(1, 8),
    steps=strategies.lists(strategies.tuples(strategies.floats(0, 90), strategies.sampled_from("abc")), max_size=60),
)
def test_nothing_is_left_out_and_never_more_than_the_rate_is_told(
    most: int, queue: int, steps: list[tuple[float, str]]
) -> None:
    line, now = MessageLine(most, queue), 0.0
    sent: list[tuple[float, Notification]] = []
    for number, (step, namespace) in enumerate(steps):
        now += step
        line.put(told(number, namespace=namespace), now)
        sent += [(now, one) for one in heard(line, now)]
    while (due := line.due()) is not None:
        now = max(now, due)
        sent += [(now, one) for one in heard(line, now)]
    assert sum(sum(one.counts.values()) if one.counts else 1 for _, one in sent) == len(steps)
    for begin, _ in sent:
        # Any minute touches two windows at most.
        assert sum(begin <= at < begin + WINDOW_SECONDS for at, _ in sent) <= 2 * most
    assert (line.waiting, line.oldest) == (0, None)


@given(
    loud=strategies.lists(strategies.floats(0, 0.5), min_size=200, max_size=400),
    quiet=strategies.integers(1, 9),
    at=strategies.integers(0, 199),
)
def test_whatever_one_namespace_tells_another_that_tells_its_part_is_told_by_itself_within_two_minutes(
    loud: list[float], quiet: int, at: int
) -> None:
    line, now, began = MessageLine(20, 200), 0.0, 0.0
    found: dict[str, float] = {}
    for number, step in enumerate(loud):
        now += step
        line.put(told(number, namespace="loud"), now)
        if number == at:
            began = now
            for own in range(quiet):
                line.put(told(own, namespace="quiet"), now)
        found |= {one.id: now for one in heard(line, now)}
    while (due := line.due()) is not None:
        now = max(now, due)
        found |= {one.id: now for one in heard(line, now)}
    assert all(found[f"quiet-{own}"] <= began + 2 * WINDOW_SECONDS for own in range(quiet))


@given(attempt=strategies.integers(1, 50), chance=strategies.floats(0, 1))
def test_one_tries_again_later_and_later_but_within_a_minute(attempt: int, chance: float) -> None:
    assert 0.5 <= retry_after(attempt, chance) <= 60.0
    assert retry_after(attempt, chance) <= retry_after(attempt + 1, chance)
