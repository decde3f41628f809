"""Answers of the API server that were long on their way: what was decided before them is judged as it is now."""

from typing import cast

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.pipeline.evaluator import Evaluator
from bailiwick_webhook.pipeline.offload import Offload
from bailiwick_webhook.store.store import Store
from support.objects import gated_rule, settings
from support.pdp.alone import StaticStore
from unit.engine.cases import NOW, approved, at, read, stored
from unit.webhook.pipeline.countingpoint import asked

GATED = stored("crm-agent", gated_rule(), endpointSettings=settings())


@pytest.mark.invariant(12)
@pytest.mark.parametrize(("late", "reason"), [(0.0, Reason.ALLOWED), (4.0, Reason.APPROVAL_EXPIRED)])
def test_a_grant_that_ended_while_it_was_read_serves_nobody_though_our_clock_is_behind(
    late: float, reason: Reason
) -> None:
    store = StaticStore([GATED])
    assert isinstance(store.snapshot, Snapshot)
    grant = read(approved(store.snapshot, notAfterTime=at(2)))
    evaluator = Evaluator(cast("Store", store), Installation(), lambda: (NOW - 10, NOW + late), Offload())
    one = evaluator.evaluate_now(asked(), evaluator.inputs())
    # The answer has the time at which it was written, which is later than ours.
    found = evaluator.reevaluate(one, grant, NOW).verdict
    assert (found.reason, found.outcome is Outcome.USE_GRANT) == (reason, reason is Reason.ALLOWED)
