"""Decisions while the record cannot be written: what is given, what is denied, and what the metrics tell."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pytest
import requests
import yaml
from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.batch import Semantic
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.metrics.table import DecisionOutcome as MetricOutcome, Use
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.record.writing.writer import QueueLimits, RecordWriter
from bailiwick_webhook.steps import resolve
from support.objects import gated_rule, opened_grant, policy, rule, settings
from support.pdp.alone import Alone
from support.pdp.standalone import Process
from support.waits import until

FULL: Final = Path("/dev/full")
AGENT: Final = "system:serviceaccount:agents:crm-agent"
PEP: Final = ServiceAccount("system:serviceaccount:crm:crm-api", "pep-uid")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")


def _grant() -> Grant:
    raw = opened_grant("crm")
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    made = parse(raw)
    assert made is not None
    return made


@dataclass
class ApprovedGrants:
    """Has a grant for every call that needs one, and counts its uses."""

    uses: int = 0

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: object, since: float | None = None
    ) -> Verdict:
        return verdict

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: Any) -> tuple[Grant, ...]:  # noqa: ANN401 - `ports.UseConsumer`
        return (_grant(),)

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: object
    ) -> tuple[Verdict, Grant | None]:
        self.uses += 1
        return replace(verdict, outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED), _grant()


def _pdp(writer: RecordWriter) -> tuple[Pdp, ApprovedGrants]:
    raw = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule(), gated_rule()])
    raw["metadata"] |= {"uid": "uid", "generation": 1}
    alone, approved = Alone([raw]), ApprovedGrants()
    return Pdp(cast("Any", alone.store), approved, cast("Any", alone.pdp._opener), writer, Installation()), approved


def _asked(action: str) -> EvaluationRequest:
    subject = Party("serviceAccount", AGENT, "agent-uid")
    call = Call("crm", "crm-api", PEP, subject, Action(action), Resource("customer", "42"))
    return EvaluationRequest(call, "request-1", live_identity=True)


@pytest.fixture(params=[True, False], ids=["deny", "allow"])
async def writer(request: pytest.FixtureRequest) -> AsyncIterator[RecordWriter]:
    limits = QueueLimits(timeout=0.3, required=request.param)
    async with RecordWriter(FULL, fsync=False, limits=limits) as made:
        yield made


@pytest.mark.invariant(22, 26)
async def test_a_use_of_a_grant_is_denied_whatever_the_setting(writer: RecordWriter) -> None:
    pdp, approved = _pdp(writer)
    for _ in range(3):
        decision = await resolve(pdp.evaluate(_asked("customers.export")))
        assert (decision.allowed, decision.verdict.reason) == (False, Reason.RECORD_FAILED)
    assert (approved.uses, pdp.counts.uses[Use.USED]) == (3, 3)
    assert pdp.counts.evaluation.outcomes[MetricOutcome.DENY][Reason.RECORD_FAILED] == 3


async def test_any_other_call_is_decided_by_the_setting(writer: RecordWriter) -> None:
    pdp, _ = _pdp(writer)
    # From here on the failure is known.
    await resolve(pdp.evaluate(_asked("customers.export")))
    decision = await resolve(pdp.evaluate(_asked("customers.list")))
    given = not writer._limits.required
    assert (decision.allowed, decision.verdict.reason) == (given, Reason.ALLOWED if given else Reason.RECORD_FAILED)


async def test_a_batch_is_decided_item_by_item_as_single_calls_are(writer: RecordWriter) -> None:
    pdp, _ = _pdp(writer)
    await resolve(pdp.evaluate(_asked("customers.export")))
    items = [_asked("customers.list"), None, _asked("customers.export"), _asked("customers.list")]
    for asked in (items, [items[0], items[3]]):
        decisions = await pdp.evaluate_all(asked, Semantic.EXECUTE_ALL)
        allowed = [one is not None and one.allowed for one in decisions]
        given = not writer._limits.required
        assert allowed == [given and one is not None and one.call.action.name == "customers.list" for one in asked]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()])
    (folder / "crm.yaml").write_text(yaml.safe_dump(given))
    return folder


@pytest.fixture(params=["deny", "allow"])
def failing(request: pytest.FixtureRequest, tmp_path: Path, policies: Path) -> Iterator[tuple[str, Process]]:
    with (tmp_path / "log").open("wb") as log:
        flags = ("--development", "--on-record-failure", request.param, "--record-timeout", "0.5")
        (tmp_path / "records.jsonl").symlink_to(FULL)
        process = Process(tmp_path, policies, log, *flags)
        yield request.param, process
        if process.process.poll() is None:
            process.stop()


@pytest.mark.long
def test_the_process_keeps_to_the_setting_and_tells_of_it(failing: tuple[str, Process]) -> None:
    setting, process = failing

    def metric(name: str) -> float:
        text = requests.get(f"http://127.0.0.1:{process.status_port}/metrics", timeout=5).text
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    # The line that opens the chain is the first, and waits from then on.
    until(lambda: metric("bailiwick_records_failing") == 1, "the failure is noticed", 5)
    said = [process.ask() for _ in range(5)]
    assert {answer.reason for answer in said} == {"record_failed" if setting == "deny" else "allowed"}
    assert metric("bailiwick_records_written_total") == 0
    assert metric("bailiwick_records_waiting") == (1 if setting == "deny" else 6)
    assert metric("bailiwick_records_lost_total") == (5 if setting == "deny" else 0)
    assert process.stop() == 0
    assert process.log.read_text().count("decision records cannot be written") in {1, 2}
