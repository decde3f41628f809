"""Metrics: what is counted, and that nothing a caller sends ever makes a series."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, cast

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.decision.shadow import VerdictClass
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.http.status import health
from bailiwick_webhook.http.status.exposition import Exposition
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.metrics import table
from bailiwick_webhook.metrics.counts import Counts, ShadowTally, Tally
from bailiwick_webhook.metrics.table import MOST_ENDPOINTS, RequestKind
from support.objects import Object, gated_rule, policy, rule, settings
from support.pdp import questions
from support.pdp.alone import HARNESS, Alone, KeptRecords, subject_token

AGENT: Final = "system:serviceaccount:agents:crm-agent"
SAMPLE: Final = re.compile(r"(bailiwick_[a-z_]+)(?:\{(.*)\})? (\S+)")
Samples = dict[str, float]


def stored(raw: Object) -> Object:
    raw["metadata"] |= {"uid": raw["metadata"]["name"], "generation": 1}
    return raw


class Writer:
    """What a writer of records tells of itself."""

    written, lost, held, held_bytes, failing = 5, 2, 3, 900, "the disk is full"
    chain = None


class World:
    """A decision point with its status port, both asked over HTTP."""

    def __init__(self, alone: Alone, decisions: ClientSession, status: TestClient[Any, Any]) -> None:
        self.alone = alone
        self.decisions = decisions
        self.status = status

    async def ask(self, body: object, what: str = "evaluation", where: str = "crm/crm-api", who: str = HARNESS) -> int:
        path = f"/endpoints/{where}/access/v1/{what}"
        answer = await self.decisions.post(path, json=body, headers={"Authorization": f"Bearer {who}"})
        await answer.read()
        return answer.status

    async def samples(self) -> Samples:
        answer = await self.status.get("/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return dict(_samples(await answer.text()))


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if (found := SAMPLE.fullmatch(line)) is not None:
            yield f"{found[1]}{{{found[2] or ''}}}", float(found[3])


def body(action: str = "customers.list", **more: object) -> dict[str, Any]:
    return questions.evaluation(AGENT, action, token=subject_token(AGENT)) | more


@pytest.fixture
async def world() -> AsyncIterator[World]:
    given = policy(
        "crm", "crm-agent", endpointSettings=settings("certification", "harness"), rules=[rule(), gated_rule()]
    )
    alone = Alone([stored(given)], records=KeptRecords(lambda line: b"unrecordable" in line))
    exposition = Exposition(alone.pdp._evaluator._store, cast("Any", Writer()), alone.pdp.counts)
    status = health.build(alone.pdp._evaluator._store, lambda: True, {}, exposition, alone.pdp.counts)
    server = await serve(alone.application, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.port}"
    async with ClientSession(url) as one, TestClient(TestServer(status)) as other:
        yield World(alone, one, other)
    await server.stop()


def grown(before: Samples, after: Samples) -> Samples:
    assert before.keys() == after.keys()
    told = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    # Of time, and of connections that are open, other tests tell.
    return {name: value for name, value in told.items() if "_seconds" not in name and "_connections" not in name}


def decided(kind: str, outcome: str, reason: str) -> str:
    return f'bailiwick_decisions_total{{kind="{kind}",outcome="{outcome}",reason="{reason}"}}'


def answered(status: str) -> str:
    return f'bailiwick_http_responses_total{{class="{status}"}}'


async def test_a_decision_is_counted_by_what_it_came_to(world: World) -> None:
    for asked, told in (
        (body(), decided("evaluation", "allow", "allowed")),
        (body("customers.unheard"), decided("evaluation", "deny", "no_rule")),
        (body("customers.export"), decided("evaluation", "deny", "approval_required")),
        (body(resource={"type": "customer", "id": "unrecordable"}), decided("evaluation", "deny", "record_failed")),
    ):
        before = await world.samples()
        await world.ask(asked)
        assert grown(before, await world.samples()) == {told: 1, answered("2xx"): 1}


async def test_a_stranger_is_counted_as_one(world: World) -> None:
    before = await world.samples()
    assert await world.ask(body(), who="system:serviceaccount:no:body") == 403
    assert grown(before, await world.samples()) == {
        decided("evaluation", "forbidden", "no_rule"): 1,
        answered("4xx"): 1,
    }


async def test_each_item_of_a_batch_is_a_decision(world: World) -> None:
    before = await world.samples()
    await world.ask(body() | {"evaluations": [{}, {"action": {"name": "customers.unheard"}}, {}]}, "evaluations")
    after = await world.samples()
    assert grown(before, after) == {
        decided("batch", "allow", "allowed"): 2,
        decided("batch", "deny", "no_rule"): 1,
        answered("2xx"): 1,
    }
    took = 'bailiwick_decision_duration_seconds_count{kind="batch"}'
    assert after[took] - before[took] == 1


async def test_an_approval_token_that_is_refused_is_counted_once_for_a_body(world: World) -> None:
    shown = {"approval": {"id": "agr-x.y", "state": "no token"}}
    context = body()["context"]
    refused = 'bailiwick_approval_tokens_refused_total{why="unreadable"}'
    alike, hint = {"context": {**context, **shown}}, {"context": {**context, "approval": {"id": "agr-x.y"}}}
    other = {"context": {**context, "approval": {"id": "agr-x.y", "state": "no token either"}}}
    before = await world.samples()
    await world.ask(body("customers.export", context={**context, **shown}))
    await world.ask(body() | hint)
    once = await world.samples()
    assert grown(before, once)[refused] == 1
    await world.ask(body("customers.export") | {"evaluations": [alike, {}, alike, other, alike]}, "evaluations")
    told = grown(once, await world.samples())
    assert told[refused] == 2
    # Each item is denied all the same.
    assert told[decided("batch", "deny", "approval_token_invalid")] == 4


async def test_a_search_is_counted(world: World) -> None:
    before = await world.samples()
    searched = body()
    del searched["action"]
    assert await world.ask(searched, "search/action") == 200
    assert grown(before, await world.samples()) == {decided("search", "allow", "allowed"): 1, answered("2xx"): 1}


async def test_the_record_and_the_store_tell_of_themselves(world: World) -> None:
    samples = await world.samples()
    assert {
        name: samples[f"bailiwick_{name}{{}}"]
        for name in (
            "records_written_total",
            "records_lost_total",
            "records_waiting",
            "records_waiting_bytes",
            "records_failing",
            "endpoints",
            "policies",
            "broken_policies",
            "guard_proven",
            "store_age_seconds",
        )
    } == {
        "records_written_total": 5,
        "records_lost_total": 2,
        "records_waiting": 3,
        "records_waiting_bytes": 900,
        "records_failing": 1,
        "endpoints": 1,
        "policies": 1,
        "broken_policies": 0,
        "guard_proven": 1,
        "store_age_seconds": 0,
    }


async def test_a_broken_policy_is_counted(world: World) -> None:
    broken = policy("crm", "broken", rules=[rule(conditions=[{"name": "no", "expression": "1 +"}])])
    world.alone.store.snapshot = Alone([stored(policy("crm", "crm-agent")), stored(broken)]).store.snapshot
    samples = await world.samples()
    assert (samples["bailiwick_policies{}"], samples["bailiwick_broken_policies{}"]) == (1, 1)


async def test_a_thousand_names_leave_the_number_of_series_as_it_is(world: World) -> None:
    before = await world.samples()
    for number in range(250):
        garbage = f'x{number}-\u00e9"{{}}\\n'
        await world.ask(body(), where=f"ns{number}/api{number}")
        await world.ask(questions.evaluation(f"system:serviceaccount:agents:{garbage}", "customers.list"))
        await world.ask(body(garbage, resource={"type": garbage, "id": garbage}, context={"intent": garbage}))
        answer = await world.decisions.request(f"GARBAGE{number}", f"/nothing/{number}?{number}")
        await answer.read()
    after = await world.samples()
    assert before.keys() == after.keys()
    assert sum(grown(before, after).values()) >= 1000
    text = await (await world.status.get("/metrics")).text()
    for name in ("crm", "agent", "ns1", "x1-", "nothing", "customers"):
        assert not re.search(rf'="[^"]*{name}', text)


def test_of_endpoints_only_the_first_with_a_candidate_have_series() -> None:
    tally = ShadowTally()
    for number in range(MOST_ENDPOINTS + 5):
        for _ in range(2):
            tally.count((f"crm-{number % 20}", f"api-{number}"), VerdictClass.ALLOW, VerdictClass.DENY)
    tally.count(("crm-0", "api-0"), VerdictClass.DENY, None)
    assert len(tally.met) == MOST_ENDPOINTS + 1
    assert tally.met["crm-0/api-0"] == {
        **dict.fromkeys(tally.met["crm-0/api-0"], 0),
        ("allow", "deny"): 2,
        ("deny", "undecided"): 1,
    }
    assert tally.met["other"]["allow", "deny"] == 10


def test_one_namespace_has_few_of_the_series_of_endpoints() -> None:
    tally = ShadowTally()
    for number in range(10):
        tally.count(("crm", f"api-{number}"), VerdictClass.ALLOW, VerdictClass.DENY)
    tally.count(("crm-other", "api"), VerdictClass.ALLOW, VerdictClass.DENY)
    assert list(tally.met) == ["crm/api-0", "crm/api-1", "crm/api-2", "crm/api-3", "other", "crm-other/api"]
    assert tally.met["other"]["allow", "deny"] == 6


def test_every_series_is_known_from_the_table() -> None:
    known = {
        metric.name.removesuffix("_total"): {name: set(values) for name, values in metric.labels}
        for metric in table.METRICS
    }
    exposition = Exposition(cast("Any", Alone([]).store), cast("Any", Writer()), Counts())
    collected = list(exposition.collect())
    assert [family.name for family in collected] == list(known)
    for family in collected:
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            assert labels.keys() == known[family.name].keys()
            assert all(value in known[family.name][name] for name, value in labels.items())


@pytest.mark.parametrize("reason", Reason)
def test_no_reason_lacks_a_place(reason: Reason) -> None:
    for kind in RequestKind:
        Tally(kind).count(table.DecisionOutcome.DENY, reason)


def test_before_the_first_list_the_store_is_infinitely_old() -> None:
    store = cast("Any", Alone([]).store)
    store.synced, store.snapshot, store.freshness = False, None, Freshness.DEAD
    text = Exposition(store, cast("Any", Writer()), Counts()).text().decode()
    assert "bailiwick_store_age_seconds +Inf" in text
    assert "bailiwick_endpoints 0.0" in text


def test_a_time_falls_into_its_bucket_and_all_above() -> None:
    counts = Counts()
    for seconds in (0.00005, 0.0001, 0.3, 100):
        counts.search.took(seconds)
    text = Exposition(cast("Any", Alone([]).store), cast("Any", Writer()), counts).text().decode()
    told = {
        le: int(float(count)) for le, count in re.findall(r'seconds_bucket\{kind="search",le="([^"]+)"\} (\S+)', text)
    }
    assert (told["0.0001"], told["0.25"], told["0.5"], told["5"], told["+Inf"]) == (2, 2, 3, 3, 4)
    assert 'seconds_sum{kind="search"} 100.3' in text
