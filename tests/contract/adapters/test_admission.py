"""Reviews of policies over HTTP: what goes in and what comes back is `admission.k8s.io/v1`."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientSession

from bailiwick_api.manifests.admission import PATH
from bailiwick_webhook.admission import bench as benches
from bailiwick_webhook.admission.bench import PolicyExaminer
from bailiwick_webhook.admission.comparison import UNCOMPARED
from bailiwick_webhook.http.admission import ValidateHandler
from bailiwick_webhook.http.shares.quota import Quota
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.metrics.table import Admission
from contract.asking_alone import PEP, TENANT, body, stored
from support.admission.reviews import UID, large, sent
from support.objects import Object, changed, gated_rule, policy, rule, settings
from support.pdp.alone import Alone
from support.pdp.questions import Said

JSON: Final = {"Content-Type": "application/json"}
# As the API server asks.
AS_SENT: Final = {
    "Accept": "application/json, */*",
    "Accept-Encoding": "gzip",
    "User-Agent": "kube-apiserver-admission",
}
GOLDEN: Final = Path(__file__).parent / "admission"
UNDECLARED: Final = (
    "unknown name nothing; a condition can use subject, actor, action, resource, context, now, history and variables;"
    " write strings in quotes (policy crm/crm-agent, rule read, condition big)"
)
BROKEN: Final = rule(conditions=[{"name": "big", "expression": "context.count >\n  nothing.here"}])

CARRIER: Final = policy("crm", endpointSettings=settings())
READ: Final = "permits more calls (rule read, new): Deny to Allow: sa:agents/crm-agent | customers.list | customer/*"
EXPORT: Final = (
    "permits more calls (rule export, new): Deny to Approval: sa:agents/crm-agent | customers.export | customer/*"
)
ADDED: Final = "permits more calls: endpointSettings added, without which an endpoint denies every call"


class BothPorts:
    """Asks at both ports of one decision point."""

    def __init__(self, alone: Alone, decisions: int, admission: int, client: ClientSession) -> None:
        self.alone = alone
        self.counts = alone.pdp.counts.admissions
        self.decisions, self.admission = (f"http://127.0.0.1:{port}" for port in (decisions, admission))
        self._client = client

    @property
    def validate(self) -> ValidateHandler:
        assert self.alone.validate is not None
        return self.alone.validate

    async def __call__(self, data: bytes, query: str = "?timeout=10s", **headers: str) -> Said:
        return await self.post(self.admission, PATH + query, data, {**JSON, **headers})

    async def evaluate(self, where: str = "") -> Said:
        headers = {**JSON, "Authorization": f"Bearer {PEP}"}
        data = json.dumps(body()).encode()
        return await self.post(where or self.decisions, f"{TENANT}/access/v1/evaluation", data, headers)

    async def post(self, where: str, path: str, data: bytes, headers: dict[str, str]) -> Said:
        answer = await self._client.post(where + path, data=data, headers=headers)
        raw = await answer.read()
        return Said(answer.status, json.loads(raw), answer.headers, raw)


@pytest.fixture
async def asks() -> AsyncIterator[BothPorts]:
    bench = PolicyExaminer()
    alone = Alone([stored()], bench=bench, mapped={"corp": True, "partners": False})
    decisions = await serve(alone.application, "127.0.0.1", 0)
    admission = await serve(alone.admission, "127.0.0.1", 0)
    try:
        async with ClientSession() as client:
            yield BothPorts(alone, decisions.port, admission.port, client)
    finally:
        await admission.stop()
        await decisions.stop()
        await bench.close()


def golden(name: str) -> Object:
    """Return a review as a real API server sent it."""
    read: Object = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return read


def allowed(uid: str, *warnings: str) -> Object:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": uid, "allowed": True, **({"warnings": [*warnings]} if warnings else {})},
    }


@pytest.mark.parametrize(("name", "warnings"), [("create", (ADDED, EXPORT, READ)), ("update", ())])
async def test_what_a_real_api_server_sent_is_allowed_under_its_uid(
    asks: BothPorts, name: str, warnings: tuple[str, ...]
) -> None:
    review = golden(name)
    said = await asks(json.dumps(review).encode(), "?timeout=5s", **AS_SENT)
    assert (said.status, said.headers["Content-Type"]) == (200, "application/json")
    assert said.body == allowed(review["request"]["uid"], *warnings)


async def test_what_is_refused_is_answered_with_a_status_that_says_where(asks: BothPorts) -> None:
    review = changed(golden("create"), "request.object.spec.rules", [BROKEN])
    assert (await asks(json.dumps(review).encode())).body == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": review["request"]["uid"],
            "allowed": False,
            "status": {
                "status": "Failure",
                "code": 422,
                "reason": "Invalid",
                "message": f"InvalidPolicy: spec.rules[0].conditions[0].expression:2:10: {UNDECLARED}",
                "details": {
                    "name": "crm-agent",
                    "group": "bailiwick.dev",
                    "kind": "EndpointPolicy",
                    "causes": [
                        {
                            "reason": "FieldValueInvalid",
                            "field": "spec.rules[0].conditions[0].expression",
                            "message": f"line 2, column 10: {UNDECLARED}",
                        }
                    ],
                },
            },
        },
    }


async def test_a_second_carrier_is_refused_and_a_change_of_the_first_is_not(asks: BothPorts) -> None:
    second = (await asks(sent(stored(name="second")))).body["response"]
    assert second["allowed"] is False
    assert second["status"]["message"].startswith("Conflicted: endpointSettings for crm-api are also in crm-agent")
    (cause,) = second["status"]["details"]["causes"]
    assert (cause["field"], cause["message"]) == ("spec.endpointSettings", second["status"]["message"])
    first = stored()
    assert (await asks(sent(changed(first, "spec.suspend", True), first))).body == allowed(UID)


async def test_people_of_an_issuer_that_is_not_mapped_are_refused(asks: BothPorts) -> None:
    person = {"name": "agent", "user": {"issuer": "partners", "name": "pat"}}
    people = policy("crm", "people", subjects=[person], rules=[gated_rule()])
    response = (await asks(sent(people))).body["response"]
    assert response["status"]["message"].startswith("UnmappedIssuer: people review approvals of rule export")
    (cause,) = response["status"]["details"]["causes"]
    assert (cause["field"], cause["message"]) == ("spec.subjects", response["status"]["message"])


async def test_a_dry_run_is_answered_alike(asks: BothPorts) -> None:
    for dry in (policy("crm", "dry"), policy("crm", "dry", rules=[BROKEN])):
        assert (await asks(sent(dry, dryRun=True))).body == (await asks(sent(dry))).body


class TestCallsThatGetFurther:
    HOLD: Final = rule("hold", effect="Deny", actions=["customers.*"])

    async def test_are_told_of_a_change_and_of_a_dry_run(self, asks: BothPorts) -> None:
        new, old = stored(gated_rule("read", actions=["customers.list"])), stored(self.HOLD)
        for more in ({}, {"dryRun": True}):
            response = (await asks(sent(new, old, **more))).body["response"]
            assert response["allowed"] is True
            first, second = response["warnings"]
            assert first.startswith("permits more calls (rule read, new): Deny to Approval: sa:agents/crm-agent")
            assert second.startswith("may permit more calls, where another policy allows them (rule hold, removed)")

    async def test_are_not_told_where_none_does(self, asks: BothPorts) -> None:
        for new, old in ((stored(), stored()), (stored(rule(), self.HOLD), stored())):
            assert (await asks(sent(new, old))).body == allowed(UID)

    async def test_are_told_of_what_was_posted_and_of_nobody_elses_policies(self, asks: BothPorts) -> None:
        # At this endpoint the same rule is in force in another policy, and at the other there is none.
        told = [
            (await asks(sent(policy("crm", "mine", endpoint=endpoint)))).body["response"]["warnings"][0]
            for endpoint in ("crm-api", "nobodys")
        ]
        assert told == [READ, READ]


async def test_what_came_of_it_is_counted(asks: BothPorts) -> None:
    before = dict(asks.counts)
    for asked in (
        sent(policy("crm", "sound")),
        sent(None, policy("crm", "gone")),
        sent(policy("crm", "broken", rules=[BROKEN])),
        sent(stored(name="second")),
        b"{}",
        sent(policy("crm") | {"apiVersion": "bailiwick.dev/v9"}),
    ):
        await asks(asked)
    assert {name for name, count in asks.counts.items() if count == before[name] + 1} == {
        *(Admission.ALLOWED, Admission.UNCHANGED, Admission.INVALID),
        *(Admission.CONFLICTED, Admission.UNREADABLE, Admission.FOREIGN),
    }


class TestWhatCannotBeJudged:
    async def test_in_time_is_no_answer_and_not_to_be_asked_for_again(self, asks: BothPorts) -> None:
        await asks(sent(CARRIER))
        said = await asks(sent(large(64, 16, 600)), "?timeout=1s")
        assert (said.status, "Retry-After" in said.headers) == (504, False)
        assert asks.counts[Admission.LATE] == 1

    async def test_since_others_wait_is_to_be_asked_for_again_soon(self, asks: BothPorts) -> None:
        # The worker is not started yet: one has it, as many wait as may, and one more comes.
        said = await asyncio.gather(*(asks(sent(CARRIER)) for _ in range(benches.MOST_WAITING + 2)))
        assert sorted(one.status for one in said) == [200] * (benches.MOST_WAITING + 1) + [429]
        (busy,) = (one for one in said if one.status == 429)
        assert busy.headers["Retry-After"] == "1"
        assert asks.counts[Admission.OVERLOADED] == 1
        assert (await asks(sent(CARRIER))).status == 200

    async def test_since_there_is_no_room_for_it_is_to_be_asked_for_again_soon(
        self, asks: BothPorts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asks.validate._bodies, "_others", Quota(100))
        assert (await asks(sent(CARRIER))).status == 429
        assert asks.counts[Admission.OVERLOADED] == 1
        monkeypatch.setattr(asks.validate._bodies, "_others", Quota(10_000))
        # What was taken is given back each time.
        assert [(await asks(sent(CARRIER))).status for _ in range(20)] == [200] * 20

    async def test_since_the_worker_died_is_no_answer_and_the_next_is_judged(self, asks: BothPorts) -> None:
        await asks(sent(CARRIER))
        asked = asyncio.create_task(asks(sent(large(64, 16, 600))))
        # The first may have been dead already: it is tried once more.
        killed: set[int] = set()
        while not asked.done() and len(killed) < 2:
            await asyncio.sleep(0.2)
            bench = asks.alone.bench
            if bench is not None and bench.pid is not None and bench.pid not in killed:
                os.kill(bench.pid, signal.SIGKILL)
                killed.add(bench.pid)
        said = await asked
        assert (said.status, "Retry-After" in said.headers) == (500, False)
        assert asks.counts[Admission.FAILED] == 1
        assert (await asks(sent(CARRIER))).body == allowed(UID, ADDED, READ)


async def test_decisions_go_on_while_a_large_policy_is_compiled(asks: BothPorts) -> None:
    await asks(sent(CARRIER))
    compiling = asyncio.create_task(asks(sent(large(28, 16, 200)), "?timeout=30s"))
    decided = 0
    while not compiling.done():
        said = await asks.evaluate()
        assert said.decision is True
        decided += 1
    # To compare all calls takes longer than there is for it.
    assert (await compiling).body == allowed(UID, UNCOMPARED)
    # The worker takes a quarter of a second at least; had the loop compiled it, there would have been one or two.
    assert decided > 10


@pytest.mark.parametrize(
    "told", ["", "?timeout=", "?timeout=-1s", "?timeout=1h", "?timeout=99999999s", "?timeout=1s1s"]
)
async def test_a_time_that_is_not_the_api_servers_is_the_usual_one(asks: BothPorts, told: str) -> None:
    assert (await asks(sent(CARRIER), told)).body == allowed(UID, ADDED, READ)


async def test_the_two_ports_share_no_path(asks: BothPorts) -> None:
    at_decisions = await asks.post(asks.decisions, PATH, sent(CARRIER), JSON)
    assert (at_decisions.status, at_decisions.headers["Content-Type"]) == (404, "application/problem+json")
    assert (await asks.evaluate(asks.admission)).status == 404
    assert (await asks.evaluate()).decision is True
