"""What signals took is given back only once its time is certainly over at the API server."""

import copy
from datetime import timedelta
from itertools import count
from typing import Final

import pytest
from hypothesis import example, given, settings, strategies as st

from bailiwick_api.serverclock import ServerClock
from bailiwick_api.times import stamp
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.reconcile.signals import HOLD, ArrivedSignal, SignalCause, SignalEffect
from bailiwick_operator.signals.receivers import SignalReceivers
from bailiwick_operator.signals.storage import SignalStore
from support.signals.revocationstore import RevocationServer, config_of, moment
from unit.operator.cases import grant

NOW: Final = 1_800_000_000.0
DAY: Final = 86_400.0
SPARE: Final = 3600.0 + 60.0 + 600.0
"""How long what is kept for a hold outlasts its end: the longest token, the clocks, and what arrives late."""
CONFIG: Final = config_of(
    {
        "name": "corp",
        "issuer": "https://login.corp.example",
        "signals": {
            "pollURL": "https://login.corp.example/ssf/poll",
            "tokenFile": "/nowhere/ssf.token",
            "audience": "https://bailiwick.example.com",
            "maxTokenSeconds": 3600,
        },
    }
)
CLOCKS: Final = [(ours, since) for ours in (-28.0, 0.0, 28.0) for since in (0.0, 0.9)]
JUMPS: Final = [-400 * DAY, -DAY, -60.0, 60.0, DAY, 31 * DAY, 400 * DAY]
"""By how many seconds an API server's clock is off at once."""


class SignalTimesWorld:
    """What the operator's store makes of signals at `NOW` and `since` seconds, with our clock ahead by `ours`.

    `jump`: an API server answers whose clock is off by that.
    """

    def __init__(self, ours: float = 0.0, since: float = 0.0, jump: float = 0.0) -> None:
        self.server = RevocationServer()
        clock = ServerClock(lambda: NOW + since + ours, lambda: 1000.0)
        clock.record_answer(NOW, 1000.0)
        if jump:
            clock.record_answer(NOW + jump, 1000.0)
        self.clock = Clock(clock)

    @property
    def store(self) -> SignalStore:
        """A new store, as the operator makes it."""
        (store,) = SignalReceivers([CONFIG], self.server.kube, self.clock, None)._stores
        return store

    async def arrive(self, ago: float, *, hold: bool) -> None:
        """Store the beginning of a hold, or its end, of so many seconds ago."""
        at = moment(NOW - ago)
        effect = SignalEffect({"sub": "dave"}, at, at + timedelta(seconds=1) if hold else None, hold)
        outcomes = await self.store.store([ArrivedSignal(effect, SignalCause("account", f"{ago}", "a" * 64))])
        assert set(outcomes.values()) == {"stored"}


async def kept_for_an_ended_hold(ago: float) -> RevocationServer:
    """Return what is stored of a hold that ended so many seconds ago."""
    right = SignalTimesWorld()
    await right.arrive(ago + 60, hold=True)
    await right.arrive(ago, hold=False)
    return right.server


@given(ours=st.floats(-28, 28), since=st.floats(0, 0.999), left=st.integers(1, 60))
@example(ours=28.0, since=0.0, left=27)
@example(ours=0.0, since=0.5, left=1)
@settings(deadline=None, max_examples=40)
async def test_nothing_is_tidied_away_before_the_last_token_from_before_is_over(
    ours: float, since: float, left: int
) -> None:
    now = SignalTimesWorld(ours, since)
    now.server = await kept_for_an_ended_hold(SPARE - left)
    await now.store.tidy()
    assert len(now.server.objects) == 1


@pytest.mark.parametrize(("ours", "since"), CLOCKS)
async def test_what_has_served_is_tidied_away_once_it_is_over_by_both_clocks(ours: float, since: float) -> None:
    now = SignalTimesWorld(ours, since)
    now.server = await kept_for_an_ended_hold(SPARE + 2 - min(ours, 0.0))
    await now.store.tidy()
    assert now.server.objects == {}


@pytest.mark.parametrize("ago", [200.0, SPARE + 2])
@pytest.mark.parametrize("jump", JUMPS)
async def test_while_the_clocks_are_apart_nothing_is_tidied_away(jump: float, ago: float) -> None:
    now = SignalTimesWorld(jump=jump)
    now.server = await kept_for_an_ended_hold(ago)
    await now.store.tidy()
    assert len(now.server.objects) == 1


async def test_nothing_is_tidied_away_before_the_clocks_have_agreed_for_a_while() -> None:
    now = SignalTimesWorld()
    now.clock._apart_at = 999.0
    now.server = await kept_for_an_ended_hold(SPARE + 2)
    await now.store.tidy()
    assert len(now.server.objects) == 1


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_hold_that_arrives_while_the_clocks_are_apart_holds(jump: float) -> None:
    now = SignalTimesWorld(jump=jump)
    await now.arrive(5, hold=True)
    assert now.server.spec().hold


@pytest.mark.parametrize(("ours", "since"), CLOCKS)
@pytest.mark.parametrize(("left", "held"), [(20.0, True), (1.0, True), (-2.0, False)])
async def test_a_hold_that_arrives_late_holds_until_it_is_over_by_both_clocks(
    ours: float, since: float, left: float, held: bool
) -> None:
    now = SignalTimesWorld(ours, since)
    await now.arrive(HOLD.total_seconds() - left - min(ours, 0.0), hold=True)
    assert now.server.spec().hold is held


@pytest.mark.invariant(32)
async def test_what_has_served_is_tidied_away_once_the_grants_that_it_ends_have_ended() -> None:
    now = SignalTimesWorld()
    now.server = await kept_for_an_ended_hold(SPARE + 2)
    living = grant(
        subject={"type": "user", "id": "dave", "uid": "corp#dave"}, pendingUntilTime=stamp(moment(NOW + 3600))
    )
    living["metadata"]["creationTimestamp"] = stamp(moment(NOW - 4 * 3600))
    now.server.grants = [living]
    await now.store.tidy()
    assert len(now.server.objects) == 1
    now.server.grants = [living | {"status": {"phase": "Withdrawn"}}]
    await now.store.tidy()
    assert now.server.objects == {}


async def test_what_stays_of_one_issuer_keeps_nothing_of_another_from_being_tidied_away() -> None:
    now = SignalTimesWorld()
    now.server = await kept_for_an_ended_hold(SPARE + 2)
    of_partner = copy.deepcopy(next(iter(now.server.objects.values())))
    of_partner["metadata"]["name"] = "r-partner"
    of_partner["spec"]["issuer"] = "partner"
    now.server.objects["r-partner"] = of_partner
    living = grant(
        subject={"type": "user", "id": "dave", "uid": "corp#dave"}, pendingUntilTime=stamp(moment(NOW + 3600))
    )
    living["metadata"]["creationTimestamp"] = stamp(moment(NOW - 4 * 3600))
    now.server.grants = [living]
    # A clock by which every list takes a while.
    seconds = count(1000.0, 0.1)
    clock = ServerClock(lambda: NOW, lambda: next(seconds))
    clock.record_answer(NOW, 1000.0)
    partner = CONFIG.model_copy(update={"name": "partner"})
    for store in SignalReceivers([CONFIG, partner], now.server.kube, Clock(clock), None)._stores:
        await store.tidy()
    assert [body["spec"]["issuer"] for body in now.server.objects.values()] == ["corp"]
