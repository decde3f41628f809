"""Which calls are decided again, and what is kept of them until then."""

import itertools
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.call import Action, Call
from bailiwick_engine.decision.decide import weighed
from bailiwick_engine.decision.shadow import VerdictClass
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.metrics.shadowtable import ShadowDrop, ShadowTally
from bailiwick_webhook.pipeline import shadows as pipeline
from bailiwick_webhook.pipeline.decision import Basis, Decision, JudgedCall
from bailiwick_webhook.pipeline.shadows import Shadows
from support.objects import Object, gated_rule, rule, settings
from support.pdp.alone import KeptRecords, StaticStore
from unit.engine.cases import AROUND, CALL, ENFORCER, NOW, THE_AGENT, gate_of, opened, snapshot, stored, verdict_of

LIST: Final = replace(CALL, action=Action("customers.list"))
LIVE: Final = stored("live", rule(), gated_rule(), endpointSettings=settings())
NEXT: Final = stored("next", rule(), gated_rule(), endpointSettings=settings(), mode="Audit", replaces="live")


class Point:
    """What decides again, beside a decision point of which only verdicts are needed."""

    def __init__(self, *policies: Object, share: float = 1.0, drawn: float = 0.0) -> None:
        self.records = KeptRecords()
        self.tally = ShadowTally()
        self.snapshot: Snapshot = snapshot(*(policies or (LIVE, NEXT)))
        self.shadows = Shadows(
            self.records, self.tally, Installation(), lambda: NOW, share, iter(itertools.repeat(drawn)).__next__
        )

    def judged(self, call: Call = LIST, *grants: Grant, large: bool = False) -> JudgedCall:
        basis = Basis(self.snapshot, NOW, StaticStore([]).glance())
        verdict, hops = weighed(self.snapshot, call, grants, AROUND)
        return JudgedCall(EvaluationRequest(call, None, live_identity=True, large=large), basis, verdict, hops)

    def put(self, call: Call = LIST, *grants: Grant, large: bool = False) -> bool:
        one = self.judged(call, *grants, large=large)
        begun = self.shadows.begun(one, lambda _: grants)
        self.shadows.put(begun, Decision(one.verdict, True, "eval", NOW, "1", 0.0))
        return begun is not None

    @property
    def met(self) -> dict[tuple[str, str], int]:
        return {both: count for found in self.tally.met.values() for both, count in found.items() if count}


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
    ("caller", "expected"), [(ENFORCER, True), (THE_AGENT, False)], ids=["the enforcer", "the subject"]
)
async def test_what_a_subject_asks_about_itself_is_not(caller: object, expected: bool) -> None:
    call = replace(LIST, caller=caller)
    assert verdict_of(snapshot(LIVE), call).dry_run is not expected
    assert Point().put(call) is expected


async def test_it_is_decided_by_the_grants_of_before_a_use() -> None:
    point = Point()
    verdict = verdict_of(point.snapshot)
    assert verdict.digest is not None
    grant = parse(opened(gate_of(point.snapshot), verdict.digest))
    assert grant is not None
    point.put(CALL, grant)
    await point.shadows.idle()
    assert [key[0] for key in point.met] == [key[1] for key in point.met]
    assert point.records.lines == []
    point.put(CALL)
    await point.shadows.idle()
    assert (VerdictClass.APPROVAL, VerdictClass.APPROVAL) in point.met


async def test_few_calls_with_a_large_body_are_kept() -> None:
    point = Point()
    for _ in range(pipeline.MOST_LARGE + 3):
        point.put(large=True)
    point.put()
    assert point.tally.dropped[ShadowDrop.LARGE] == 3
    await point.shadows.idle()
    assert sum(point.met.values()) == pipeline.MOST_LARGE + 1
    # There is room again.
    point.put(large=True)
    assert point.tally.dropped[ShadowDrop.LARGE] == 3
    await point.shadows.close()


async def test_closing_leaves_what_waits() -> None:
    point = Point()
    for _ in range(10):
        point.put()
    await point.shadows.close()
    assert point.met == {}


async def test_few_states_of_a_tenants_endpoints_are_kept_in_memory() -> None:
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


async def test_what_was_known_when_the_call_was_decided_is_what_counts() -> None:
    point = Point()
    one = point.judged()
    begun = point.shadows.begun(one, lambda _: ())
    assert begun is not None
    assert begun.around == one.basis.around(one.asked, Installation())
