"""An explanation is of the verdict that it stands with: by the same policies, numbers and moment."""

from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.batch import Semantic
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision import explain as explaining
from bailiwick_engine.decision.explain import Explanation
from bailiwick_engine.decision.match import Standing
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.approvals.consumer import Judge
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.decision import Decision
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.steps import resolve
from bailiwick_webhook.store.store import Store
from support.keptobjects import KeptObjects
from support.objects import gated_rule, rule, settings
from support.pdp import alone
from support.pdp.alone import KeptRecords, StaticStore
from support.virtualtime import VirtualTime, virtual_time
from unit.engine.cases import NOW, approved, at, stored
from unit.webhook.pipeline.countingpoint import EXPORT, EXPORTS, CountingPoint, asked, counting

__all__ = ["virtual_time"]

EXPLAINED: Final = replace(asked(), explain=True)
SOON_OVER: Final = {"name": "soon-over", "expression": f"now < timestamp('{at(1)}')"}
DENIAL: Final = rule("no", effect="Deny", actions=["*"])


def point(store: StaticStore, consumer: object, times: Iterator[float]) -> Pdp:
    """Return a decision point whose clock moves on whenever it is looked at."""
    opener, no_one = cast("Any", SimpleNamespace(possible=True)), cast("Any", consumer)
    return Pdp(
        cast("Store", store),
        no_one,
        opener,
        KeptRecords(),
        Installation(),
        lambda: NOW,
        span=lambda: (NOW, next(times)),
    )


async def _alone(pdp: Pdp) -> Decision:
    return await resolve(pdp.evaluate(EXPLAINED))


async def _in_batch(pdp: Pdp) -> Decision:
    (decision,) = await pdp.evaluate_all([EXPLAINED], Semantic.EXECUTE_ALL)
    assert decision is not None
    return decision


def standings(explanation: Explanation | None) -> dict[str, Standing]:
    assert explanation is not None
    return {one.rule.name: one.standing for one in explanation.near}


@pytest.mark.parametrize("ask", [_alone, _in_batch])
async def test_a_rule_that_ends_just_then_is_explained_as_it_was_judged(ask: Callable[[Pdp], Any]) -> None:
    store = StaticStore([stored("crm-agent", rule(actions=["*"], conditions=[SOON_OVER]), endpointSettings=settings())])
    decision = await ask(point(store, None, count(NOW)))
    assert decision.allowed
    assert decision.explanation.changes == ()
    assert [one.unmet for one in decision.explanation.near] == [()]


class _DenyingMeanwhile:
    """Finds, once it has read the grant, that policies have changed."""

    def __init__(self, change: Callable[[], None]) -> None:
        self._change = change

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: Judge, since: float | None = None
    ) -> Verdict:
        return verdict

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: object) -> tuple[Grant, ...]:
        return ()

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        self._change()
        return judge(verdict.grants[0], NOW), None


async def test_a_use_that_newer_policies_refuse_is_explained_by_these() -> None:
    store = StaticStore([stored("crm-agent", gated_rule("export", actions=["*"]), endpointSettings=settings())])
    assert store.snapshot is not None
    grant = approved(store.snapshot)
    store.grants.apply("ADDED", ("crm", grant["metadata"]["name"]), grant)

    def change() -> None:
        denying = stored("crm-agent", DENIAL, endpointSettings=settings())
        store.snapshot = Snapshot.of([compile_object(denying)], "2")

    decision = await _alone(point(store, _DenyingMeanwhile(change), iter([NOW] * 9)))
    assert decision.verdict.reason is Reason.POLICY_DENIED
    assert list(standings(decision.explanation)) == ["no"]


async def test_numbers_of_a_history_that_is_defined_otherwise_by_then_are_not_explained(
    monkeypatch: pytest.MonkeyPatch, virtual_time: VirtualTime
) -> None:
    monkeypatch.setattr(alone, "time", virtual_time)
    api = KeptObjects(seconds=1.0)
    counted = CountingPoint(api, now=virtual_time.monotonic)

    def after(method: str) -> None:
        if method != "GET":
            longer = counting(EXPORT, histories=[{**EXPORTS, "window": "2h"}])
            counted.alone.store.snapshot = Snapshot.of([compile_object(longer)], "2")

    api.after = after
    decision = await resolve(counted.pdp.evaluate(EXPLAINED))
    assert not decision.allowed
    assert decision.explanation is not None
    assert decision.explanation.histories == (("exports", None),)


async def test_a_call_whose_explanation_breaks_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = CountingPoint(KeptObjects())
    run = counted.pdp.offload.run

    async def run_all_but_explanations(tenant: str, work: Any, *, large: bool = True) -> object:  # noqa: ANN401 - any work
        if getattr(work, "func", None) is explaining.explain:
            raise ZeroDivisionError
        return await run(tenant, work, large=large)

    monkeypatch.setattr(counted.pdp.offload, "run", run_all_but_explanations)
    with pytest.raises(ZeroDivisionError):
        await resolve(counted.pdp.evaluate(EXPLAINED))
    assert counted.counted == 0
