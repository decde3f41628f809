"""Outcomes of calls that were let through: who is heard, when, how often, and what is recorded of it."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.history.state import CallOutcome
from bailiwick_webhook.history.handles import CountedEntry, EntryHandle, parse_handle
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.metrics.table import OutcomeResult
from bailiwick_webhook.pipeline.decision import Decision
from bailiwick_webhook.pipeline.outcomes import CallReport
from support.keptobjects import KeptObjects, lost
from support.objects import Object, rule
from support.pdp.alone import KeptRecords
from support.virtualtime import VirtualTime, virtual_time
from unit.engine.cases import ENFORCER
from unit.webhook.pipeline.countingpoint import CountingPoint, counting

__all__ = ["virtual_time"]

BACKUPS: Final = {
    "name": "backups",
    "key": ["agent"],
    "window": "1h",
    "counts": {"actions": ["customers.export"], "what": "Succeeded"},
}
FAILURES: Final = {**BACKUPS, "name": "failures", "key": [], "counts": {**BACKUPS["counts"], "what": "Failed"}}  # type: ignore[dict-item]  # an object
WIPE: Final = rule(
    "wipe",
    actions=["customers.wipe"],
    conditions=[{"name": "backup", "expression": "has(history.backups.age) && history.backups.age <= 60"}],
)
EXPORT: Final = rule("export", actions=["customers.export"])
OF: Final = ("crm", "crm-api")


def point_of(
    api: KeptObjects,
    *histories: Object,
    records: KeptRecords | None = None,
    now: Callable[[], float] = time.monotonic,
) -> CountingPoint:
    counted = counting(EXPORT, WIPE, histories=histories or (BACKUPS, FAILURES))
    return CountingPoint(api, counted, records=records, now=now)


def handle_of(decision: Decision) -> EntryHandle:
    context = messages.answer(decision, "https://pdp", {})["context"]
    found = parse_handle(context["outcome"]["handle"])
    assert found is not None
    return found


async def report(
    point: CountingPoint,
    decision: Decision | EntryHandle,
    outcome: CallOutcome = "succeeded",
    caller: ServiceAccount = ENFORCER,
) -> OutcomeResult | None:
    handle = decision if isinstance(decision, EntryHandle) else handle_of(decision)
    return await point.pdp.report(OF, caller, CallReport(f"eval_{32 * '0'}", handle, outcome, "r-1"))


@pytest.fixture
def api() -> KeptObjects:
    return KeptObjects(seconds=0.0)


@pytest.fixture
def point(api: KeptObjects, virtual_time: VirtualTime) -> CountingPoint:
    return point_of(api, now=virtual_time.monotonic)


class TestAReport:
    async def test_lets_a_call_through_that_needs_it(self, point: CountingPoint) -> None:
        decision = await point.ask()
        assert not (await point.ask("customers.wipe")).allowed
        assert await report(point, decision) is OutcomeResult.SUCCEEDED
        assert (await point.ask("customers.wipe")).allowed

    @pytest.mark.parametrize("outcome", ["failed", "cancelled"])
    async def test_of_anything_else_does_not(self, point: CountingPoint, outcome: CallOutcome) -> None:
        assert await report(point, await point.ask(), outcome) is OutcomeResult(outcome)
        assert not (await point.ask("customers.wipe")).allowed

    async def test_counts_once(self, point: CountingPoint) -> None:
        decision = await point.ask()
        results = [await report(point, decision, one) for one in ("succeeded", "succeeded", "failed")]
        assert results == [OutcomeResult.SUCCEEDED, OutcomeResult.REPEATED, OutcomeResult.CONFLICT]
        assert point.counted == 1

    async def test_counts_once_over_another_replica_that_saw_nothing(
        self, point: CountingPoint, api: KeptObjects, virtual_time: VirtualTime
    ) -> None:
        other = point_of(api, now=virtual_time.monotonic)
        await other.ask()
        decision = await point.ask()
        assert await report(other, decision) is OutcomeResult.SUCCEEDED
        assert await report(point, decision) is OutcomeResult.REPEATED
        assert point.counted == 1

    async def test_of_another_account_counts_nothing(self, point: CountingPoint) -> None:
        decision = await point.ask()
        twin = replace(ENFORCER, uid="of-a-new-account-with-this-name")
        assert await report(point, decision, caller=twin) is OutcomeResult.LATE
        stranger = ServiceAccount("system:serviceaccount:crm:stranger", ENFORCER.uid)
        assert await report(point, decision, caller=stranger) is None
        assert point.counted == 0

    async def test_with_a_forged_handle_counts_nothing(self, point: CountingPoint) -> None:
        handle = handle_of(await point.ask())
        forged = [
            replace(handle, nonce=64 * "0"),
            replace(handle, entries=tuple(replace(one, attempt=8 * "0") for one in handle.entries)),
            replace(handle, entries=(CountedEntry(f"sha256:{64 * 'a'}", handle.entries[0].attempt),)),
        ]
        for one in forged:
            assert await report(point, one) is OutcomeResult.LATE
        assert point.counted == 0
        assert (await point.ask()).allowed

    async def test_whose_answer_was_lost_is_sent_again(self, api: KeptObjects) -> None:
        point = point_of(api, BACKUPS)
        decision = await point.ask()
        api.after = lambda method: lost() if method == "PUT" else None
        assert await report(point, decision) is OutcomeResult.UNAVAILABLE
        api.after = lambda _: None
        assert await report(point, decision) is OutcomeResult.REPEATED
        assert point.counted == 1

    async def test_that_got_half_way_is_completed(self, point: CountingPoint, api: KeptObjects) -> None:
        decision = await point.ask()
        puts = iter([None, lost])
        api.before = lambda method: (next(puts) or (lambda: None))() if method == "PUT" else None
        assert await report(point, decision, "failed") is OutcomeResult.UNAVAILABLE
        api.before = lambda _: None
        assert await report(point, decision) is OutcomeResult.CONFLICT
        assert await report(point, decision, "failed") is OutcomeResult.FAILED
        assert point.counted == 1

    async def test_is_recorded_before_its_answer(self, point: CountingPoint) -> None:
        decision = await point.ask()
        await report(point, decision)
        await report(point, decision)
        _, first, again = point.lines
        assert (first["kind"], first["outcome"], first["caller"]["uid"]) == ("outcome", "succeeded", ENFORCER.uid)
        told = {one["name"]: (one["seq"], one["count"], one["added"]) for one in first["history"]}
        assert told == {"backups": (2, 1, True), "failures": (2, 0, False)}
        assert [{**one, "age": 0, "repeated": None} for one in again["history"]] == [
            {**one, "age": 0, "repeated": None} for one in first["history"]
        ]
        assert all(one["repeated"] for one in again["history"])

    async def test_that_is_not_recorded_is_sent_again(self, api: KeptObjects) -> None:
        broken = False
        records = KeptRecords(lambda _: broken)
        point = point_of(api, records=records)
        decision = await point.ask()
        broken = True
        assert await report(point, decision) is OutcomeResult.UNAVAILABLE
        broken = False
        assert await report(point, decision) is OutcomeResult.REPEATED
        assert point.lines[-1]["kind"] == "outcome"

    async def test_is_not_counted_while_the_guards_are_unproven(self, point: CountingPoint) -> None:
        decision = await point.ask()
        point.proven = False
        assert await report(point, decision) is OutcomeResult.UNAVAILABLE

    async def test_counts_once_of_many_at_a_time(
        self, point: CountingPoint, api: KeptObjects, virtual_time: VirtualTime
    ) -> None:
        decision, other = await point.ask(), point_of(api, now=virtual_time.monotonic)
        results = await asyncio.gather(*(report(where, decision) for where in (point, other) for _ in range(20)))
        assert results.count(OutcomeResult.SUCCEEDED) == 1
        assert set(results) == {OutcomeResult.SUCCEEDED, OutcomeResult.REPEATED}
        assert point.counted == 1


class TestAnAnswer:
    async def test_has_a_handle_only_where_an_outcome_counts(
        self, point: CountingPoint, api: KeptObjects, virtual_time: VirtualTime
    ) -> None:
        decision = await point.ask()
        told = messages.answer(decision, "https://pdp", {})["context"]["outcome"]
        assert told.keys() == {"handle", "until"}
        assert len(told["handle"]) <= 2_048
        for other in (await point.ask("customers.wipe"), await point.ask("customers.list")):
            assert "outcome" not in messages.answer(other, "https://pdp", {})["context"]
        allowed = {**BACKUPS, "counts": {"actions": ["customers.export"]}}
        plain = await point_of(api, allowed, now=virtual_time.monotonic).ask()
        assert "outcome" not in messages.answer(plain, "https://pdp", {})["context"]

    async def test_of_a_call_that_is_sent_again_has_a_handle_of_the_same_entry(self, point: CountingPoint) -> None:
        first, again = [handle_of(await point.ask(request_id="r-1")) for _ in range(2)]
        assert first == again

    async def test_says_in_the_record_that_an_outcome_is_awaited(self, point: CountingPoint) -> None:
        await point.ask()
        assert [(one["added"], one["awaited"], one["seq"]) for one in point.lines[0]["history"]] == 2 * [
            (False, True, 1)
        ]


HANDLE: Final = EntryHandle(64 * "1", (CountedEntry(f"sha256:{64 * '2'}", 8 * "3"),), 7)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_handle_reads_back() -> None:
    assert parse_handle(HANDLE.text) == HANDLE


PLAIN: Final = {"n": 64 * "1", "o": [[64 * "2", 8 * "3"]], "u": 7}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%",
        "é",
        encoded([]),
        encoded({**PLAIN, "more": 1}),
        encoded({**PLAIN, "n": 64 * "g"}),
        encoded({**PLAIN, "o": []}),
        encoded({**PLAIN, "o": [[64 * "2"]]}),
        encoded({**PLAIN, "o": 2 * PLAIN["o"]}),  # type: ignore[operator]  # a list
        encoded({**PLAIN, "o": [[f"{number:064x}", 8 * "3"] for number in range(5)]}),
        encoded({**PLAIN, "u": True}),
        encoded({**PLAIN, "u": -1}),
        encoded({**PLAIN, "n": 3_000 * "1"}),
        encoded(PLAIN)[:-2],
        "[" * 2_000,
    ],
)
def test_another_text_is_no_handle(text: str) -> None:
    assert parse_handle(text) is None


async def test_a_call_whose_outcome_is_awaited_is_recorded_or_denied(api: KeptObjects) -> None:
    musts: list[bool] = []

    class Watching(KeptRecords):
        async def write(self, line: bytes, *, must: bool = True) -> None:
            musts.append(must)
            await super().write(line, must=must)

    assert (await point_of(api, BACKUPS, records=Watching()).ask()).allowed
    assert musts == [True]
