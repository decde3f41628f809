"""Which calls are decided again, and what is kept of them until then."""

import asyncio
import gc
import itertools
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.call import Action, Call
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.shadow import ShadowVerdict, VerdictClass, decide_shadow
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.metrics.counts import ShadowTally
from bailiwick_webhook.metrics.table import ShadowDrop
from bailiwick_webhook.pipeline import shadows as pipeline
from bailiwick_webhook.pipeline.decision import Decision, DecisionInputs, EvaluatedCall
from bailiwick_webhook.pipeline.shadows import Shadows
from support.objects import Object, changed, gated_rule, rule, settings, subject
from support.pdp.alone import KeptRecords, StaticStore
from unit.engine.cases import AROUND, CALL, ENFORCER, NOW, THE_AGENT, approved, snapshot, stored, verdict_of

LIST: Final = replace(CALL, action=Action("customers.list"))
LIVE: Final = stored("live", rule(), gated_rule(), endpointSettings=settings())
NEXT: Final = stored("next", rule(), gated_rule(), endpointSettings=settings(), mode="Audit", replaces="live")


def elsewhere(namespace: str) -> tuple[Object, Object]:
    """Return both policies in another namespace."""
    live, following = (changed(one, "metadata.namespace", namespace) for one in (LIVE, NEXT))
    return live, following


def _both(endpoint: str) -> tuple[Object, Object]:
    """Return both policies of another endpoint."""
    live, spec = f"live-{endpoint}", {"endpointSettings": settings(), "endpoint": endpoint}
    return stored(live, rule(), **spec), stored(f"next-{endpoint}", rule(), mode="Audit", replaces=live, **spec)


def of_tenant(namespace: str, endpoint: str = "crm-api") -> Call:
    return replace(LIST, namespace=namespace, endpoint=endpoint)


class Point:
    """What decides again, beside a decision point of which only verdicts are needed."""

    def __init__(self, *policies: Object, share: float = 1.0, drawn: float = 0.0) -> None:
        self.records = KeptRecords()
        self.tally = ShadowTally()
        self.snapshot: Snapshot = snapshot(*(policies or (LIVE, NEXT)))
        self.shadows = Shadows(
            self.records, self.tally, Installation(), lambda: NOW, share, iter(itertools.repeat(drawn)).__next__
        )

    def judged(self, call: Call = LIST, *grants: Grant, large: bool = False) -> EvaluatedCall:
        inputs = DecisionInputs(self.snapshot, NOW, StaticStore([]).glance())
        verdict, hops = evaluate_hops(self.snapshot, call, grants, AROUND)
        return EvaluatedCall(EvaluationRequest(call, None, live_identity=True, large=large), inputs, verdict, hops)

    def put(self, call: Call = LIST, *grants: Grant, large: bool = False) -> bool:
        one = self.judged(call, *grants, large=large)
        begun = self.shadows.shadowed_call(one, lambda _: grants)
        self.shadows.put(begun, self.answered(one))
        return begun is not None

    def answered(self, one: EvaluatedCall) -> Decision:
        return Decision(one.verdict, True, "eval", NOW, "1", 0.0)

    @property
    def met(self) -> dict[tuple[str, str], int]:
        """What was counted of all endpoints, without zeros."""
        return dict(+sum((Counter(found) for found in self.tally.met.values()), Counter[tuple[str, str]]()))


async def test_of_all_calls_a_share_is_decided_again() -> None:
    drawn = [number / 10 for number in range(10)]
    assert [Point(share=0.3, drawn=one).put() for one in drawn] == [one < 0.3 for one in drawn]
    assert not any(Point(share=0.0, drawn=one).put() for one in drawn)
    assert Point(share=1.0, drawn=0.999999).put()


async def test_without_a_candidate_nothing_is_drawn_or_kept() -> None:
    def draw() -> float:
        raise AssertionError("drawn")

    point = Point(LIVE)
    point.shadows = Shadows(point.records, point.tally, Installation(), lambda: NOW, 1.0, draw)
    assert not point.put()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({"caller": ENFORCER}, True), ({"caller": THE_AGENT}, False), ({"dry_run": True}, False)],
    ids=["the enforcer", "the subject", "a dry run of the enforcer"],
)
async def test_a_dry_run_is_not(asked: dict[str, Any], expected: bool) -> None:
    call = replace(LIST, **asked)
    assert verdict_of(snapshot(LIVE), call).dry_run is not expected
    assert Point().put(call) is expected


async def test_it_is_decided_by_the_grants_of_before_a_use() -> None:
    point = Point()
    grant = parse(approved(point.snapshot))
    assert grant is not None
    there = [grant]
    one = point.judged(CALL, grant)
    begun = point.shadows.shadowed_call(one, lambda _: iter(there))
    # The answer has used it up.
    there.clear()
    point.shadows.put(begun, point.answered(one))
    await point.shadows.idle()
    assert point.met == {(VerdictClass.ALLOW, VerdictClass.ALLOW): 1}
    assert point.records.lines == []
    point.put(CALL)
    await point.shadows.idle()
    assert point.met == {(VerdictClass.ALLOW,) * 2: 1, (VerdictClass.APPROVAL,) * 2: 1}


async def test_no_grant_is_looked_for_before_an_answer_that_takes_none() -> None:
    point = Point(LIVE, stored("next", gated_rule(actions=["customers.list"]), mode="Audit", replaces="live"))
    looked: list[Call] = []

    def known() -> Iterator[Grant]:
        looked.append(LIST)
        yield from ()

    one = point.judged()
    point.shadows.put(point.shadows.shadowed_call(one, lambda _: known()), point.answered(one))
    assert looked == []
    await point.shadows.idle()
    assert looked == [LIST]


async def test_of_a_tenant_one_call_with_a_large_body_is_kept() -> None:
    tenants = [f"tenant-{number}" for number in range(pipeline.MOST_LARGE + 1)]
    point = Point(*(policy for tenant in tenants for policy in elsewhere(tenant)))
    for _ in range(3):
        point.put(of_tenant(tenants[0]), large=True)
    point.put(of_tenant(tenants[0]))
    assert point.tally.dropped[ShadowDrop.LARGE] == 2
    for tenant in tenants[1:]:
        point.put(of_tenant(tenant), large=True)
    # And of all of them a few.
    assert point.tally.dropped[ShadowDrop.LARGE] == 3
    await point.shadows.idle()
    assert sum(point.met.values()) == pipeline.MOST_LARGE + 1
    # There is room again.
    point.put(of_tenant(tenants[0]), large=True)
    assert point.tally.dropped[ShadowDrop.LARGE] == 3
    await point.shadows.close()


async def test_closing_leaves_what_waits() -> None:
    point = Point()
    for _ in range(10):
        point.put()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert len(tasks) == 1
    await point.shadows.close()
    assert all(task.done() for task in tasks)
    assert point.met == {}


async def test_few_states_of_an_endpoint_are_kept_in_memory() -> None:
    point = Point()
    for _ in range(5):
        # As if somebody had written a policy since the last call.
        point.snapshot = snapshot(LIVE, NEXT)
        point.put()
        point.put()
    assert point.tally.dropped[ShadowDrop.QUEUE] == 6
    await point.shadows.idle()
    assert sum(point.met.values()) == 4
    point.put()
    assert point.tally.dropped[ShadowDrop.QUEUE] == 6
    await point.shadows.close()


async def test_a_tenant_has_as_many_endpoints_as_it_likes() -> None:
    names = [f"api-{number}" for number in range(5)]
    point = Point(*(policy for name in names for policy in _both(name)))
    for name in names:
        assert point.put(of_tenant("crm", name))
    await point.shadows.idle()
    assert point.tally.dropped[ShadowDrop.QUEUE] == 0
    assert sum(point.met.values()) == len(names)


async def test_nothing_of_other_tenants_is_kept_in_memory() -> None:
    point = Point(LIVE, NEXT, *elsewhere("other"))
    other = weakref.ref(point.snapshot.endpoints["other", "crm-api"])
    point.put()
    # The other tenant writes a policy.
    point.snapshot = snapshot(LIVE, NEXT)
    gc.collect()
    assert other() is None
    await point.shadows.idle()
    assert sum(point.met.values()) == 1


async def test_what_was_known_when_the_call_was_decided_is_what_counts() -> None:
    point = Point()
    one = point.judged()
    begun = point.shadows.shadowed_call(one, lambda _: ())
    assert begun is not None
    # Everything is too old to decide by, by now; and nothing is in force any more.
    stale = replace(one.inputs.seen, freshness=Freshness.DEAD)
    point.snapshot = snapshot()
    later = replace(one, inputs=replace(one.inputs, seen=stale, snapshot=point.snapshot, now=NOW + 99))
    assert begun.around != later.inputs.around(later.asked, Installation())
    point.shadows.put(begun, point.answered(later))
    await point.shadows.idle()
    assert begun.around == one.inputs.around(one.asked, Installation())
    assert point.met == {(VerdictClass.ALLOW, VerdictClass.ALLOW): 1}


async def test_who_comes_last_takes_the_place_of_whoever_has_most() -> None:
    tenants = [f"tenant-{number}" for number in range(5)]
    point = Point(*(policy for tenant in tenants for policy in elsewhere(tenant)))
    for tenant in tenants[:4]:
        for _ in range(pipeline.MOST_WAITING // 4 + 1):
            point.put(of_tenant(tenant))
    assert point.tally.dropped[ShadowDrop.QUEUE] == 4
    for _ in range(300):
        point.put(of_tenant(tenants[4]))
    # As many as the others have then, and no more wait than ever.
    assert point.tally.dropped[ShadowDrop.QUEUE] == 4 + 300
    await point.shadows.idle()
    counts = {endpoint: sum(found.values()) for endpoint, found in point.tally.met.items()}
    assert sum(counts.values()) == pipeline.MOST_WAITING
    assert sorted(counts) == [f"{tenant}/crm-api" for tenant in tenants]
    assert max(counts.values()) - min(counts.values()) <= 2
    # Nothing of what was taken out is held against whose it was.
    dropped = point.tally.dropped[ShadowDrop.QUEUE]
    for _ in range(pipeline.MOST_WAITING // 4):
        point.put(of_tenant(tenants[0]))
    assert point.tally.dropped[ShadowDrop.QUEUE] == dropped
    await point.shadows.close()


async def test_each_tenant_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def noted(on: Snapshot, endpoint: object, call: Call, *more: object) -> Iterable[ShadowVerdict]:
        order.append(call.namespace)
        return decide_shadow(on, endpoint, call, *more)  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(pipeline, "decide_shadow", noted)
    point = Point(*elsewhere("many"), *elsewhere("few"))
    for _ in range(20):
        point.put(of_tenant("many"))
    for _ in range(2):
        point.put(of_tenant("few"))
    await point.shadows.idle()
    assert order == ["many", "few", "many", "few", *["many"] * 18]


async def test_four_times_as_long_as_it_worked_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    monkeypatch.setattr(pipeline, "_decided", lambda waiting: ([() for _ in waiting[:1]], 0.5))
    point = Point()
    point.put()
    point.put()
    await point.shadows.idle()
    assert [seconds for seconds in slept if seconds >= 1] == [2.0, 2.0]


async def test_what_nobody_has_asked_for_is_counted_as_undecided() -> None:
    pinned = {**subject(), "workload": {"imageDigests": ["sha256:" + "a" * 64]}}
    point = Point(
        LIVE, stored("next", rule(), endpointSettings=settings(), mode="Audit", replaces="live", subjects=[pinned])
    )
    point.put()
    await point.shadows.idle()
    assert point.met == {(VerdictClass.ALLOW, "undecided"): 1}
    assert point.records.lines == []
