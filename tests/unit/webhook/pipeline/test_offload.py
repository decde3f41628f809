"""Work beside the loop: one piece at a time, each tenant in its turn."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from bailiwick_webhook.pipeline.offload import Offload


class Gate:
    """Work that ends when it is told to, and says when it began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ends = threading.Semaphore(0)

    def of(self, name: str) -> Callable[[], str]:
        def work() -> str:
            self.began.append(name)
            assert self.ends.acquire(timeout=10)
            return name

        return work


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_each_tenant_has_its_turn_and_of_one_the_oldest_goes_first() -> None:
    offload, gate = Offload(), Gate()
    names = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2"), ("c", "c1")]
    tasks = []
    for tenant, name in names:
        tasks.append(asyncio.create_task(offload.run(tenant, gate.of(name))))
        await settled()
    gate.ends.release(len(names))
    assert await asyncio.gather(*tasks) == [name for _, name in names]
    # The first had begun when all the others came.
    assert gate.began == ["a1", "a2", "b1", "c1", "a3", "b2"]
    offload.close()


async def test_never_more_than_one_piece_is_done_at_a_time() -> None:
    offload, most, now = Offload(), 0, 0

    def work() -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        threading.Event().wait(0.002)
        now -= 1

    await asyncio.gather(*(offload.run(f"t{number % 3}", work) for number in range(30)))
    assert most == 1
    offload.close()


async def test_what_it_raises_is_raised_where_it_was_asked_for_and_others_go_on() -> None:
    offload = Offload()

    def broken() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        await offload.run("a", broken)
    assert await offload.run("a", lambda: 1) == 1
    offload.close()


@pytest.mark.parametrize("when", ["while it waits", "at its turn", "while it is done"])
async def test_whoever_goes_away_keeps_nobody_from_their_turn(when: str) -> None:
    offload, gate = Offload(), Gate()
    first = asyncio.create_task(offload.run("a", gate.of("first")))
    await settled()
    leaving = asyncio.create_task(offload.run("a", gate.of("leaving")))
    last = asyncio.create_task(offload.run("b", gate.of("last")))
    await settled()
    match when:
        case "while it waits":
            leaving.cancel()
        case "at its turn":
            gate.ends.release()
            await first
            leaving.cancel()
        case _:
            first.cancel()
    gate.ends.release(4)
    assert await asyncio.wait_for(last, 10) == "last"
    assert await asyncio.wait_for(offload.run("c", gate.of("more")), 10) == "more"
    await asyncio.gather(first, leaving, return_exceptions=True)
    offload.close()


async def test_where_no_thread_can_be_started_whoever_comes_next_may_try(monkeypatch: pytest.MonkeyPatch) -> None:
    offload, done = Offload(), list[str]()

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="new thread"):
            await offload.run("a", lambda: done.append("in vain"))
    async with asyncio.timeout(5):
        await offload.run("a", lambda: done.append("next"))
    assert done == ["next"]
    offload.close()
