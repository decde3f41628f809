"""The line before the worker: whose review is next, and who has to come again."""

import asyncio
from typing import Final

import pytest

from bailiwick_webhook.admission.line import BusyError, Line, Share, share_of
from support.admission.reviews import sent
from support.objects import policy

API: Final = "10.0.0.1"
STRANGER: Final = "10.0.0.9"


class World:
    """A line, and who had the worker, one after the other, for how long each said."""

    def __init__(self, most: int = 16) -> None:
        self.line = Line(most)
        self.order: list[Share] = []
        self.tasks: list[asyncio.Task[None]] = []
        # Whoever has the worker keeps it until then.
        self.go = asyncio.Event()

    def review(self, namespace: str, seconds: float = 1.0, sender: str = API) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(self._review(Share(sender, namespace), seconds)))
        return self.tasks[-1]

    async def _review(self, share: Share, seconds: float) -> None:
        await self.line.turn(share)
        self.order.append(share)
        await self.go.wait()
        self.line.done(share, seconds)

    async def come(self) -> None:
        """Let all who were made come into the line."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def over(self) -> None:
        await self.come()
        self.go.set()
        await asyncio.gather(*self.tasks)

    @property
    def namespaces(self) -> list[str]:
        return [share.namespace for share in self.order]


async def test_whoever_is_alone_waits_for_nobody_and_one_sender_and_namespace_has_its_reviews_in_order() -> None:
    world = World()
    world.review("crm")
    for seconds in (3.0, 1.0, 2.0):
        world.review("crm", seconds)
    await world.over()
    assert world.namespaces == ["crm"] * 4


async def test_a_namespace_with_one_small_review_waits_for_one_of_each_other_and_not_for_all() -> None:
    world = World()
    for _ in range(6):
        world.review("greedy", 3.0)
    await world.come()
    world.review("quiet", 0.01)
    await world.over()
    assert world.namespaces.index("quiet") == 1


async def test_namespaces_have_the_worker_for_as_long_as_each_other() -> None:
    world = World(most=100)
    for _ in range(6):
        world.review("long", 3.0)
    for _ in range(18):
        world.review("short", 1.0)
    await world.over()
    first = world.namespaces[:12]
    assert abs(3 * first.count("long") - first.count("short")) <= 3


async def test_a_stranger_has_no_more_than_the_api_server_whatever_namespaces_it_names() -> None:
    world = World(most=100)
    for number in range(30):
        world.review(f"invented-{number}", 1.0, STRANGER)
    for number in range(10):
        world.review(f"team-{number}", 1.0)
    await world.over()
    assert sum(share.sender == API for share in world.order[:20]) in {9, 10}


async def test_where_there_is_no_place_left_one_of_those_goes_who_have_most() -> None:
    world = World(most=4)
    works = world.review("greedy", 1.0)
    waiting = [world.review("greedy", 1.0) for _ in range(4)]
    await world.come()
    quiet = world.review("quiet", 1.0)
    await world.come()
    world.go.set()
    await quiet
    told = await asyncio.gather(works, *waiting, return_exceptions=True)
    # Of those that wait it is the last that has to come again.
    assert [isinstance(one, BusyError) for one in told] == [False, False, False, False, True]


async def test_whoever_has_most_is_refused_itself() -> None:
    world = World(most=4)
    for _ in range(5):
        world.review("greedy", 1.0)
    await world.come()
    with pytest.raises(BusyError):
        await world.line.turn(Share(API, "greedy"))
    await world.over()


async def test_a_stranger_with_most_places_makes_one_for_the_api_server() -> None:
    world = World(most=4)
    strangers = [world.review(f"invented-{number}", 1.0, STRANGER) for number in range(5)]
    await world.come()
    crm = world.review("crm")
    await world.come()
    world.go.set()
    await crm
    told = await asyncio.gather(*strangers, return_exceptions=True)
    assert sum(isinstance(one, BusyError) for one in told) == 1


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "as it is given the turn"])
async def test_whoever_goes_away_leaves_the_line_to_the_others(late: bool) -> None:
    world = World()
    share = Share(API, "crm")
    await world.line.turn(share)
    goes = asyncio.create_task(world.line.turn(share))
    await world.come()
    stays = world.review("hr")
    await world.come()
    if late:
        world.line.done(share, 0.0)
        goes.cancel()
    else:
        goes.cancel()
        await world.come()
        world.line.done(share, 0.0)
    world.go.set()
    with pytest.raises(asyncio.CancelledError):
        await goes
    await asyncio.wait_for(stays, 1)
    await asyncio.wait_for(world.review("next"), 1)


async def test_whoever_comes_anew_begins_where_the_others_are() -> None:
    world = World(most=100)
    share = Share(API, "steady")
    await world.line.turn(share)
    others = [asyncio.create_task(world.line.turn(share)) for _ in range(5)]
    await world.come()
    for one in others:
        # For an hour nobody else is there.
        world.line.done(share, 600.0)
        await one
    for _ in range(6):
        world.review("late", 600.0)
        world.review("steady", 600.0)
    await world.come()
    world.line.done(share, 600.0)
    await world.over()
    # It does not catch up with what was done before it came.
    assert world.namespaces[:6].count("late") in {3, 4}


@pytest.mark.parametrize(
    ("raw", "namespace"),
    [
        (sent(policy("crm")), "crm"),
        (b"", ""),
        (b"no JSON", ""),
        (b'{"namespace": 7}', ""),
        (b'{"a": "' + b"x" * 5000 + b'", "namespace": "crm"}', ""),
    ],
    ids=["a review", "nothing", "no JSON", "a number", "too far behind"],
)
def test_the_namespace_is_read_from_the_first_bytes_or_is_that_of_nobody(raw: bytes, namespace: str) -> None:
    assert share_of(API, raw) == Share(API, namespace)
