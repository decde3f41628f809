"""What a decision leaves in memory: nothing that grows with the number of calls.

Holds: structs that the garbage collector does not look into stay for ever where they refer to themselves in a circle.
Nothing shows that but the objects that they hold, so those are counted, by their type.
"""

import asyncio
import gc
from collections import Counter

import pytest

from support.keptobjects import KeptObjects
from unit.webhook.pipeline.countingpoint import EXPORT, EXPORTS, CountingPoint, counting

CALLS = 60
DENIED = {
    "name": "refusals",
    "key": ["agent"],
    "window": "1h",
    "counts": {"actions": ["customers.purge"], "what": "Denied"},
}


def held_objects() -> Counter[str]:
    """Return how many objects of our own types there are, after the garbage collector was there."""
    gc.collect()
    names = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return Counter(name for name in names if name.startswith("bailiwick"))


@pytest.mark.parametrize(
    ("action", "dry_run", "answered"),
    [
        ("customers.list", False, {True}),
        ("customers.export", False, {True, False}),
        ("customers.export", True, {True}),
        ("customers.purge", False, {False}),
    ],
    ids=["uncounted", "counted, then denied", "a dry run", "counted as denied"],
)
async def test_calls_that_are_over_leave_no_objects(action: str, *, dry_run: bool, answered: set[bool]) -> None:
    point = CountingPoint(KeptObjects(seconds=0.0), counting(EXPORT, histories=(EXPORTS, DENIED)))

    async def ask_often(label: str) -> set[bool]:
        # All at once: calls that only read wait for each other's read of an object, a quarter of a second each.
        asked = (point.ask(action, f"{label}-{number}", dry_run=dry_run) for number in range(CALLS))
        return {decision.allowed for decision in await asyncio.gather(*asked)}

    decisions, before = await ask_often("first"), held_objects()
    decisions |= await ask_often("then")
    grown = {name: count for name, count in (held_objects() - before).items() if count >= CALLS // 2}
    # Of many dry runs at once some meet the ration of reads.
    assert answered <= decisions
    assert grown == {}
