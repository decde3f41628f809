"""Calls that are counted on a real API server, over three decision points: no limit is ever exceeded by one."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import requests

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_HISTORIES
from bailiwick_engine.history.state import KeyState, parse_state
from demo.stack import DecisionPoint
from localcluster import process
from localcluster.ports import free_ports
from localcluster.process import spawn
from support.faultkinds import lose_answer, status
from support.faultproxy import FaultProxy
from support.installation import accepted
from support.objects import Object, gated_rule, rule
from support.pdp import crash
from support.pdp.processes import REPLICAS, Bailiwick, await_ready
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant, Tenants
from support.waits import until

RACERS: Final = 200
LIMIT: Final = 5


def counted(name: str, *, key: Sequence[str] = ("agent",), action: str | None = None) -> Object:
    """Return a history that counts one action."""
    return {"name": name, "key": list(key), "window": "1h", "counts": {"actions": [action or f"customers.{name}"]}}


def limited(name: str, expression: str, **more: object) -> Object:
    """Return a rule that lets an action through while that holds."""
    condition = {"name": "limit", "expression": expression}
    return rule(name, **{"actions": [f"customers.{name}"], "conditions": [condition], **more})


# One action for each test, so that all of them share a tenant.
HISTORIES: Final = (
    counted("races"),
    counted("kills"),
    counted("again"),
    counted("batch"),
    counted("guards"),
    counted("small"),
    counted("outages"),
    counted("deleted", key=["agent", "action"]),
    counted("spent"),
    counted("twice"),
    counted("both"),
    counted("everybody", key=[], action="customers.both"),
)
LIMITS: Final = (
    *(limited(name, f"history.{name}.count <= {LIMIT}") for name in ("races", "kills", "again", "batch")),
    *(limited(name, f"history.{name}.count <= {LIMIT}") for name in ("guards", "outages", "deleted", "small")),
    limited("both", f"history.both.count <= 3 * {LIMIT} && history.everybody.count <= {LIMIT}"),
    gated_rule("spent", actions=["customers.spent"], approval={"steps": STEPS, "maxUses": 3, "limits": PLENTY}),
    gated_rule("twice", actions=["customers.twice"], approval={"steps": STEPS, "maxUses": 1, "limits": PLENTY}),
    limited("second", "history.twice.count > 1", effect="Deny", actions=["customers.twice"]),
    limited("full", "history.spent.count > 1", effect="Deny", actions=["customers.spent"]),
)


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    return tenants.make("histories", [RULES[0], *LIMITS], HISTORIES)


def states(tenant: Tenant) -> list[KeyState]:
    """Return the state of every key of the tenant, as the API server holds it."""
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_HISTORIES}"
    found = [parse_state(item["spec"]) for item in accepted(tenant.callers.admin.get(path))["items"]]
    assert None not in found
    return [state for state in found if state is not None]


async def ask_at_once(tenant: Tenant, action: str, calls: int = RACERS, point: int | None = None) -> Counter[str]:
    """Ask the same so many times at once, over all decision points or one; return the answers by reason."""
    body, headers = tenant.body(action), {"Authorization": f"Bearer {tenant.pep}"}
    urls = [tenant.url(point=one) for one in ([point] if point is not None else range(REPLICAS))]

    async def run(session: aiohttp.ClientSession, number: int) -> str:
        async with session.post(urls[number % len(urls)], json=body, headers=headers) as response:
            said: dict[str, Any] = await response.json()
        reason = said["context"]["reason"]
        assert said["decision"] is (reason == "allowed")
        return str(reason)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return Counter(await asyncio.gather(*(run(session, number) for number in range(calls))))


async def test_of_two_hundred_calls_at_once_over_three_processes_exactly_as_many_pass_as_the_limit_has(
    tenant: Tenant,
) -> None:
    began = time.monotonic()
    answers = await ask_at_once(tenant, "customers.races")
    print(f"\n{RACERS} calls in {time.monotonic() - began:.2f} s: {dict(answers)}")  # noqa: T201 - for who asks for it
    assert answers == {"allowed": LIMIT, "condition_false": RACERS - LIMIT}


async def test_two_keys_hold_together_over_three_processes(tenant: Tenant) -> None:
    answers = await ask_at_once(tenant, "customers.both", 60)
    # Two calls that are under way at once may deny each other; none passes beyond the limit.
    assert 1 <= answers["allowed"] <= LIMIT
    until(
        lambda: (
            {
                sum(slot.count for line in state.lines.values() for slot in line.slots)
                for state in states(tenant)
                if len(state.lines) == 1
            }
            >= {answers["allowed"]}
        ),
        "what was denied is taken out again",
    )
    again = [tenant.ask("customers.both", point=number % REPLICAS).decision for number in range(2 * LIMIT)]
    assert answers["allowed"] + again.count(True) == LIMIT


def test_a_batch_counts_in_order_and_no_item_behind_the_limit_passes(tenant: Tenant) -> None:
    body = tenant.body("customers.batch")
    items = [{"action": {"name": name}} for name in ("customers.batch", "customers.list") * (LIMIT + 1)]
    said = tenant_batch(tenant, {**body, "evaluations": items})
    assert [one["decision"] for one in said] == [True] * (2 * LIMIT) + [False, True]


def tenant_batch(tenant: Tenant, body: object) -> list[Any]:
    answer = requests.post(
        tenant.url("evaluations"), json=body, headers={"Authorization": f"Bearer {tenant.pep}"}, timeout=30
    )
    found: list[Any] = answer.json()["evaluations"]
    return found


def test_a_call_that_is_sent_again_to_another_process_counts_once(tenant: Tenant) -> None:
    answers = [tenant.ask("customers.again", point=number % REPLICAS, request_id="same") for number in range(6)]
    assert all(answer.decision for answer in answers)
    others = [tenant.ask("customers.again", point=number % REPLICAS).decision for number in range(LIMIT)]
    assert others == [True] * (LIMIT - 1) + [False]
    denied = tenant.ask("customers.again")
    assert 3500 < denied.context["retry_after_seconds"] <= 3700


def test_an_object_has_only_what_is_counted(tenant: Tenant) -> None:
    assert tenant.ask("customers.small").decision
    assert tenant.ask("customers.small").decision
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_HISTORIES}"
    # The API server notes at the creation whose fields they are; the next write takes that out.
    written_again = [
        item for item in accepted(tenant.callers.admin.get(path))["items"] if item["metadata"]["generation"] > 1
    ]
    assert written_again
    for item in written_again:
        assert item["metadata"].keys() <= {
            *("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "labels"),
        }


def test_a_dry_run_counts_nothing(tenant: Tenant) -> None:
    before = sorted(state.seq for state in states(tenant))
    assert tenant.ask_itself("customers.guards").decision
    assert sorted(state.seq for state in states(tenant)) == before


def test_a_full_limit_never_burns_an_approval(tenant: Tenant) -> None:
    grant = tenant.approved("customers.spent", "7")
    assert tenant.ask("customers.spent", "7").decision
    denied = tenant.ask("customers.spent", "7", point=1)
    assert (denied.decision, denied.reason) == (False, "policy_denied")
    assert tenant.uses(grant) == 1


def test_a_call_that_used_an_approval_and_is_sent_again_counts_once(tenant: Tenant) -> None:
    grant = tenant.approved("customers.twice", "7")
    answers = [tenant.ask("customers.twice", "7", point=point, request_id="same") for point in range(REPLICAS)]
    assert [answer.reason for answer in answers] == ["allowed"] * REPLICAS
    assert tenant.uses(grant) == 1


@pytest.fixture
def dying(pdp: Bailiwick) -> Iterator[DecisionPoint]:
    """A decision point that SIGKILL ends before it writes its first record of a call."""
    folder = pdp.stack.folder
    port, status, admission = free_ports(3)
    flags: tuple[str | Path, ...] = (
        *("--kubeconfig", folder / "webhook.token.kubeconfig", "--record-file", folder / "dying.records.jsonl"),
        *(f"--port={port}", f"--status-port={status}", f"--admission-port={admission}"),
        *("--external-url", pdp.points[0].url, "--drain-seconds=0.2", "--witness-wait-seconds=0"),
    )
    program: list[str | Path] = [sys.executable, Path(crash.__file__), "evaluation:before", *flags]
    running = spawn("dying", program, folder / "dying.log")
    point = DecisionPoint(
        f"http://127.0.0.1:{port}", f"http://127.0.0.1:{status}", admission, folder / "dying.records.jsonl", running
    )
    await_ready(point)
    yield point
    process.stop([running.id])


def test_a_kill_between_the_write_and_the_record_leaves_the_call_counted(tenant: Tenant, dying: DecisionPoint) -> None:
    for _ in range(LIMIT - 1):
        assert tenant.ask("customers.kills").decision
    there = Tenant(tenant.cluster, tenant.callers, tenant.namespace, [dying.url], tokens=tenant.tokens)
    with pytest.raises(requests.ConnectionError):
        there.ask("customers.kills", request_id="killed")
    until(lambda: not dying.process.alive, "it was killed")
    # Sent again it is the same call; any other one is the sixth.
    assert [tenant.ask("customers.kills", point=point).decision for point in range(REPLICAS)] == [False] * REPLICAS
    assert tenant.ask("customers.kills", request_id="killed").decision


def test_an_api_server_that_refuses_denies_what_counts_at_once_and_nothing_else(
    both: Tenants, faults: FaultProxy
) -> None:
    tenant = both.make("outages", [RULES[0], *LIMITS], HISTORIES)
    assert tenant.ask("customers.outages").decision
    faults.on("PUT", ENDPOINT_HISTORIES, status(503), times=None)
    faults.on("GET", ENDPOINT_HISTORIES, status(503), times=None)
    began = time.monotonic()
    denied = tenant.ask("customers.outages")
    assert (denied.decision, denied.reason) == (False, "history_unavailable")
    assert time.monotonic() - began < 1.0
    assert tenant.ask("customers.list").decision
    faults.clear()
    assert tenant.ask("customers.outages").decision


def test_an_answer_that_is_lost_counts_the_call_once(both: Tenants, faults: FaultProxy) -> None:
    tenant = both.make("lost", [RULES[0], *LIMITS], HISTORIES)
    assert tenant.ask("customers.outages").decision
    faults.on("PUT", ENDPOINT_HISTORIES, lose_answer)
    # A client may send a PUT again by itself, which conflicts, so that the call may find itself counted.
    assert tenant.ask("customers.outages", request_id="lost").reason in {"history_unavailable", "allowed"}
    assert tenant.ask("customers.outages", request_id="lost").decision
    others = [tenant.ask("customers.outages", point=1).decision for _ in range(LIMIT)]
    assert others.count(True) == LIMIT - 2


def test_an_object_that_is_deleted_before_its_time_denies(tenant: Tenant, pdp: Bailiwick) -> None:
    known = {state.key for state in states(tenant)}
    assert tenant.ask("customers.deleted").decision
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_HISTORIES}"
    (made,) = [item for item in accepted(tenant.callers.admin.get(path))["items"] if item["spec"]["key"] not in known]
    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(tenant.ask, "customers.deleted") for _ in range(8)]
        accepted(tenant.callers(pdp.installation.operator).delete(f"{path}/{made['metadata']['name']}"))
        answers = [one.result() for one in asking]
    assert sum(bool(answer.decision) for answer in answers) <= LIMIT - 1
    denied = tenant.ask("customers.deleted")
    assert (denied.decision, denied.reason) == (False, "history_unavailable")
    assert "set back" in denied.context["reason_user"]["403"]
