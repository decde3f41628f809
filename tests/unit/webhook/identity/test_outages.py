"""While the API server does not answer, only what it said before counts, and only for so long."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from bailiwick_webhook.identity.tokens import FRESH
from unit.webhook.identity.world import AGENT, MAX_STALENESS, NOW, OTHER, World, account_token, reason_of

TOKEN: Final = account_token()
LONG: Final = account_token(exp=int(NOW) + 3600)
UNVERIFIABLE: Final = "identity_unverifiable"


@pytest.mark.parametrize(
    ("before", "seconds", "reason", "live"),
    [
        # What was asked before the outage, how long ago, what comes of it, and whether a grant could be used.
        ("nothing", 0, UNVERIFIABLE, True),
        ("confirmed", 0, None, True),
        ("confirmed", FRESH, None, True),
        ("confirmed", FRESH + 1, None, False),
        ("confirmed", MAX_STALENESS, None, False),
        ("confirmed", MAX_STALENESS + 1, UNVERIFIABLE, True),
        ("refused", 0, "identity_invalid", True),
        ("refused", FRESH + 1, "identity_invalid", True),
        ("refused", MAX_STALENESS + 1, UNVERIFIABLE, True),
    ],
)
async def test_in_an_outage(tmp_path: Path, before: str, seconds: float, reason: str | None, live: bool) -> None:
    world = World(tmp_path)
    if before == "refused":
        world.cluster.gone.add("agent-uid")
    if before != "nothing":
        await world.verify(LONG, kind="serviceAccount", name=AGENT)
    world.cluster.down = True
    world.pass_seconds(seconds)
    parties = await world.verify(LONG, kind="serviceAccount", name=AGENT)
    assert (reason_of(parties), parties.live) == (reason, live)


class TestAnApiServerThatHangs:
    """It takes seconds to find out; the first call does."""

    async def begun(self, folder: Path) -> World:
        """Return a world in which the first question came to nothing."""
        world = World(folder)
        await world.verify(LONG, kind="serviceAccount", name=AGENT)
        world.pass_seconds(FRESH + 1)
        world.cluster.hangs = asyncio.Event()
        first = asyncio.create_task(world.verify(LONG, kind="serviceAccount", name=AGENT))
        await asyncio.sleep(0.01)
        assert not first.done()
        world.cluster.hangs.set()
        assert not (await first).live
        world.cluster.hangs = asyncio.Event()
        return world

    async def test_keeps_nobody_waiting_who_was_confirmed_before(self, tmp_path: Path) -> None:
        world = await self.begun(tmp_path)
        for _ in range(3):
            parties = await asyncio.wait_for(world.verify(LONG, kind="serviceAccount", name=AGENT), 5)
            assert (reason_of(parties), parties.live) == (None, False)
        await asyncio.sleep(0.01)
        # Once at the start, once in vain, and the one question that is still open.
        assert len(world.cluster.reviewed) == 3

    async def test_lets_nobody_in_after_the_longest_outage_and_says_so_at_once(self, tmp_path: Path) -> None:
        world = await self.begun(tmp_path)
        world.pass_seconds(MAX_STALENESS)
        parties = await asyncio.wait_for(world.verify(LONG, kind="serviceAccount", name=AGENT), 5)
        assert reason_of(parties) == UNVERIFIABLE

    async def test_is_waited_for_by_who_was_never_confirmed(self, tmp_path: Path) -> None:
        world = await self.begun(tmp_path)
        other = asyncio.create_task(world.verify(TOKEN, kind="serviceAccount", name=AGENT))
        await asyncio.sleep(0.01)
        assert not other.done()
        assert world.cluster.hangs is not None
        world.cluster.hangs.set()
        assert reason_of(await other) == UNVERIFIABLE

    @pytest.mark.parametrize(("gone", "reason"), [(set[str](), None), ({"agent-uid"}, "identity_invalid")])
    async def test_is_heard_as_soon_as_it_answers_again(
        self, tmp_path: Path, gone: set[str], reason: str | None
    ) -> None:
        world = await self.begun(tmp_path)
        world.cluster.hangs = None
        world.cluster.gone = gone
        await world.verify(LONG, kind="serviceAccount", name=AGENT)
        await asyncio.sleep(0.01)
        parties = await world.verify(LONG, kind="serviceAccount", name=AGENT)
        assert (reason_of(parties), parties.live) == (reason, True)
        # From here on everybody is waited for again.
        world.pass_seconds(FRESH + 1)
        world.cluster.hangs = asyncio.Event()
        waiting = asyncio.create_task(world.verify(LONG, kind="serviceAccount", name=AGENT))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        world.cluster.hangs.set()
        await waiting


async def test_an_answer_of_before_serves_that_very_token_and_no_other(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.verify(TOKEN, kind="serviceAccount", name=AGENT)
    world.cluster.down = True
    other = await world.verify(account_token(note="another"), kind="serviceAccount", name=AGENT)
    assert reason_of(other) == UNVERIFIABLE


async def test_a_token_that_ends_in_the_outage_ends(tmp_path: Path) -> None:
    world = World(tmp_path)
    token = account_token(exp=int(NOW) + 60)
    await world.verify(token, kind="serviceAccount", name=AGENT)
    world.cluster.down = True
    world.pass_seconds(60)
    assert reason_of(await world.verify(token, kind="serviceAccount", name=AGENT)) == "identity_invalid"


@pytest.mark.parametrize("confirmed", [(AGENT, "another-uid"), (OTHER, "agent-uid"), (AGENT, "")])
async def test_claims_are_of_the_very_account_that_was_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confirmed: tuple[str, str]
) -> None:
    world = World(tmp_path)

    async def review(token: str, audiences: list[str]) -> dict[str, object]:
        user = {"username": confirmed[0], "uid": confirmed[1]}
        return {"authenticated": True, "user": user, "audiences": audiences}

    monkeypatch.setattr(world.cluster, "review_token", review)
    for name in (AGENT, OTHER):
        assert reason_of(await world.verify(TOKEN, kind="serviceAccount", name=name)) == "identity_invalid"


async def test_a_deleted_account_is_refused_within_ten_seconds(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert reason_of(await world.verify(TOKEN, kind="serviceAccount", name=AGENT)) is None
    world.cluster.gone.add("agent-uid")
    world.pass_seconds(FRESH + 0.1)
    assert reason_of(await world.verify(TOKEN, kind="serviceAccount", name=AGENT)) == "identity_invalid"


async def test_a_forged_token_is_refused_for_what_it_is_in_an_outage_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.verify(TOKEN, kind="serviceAccount", name=AGENT)
    world.cluster.down = True
    forged = await world.verify(TOKEN + "A", kind="serviceAccount", name=AGENT)
    assert reason_of(forged) == "identity_invalid"
