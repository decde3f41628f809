"""Asking round after round: about what is pending, all at once, and about nothing when nothing is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.kube import RefusedError
from bailiwick_operator.programmed import poller
from bailiwick_operator.programmed.poller import ProgrammedPoller
from bailiwick_operator.programmed.replicas import Replica
from bailiwick_operator.reconcile.programmed import Generation, Reply, ServedGeneration
from support.virtualtime import VirtualTime, virtual_time

__all__ = ["virtual_time"]


class Bench:
    """Processes, what each serves, and everything that they were asked and that was told."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.serves: dict[str, set[Generation]] = {name: set() for name in names}
        self.failure: Exception | None = None
        self.rounds: list[list[Generation]] = []
        self.requests = 0
        self.told: list[str] = []
        self.asked: Callable[[], object] = lambda: None
        self.programming: ProgrammedPoller[str] = ProgrammedPoller(self, self, self.told.append)  # type: ignore[arg-type]  # it asks

    async def find(self) -> tuple[Replica, ...]:
        if self.failure is not None:
            raise self.failure
        self.rounds.append([])
        return tuple(Replica(name, f"http://{name}") for name in self.names)

    async def ask(self, replica: Replica, asked: Collection[Generation]) -> Reply:
        self.requests += 1
        self.asked()
        self.rounds[-1] = list(asked)
        await asyncio.sleep(0)
        return Reply(replica.name, ready=True, served=frozenset(self.serves[replica.name]) & frozenset(asked))

    def everywhere(self, uid: str, generation: int) -> None:
        for served in self.serves.values():
            served.add((uid, generation))


async def test_one_request_to_each_asks_about_everything_that_is_pending() -> None:
    bench = Bench("x", "y")
    for number in range(100):
        bench.programming.want(f"p{number}", 1, "endpoint")
    await bench.programming.look()
    assert (bench.requests, len(bench.rounds[0])) == (2, 100)


async def test_whoever_waits_is_told_only_when_something_is_other_than_it_was() -> None:
    bench = Bench("x", "y")
    bench.programming.want("a", 4, "of a")
    assert bench.programming.serving("a", 4) is None
    changes: tuple[Callable[[], object], ...] = (
        lambda: None,
        lambda: None,
        lambda: bench.serves["x"].add(("a", 4)),
        lambda: bench.everywhere("a", 4),
    )
    seen = []
    for change in changes:
        change()
        seen.append((await bench.programming.look(), bench.programming.serving("a", 4)))
    assert seen == [
        (True, ServedGeneration(2, 0)),
        (False, ServedGeneration(2, 0)),
        (True, ServedGeneration(2, 1)),
        (True, ServedGeneration(2, 2)),
    ]
    assert bench.told == ["of a"] * 3


async def test_what_is_served_everywhere_is_not_asked_about_again_and_stays_known_until_it_is_forgotten() -> None:
    bench = Bench("x")
    bench.everywhere("a", 1)
    bench.programming.want("a", 1, "of a")
    await bench.programming.look()
    bench.serves["x"].clear()
    bench.programming.want("a", 1, "of a")
    await bench.programming.look()
    assert (bench.programming.serving("a", 1), bench.rounds[-1]) == (ServedGeneration(1, 1), [])
    bench.programming.forget("a")
    assert bench.programming.serving("a", 1) is None


async def test_an_edit_is_asked_about_anew_and_an_answer_about_what_it_was_does_not_count() -> None:
    bench = Bench("x")
    bench.everywhere("a", 1)
    bench.programming.want("a", 1, "of a")
    looking = asyncio.create_task(bench.programming.look())
    await asyncio.sleep(0)
    bench.programming.want("a", 2, "of a")
    await looking
    assert (bench.programming.serving("a", 2), bench.programming.serving("a", 1), bench.told) == (None, None, [])
    await bench.programming.look()
    assert (bench.programming.serving("a", 2), bench.rounds[-1]) == (ServedGeneration(1, 0), [("a", 2)])


async def test_what_is_gone_while_it_is_asked_about_is_told_to_nobody() -> None:
    bench = Bench("x")
    bench.programming.want("a", 1, "of a")
    looking = asyncio.create_task(bench.programming.look())
    await asyncio.sleep(0)
    bench.programming.forget("a")
    await looking
    assert (bench.told, bench.programming.serving("a", 1)) == ([], None)


async def test_where_nobody_is_there_a_new_policy_need_not_wait_to_be_told_so() -> None:
    bench = Bench()
    await bench.programming.look()
    assert bench.programming.serving("new", 1) == ServedGeneration(0, 0)


async def test_where_they_cannot_be_listed_it_is_said_why() -> None:
    bench = Bench("x")
    bench.programming.want("a", 1, "of a")
    bench.failure = RefusedError("endpointslices is forbidden")
    await bench.programming.look()
    assert bench.programming.serving("a", 1) == ServedGeneration(0, 0, ("(endpointslices is forbidden)",))


async def test_an_api_server_that_is_away_changes_nothing() -> None:
    bench = Bench("x")
    bench.programming.want("a", 1, "of a")
    await bench.programming.look()
    bench.failure = UnreachableError("away")
    assert not await bench.programming.look()
    assert bench.programming.serving("a", 1) == ServedGeneration(1, 0)


async def test_more_than_a_process_takes_are_asked_about_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "_MOST", 2)
    bench = Bench("x")
    for uid in "abc":
        bench.programming.want(uid, 1, uid)
    for _ in range(3):
        await bench.programming.look()
    assert [[uid for uid, _ in asked] for asked in bench.rounds] == [["a", "b"], ["c", "a"], ["b", "c"]]


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    task = asyncio.create_task(bench.programming.run())
    yield
    assert not task.done(), task.exception()
    task.cancel()


@pytest.mark.usefixtures("virtual_time")
async def test_nobody_is_asked_while_nothing_is_pending() -> None:
    bench = Bench("x")
    async with running(bench):
        await asyncio.sleep(60)
        assert bench.rounds == []
        bench.everywhere("a", 1)
        bench.programming.want("a", 1, "of a")
        await asyncio.sleep(60)
        assert (bench.told, len(bench.rounds)) == (["of a"], 1)


async def test_it_is_asked_again_later_and_later_while_nothing_changes(virtual_time: VirtualTime) -> None:
    bench = Bench("x")
    at: list[float] = []
    bench.asked = lambda: at.append(virtual_time.now)
    async with running(bench):
        bench.programming.want("a", 1, "of a")
        await asyncio.sleep(60)
        pauses = [round(after - before, 3) for before, after in pairwise(at)]
        assert pauses == sorted(pauses)
        assert pauses[-1] > 4 * pauses[0]
        rounds = len(bench.rounds)
        bench.programming.want("b", 1, "of b")
        await asyncio.sleep(1)
        assert len(bench.rounds) > rounds
