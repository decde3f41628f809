"""However late a process is: what the API server had changed by the moment that a view counts from, is in it."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import pytest
from hypothesis import example, given, settings, strategies as st

from bailiwick_kube.lists import ListPage
from bailiwick_webhook.cluster.client import POLICIES, ClusterUnavailableError, Collection
from bailiwick_webhook.store.listwatch import SILENCE, ListWatch
from bailiwick_webhook.store.pulse import BEAT, LONGEST, Pulse
from support.objects import Object

PAGES: Final = 2
TURNS: Final = 12
Step = tuple[str, float]

steps = st.one_of(
    # Twice as likely as all that a view grows old by.
    *[st.sampled_from([("change", 0.0), ("bookmark", 0.0), ("page", 0.0)])] * 2,
    st.sampled_from([("read", 0.0), ("end", 0.0), ("cut", 0.0), ("mend", 0.0)]),
    st.sampled_from([BEAT, 1.0, 3.0, SILENCE + 1]).map(lambda seconds: ("pass", seconds)),
    st.sampled_from([0.1, LONGEST - 0.1, LONGEST + 1, 60.0, 1_000.0]).map(lambda seconds: ("stop", seconds)),
)
LISTED: Final[list[Step]] = [("page", 0.0)] * PAGES
ABREAST: Final[list[Step]] = [*LISTED, ("pass", 1.0), ("bookmark", 0.0), ("pass", 3.0)]


def obj(name: str, version: int) -> Object:
    return {"metadata": {"name": name, "resourceVersion": f"{version}"}}


class Stream:
    """A watch: what has arrived with when, what of it the loop has taken in, and how it goes on."""

    def __init__(self) -> None:
        self.arrived: deque[tuple[float, str, Object]] = deque()
        self.taken: deque[tuple[str, Object]] = deque()
        self.roused = asyncio.Event()
        # How much of what has arrived was before the watch.
        self.before = 0
        self.ended = self.cut = False


class World:
    """An API server, the way from it, and a process that runs while the time passes and not while it is stopped."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.pulse = Pulse(lambda: self.now)
        self.changed: list[float] = []
        self.known = self.listed = 0
        self.stopped = float("-inf")
        self.away = False
        self.stream = Stream()
        self.page = asyncio.Event()
        self.watching = ListWatch(self, POLICIES, self, relist_interval=720, pulse=self.pulse)  # type: ignore[arg-type]  # a server of ours

    # As the list-watch asks it.

    async def pages(self, _: Collection) -> AsyncIterator[ListPage]:
        for number in range(PAGES):
            self.page.clear()
            await self.page.wait()
            if self.away:
                raise ClusterUnavailableError("cut off")
            if number == 0:
                self.listed = len(self.changed)
            yield ListPage([obj(f"{number}", self.listed)], f"{self.listed}")

    async def watch(self, _: Collection, version: str, **__: object) -> AsyncGenerator[tuple[str, Object]]:
        if self.away:
            raise ClusterUnavailableError("cut off")
        stream = self.stream = Stream()
        for number in range(int(version), len(self.changed)):
            stream.arrived.append((self.now, "MODIFIED", obj("x", number + 1)))
            stream.before += 1
        while True:
            while stream.taken:
                yield stream.taken.popleft()
            if not stream.arrived and stream.cut:
                raise ClusterUnavailableError("cut off")
            if not stream.arrived and stream.ended:
                return
            stream.roused.clear()
            await stream.roused.wait()

    # As the sink.

    def listing(self) -> "World":
        return self

    def take(self, key: object, found: object) -> None: ...

    def finish(self) -> None:
        self.known = self.listed

    def apply(self, kind: str, key: object, found: Object) -> None:
        assert kind == "MODIFIED"
        self.known = int(found["metadata"]["resourceVersion"])

    # As the script has it.

    def look(self) -> None:
        """Take in what has arrived; of what was before the watch, and of what lay there over a stop, a piece."""
        stream = self.stream
        much = bool(stream.arrived) and (stream.before > 0 or stream.arrived[0][0] < self.stopped)
        for _ in range(1 if much else len(stream.arrived)):
            stream.taken.append(stream.arrived.popleft()[1:])
            stream.before -= 1
        stream.roused.set()

    async def settle(self) -> None:
        """Let the process do what it can, and hold the law."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
            unknown = self.changed[self.known :]
            assert not unknown or self.watching.heard <= unknown[0]
            assert self.watching.heard <= self.now

    async def step(self, what: str, seconds: float) -> None:
        """Do one thing."""
        match what:
            case "stop":
                self.now += seconds
                if seconds > LONGEST:
                    self.stopped = self.now
            case "pass":
                for _ in range(int(seconds / BEAT)):
                    self.now += BEAT
                    self.look()
                    self.pulse.beat()
                    await self.settle()
            case "read":
                self.look()
            case "page":
                self.page.set()
            case "mend":
                self.away = False
            case "cut":
                self.away = self.stream.cut = True
            case "end":
                self.stream.ended = True
            case _:
                self._send(what)
        await self.settle()

    def _send(self, what: str) -> None:
        if what == "change":
            self.changed.append(self.now)
        if not (self.stream.cut or self.stream.ended):
            kind, name = ("MODIFIED", "x") if what == "change" else ("BOOKMARK", "")
            self.stream.arrived.append((self.now, kind, obj(name, len(self.changed))))


async def play(script: list[Step]) -> None:
    world = World()
    task = asyncio.create_task(world.watching.run())
    await world.settle()
    for step in script:
        await world.step(*step)
    task.cancel()


@given(st.lists(steps, max_size=40).map(lambda rest: [*LISTED, *rest]))
# A list that the process was stopped over.
@example([("page", 0.0), ("change", 0.0), ("stop", 600.0), ("page", 0.0)])
# The first of two that were before the watch.
@example([("page", 0.0), *[("change", 0.0)] * 2, ("stop", 1.0), ("page", 0.0), ("read", 0.0), *[("pass", 3.0)] * 2])
@example([*ABREAST, ("end", 0.0), *[("change", 0.0)] * 9, ("pass", 3.0)])
# What was said before a stop that does not count as one.
@example([*ABREAST, ("bookmark", 0.0), ("cut", 0.0), ("change", 0.0), ("stop", LONGEST - 0.5), ("pass", BEAT)])
# What lay there over a stop, piece by piece.
@example([*ABREAST, *[("change", 0.0)] * 9, ("stop", 60.0), ("read", 0.0), ("pass", 3.0)])
@settings(deadline=None)
def test_every_change_before_the_moment_that_a_view_counts_from_is_in_it(script: list[Step]) -> None:
    with pytest.MonkeyPatch.context() as patching:
        sleep = asyncio.sleep
        patching.setattr(asyncio, "sleep", lambda _: sleep(0))
        patching.setattr(random, "uniform", lambda _, high: high)
        asyncio.run(play(script))
