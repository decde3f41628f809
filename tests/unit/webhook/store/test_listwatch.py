"""List and watch: what one failure after another does, told by an API server that says what a test wants."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest

from bailiwick_kube.lists import ListPage
from bailiwick_webhook.cluster.client import POLICIES, ClusterUnavailableError, Collection, HistoryGoneError
from bailiwick_webhook.store.listwatch import SILENCE, Key, ListWatch
from bailiwick_webhook.store.pulse import BEAT, Pulse

Event = tuple[str, dict[str, Any]]
Objects = dict[Key, dict[str, Any]]


def obj(name: str, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"namespace": "crm", "name": name, "resourceVersion": f"{version}"}}


class Server:
    """Lists what `objects` holds, `later` from the second time on; answers each watch with the next of `watches`."""

    def __init__(self, *watches: list[Event] | Exception) -> None:
        self.objects = [obj("a")]
        self.later = self.objects
        self.watches = list(watches)
        self.listed = 0
        self.resumed: list[str] = []
        self.cut = False

    async def pages(self, collection: Collection) -> AsyncIterator[ListPage]:
        self.listed += 1
        found, self.objects = self.objects, self.later
        for item in found:
            yield ListPage([item], f"{100 * self.listed}")
            if self.cut:
                self.cut = False
                raise HistoryGoneError("410 between pages")

    async def watch(
        self, collection: Collection, resource_version: str, *, silence: float, seconds: int
    ) -> AsyncIterator[Event]:
        self.resumed.append(resource_version)
        if not self.watches:
            await asyncio.sleep(3600)
        told = self.watches.pop(0)
        if isinstance(told, Exception):
            raise told
        for event in told:
            yield event


class Kept:
    """A sink; `fails` says when it raises."""

    def __init__(self, fails: Callable[[Objects], bool] = lambda objects: False) -> None:
        self.objects: Objects = {}
        self.replaced = 0
        self.fails = fails

    def listing(self) -> "Half":
        return Half(self)

    def replace(self, objects: Objects) -> None:
        if self.fails(objects):
            raise AttributeError("the sink has a defect")
        self.objects = dict(objects)
        self.replaced += 1

    def apply(self, kind: str, key: Key, found: dict[str, Any]) -> None:
        if self.fails({key: found}):
            raise AttributeError("the sink has a defect")
        self.objects.pop(key, None)
        if kind != "DELETED":
            self.objects[key] = found

    @property
    def names(self) -> set[str]:
        return {name for _, name in self.objects}


class Half:
    """A list on its way to a sink."""

    def __init__(self, sink: Kept) -> None:
        self.sink = sink
        self.objects: Objects = {}

    def take(self, key: Key, found: dict[str, Any]) -> None:
        self.objects[key] = found

    def finish(self) -> None:
        self.sink.replace(self.objects)


PAUSES: Final[list[float]] = []


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No pause takes time, and the next failure can be seen; how long each would have been is kept."""
    PAUSES.clear()
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        if 0 < seconds < 3600:
            PAUSES.append(seconds)
            seconds = 0
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    return PAUSES


async def run(server: Server, sink: Kept, *, clock: Callable[[], float] = lambda: 0.0, turns: int = 300) -> ListWatch:
    """Run until nothing more happens."""
    watching = ListWatch(server, POLICIES, sink, relist_interval=720, pulse=Pulse(clock))  # type: ignore[arg-type]  # a server of ours
    task = asyncio.create_task(watching.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    assert not task.done(), task.exception()
    task.cancel()
    return watching


async def test_events_are_applied_and_a_revision_never_names_what_was_not() -> None:
    sink = Kept()
    server = Server([("ADDED", obj("b", 101)), ("DELETED", obj("a", 102)), ("BOOKMARK", obj("", 110))])
    watching = await run(server, sink)
    assert (sink.names, watching.resource_version) == ({"b"}, "110")
    assert server.resumed == ["100", "110"]


@pytest.mark.parametrize("failure", [HistoryGoneError("410"), ClusterUnavailableError("cut"), RuntimeError("defect")])
async def test_after_a_failure_the_list_replaces_everything_and_ghosts_are_counted(failure: Exception) -> None:
    sink = Kept()
    server = Server([("ADDED", obj("b", 101))], failure)
    server.objects, server.later = [obj("a"), obj("c")], [obj("c")]
    watching = await run(server, sink)
    assert (sink.names, watching.ghosts, server.listed) == ({"c"}, 2, 2)


async def test_a_list_that_breaks_off_between_pages_changes_nothing_and_is_begun_anew() -> None:
    sink = Kept()
    server = Server()
    server.cut = True
    server.objects, server.later = [obj("gone"), obj("b")], [obj("b"), obj("c")]
    watching = await run(server, sink)
    assert (sink.names, sink.replaced, server.listed, watching.ghosts) == ({"b", "c"}, 1, 2, 0)


async def test_a_sink_that_raises_on_one_event_gets_the_whole_list_next() -> None:
    sink = Kept(lambda objects: ("crm", "poison") in objects)
    server = Server([("ADDED", obj("poison", 101)), ("ADDED", obj("never", 102))])
    server.objects = server.later = [obj("a"), obj("b")]
    await run(server, sink)
    assert (sink.names, server.listed) == ({"a", "b"}, 2)


async def test_a_sink_that_always_raises_lets_the_store_grow_old_and_ends_nothing() -> None:
    ticking = [0.0]

    def clock() -> float:
        ticking[0] += 1
        return ticking[0]

    watching = await run(Server(), Kept(lambda objects: True), clock=clock, turns=6)
    assert (watching.synced, watching.age) == (False, float("inf"))


@pytest.mark.parametrize("failure", [HistoryGoneError("410"), ClusterUnavailableError("429"), RuntimeError("defect")])
async def test_pauses_grow_while_watches_fail_though_lists_succeed(failure: Exception) -> None:
    await run(Server(*[failure] * 8), Kept())
    assert PAUSES == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0]


async def test_watches_that_end_at_once_are_not_asked_for_in_a_storm() -> None:
    await run(Server(*[list[Event]()] * 5), Kept())
    assert PAUSES == [0.2, 0.4, 0.8, 1.6, 3.2]


async def test_the_first_word_of_a_watch_ends_the_growing() -> None:
    cut = ClusterUnavailableError("cut")
    await run(Server(cut, cut, [("BOOKMARK", obj("", 300))], cut), Kept())
    assert PAUSES == [0.2, 0.4, 0.2, 0.4]


async def test_the_age_is_that_of_the_last_word_that_was_taken_up() -> None:
    now = [0.0]
    watching = ListWatch(Server(), POLICIES, Kept(), relist_interval=720, pulse=Pulse(lambda: now[0]))  # type: ignore[arg-type]  # a server of ours
    assert watching.age == float("inf")
    task = asyncio.create_task(watching.run())
    for _ in range(5):
        await asyncio.sleep(0)
    assert watching.synced
    now[0] = 7.0
    assert watching.age == 7.0
    task.cancel()


@pytest.mark.parametrize("where", ["before the first page", "between the pages", "while the last is taken up"])
async def test_a_list_is_as_old_as_the_moment_before_it_was_asked_for(where: str) -> None:
    now = [0.0]

    class SlowServer(Server):
        async def pages(self, collection: Collection) -> AsyncIterator[ListPage]:
            now[0] += 600 if where == "before the first page" else 0
            yield ListPage([obj("a")], "100")
            now[0] += 600 if where == "between the pages" else 0
            yield ListPage([obj("b")], "100")
            now[0] += 600 if where == "while the last is taken up" else 0

    watching = await run(SlowServer(), Kept(), clock=lambda: now[0], turns=20)
    assert (watching.synced, watching.age) == (True, 600)


BOOKMARK: Final = ("BOOKMARK", obj("", 110))
CHANGE: Final = ("ADDED", obj("b", 105))


@pytest.mark.parametrize(
    ("stopped", "events", "age", "listed"),
    [
        # The beat a second before the last one counts.
        (0.0, [BOOKMARK], 1.25, 1),
        (0.0, [BOOKMARK, CHANGE], 1.25, 1),
        # Of what happened before the watch, more may follow.
        (0.0, [CHANGE], 2.0, 1),
        # Too short to differ from a slow turn: a beat before it counts.
        (4.0, [BOOKMARK], 5.0, 1),
        # All that lay there is taken in, and counts for nothing.
        (600.0, [BOOKMARK], 601.0, 1),
        (600.0, [CHANGE, BOOKMARK], 601.0, 1),
        # With what comes later it is listed again.
        (600.0, [CHANGE, None, BOOKMARK], 0.0, 2),
    ],
)
async def test_what_a_watch_tells_is_as_old_as_it_can_have_waited(
    stopped: float, events: list[Event | None], age: float, listed: int
) -> None:
    now, pulse = [0.0], list[Pulse]()

    def beat(seconds: float) -> None:
        now[0] += seconds
        pulse[0].beat()

    class LateServer(Server):
        async def watch(self, *asked: object, **how: object) -> AsyncIterator[Event]:
            if self.spoke:
                await asyncio.sleep(3600)
            self.spoke = True
            for _ in range(8 if not stopped else 4):
                beat(BEAT)
            if stopped:
                beat(stopped)
            for event in events:
                if event is not None:
                    yield event
                    continue
                for _ in range(8):
                    beat(BEAT)
            await asyncio.sleep(3600)

        spoke = False

    server, sink = LateServer(), Kept()
    pulse.append(Pulse(lambda: now[0]))
    watching = ListWatch(server, POLICIES, sink, relist_interval=720, pulse=pulse[0])  # type: ignore[arg-type]  # a server of ours
    task = asyncio.create_task(watching.run())
    for _ in range(30):
        await asyncio.sleep(0)
    task.cancel()
    assert (watching.age, server.listed) == (age, listed)
    assert ("b" in sink.names) is (CHANGE in events and listed == 1)


async def test_a_watch_without_bookmarks_is_not_believed_for_long() -> None:
    now, pulse = [0.0], list[Pulse]()

    class OldServer(Server):
        async def watch(self, *asked: object, **how: object) -> AsyncIterator[Event]:
            for number in range(60):
                for _ in range(8):
                    now[0] += BEAT
                    pulse[0].beat()
                yield "MODIFIED", obj("a", 101 + number)
            await asyncio.sleep(3600)

    server = OldServer()
    pulse.append(Pulse(lambda: now[0]))
    watching = ListWatch(server, POLICIES, Kept(), relist_interval=720, pulse=pulse[0])  # type: ignore[arg-type]  # a server of ours
    task = asyncio.create_task(watching.run())
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    assert server.listed > 1
    assert watching.age <= SILENCE + 4
