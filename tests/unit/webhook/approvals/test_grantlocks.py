"""Who wants the same grant goes one after the other, and nobody waits for ever."""

import asyncio

import pytest

from bailiwick_webhook.approvals import consumer
from bailiwick_webhook.approvals.consumer import GrantLocks

GRANT, OTHER = ("crm", "agr-one"), ("crm", "agr-other")


async def test_one_goes_after_the_other() -> None:
    order: list[str] = []
    ours = GrantLocks()

    async def use(name: str) -> None:
        async with ours.hold(GRANT):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    await asyncio.gather(*(use(name) for name in "abc"))
    assert order == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]
    assert not ours._locks


async def test_other_grants_are_not_waited_for() -> None:
    ours = GrantLocks()
    async with ours.hold(GRANT), ours.hold(OTHER):
        pass


async def test_who_waited_for_long_enough_goes_on_out_of_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", 0.01)
    ours = GrantLocks()
    async with ours.hold(GRANT):
        async with ours.hold(GRANT):
            pass
        # And takes nobody's turn away.
        assert ours._locks[GRANT].locked()


async def test_who_is_cancelled_while_waiting_leaves_the_turn_to_the_next() -> None:
    ours = GrantLocks()

    async def use() -> str:
        async with ours.hold(GRANT):
            return "used"

    async with ours.hold(GRANT):
        first, second = asyncio.create_task(use()), asyncio.create_task(use())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
    assert await second == "used"
    assert first.cancelled()


async def test_a_turn_that_breaks_off_is_over() -> None:
    ours = GrantLocks()
    with pytest.raises(ValueError, match="broken"):
        async with ours.hold(GRANT):
            raise ValueError("broken")
    async with ours.hold(GRANT):
        pass
