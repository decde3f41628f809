"""An account is confirmed live only by what the API server said of it in the last ten seconds, whenever it was asked.

The oracle is the history of the cluster: when the account was deleted, and when the API server was away. A stand-in
plays it, since the clock of a real one cannot be moved; a real one is asked in tests/cluster/identity.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from hypothesis import given, settings, strategies as st

from bailiwick_webhook.identity.tokens import AHEAD, FRESH
from unit.webhook.identity.world import AGENT, MAX_STALENESS, NOW, World, account_token, reason_of

TOKEN: Final = account_token(exp=int(NOW) + 100_000)
WHAT: Final = st.sampled_from(["call", "call", "call", "delete", "leave", "return", "slow"])
# Around the moments at which a token is asked about again, and at which an answer is too old.
PAUSES: Final = st.sampled_from([0.5, 1.9, FRESH - AHEAD + 0.1, FRESH - 0.1, FRESH + 0.1, FRESH + 4, MAX_STALENESS + 1])
STEPS: Final = st.lists(st.tuples(WHAT, PAUSES), min_size=3, max_size=15)


class ClusterHistory:
    """A world, and when its cluster last held the account and answered."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.true_until = float("inf")
        self.answered_until = float("inf")
        self.began = self.world.clock

    @property
    def now(self) -> float:
        return self.world.clock

    async def play(self, what: str) -> None:
        cluster = self.world.cluster
        if what == "call":
            await self.call()
        elif what == "delete" and not cluster.gone:
            cluster.gone.add("agent-uid")
            self.true_until = self.now
        elif what == "leave" and not cluster.down:
            cluster.down, self.answered_until = True, self.now
        elif what == "return":
            cluster.down, self.answered_until = False, float("inf")
        elif what == "slow":
            cluster.takes = 4.0 - cluster.takes

    async def call(self) -> None:
        parties = await self.world.verify(TOKEN, kind="serviceAccount", name=AGENT)
        if reason_of(parties) is None:
            known = min(self.true_until, self.answered_until)
            assert known >= self.now - (FRESH if parties.live else MAX_STALENESS)
        # What is asked without a wait is answered before the next call.
        for _ in range(5):
            await asyncio.sleep(0)


@settings(max_examples=600)
@given(steps=STEPS)
def test_what_is_confirmed_was_true_within_the_time_that_an_answer_counts(steps: list[tuple[str, float]]) -> None:
    async def run(folder: Path) -> None:
        played = ClusterHistory(folder)
        for what, seconds in steps:
            await played.play(what)
            played.world.pass_seconds(seconds)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


@given(pauses=st.lists(st.floats(0, 12), max_size=60))
def test_however_often_a_token_is_used_it_is_asked_about_at_most_every_eight_seconds(pauses: list[float]) -> None:
    async def run(folder: Path) -> None:
        played = ClusterHistory(folder)
        for seconds in pauses:
            await played.call()
            played.world.pass_seconds(seconds)
        assert len(played.world.cluster.reviewed) <= 1 + (played.now - played.began) / (FRESH - AHEAD)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
