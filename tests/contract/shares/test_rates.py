"""Decisions a second about the endpoints of one namespace: what is over is refused before anything is decided."""

import json
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_webhook.http.problems import ProblemError
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.rates import Rates
from bailiwick_webhook.http.shares.slots import enforcer, other
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload
from contract.asking_alone import AGENT, PEP, STRANGER, asking, body, stored
from support.objects import gated_rule, rule
from support.pdp.alone import Alone

# Slow enough that nothing comes back while a test runs.
RATE: Final = 2
BOUNDS: Final = Bounds(decisions_per_second=RATE)
BATCH: Final[dict[str, Any]] = {"evaluations": [{}, {}, {}]}


class Uses:
    """Stands for an API server that nothing may reach."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any call
        pytest.fail(f"{name} was asked for")


PATHS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "evaluation": ("evaluation", {}),
    "spelled otherwise": ("%65valuation", {}),
    "a batch": ("evaluations", BATCH),
    "a batch of none": ("evaluations", {}),
    "a search for subjects": ("search/subject", {}),
    "a search for resources": ("search/resource", {}),
    "a search for actions": ("search/action", {}),
    "a request for approval": ("requests", {}),
}


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_over_the_rate_is_refused_before_anything_is_decided(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, more = PATHS[path]
    monkeypatch.setattr("bailiwick_webhook.http.shares.rates.time.monotonic", lambda: 0.0)
    async with asking(Alone([stored(rule(), gated_rule())], bounds=BOUNDS, cluster=Uses())) as ask:
        for _ in range(RATE):
            assert (await ask.post("evaluation", body())).status == 200
        counts = ask.alone.pdp.counts
        before = (
            json.dumps([counts.evaluation.outcomes, counts.batch.outcomes, counts.search.outcomes]),
            len(ask.alone.records.lines),
        )
        asked = {**body(action="customers.export"), **more}
        said = await ask.post(last, asked)
        assert (said.status, said.body["reason"], said.headers["Retry-After"]) == (429, "overloaded", "1")
        assert said.body["detail"].startswith("Too many decisions per second")
        after = (
            json.dumps([counts.evaluation.outcomes, counts.batch.outcomes, counts.search.outcomes]),
            len(ask.alone.records.lines),
        )
        assert before == after
        assert counts.overloads[Overload.RATE, CallerClass.ENFORCERS] == 1
        assert counts.under_way == [0, 0]


async def test_off_by_default() -> None:
    assert Bounds().decisions_per_second == 0
    async with asking(Alone([stored()])) as ask:
        assert [(await ask.post("evaluation", body())).status for _ in range(50)] == [200] * 50


async def test_each_item_of_a_batch_counts_and_a_batch_is_refused_whole() -> None:
    async with asking(Alone([stored()], bounds=Bounds(decisions_per_second=4))) as ask:
        said = await ask.post("evaluations", {**body(), **BATCH})
        assert len(said.body["evaluations"]) == 3
        assert (await ask.post("evaluations", {**body(), **BATCH})).status == 429
        assert (await ask.post("evaluation", body())).status == 200


async def test_each_name_that_a_search_tries_counts_and_a_search_is_refused_whole() -> None:
    named = rule(resources=[{"type": "customer", "ids": ["1", "2", "3"]}])
    async with asking(Alone([stored(named)], bounds=Bounds(decisions_per_second=4))) as ask:
        found = await ask.post("search/resource", body())
        assert len(found.body["results"]) == 3
        lines = len(ask.alone.records.lines)
        assert (await ask.post("search/resource", body())).status == 429
        assert len(ask.alone.records.lines) == lines
        assert (await ask.post("evaluation", body())).status == 200


async def test_a_search_that_tries_nothing_counts_as_one() -> None:
    async with asking(Alone([stored()], bounds=BOUNDS)) as ask:
        asked = {**body(action="customers.purge")}
        said = [(await ask.post("search/resource", asked)).status for _ in range(RATE + 1)]
    assert said == [200] * RATE + [429]


async def test_who_asks_about_itself_uses_up_nothing_of_its_enforcers_and_a_stranger_nothing_at_all() -> None:
    async with asking(Alone([stored()], bounds=BOUNDS)) as ask:
        itself = {**body(), "context": {}}
        said = [(await ask.post("evaluation", itself, AGENT)).status for _ in range(RATE + 1)]
        assert said == [200] * RATE + [429]
        assert (await ask.post("evaluation", body(), STRANGER)).status == 429
        assert (await ask.post("evaluation", body(), PEP)).status == 200


async def test_polling_and_withdrawing_are_no_decisions() -> None:
    async with asking(Alone([stored()], bounds=BOUNDS)) as ask:
        for _ in range(2 * RATE):
            assert (await ask.post("requests/none/cancel", {})).status == 404


class TestABucket:
    @staticmethod
    def taken(rates: Rates, namespace: str, count: int = 1, who: str = PEP) -> bool:
        try:
            rates.take(namespace, enforcer(who, namespace), count)
        except ProblemError:
            return False
        return True

    def test_fills_up_with_time_and_not_beyond_its_size(self) -> None:
        now = [100.0]
        rates = Rates(10, Counts(), lambda: now[0])
        assert [self.taken(rates, "crm") for _ in range(11)] == [True] * 10 + [False]
        now[0] += 0.35
        assert [self.taken(rates, "crm") for _ in range(4)] == [True] * 3 + [False]
        now[0] += 3600
        assert [self.taken(rates, "crm") for _ in range(11)] == [True] * 10 + [False]

    def test_is_of_one_namespace(self) -> None:
        rates = Rates(1, Counts(), lambda: 0.0)
        assert self.taken(rates, "one")
        assert not self.taken(rates, "one")
        assert self.taken(rates, "two")

    def test_that_is_full_lets_a_larger_batch_through_and_makes_up_for_it(self) -> None:
        now = [0.0]
        rates = Rates(10, Counts(), lambda: now[0])
        assert self.taken(rates, "crm", 100)
        assert not self.taken(rates, "crm")
        now[0] = 8.9
        assert not self.taken(rates, "crm")
        now[0] = 9.2
        assert self.taken(rates, "crm")

    def test_is_forgotten_once_it_is_full_again(self) -> None:
        now = [0.0]
        rates = Rates(10, Counts(), lambda: now[0])
        for number in range(20_000):
            now[0] += 0.01
            rates.take(f"ns-{number}", other("system:serviceaccount:a:b"))
        assert len(rates._buckets) <= 4_097

    @given(
        rate=st.integers(1, 50),
        steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 120)), max_size=60),
    )
    def test_lets_through_no_more_than_its_rate_over_any_time(self, rate: int, steps: list[tuple[float, int]]) -> None:
        now = [0.0]
        rates = Rates(rate, Counts(), lambda: now[0])
        through: list[tuple[float, int]] = []
        for pause, count in steps:
            now[0] += pause
            if self.taken(rates, "crm", count):
                through.append((now[0], count))
        for index, (began, _) in enumerate(through):
            counted = 0
            for moment, count in through[index:]:
                # What the last one takes may be larger than the bucket; all before it had to be paid for.
                assert counted <= rate + (moment - began) * rate + 1e-6
                counted += count
