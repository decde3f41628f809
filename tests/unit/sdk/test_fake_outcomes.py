"""Outcomes for an application's own tests: handles of allows, and what is reported by them."""

import json
from typing import Any, Final

import pytest

from bailiwick import AsyncBailiwick, Bailiwick, Call, Decision, HttpRequest, ReportState, Resource
from bailiwick.fakeoutcomes import AsyncCountingTransport, CountingTransport, OutcomeLedger
from support.sdk.script import Script, Scripted, allow, answer, deny

CALL: Final = Call(token="t", action="refund", resource=Resource("Order", "1"))
OTHER: Final = Call(token="t", action="export", resource=Resource("Order", "1"))


def client(ledger: OutcomeLedger, *answers: Scripted) -> Bailiwick:
    script = Script(*(answers or (allow(evaluation_id="e-1"),)))
    return Bailiwick("https://pdp.example", endpoint="a/b", token=None, transport=CountingTransport(script, ledger))


def test_a_report_is_remembered_with_its_action() -> None:
    ledger = OutcomeLedger()
    pdp = client(ledger)
    with pdp.guarded(CALL):
        pass
    with pytest.raises(RuntimeError), pdp.guarded(OTHER):
        raise RuntimeError
    assert ledger.reports == [("refund", "succeeded"), ("export", "failed")]


async def test_it_is_remembered_under_asyncio_too() -> None:
    ledger = OutcomeLedger()
    transport = AsyncCountingTransport(Script(allow(evaluation_id="e-1")).asynchronous, ledger)
    async with AsyncBailiwick("https://pdp.example", token=None, transport=transport) as pdp, pdp.guarded(CALL):
        pass
    assert ledger.reports == [("refund", "succeeded")]


def test_a_report_counts_once_and_another_one_is_a_conflict() -> None:
    ledger = OutcomeLedger()
    pdp = client(ledger)
    decision = pdp.require(CALL)
    states = [pdp.report(decision, one).state for one in ("failed", "failed", "succeeded")]
    assert states == [ReportState.RECORDED, ReportState.RECORDED, ReportState.CONFLICT]
    assert ledger.reports == [("refund", "failed")]


def test_a_handle_of_another_run_is_late() -> None:
    decision = client(OutcomeLedger()).require(CALL)
    assert client(OutcomeLedger()).report(decision, "failed").state is ReportState.LATE


def test_only_an_allow_has_a_handle() -> None:
    denied: Decision = client(OutcomeLedger(), deny(evaluation_id="e-1")).evaluate(CALL)
    assert "outcome" not in denied.context
    assert client(OutcomeLedger(), answer({}, 503)).evaluate(CALL).available is False


def test_a_dry_run_has_no_handle() -> None:
    tried: Decision = client(OutcomeLedger(), allow(dry_run=True)).evaluate(CALL, dry_run=True)
    assert (tried.would_allow, "outcome" in tried.context) == (True, False)


def test_each_allow_of_a_batch_has_a_handle() -> None:
    ledger = OutcomeLedger()
    items = [{"decision": one, "context": {"evaluation_id": "e"}} for one in (True, False, True)]
    pdp = client(ledger, answer({"evaluations": items}))
    for decision in pdp.evaluate_many([CALL, CALL, OTHER]):
        pdp.report(decision, "cancelled")
    assert ledger.reports == [("refund", "cancelled"), ("export", "cancelled")]


@pytest.mark.parametrize("body", [b"x", b"[]", b"{}", b'{"handle": 1, "outcome": "failed"}', b'{"handle": "h"}'])
def test_a_malformed_report_is_refused(body: bytes) -> None:
    ledger = OutcomeLedger()
    came: Any = ledger.answer(HttpRequest("https://pdp.example/access/v1/outcomes", {}, body))
    assert (came.status, bool(json.loads(came.body)["detail"])) == (400, True)
