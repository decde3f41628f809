"""What waits for one target: in its order, again until it is taken, and bounded."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import pytest

from bailiwick_kube.transport import UnreachableError
from bailiwick_notifications.notification import GrantFacts, Notification, NotificationType
from bailiwick_notifications.pace import DeliveryTerms
from bailiwick_notifications.sending.attempt import DELIVERED, DeliveryAttempt
from bailiwick_notifications.sending.sender import NotificationSender
from bailiwick_notifications.targets import Target
from bailiwick_operator.notify.outbox import DeliveryCounts, Outbox, OutboxName
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]

FAILED = DeliveryAttempt("failed", "away")
REFUSED = DeliveryAttempt("refused", "gone for good")
TARGET = Target("chat", "apprise", "json://x")


FACTS = GrantFacts("crm", "agr-1", "uid-1", "crm-api", "agent", "alice", (), "export", "customer/42")


def told(number: int = 0) -> Notification:
    at = datetime(2026, 11, 27, number % 24, tzinfo=UTC)
    return Notification(f"id-{number}", NotificationType.GRANT_PENDING, at, FACTS)


def alarm(number: int = 0) -> Notification:
    at = datetime(2026, 11, 27, 23, tzinfo=UTC)
    return Notification(f"alarm-{number}", NotificationType.GUARD_UNPROVEN, at, note="it is loose")


class ScriptedSender:
    """Answers these and then DELIVERED. `sent`: what it was asked to send, when, and whether the target was failing."""

    def __init__(self, clock: Callable[[], float], *answers: DeliveryAttempt) -> None:
        self._clock = clock
        self._answers = [*answers]
        self.sent: list[tuple[str, float, bool]] = []

    async def send(self, target: Target, told: Notification, *, holder: str, failing: bool = False) -> DeliveryAttempt:
        self.sent.append((told.id, self._clock(), failing))
        return self._answers.pop(0) if self._answers else DELIVERED


class Box:
    """An outbox with what stands round it."""

    def __init__(self, clock: Callable[[], float], *answers: DeliveryAttempt, **terms: int) -> None:
        self.sending = ScriptedSender(clock, *answers)
        self.counts: DeliveryCounts = Counter()
        self.target: Target | Exception | None = TARGET
        self.leads = True
        self.box = Outbox(
            OutboxName(None, "chat"),
            self._find,
            cast("NotificationSender", self.sending),
            DeliveryTerms(**terms),
            self.counts,
            may_send=lambda: self.leads,
            clock=clock,
        )

    async def _find(self) -> Target | None:
        if isinstance(self.target, Exception):
            raise self.target
        return self.target

    @property
    def ids(self) -> list[str]:
        return [id_ for id_, _, _ in self.sending.sent]

    def outcome(self) -> dict[str, int]:
        return {outcome: count for (_, outcome), count in self.counts.items()}


async def test_delivers_in_order_and_ends_when_nothing_waits(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic)
    for number in range(3):
        box.box.put(told(number))
    await box.box.run()
    assert box.ids == ["id-0", "id-1", "id-2"]
    assert box.outcome() == {"delivered": 3}
    assert box.box.waiting == 0


async def test_tries_again_later_and_later_by_the_same_id_until_it_is_taken(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic, FAILED, FAILED, FAILED)
    box.box.put(told())
    await box.box.run()
    assert box.ids == ["id-0"] * 4
    times = [at for _, at, _ in box.sending.sent]
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert all(0.5 * 2**n <= wait <= 2**n + 0.1 for n, wait in enumerate(waits))
    assert [failing for _, _, failing in box.sending.sent] == [False, True, True, True]
    assert box.outcome() == {"failed": 3, "delivered": 1}
    assert box.box.problem is None


@pytest.mark.parametrize(("attempts", "age", "most"), [(3, 900, 3), (1000, 30, 9)], ids=["attempts", "age"])
async def test_gives_up_in_the_end_and_goes_on_with_the_next(
    attempts: int, age: int, most: int, virtual_time: VirtualTime
) -> None:
    box = Box(virtual_time.monotonic, *[FAILED] * most, attempts=attempts, age=age)
    began = virtual_time.monotonic()
    box.box.put(told())
    await box.box.run()
    assert 3 <= len(box.ids) <= most
    assert box.sending.sent[-1][1] - began <= age
    assert box.outcome()["expired"] == 1
    box.sending._answers.clear()
    box.box.put(told(1))
    await box.box.run()
    assert box.ids[-1] == "id-1"
    assert box.outcome()["delivered"] == 1


async def test_what_is_refused_is_not_tried_again(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic, REFUSED)
    box.box.put(told(0))
    box.box.put(told(1))
    await box.box.run()
    assert box.ids == ["id-0", "id-1"]
    assert box.outcome() == {"refused": 1, "delivered": 1}


async def test_a_target_that_is_gone_or_cannot_be_read_is_not_called(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic)
    box.target = None
    box.box.put(told())
    await box.box.run()
    assert (box.ids, box.outcome()) == ([], {"dropped": 1})
    box.target = UnreachableError("the API server is away")
    box.box.put(told(1))
    run = asyncio.create_task(box.box.run())
    await asyncio.sleep(5)
    assert box.ids == []
    assert box.outcome()["failed"] >= 2
    box.target = TARGET
    await run
    assert box.ids == ["id-1"]


async def test_one_for_which_there_was_no_turn_is_not_among_those_that_fail(virtual_time: VirtualTime) -> None:
    no_turn = DeliveryAttempt("failed", "no turn", tried=False)
    box = Box(virtual_time.monotonic, no_turn, FAILED, no_turn)
    box.box.put(told())
    await box.box.run()
    assert [failing for _, _, failing in box.sending.sent] == [False, False, True, True]


async def test_one_for_which_there_was_no_turn_is_not_said_to_fail(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic, *[DeliveryAttempt("failed", "no turn", tried=False)] * 3)
    box.box.put(told())
    run = asyncio.create_task(box.box.run())
    await asyncio.sleep(0.1)
    assert (len(box.sending.sent), box.box.problem) == (1, None)
    await run


async def test_whoever_lost_the_lease_tells_nothing(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic)
    box.leads = False
    box.box.put(told())
    run = asyncio.create_task(box.box.run())
    await asyncio.sleep(60)
    assert box.ids == []
    box.leads = True
    await run
    assert box.ids == ["id-0"]


async def test_a_flood_becomes_a_digest_that_counts_all_of_it(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic, per_minute=2, queue=5)
    for number in range(500):
        box.box.put(told(number))
    assert box.box.waiting == 500
    assert box.box.oldest == told(0).at
    await box.box.run()
    assert len(box.ids) == 3
    assert box.outcome() == {"counted": 498, "delivered": 3}
    assert box.box.oldest is None


async def test_what_the_guard_says_is_told_first_and_by_itself_whatever_is_asked_for(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic, per_minute=2, queue=5)
    for number in range(500):
        box.box.put(told(number))
    for number in range(4):
        box.box.put(alarm(number))
    assert box.box.waiting == 504
    await box.box.run()
    assert box.ids[:4] == ["alarm-0", "alarm-1", "id-0", "id-1"]
    # Two digests: of grants, and of alarms.
    assert len(box.ids) == 6
    assert box.outcome() == {"counted": 500, "delivered": 6}


async def test_what_finds_no_room_behind_one_that_hangs_is_counted(virtual_time: VirtualTime) -> None:
    box = Box(virtual_time.monotonic, *[FAILED] * 5, per_minute=1000, queue=3)
    for number in range(10):
        box.box.put(told(number))
    assert box.box.waiting == 10
    await box.box.run()
    assert box.outcome() == {"counted": 7, "failed": 5, "delivered": 4}
