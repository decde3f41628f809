"""Laws of signals: order, repetition and interruption change nothing, and no hold that counts is lost."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_operator.reconcile.signals import (
    HOLD,
    ArrivedSignal,
    RevocationTerms,
    SignalCause,
    SignalEffect,
)
from bailiwick_operator.signals.storage import SignalStore
from support.signals.revocationstore import RevocationServer, moment

NOW: Final = 1_800_000_000.0
TERMS: Final = RevocationTerms("corp", timedelta(hours=1))
DAY: Final = 86_400
KINDS: Final = ("refuse", "hold", "release", "risk hold", "risk release")

Happening = tuple[str, float]
# Times that coincide, are next to each other, are long ago, and are beyond what a hold lasts.
AGES: Final = st.sampled_from([0.0, 0.001, 0.5, 1.0, 1.001, 2.0, 3599.0, 3700.0, DAY, 29.0 * DAY, 31.0 * DAY])
HAPPENINGS: Final = st.lists(st.tuples(st.sampled_from(KINDS), AGES), min_size=1, max_size=6)


def signal(happening: Happening, number: int) -> ArrivedSignal:
    kind, age = happening
    at = moment(NOW - age)
    risk, what = kind.startswith("risk"), kind.split()[-1]
    hold = {"hold": True, "release": False}.get(what)
    issued_before = None if what == "release" else at + timedelta(seconds=1)
    cause = SignalCause("risk-level-change" if risk else "other", f"jti-{number}", "a" * 64)
    return ArrivedSignal(SignalEffect({"sub": "dave"}, at, issued_before, hold, risk), cause)


def store_on(server: RevocationServer) -> SignalStore:
    return SignalStore(
        server.kube,
        TERMS,
        now=lambda: moment(NOW),
        earliest=lambda: moment(NOW),
        clock=lambda: 1000.0,
        survey=server.survey,
    )


def state(server: RevocationServer) -> dict[str, tuple[Any, ...]]:
    return {
        name: (spec["issuedBefore"], spec["hold"], spec["asOf"], spec["until"])
        for name, body in server.objects.items()
        for spec in (body["spec"],)
    }


def after(batches: Sequence[Sequence[ArrivedSignal]]) -> RevocationServer:
    server = RevocationServer()
    store = store_on(server)

    async def arrive() -> None:
        for batch in batches:
            outcomes = await store.store(batch)
            assert set(outcomes.values()) <= {"stored", "unchanged"}

    asyncio.run(arrive())
    return server


@given(HAPPENINGS, st.data())
def test_in_whatever_order_batches_and_however_often_events_arrive_they_come_to_the_same(
    happenings: list[Happening], data: st.DataObject
) -> None:
    signals = [signal(one, number) for number, one in enumerate(happenings)]
    again = data.draw(st.lists(st.sampled_from(signals), max_size=4))
    drawn = data.draw(st.permutations(signals + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(drawn)), max_size=3)))
    batches = [drawn[a:b] for a, b in zip([0, *cuts], [*cuts, len(drawn)], strict=True)]
    in_order = sorted(signals, key=lambda one: one.effect.at)
    assert state(after(batches)) == state(after([[one] for one in in_order]))


@pytest.mark.parametrize("order", [*permutations([("hold", 3.0), ("release", 2.0), ("refuse", 1.0)])])
def test_an_end_that_arrives_before_its_hold_ends_it(order: tuple[Happening, ...]) -> None:
    server = after([[signal(one, number)] for number, one in enumerate(order)])
    (spec,) = server.specs()
    assert not spec.hold
    assert spec.issued_before == moment(NOW)


@given(HAPPENINGS)
def test_somebody_is_held_exactly_if_no_end_is_later_than_the_last_hold(happenings: list[Happening]) -> None:
    server = after([[signal(one, number) for number, one in enumerate(happenings)]])
    for risk in ("", "risk "):
        holds = [-age for kind, age in happenings if kind == f"{risk}hold" and age < HOLD.total_seconds()]
        ends = [-age for kind, age in happenings if kind == f"{risk}release"]
        held = bool(holds) and max(holds) >= max(ends, default=float("-inf"))
        of_risk = [one for one in server.specs() if (one.cause.event == "risk-level-change") == bool(risk)]
        assert any(one.hold for one in of_risk) == held


@pytest.mark.invariant(32)
@given(HAPPENINGS)
def test_no_token_from_before_any_of_the_events_counts_for_as_long_as_it_lives(happenings: list[Happening]) -> None:
    server = after([[signal(one, number) for number, one in enumerate(happenings)]])
    stopped = [NOW - age for kind, age in happenings if "release" not in kind]
    if not stopped:
        assert not server.objects
        return
    strictest = max(server.specs(), key=lambda one: one.issued_before)
    assert strictest.issued_before == moment(max(stopped)) + timedelta(seconds=1)
    assert strictest.until >= strictest.issued_before + TERMS.lifetime
    assert all(one.until > moment(NOW) for one in server.specs())


@given(HAPPENINGS, st.integers(0, 5))
def test_after_a_restart_what_is_sent_again_only_ever_denies_more(happenings: list[Happening], dies: int) -> None:
    signals = [signal(one, number) for number, one in enumerate(happenings)]
    whole, server = after([signals]), RevocationServer()

    async def arrive() -> None:
        for one in signals[:dies]:
            await store_on(server).store([one])
        await store_on(server).store(signals)

    asyncio.run(arrive())
    for name, (before, hold, _, until) in state(whole).items():
        again = state(server)[name]
        assert again[0] == before
        assert again[1] >= hold
        assert again[3] == until


@given(HAPPENINGS)
def test_a_second_time_nothing_is_written(happenings: list[Happening]) -> None:
    signals = [signal(one, number) for number, one in enumerate(happenings)]
    server = after([signals])
    writes = server.writes
    outcomes = asyncio.run(store_on(server).store(signals))
    assert server.writes == writes
    assert set(outcomes.values()) == {"unchanged"}
