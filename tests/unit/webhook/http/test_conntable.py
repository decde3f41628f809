"""Who makes room where strangers have all the connections that they may."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from bailiwick_webhook.http.shares.bounds import Parts
from bailiwick_webhook.http.shares.conntable import KNOWN_SECONDS, ConnectionTable, TableEntry
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import Port

ENFORCERS: Final = "10.0.0.1"
STRANGERS: Final = tuple(f"10.9.0.{number}" for number in range(10))


class Ground:
    """A table of ten connections for strangers, after an enforcer was proven from `ENFORCERS`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.table = ConnectionTable(Port.DECISIONS, Parts(10, 10), 60.0, Counts(), lambda: self.now)
        proven = self.connect(ENFORCERS)
        self.table.begins(proven)
        self.table.note_caller(proven, "the enforcer", enforces=True)
        self.table.leave(proven)

    def connect(self, address: str) -> TableEntry:
        return self.table.admit(address, lambda: None)


@pytest.fixture
def on_a_loop() -> Callable[[Callable[[Ground], None]], None]:
    def run(check: Callable[[Ground], None]) -> None:
        async def inside() -> None:
            check(Ground())

        asyncio.run(inside())

    return run


OnALoop = Callable[[Callable[[Ground], None]], None]


def test_an_address_of_an_enforcer_keeps_more_than_strangers_have_each(on_a_loop: OnALoop) -> None:
    def check(ground: Ground) -> None:
        new = [ground.connect(ENFORCERS) for _ in range(5)]
        flood = [ground.connect(address) for address in STRANGERS]
        assert [entry.ended for entry in new] == [False] * 5
        assert sum(not entry.ended for entry in flood) == 5

    on_a_loop(check)


def test_addresses_of_enforcers_together_leave_strangers_half(on_a_loop: OnALoop) -> None:
    def check(ground: Ground) -> None:
        strangers = [ground.connect(address) for address in STRANGERS[:5]]
        flood = [ground.connect(ENFORCERS) for _ in range(30)]
        assert [entry.ended for entry in strangers] == [False] * 5
        assert [entry.ended for entry in flood] == [True] * 25 + [False] * 5

    on_a_loop(check)


def test_an_address_is_a_strangers_again_after_a_while(on_a_loop: OnALoop) -> None:
    def check(ground: Ground) -> None:
        ground.now = KNOWN_SECONDS
        old = [ground.connect(ENFORCERS) for _ in range(5)]
        for address in STRANGERS:
            ground.connect(address)
        assert sum(not entry.ended for entry in old) == 1

    on_a_loop(check)


def test_an_account_that_enforces_nothing_gains_nothing_by_an_enforcers_address(on_a_loop: OnALoop) -> None:
    def check(ground: Ground) -> None:
        idle = [ground.connect(ENFORCERS) for _ in range(5)]
        for entry in idle:
            ground.table.begins(entry)
            ground.table.note_caller(entry, "nobody", enforces=False)
            ground.table.rests(entry)
        for address in STRANGERS:
            ground.connect(address)
        assert sum(not entry.ended for entry in idle) == 1

    on_a_loop(check)
