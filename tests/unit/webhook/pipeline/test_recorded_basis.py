"""A decision is recorded with what it was made from, and not with what is there when it is written."""

import json
from typing import Any, cast

from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.approvals.consumer import Judge
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.steps import resolve
from support.objects import AGENT, Object, changed, gated_rule, opened_grant, policy, settings
from support.pdp.alone import Alone

CALL = Call(
    "crm",
    "crm-api",
    ServiceAccount("system:serviceaccount:crm:crm-api", "pep-uid"),
    Party("serviceAccount", AGENT, "agent-uid"),
    Action("customers.export"),
    Resource("customer", "42"),
)


def stored() -> Object:
    raw = policy("crm", "crm-agent", endpointSettings=settings(), rules=[gated_rule()])
    raw["metadata"] |= {"uid": "uid", "generation": 1}
    return raw


class SlowUses:
    """Takes a use of a grant, and meanwhile the policies change; `live` is when the grant was read."""

    def __init__(self, alone: Alone, live: float) -> None:
        self._alone = alone
        self._live = live
        raw = opened_grant("crm")
        raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
        grant = parse(raw)
        assert grant is not None
        self.grant = grant

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: Judge, since: float | None = None
    ) -> Verdict:
        return verdict

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: object) -> tuple[Grant, ...]:
        return (self.grant,)

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        last = judge(self.grant, self._live)
        later = changed(stored(), "spec.sensitive", ["context.iban"])
        self._alone.store.snapshot = Snapshot.of([compile_object(later)])
        return replace(last, outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED), self.grant


async def test_the_policies_and_the_moment_are_those_of_the_last_look_at_the_grant() -> None:
    alone = Alone([stored()])
    clock = iter([10.0, 20.0, 30.0, 40.0, 50.0])
    uses = SlowUses(alone, 25.0)
    pdp = Pdp(
        cast("Any", alone.store),
        uses,
        cast("Any", alone.pdp._opener),
        alone.records,
        Installation(),
        lambda: next(clock),
    )
    decision = await resolve(pdp.evaluate(EvaluationRequest(CALL, "r", live_identity=True)))
    (line,) = map(json.loads, alone.records.lines)
    digest = Snapshot.of([compile_object(stored())]).endpoints["crm", "crm-api"].rules[0].policy_digest
    assert decision.allowed
    assert line["now"] == 25.0
    assert line["time"] > "1970-01-01T00:00:25"
    assert line["policies"] == {"crm-agent": digest}
