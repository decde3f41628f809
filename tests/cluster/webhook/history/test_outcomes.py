"""Outcomes and denied calls on a real API server, over three decision points: each report counts once."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import requests

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_HISTORIES
from bailiwick_engine.history.state import parse_state
from demo.stack import DecisionPoint
from localcluster import process
from localcluster.ports import free_ports
from localcluster.process import spawn
from support.installation import accepted
from support.objects import Object, rule
from support.pdp import crash
from support.pdp.processes import REPLICAS, Bailiwick, await_ready
from support.pdp.tenant import RULES, Tenant, Tenants
from support.waits import until


def counted(name: str, what: str, *, action: str | None = None, **more: object) -> Object:
    """Return a history that counts one action by its outcome, or denials of it."""
    counts = {"actions": [action or f"customers.{name}"], "what": what}
    return {"name": name, "key": ["agent"], "window": "1h", "counts": counts, **more}


NAMES: Final = ("races", "mixed", "killed", "twice", "late", "forged")
HISTORIES: Final = (
    *(counted(name, "Succeeded", **({"outcomeWithin": "1m"} if name == "late" else {})) for name in NAMES),
    counted("strays", "Denied", action="customers.wipe"),
)
LIMITS: Final = (
    *(rule(name, actions=[f"customers.{name}"]) for name in NAMES),
    *(
        rule(
            f"after-{name}",
            actions=[f"orders.{name}"],
            conditions=[{"name": "done", "expression": f"history.{name}.count >= 1"}],
        )
        for name in NAMES
    ),
    rule("open", actions=["customers.open"]),
    rule(
        "closed",
        effect="Deny",
        actions=["customers.open"],
        conditions=[{"name": "strays", "expression": "history.strays.count >= 3"}],
    ),
)


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    return tenants.make("outcomes", [RULES[0], *LIMITS], HISTORIES)


def body_of(context: dict[str, Any], outcome: str) -> dict[str, str]:
    handle: str = context["outcome"]["handle"]
    return {"evaluation_id": context["evaluation_id"], "handle": handle, "outcome": outcome}


def report(
    tenant: Tenant, context: dict[str, Any], outcome: str = "succeeded", point: int = 0, token: str | None = None
) -> int:
    """Report an outcome; return the status of the answer."""
    headers = {"Authorization": f"Bearer {token or tenant.pep}"}
    answer = requests.post(
        tenant.url("outcomes", point=point), json=body_of(context, outcome), headers=headers, timeout=30
    )
    assert answer.ok is (answer.json() == {"outcome": outcome})
    return answer.status_code


async def report_at_once(tenant: Tenant, context: dict[str, Any], *outcomes: str) -> Counter[tuple[str, int]]:
    """Report these outcomes at once, over all decision points; return how often each had which status."""
    headers = {"Authorization": f"Bearer {tenant.pep}"}

    async def send(session: aiohttp.ClientSession, number: int, outcome: str) -> tuple[str, int]:
        url = tenant.url("outcomes", point=number % REPLICAS)
        async with session.post(url, json=body_of(context, outcome), headers=headers) as response:
            return outcome, response.status

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return Counter(await asyncio.gather(*(send(session, number, one) for number, one in enumerate(outcomes))))


def settled(tenant: Tenant) -> Counter[str]:
    """Return how many calls have which outcome, as the server holds them."""
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_HISTORIES}"
    found: Counter[str] = Counter()
    for item in accepted(tenant.callers.admin.get(path))["items"]:
        state = parse_state(item["spec"])
        assert state is not None
        for entry in state.recent:
            if entry.outcome is not None and entry.outcome.reported is not None:
                found[entry.outcome.reported] += 1
    return found


async def test_a_report_that_races_with_itself_over_three_processes_counts_once(tenant: Tenant) -> None:
    before = settled(tenant)
    context = tenant.ask("customers.races").context
    assert not tenant.ask("orders.races").decision
    assert await report_at_once(tenant, context, *["succeeded"] * 60) == {("succeeded", 200): 60}
    assert settled(tenant) - before == {"succeeded": 1}
    assert tenant.ask("orders.races", point=1).decision


async def test_of_reports_that_contradict_each_other_one_counts(tenant: Tenant) -> None:
    before = settled(tenant)
    context = tenant.ask("customers.mixed").context
    answers = await report_at_once(tenant, context, *["succeeded", "failed", "cancelled"] * 10)
    (won,) = {outcome for outcome, status in answers if status == 200}
    assert answers[won, 200] == 10
    assert sum(number for (_, status), number in answers.items() if status == 409) == 20
    assert settled(tenant) - before == {won: 1}


def test_a_second_report_over_another_replica_finds_the_first(tenant: Tenant) -> None:
    context = tenant.ask("customers.twice").context
    assert [report(tenant, context, point=point) for point in range(REPLICAS)] == [200] * REPLICAS
    assert report(tenant, context, "failed", point=1) == 409


def test_only_who_asked_is_heard(tenant: Tenant) -> None:
    context = tenant.ask("customers.forged").context
    agent = tenant.token("agent", ENFORCER_AUDIENCE)
    assert report(tenant, context, token=agent) == 403
    assert not tenant.ask("orders.forged").decision
    assert report(tenant, context) == 200


@pytest.fixture
def dying(pdp: Bailiwick) -> Iterator[DecisionPoint]:
    """A decision point that SIGKILL ends before it writes its first record of an outcome."""
    folder = pdp.stack.folder
    port, status, admission = free_ports(3)
    flags: tuple[str | Path, ...] = (
        *("--kubeconfig", folder / "webhook.token.kubeconfig", "--record-file", folder / "dying-outcome.records.jsonl"),
        *(f"--port={port}", f"--status-port={status}", f"--admission-port={admission}"),
        *("--external-url", pdp.points[0].url, "--drain-seconds=0.2", "--witness-wait-seconds=0"),
    )
    program: list[str | Path] = [sys.executable, Path(crash.__file__), "outcome:before", *flags]
    running = spawn("dying-outcome", program, folder / "dying-outcome.log")
    url, records = f"http://127.0.0.1:{port}", folder / "dying-outcome.records.jsonl"
    point = DecisionPoint(url, f"http://127.0.0.1:{status}", admission, records, running)
    await_ready(point)
    yield point
    process.stop([running.id])


def test_a_kill_between_the_write_and_the_answer_counts_the_call_once(tenant: Tenant, dying: DecisionPoint) -> None:
    before = settled(tenant)
    context = tenant.ask("customers.killed").context
    there = Tenant(tenant.cluster, tenant.callers, tenant.namespace, [dying.url], tokens=tenant.tokens)
    with pytest.raises(requests.ConnectionError):
        report(there, context)
    until(lambda: not dying.process.alive, "it was killed")
    assert settled(tenant) - before == {"succeeded": 1}
    assert [report(tenant, context, point=point) for point in range(REPLICAS)] == [200] * REPLICAS
    assert settled(tenant) - before == {"succeeded": 1}


def test_denied_calls_close_the_door_over_all_replicas(tenant: Tenant) -> None:
    assert all(tenant.ask("customers.open", point=point).decision for point in range(REPLICAS))
    assert [tenant.ask("customers.wipe", point=point).decision for point in range(REPLICAS)] == [False] * REPLICAS
    until(lambda: not tenant.ask("customers.open").decision, "the third denial is counted")
    assert [tenant.ask("customers.open", point=point).reason for point in range(REPLICAS)] == [
        "policy_denied"
    ] * REPLICAS


@pytest.mark.long
def test_a_report_that_races_with_the_end_of_its_time_counts_or_is_late(tenant: Tenant) -> None:
    before = settled(tenant)
    contexts = [tenant.ask("customers.late", point=number % REPLICAS).context for number in range(30)]
    ends = [datetime.fromisoformat(context["outcome"]["until"]).timestamp() for context in contexts]

    def send(number: int) -> int:
        time.sleep(max(ends[number] + (number - 15) / 10 - time.time(), 0))
        return report(tenant, contexts[number], point=number % REPLICAS)

    with ThreadPoolExecutor(len(contexts)) as threads:
        answers = list(threads.map(send, range(len(contexts))))
    assert set(answers) == {200, 410}
    assert answers[0] == 200
    assert settled(tenant)["succeeded"] - before["succeeded"] == answers.count(200)
