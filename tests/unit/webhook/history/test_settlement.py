"""Reports over several objects, each of which awaits the outcome for a time of its own."""

import asyncio
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.history.needs import HistoryNeeds, ObjectNeed
from bailiwick_engine.history.state import parse_state
from bailiwick_webhook.history.handles import EntryHandle, entry_of
from bailiwick_webhook.history.ports import CountingRequest, ReportedOutcome, ReportResult
from bailiwick_webhook.metrics.table import HistoryCause
from support.histories import MINUTE, history, need
from support.keptobjects import KeptObjects, lost
from support.virtualtime import VirtualTime, virtual_time
from unit.webhook.history.world import CountingReplica

__all__ = ["virtual_time"]

CALLER: Final = "uid-of-the-enforcer"
NONCE: Final = 64 * "1"
BACKUPS: Final = history("backups", what="Succeeded")
QUICK: Final = history("quick", what="Succeeded", outcome_within=5 * MINUTE)
WITHIN: Final = 600
"""Seconds within which the outcome of a call is awaited, where nothing else is said."""


def other(need_of_it: ObjectNeed) -> ObjectNeed:
    """Return the same need of the object whose name comes next."""
    return replace(need_of_it, name="h-" + "1" * 40, key="sha256:" + "1" * 64)


class TwoObjectCall:
    """A call that two objects count by its outcome."""

    def __init__(self, time: VirtualTime, first: ObjectNeed, second: ObjectNeed) -> None:
        self.api = KeptObjects()
        self.replica = CountingReplica(self.api, time)
        self._needs = HistoryNeeds((first, second))

    async def ask(self, attempt: int = 0) -> EntryHandle | None:
        entry = entry_of(CALLER, NONCE, f"{attempt:08x}")
        made = await self.replica.keeper.reserve(
            CountingRequest("crm", "crm-api", self._needs, entry, lambda _: True, (BACKUPS, QUICK), nonce=NONCE)
        )
        return made.handle

    async def report(self, handle: EntryHandle) -> str | HistoryCause:
        made = await self.replica.keeper.settle(
            ReportedOutcome("crm", "crm-api", CALLER, handle, "succeeded", (BACKUPS, QUICK))
        )
        return made.result if isinstance(made, ReportResult) else made

    @property
    def counted(self) -> list[int]:
        """How many calls each object counts."""
        states = [parse_state(self.api.objects["crm", one.name]["spec"]) for one in self._needs.objects]
        return [
            sum(slot.count for line in state.lines.values() for slot in line.slots)
            for state in states
            if state is not None
        ]

    def lose_from_second(self, lost_method: str) -> None:
        """Lose every request from the second one of this method on."""
        seen: list[str] = []

        def before(method: str) -> None:
            seen.append(method)
            if seen.count(lost_method) > 1:
                lost()

        self.api.before = before

    def lose_nothing(self) -> None:
        self.api.before = lambda _: None


async def sent_again(time: VirtualTime) -> tuple[TwoObjectCall, EntryHandle]:
    """Return a call that the second object counts ten seconds later than the first, when it was sent again."""
    counting = TwoObjectCall(time, need(BACKUPS), other(need(BACKUPS)))
    # It is not taken out of the first one either.
    counting.lose_from_second("POST")
    assert await counting.ask() is None
    await asyncio.sleep(10)
    counting.lose_nothing()
    handle = await counting.ask(1)
    assert handle is not None
    return counting, handle


async def test_what_is_too_late_in_the_first_object_counts_in_none(virtual_time: VirtualTime) -> None:
    counting, handle = await sent_again(virtual_time)
    await asyncio.sleep(WITHIN - 5)
    for given in (handle, replace(handle, until=handle.until + MINUTE)):
        assert await counting.report(given) == "late"
    assert counting.counted == [0, 0]


async def test_a_report_that_got_half_way_in_time_is_completed(virtual_time: VirtualTime) -> None:
    counting, handle = await sent_again(virtual_time)
    await asyncio.sleep(WITHIN - 15)
    counting.lose_from_second("PUT")
    assert await counting.report(handle) is HistoryCause.API_SERVER
    assert counting.counted == [1, 0]
    counting.lose_nothing()
    await asyncio.sleep(10)
    assert await counting.report(handle) == "settled"
    assert counting.counted == [1, 1]


@pytest.mark.parametrize(("after", "result", "counted"), [(4, "settled", [1, 1]), (7, "late", [0, 0])])
async def test_the_shortest_time_is_that_of_all_objects(
    after: int, result: str, counted: list[int], virtual_time: VirtualTime
) -> None:
    counting = TwoObjectCall(virtual_time, need(BACKUPS), other(need(QUICK)))
    handle = await counting.ask()
    assert handle is not None
    await asyncio.sleep(after * 60)
    assert await counting.report(handle) == result
    assert counting.counted == counted
