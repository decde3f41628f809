"""Spans of a real decision point on a real API server: what a decision waited for is in its caller's trace."""

import signal
from typing import Final

import pytest

from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.spans import Collector

pytestmark = pytest.mark.long

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = "b7ad6b7169203331"


def test_the_look_at_a_pending_grant_and_the_use_of_an_approved_one_are_under_the_decision(pdp: Bailiwick) -> None:
    with Collector() as collector:
        point = pdp.start_point(f"--otlp-endpoint={collector.url}")
        tenants = pdp.tenants(point)
        try:
            tenant = tenants.make("spans")
            name = tenant.opened("customers.export", "traced")
            tenant.await_known(lambda said: said.reason == "approval_pending", "customers.export", "traced")
            ask = (tenant.url(), tenant.body("customers.export", "traced"), tenant.pep)
            seen = [questions.post(*ask, {"traceparent": f"00-{TRACE}-{PARENT}-01"}).reason]
            tenant.approve(name)
            tenant.await_known(lambda said: said.decision is True, "customers.export", "traced")
            seen.append(questions.post(*ask, {"traceparent": f"00-{TRACE}-{PARENT}-01"}).reason)
            assert seen == ["approval_pending", "allowed"]
        finally:
            tenants.namespaces.clean()
            point.process.id.send(signal.SIGTERM)
            assert point.process.handle.wait(30) == 0
    spans = sorted(
        (one for one in collector.spans if one.trace_id.hex() == TRACE), key=lambda one: one.start_time_unix_nano
    )
    first, second = (one for one in spans if one.name == "bailiwick.decide")
    assert {one.parent_span_id.hex() for one in (first, second)} == {PARENT}
    under = [[one.name for one in spans if one.parent_span_id == decided.span_id] for decided in (first, second)]
    assert under == [["bailiwick.live_read", "bailiwick.record"], ["bailiwick.consume", "bailiwick.record"]]
    (look,) = (one for one in spans if one.name == "bailiwick.live_read")
    assert {one.key: one.value.string_value for one in look.attributes} == {"bailiwick.reason": "approval_pending"}
