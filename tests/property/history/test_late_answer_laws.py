"""What was decided a while ago is not let through by what was known then, whatever changes while it is on its way.

The oracle is the script of what happened, which knows neither policies nor decisions: it says when everything permitted
the calls. The time passes only while all wait, so that "a second ago" is exact.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings, strategies as st

from bailiwick_engine.batch import Semantic
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.revocations import NONE, Revocations, parse
from bailiwick_webhook.pipeline.lateanswers import LATE_SECONDS
from support.keptobjects import KeptObjects
from support.objects import AGENT, rule
from support.pdp import alone
from support.pdp.alone import KeptRecords, StaticStore
from support.revocations import manifest
from support.virtualtime import VirtualTime, virtual_time_of_loop
from unit.webhook.pipeline.countingpoint import EXPORT, CountingPoint, asked, counting

# As much as passes between two things that happen at one moment.
MOMENT: Final = 1e-3
END: Final = 12.0
LISTED, EXPORTED = "customers.list", "customers.export"
PERMITTING: Final = Snapshot.of([compile_object(counting())], "1")
DENYING: Final = Snapshot.of([compile_object(counting(EXPORT, rule("no", effect="Deny", actions=["*"])))], "2")
TAKEN_BACK: Final = Revocations()
TAKEN_BACK.put(parse(manifest(sub=AGENT, hold=True)))


@dataclass(frozen=True)
class Change:
    """From this time on, in seconds, this part of what is known permits the calls, or does not."""

    at: float
    part: str
    permits: bool

    def make(self, store: StaticStore) -> None:
        """Let the store know it."""
        match self.part:
            case "policies":
                store.snapshot = PERMITTING if self.permits else DENYING
            case "revocations":
                store.revocations = NONE if self.permits else TAKEN_BACK
            case _:
                store.freshness = Freshness.FRESH if self.permits else Freshness.DEAD


@dataclass(frozen=True)
class Arrival:
    """Calls that are asked at this time: one, or a batch."""

    at: float
    actions: tuple[str, ...]


@dataclass
class TimedRecords(KeptRecords):
    """Keeps with each record when it was written: its answer goes out then, or later with those of its batch."""

    clock: VirtualTime
    begun: float
    lines: list[bytes] = field(default_factory=list)
    written: list[tuple[float, bool]] = field(default_factory=list)

    def take(self, line: bytes) -> bool:
        self.written.append((self.clock.now - self.begun, json.loads(line)["decision"]))
        return True

    async def write(self, line: bytes, *, must: bool = True) -> None:
        self.take(line)


def permitted_lately(changes: Sequence[Change], moment: float) -> bool:
    """Tell whether everything permitted the calls at some moment of the second before this one."""
    begin = moment - LATE_SECONDS - MOMENT
    inside = (change.at for change in changes if begin <= change.at <= moment)
    return any(_permitted(changes, at) for at in (begin, *inside))


def _permitted(changes: Sequence[Change], moment: float) -> bool:
    known: dict[str, bool] = {}
    for change in sorted(changes, key=lambda change: change.at):
        if change.at <= moment:
            known[change.part] = change.permits
    return all(known.values())


async def answers(
    changes: Sequence[Change], calls: Sequence[Arrival], seconds: Sequence[float]
) -> list[tuple[float, bool]]:
    """Play the script; return of each record when it was written, and whether it lets the call through.

    `seconds`: how long the API server takes, request by request, over and over.
    """
    clock = virtual_time_of_loop()
    begun = clock.now
    records = TimedRecords(clock, begun)
    takes: Iterator[float] = cycle(seconds)
    api = KeptObjects(seconds=next(takes))

    def take_turn(_: str) -> None:
        api.seconds = next(takes)

    api.before = take_turn
    with patch.object(alone, "time", clock):
        point = CountingPoint(api, records=records, now=clock.monotonic)

        async def happen(change: Change) -> None:
            await asyncio.sleep(change.at)
            change.make(point.alone.store)

        async def ask(call: Arrival) -> None:
            await asyncio.sleep(call.at)
            if len(call.actions) == 1:
                await point.ask(call.actions[0])
            else:
                items = [asked(action, item=number) for number, action in enumerate(call.actions)]
                await point.pdp.evaluate_all(items, Semantic.EXECUTE_ALL)

        await asyncio.gather(*map(happen, changes), *map(ask, calls))
    return records.written


TIMES: Final = st.floats(0, END).map(lambda moment: round(moment, 1))
CHANGES: Final = st.lists(
    st.builds(Change, TIMES, st.sampled_from(["policies", "revocations", "freshness"]), st.booleans()),
    max_size=6,
    # Of two at one moment it would be chance which came last.
    unique_by=lambda change: (change.at, change.part),
)
CALLS: Final = st.lists(
    st.builds(Arrival, TIMES, st.lists(st.sampled_from([EXPORTED, LISTED]), min_size=1, max_size=3).map(tuple)),
    min_size=1,
    max_size=5,
)
SECONDS_EACH: Final = st.lists(st.sampled_from([0.01, 0.3, 0.9, 1.4, 3.0]), min_size=1, max_size=4)


@pytest.mark.invariant(32)
@settings(deadline=None)
@given(CHANGES, CALLS, SECONDS_EACH)
@example([Change(1.0, "policies", False)], [Arrival(0.0, (EXPORTED,))], [3.0])
@example([Change(1.0, "revocations", False)], [Arrival(0.0, (LISTED, EXPORTED, EXPORTED))], [3.0])
@example([Change(1.0, "freshness", False), Change(9.0, "freshness", True)], [Arrival(0.0, (EXPORTED,))], [3.0])
def test_no_call_is_let_through_by_what_was_known_more_than_a_second_ago(
    changes: list[Change], calls: list[Arrival], seconds: list[float]
) -> None:
    written = asyncio.run(answers(changes, calls, seconds))
    assert len(written) == sum(len(call.actions) for call in calls)
    late = [moment for moment, allowed in written if allowed and not permitted_lately(changes, moment)]
    assert late == []


def test_where_nothing_changes_every_call_is_let_through_however_long_it_takes() -> None:
    calls = [Arrival(number, (EXPORTED, LISTED)) for number in range(3)]
    written = asyncio.run(answers([], calls, [3.0, 0.01]))
    assert [allowed for _, allowed in written] == [True] * 6
