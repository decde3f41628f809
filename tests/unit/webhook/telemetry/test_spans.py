"""Spans of decisions: whose trace they are in, what they hold, and what they never hold."""

import re
from pathlib import Path
from typing import Any, Final, cast

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.batch import Semantic
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_webhook import telemetry
from bailiwick_webhook.approvals.consumer import Judge
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.pdp import Decision, Pdp
from bailiwick_webhook.pipeline.search import SearchKind
from bailiwick_webhook.process.standalone import NoRequests, NoUses
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.steps import resolve
from bailiwick_webhook.telemetry import BATCH, CONSUME, DECIDE, LIVE_READ, RECORD, REQUEST, SEARCH, SpanObserver
from support.objects import gated_rule, policy, rule, settings
from support.pdp.alone import Alone, KeptRecords
from unit.engine import cases

AGENT: Final = "system:serviceaccount:agents:crm-agent"
PEP: Final = ServiceAccount("system:serviceaccount:crm:crm-api", "pep-uid")
TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = "b7ad6b7169203331"
SECRET: Final = "4111-1111-1111-1111"


class World:
    """A pipeline with spans, one without, and the spans."""

    def __init__(self, records: KeptRecords | None = None, consumer: Any = None) -> None:  # noqa: ANN401 - `UseConsumer`
        given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule(), gated_rule()])
        given["metadata"] |= {"uid": "uid", "generation": 1}
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.store = cast("Any", Alone([given]).store)
        ports = (self.store, consumer or NoUses(), NoRequests(), records or KeptRecords())
        parts = (*ports, Installation(), lambda: cases.NOW)
        self.plain = Pdp(*parts)
        self.pdp = Pdp(*parts, observe=SpanObserver(provider.get_tracer("test")))

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


def asked(action: str = "customers.list", trace: str | None = f"00-{TRACE}-{PARENT}-01") -> EvaluationRequest:
    subject = Party("serviceAccount", AGENT, "agent-uid")
    resource = Resource("customer", "jane.doe@example.com")
    call = Call("crm", "crm-api", PEP, subject, Action(action), resource, context={"args": {"card": SECRET}})
    return EvaluationRequest(call, "request-1", live_identity=True, trace=trace)


def told(decision: Decision) -> tuple[bool, Outcome, Reason]:
    return decision.allowed, decision.verdict.outcome, decision.verdict.reason


async def test_a_decision_is_a_span_in_its_callers_trace() -> None:
    world = World()
    decision = await resolve(world.pdp.evaluate(asked()))
    span = world.spans()[DECIDE]
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert dict(span.attributes or {}) == {
        "bailiwick.endpoint": "crm/crm-api",
        "bailiwick.action": "customers.list",
        "bailiwick.resource.type": "customer",
        "bailiwick.decision": True,
        "bailiwick.reason": "allowed",
        "bailiwick.evaluation_id": decision.evaluation_id,
    }


async def test_without_a_trace_of_the_callers_each_decision_has_one_of_its_own() -> None:
    world = World()
    for _ in range(2):
        await resolve(world.pdp.evaluate(asked(trace=None)))
    spans = world.exporter.get_finished_spans()
    assert [span.parent for span in spans] == [None, None]
    assert len({span.context.trace_id for span in spans if span.context is not None}) == 2


async def test_what_a_decision_waits_for_is_under_it() -> None:
    class Approved:
        async def caught_up(self, _: Any, verdict: Verdict, *__: Any) -> Verdict:  # noqa: ANN401 - `UseConsumer`
            return verdict

        def taken_before(self, *_: Any) -> tuple[Grant, ...]:  # noqa: ANN401 - likewise
            return (cast("Grant", object()),)

        async def consume(self, _: Any, verdict: Verdict, *__: Any) -> tuple[Verdict, None]:  # noqa: ANN401 - likewise
            return verdict, None

    world = World(consumer=Approved())
    await resolve(world.pdp.evaluate(asked("customers.export")))
    spans = world.spans()
    decided = spans[DECIDE]
    for name in (CONSUME, RECORD):
        assert spans[name].parent == decided.context
    assert (spans[CONSUME].attributes or {})["bailiwick.used"] is False
    # Nothing was pending, so nobody looked.
    assert LIVE_READ not in spans


@pytest.mark.parametrize("moved_on", [False, True])
async def test_a_look_at_a_pending_grant_is_under_its_decision_and_says_what_it_found(moved_on: bool) -> None:
    class Looking(NoUses):
        async def caught_up(self, _: Any, verdict: Verdict, judge: Judge, *__: Any) -> Verdict:  # noqa: ANN401 - `UseConsumer`
            return judge(cases.read(live), cases.NOW) if moved_on else verdict

        def taken_before(self, *_: Any) -> tuple[Grant, ...]:  # noqa: ANN401 - likewise
            return ()

        async def consume(self, _: Any, verdict: Verdict, *__: Any) -> tuple[Verdict, None]:  # noqa: ANN401 - likewise
            return verdict, None

    world = World(consumer=Looking())
    export = asked("customers.export")
    snapshot = world.store.snapshot
    live = cases.approved(snapshot, export.call)
    pending = {**cases.asked(snapshot, export.call), "status": {"phase": "Pending"}}
    world.store.grants.apply("ADDED", ("crm", pending["metadata"]["name"]), pending)
    decision = await resolve(world.pdp.evaluate(export))
    reason = Reason.ALLOWED if moved_on else Reason.APPROVAL_PENDING
    assert decision.verdict.reason is reason
    spans = world.spans()
    look, decided = spans[LIVE_READ], spans[DECIDE]
    assert (look.parent, look.kind) == (decided.context, SpanKind.CLIENT)
    assert dict(look.attributes or {}) == {"bailiwick.reason": reason.value}
    assert (decided.attributes or {})["bailiwick.reason"] == reason.value
    assert (CONSUME in spans) is moved_on


@pytest.mark.parametrize("action", ["customers.list", "customers.export", "customers.delete", "unheard of"])
async def test_an_answer_is_the_same_with_spans_and_without(action: str) -> None:
    world = World()
    for semantic in Semantic:
        plain, traced = ([asked(action), None, asked()], [asked(action), None, asked()])
        without = await world.plain.evaluate_all(plain, semantic)
        within = await world.pdp.evaluate_all(traced, semantic)
        assert [one and told(one) for one in without] == [one and told(one) for one in within]
    assert told(await resolve(world.plain.evaluate(asked(action)))) == told(
        await resolve(world.pdp.evaluate(asked(action)))
    )
    assert (await world.plain.request(asked(action)))[1] == (await world.pdp.request(asked(action)))[1]
    found = [await pdp.search(asked(action), SearchKind.ACTION) for pdp in (world.plain, world.pdp)]
    assert [one and one.names for one in found[:1]] == [one and one.names for one in found[1:]]
    assert {DECIDE, BATCH, REQUEST, SEARCH} <= set(world.spans())


async def test_no_span_holds_an_argument_a_token_an_id_or_a_name() -> None:
    world = World()
    await resolve(world.pdp.evaluate(asked("customers.export")))
    await world.pdp.evaluate_all([asked()], Semantic.EXECUTE_ALL)
    await world.pdp.request(asked("customers.export"))
    await world.pdp.search(asked(), SearchKind.ACTION)
    text = "".join(span.to_json() for span in world.exporter.get_finished_spans())
    for secret in (SECRET, "jane.doe", "agents:crm-agent", "agent-uid", "crm:crm-api"):
        assert secret not in text


def test_the_page_names_every_span_and_every_attribute_and_no_other() -> None:
    page = (Path(__file__).parents[4] / "docs/reference/spans.md").read_text(encoding="utf-8")
    named = re.findall(r"`(bailiwick\.[a-z_.]+)`", page)
    made = set(re.findall(r'"(bailiwick\.[a-z_.]+)"', Path(telemetry.__file__).read_text(encoding="utf-8")))
    assert set(named) == made
    # One row each of the first table.
    rows = re.findall(r"^\| `(bailiwick\.[a-z_]+)` \| (\w+) \|", page, re.MULTILINE)
    assert dict(rows) == {
        **dict.fromkeys((DECIDE, BATCH, REQUEST, SEARCH), "server"),
        **dict.fromkeys((LIVE_READ, CONSUME), "client"),
        RECORD: "internal",
    }


async def test_a_record_that_fails_denies_and_its_span_says_so() -> None:
    class Full(KeptRecords):
        def take(self, line: bytes) -> bool:
            return False

        async def write(self, line: bytes, *, must: bool = True) -> None:
            raise RecordFailedError("no space")

    world = World(Full())
    assert told(await resolve(world.pdp.evaluate(asked())))[::2] == (False, Reason.RECORD_FAILED)
    spans = world.spans()
    assert spans[RECORD].status.is_ok is False
    assert (spans[DECIDE].attributes or {})["bailiwick.reason"] == "record_failed"
