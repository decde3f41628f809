"""Turns on the loop: one slice in each turn of the loop, each tenant in its turn."""

import asyncio

from bailiwick_webhook.pipeline.turns import LoopTurns


class Work:
    """Pieces of work, each of several slices. `done`: whose slices were done, in order."""

    def __init__(self) -> None:
        self.turns = LoopTurns()
        self.done: list[str] = []
        self.now = 0.0

    async def piece(self, tenant: str, name: str, slices: int = 1) -> None:
        mine = self.turns.slices(tenant, lambda: self.now)
        for _ in range(slices):
            await mine.turn()
            self.done.append(name)
            self.now += 1.0


async def test_each_tenant_has_its_turn_and_of_one_the_oldest_goes_first() -> None:
    work = Work()
    names = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2"), ("c", "c1")]
    await asyncio.gather(*(work.piece(tenant, name) for tenant, name in names))
    assert work.done == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_crowd_of_one_tenant_costs_another_one_slice_for_each_of_its_own() -> None:
    work = Work()
    crowd = [asyncio.create_task(work.piece("crowd", "crowd", 20)) for _ in range(50)]
    await asyncio.sleep(0)
    await work.piece("innocent", "innocent", 20)
    before = len(work.done)
    await asyncio.gather(*crowd)
    assert work.done[:before].count("innocent") == 20
    assert before <= 2 * 20 + 1


async def test_there_is_one_slice_in_each_turn_of_the_loop() -> None:
    work, most = Work(), 0
    crowd = [asyncio.create_task(work.piece(f"t{number}", "slice", 10)) for number in range(20)]
    while not all(one.done() for one in crowd):
        before = len(work.done)
        await asyncio.sleep(0)
        most = max(most, len(work.done) - before)
    assert (most, len(work.done)) == (1, 200)


async def test_who_goes_away_while_it_waits_keeps_no_turn_from_others() -> None:
    work = Work()
    gone = [asyncio.create_task(work.piece("a", "gone")) for _ in range(5)]
    staying = asyncio.create_task(work.piece("a", "staying"))
    await asyncio.sleep(0)
    for one in gone:
        one.cancel()
    await asyncio.wait_for(staying, 5)
    await asyncio.gather(*gone, return_exceptions=True)
    assert work.done == ["staying"]
    await asyncio.wait_for(work.piece("b", "later"), 5)


async def test_a_slice_goes_on_until_its_time_is_over() -> None:
    work = Work()
    mine = work.turns.slices("a", lambda: work.now)
    await mine.turn()
    assert not mine.over
    work.now += 0.0019
    assert not mine.over
    work.now += 0.0002
    assert mine.over
