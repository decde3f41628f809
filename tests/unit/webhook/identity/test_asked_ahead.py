"""A token in use is asked about again before the last answer is too old, so that no call waits for the API server."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from bailiwick_webhook.identity.tokens import AHEAD, FRESH
from unit.webhook.identity.world import AGENT, NOW, World, account_token, reason_of

TOKEN: Final = account_token(exp=int(NOW) + 3600)
LATE: Final = FRESH - AHEAD / 2


async def ask(world: World, token: str = TOKEN) -> str | None:
    """Return why the account of a token is refused; None: it is confirmed. It must not wait for long."""
    return reason_of(await asyncio.wait_for(world.verify(token, kind="serviceAccount", name=AGENT), 1))


async def settled() -> None:
    """Let what was begun come to its end."""
    for _ in range(5):
        await asyncio.sleep(0)


async def used(folder: Path, seconds: float = LATE) -> World:
    """Return a world in which a token was confirmed so long ago."""
    world = World(folder)
    assert await ask(world) is None
    world.pass_seconds(seconds)
    return world


@pytest.mark.parametrize(("seconds", "questions"), [(0, 1), (FRESH - AHEAD, 1), (LATE, 2), (FRESH, 2)])
async def test_only_the_last_seconds_of_an_answer_ask_again(tmp_path: Path, seconds: float, questions: int) -> None:
    world = await used(tmp_path, seconds)
    assert await ask(world) is None
    await settled()
    assert len(world.cluster.reviewed) == questions


async def test_many_calls_ask_once_and_later_ones_have_the_new_answer(tmp_path: Path) -> None:
    world = await used(tmp_path)
    assert [await ask(world) for _ in range(20)] == [None] * 20
    await settled()
    world.pass_seconds(AHEAD)
    # The first answer is too old by now, and the second is not.
    assert await ask(world) is None
    assert len(world.cluster.reviewed) == 2


async def test_an_account_that_is_gone_is_refused_with_the_new_answer(tmp_path: Path) -> None:
    world = await used(tmp_path)
    world.cluster.gone.add("agent-uid")
    assert await ask(world) is None
    await settled()
    assert await ask(world) == "identity_invalid"


async def test_no_call_waits_while_the_last_answer_counts_and_then_all_wait_for_one_question(tmp_path: Path) -> None:
    world = await used(tmp_path)
    world.cluster.hangs = asyncio.Event()
    assert [await ask(world) for _ in range(3)] == [None] * 3
    world.pass_seconds(FRESH)
    waiting = [asyncio.create_task(world.verify(TOKEN, kind="serviceAccount", name=AGENT)) for _ in range(3)]
    await settled()
    assert not any(one.done() for one in waiting)
    world.cluster.hangs.set()
    parties = await asyncio.gather(*waiting)
    assert [(reason_of(one), one.live) for one in parties] == [(None, False)] * 3
    assert len(world.cluster.reviewed) == 2


async def test_an_answer_is_as_old_as_its_question(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.cluster.takes = FRESH - AHEAD / 2
    assert await ask(world) is None
    world.pass_seconds(AHEAD)
    assert await ask(world) is None
    assert len(world.cluster.reviewed) == 2


class TestWhatIsNotAskedAhead:
    async def test_a_token_that_was_refused(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.cluster.gone.add("agent-uid")
        await ask(world)
        world.pass_seconds(LATE)
        assert await ask(world) == "identity_invalid"
        await settled()
        assert len(world.cluster.reviewed) == 1

    async def test_a_token_that_has_expired(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        token = account_token(exp=int(NOW) + 5)
        assert await ask(world, token) is None
        world.pass_seconds(LATE)
        assert await ask(world, token) == "identity_invalid"
        await settled()
        assert len(world.cluster.reviewed) == 1

    async def test_any_token_after_a_question_that_came_to_nothing(self, tmp_path: Path) -> None:
        world = await used(tmp_path)
        world.cluster.down = True
        assert await ask(world) is None
        await settled()
        world.cluster.down = False
        assert [await ask(world) for _ in range(5)] == [None] * 5
        await settled()
        # An outage is not filled with questions: the next is asked once the answer is too old.
        assert len(world.cluster.reviewed) == 1
        world.pass_seconds(FRESH)
        assert await ask(world) is None
        assert len(world.cluster.reviewed) == 2
