"""Data in the store: a change is in force as one of a policy is, what is wrong is unknown, and the loop goes on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from bailiwick_engine.budget.ledger import MIB, Budget
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.steps import whole
from bailiwick_kube.lists import ListPage
from bailiwick_policystore.controller import PolicyController
from bailiwick_policystore.endpoints import Key
from bailiwick_policystore.refetch import Read, nothing
from bailiwick_webhook.cluster.client import DATA, ClusterUnavailableError, Collection
from bailiwick_webhook.store.listwatch import ListWatch
from bailiwick_webhook.store.pulse import Pulse
from support.callbackcounts import counted
from support.objects import ENDPOINT, Object, changed, policy, rule, settings
from unit.engine.cases import CALL, verdict_of

NAMESPACE: Final = "crm"
LIST: Final = replace(CALL, action=replace(CALL.action, name="customers.list"))
OPEN: Final = {"name": "open", "expression": "data.incident.open == true"}
KEY: Final = (NAMESPACE, "incident")


def reader(namespace: str = NAMESPACE) -> Object:
    stored = policy(namespace, "reader", endpointSettings=settings(), rules=[rule(conditions=[OPEN])])
    stored["spec"]["data"] = [{"name": "incident"}]
    stored["metadata"] |= {"uid": "reader-uid", "generation": 1}
    return stored


def held(data: object, generation: int = 1, name: str = "incident", uid: str = "data-uid") -> Object:
    metadata = {"namespace": NAMESPACE, "name": name, "uid": uid, "generation": generation, "resourceVersion": "1"}
    return {"kind": "EndpointData", "metadata": metadata, "spec": {"data": data}}


@asynccontextmanager
async def deciding(budget: Budget | None = None, read_data: Read = nothing) -> AsyncIterator[PolicyController]:
    policies = PolicyController(budget, read_data=read_data)
    working = asyncio.create_task(policies.run())
    listing = policies.listing()
    listing.take((NAMESPACE, "reader"), reader())
    whole(listing.finish())
    await settle()
    try:
        yield policies
    finally:
        working.cancel()


async def settle() -> None:
    for _ in range(400):
        await asyncio.sleep(0)


def reason(policies: PolicyController) -> Reason:
    assert policies.snapshot is not None
    return verdict_of(policies.snapshot, LIST).reason


async def test_an_object_is_in_force_replaced_and_gone() -> None:
    async with deciding() as policies:
        assert reason(policies) is Reason.CONDITION_ERROR
        policies.data.apply("ADDED", KEY, held({"open": True}))
        await settle()
        assert reason(policies) is Reason.ALLOWED
        assert policies.serves("data-uid", 1)
        policies.data.apply("MODIFIED", KEY, held({"open": False}, 2))
        await settle()
        assert reason(policies) is Reason.CONDITION_FALSE
        assert (policies.serves("data-uid", 1), policies.serves("data-uid", 2)) == (False, True)
        policies.data.apply("ADDED", KEY, held({"open": True}, uid="another"))
        await settle()
        assert (reason(policies), policies.serves("data-uid", 2)) == (Reason.ALLOWED, False)
        policies.data.apply("DELETED", KEY, held({"open": True}))
        await settle()
        assert reason(policies) is Reason.CONDITION_ERROR
        assert not policies.waiting


async def test_an_endpoint_waits_from_when_a_change_is_heard_until_it_is_in_force() -> None:
    async with deciding() as policies:
        policies.data.apply("ADDED", KEY, held({"open": True}))
        assert policies.waiting.since(NAMESPACE, ENDPOINT) is not None
        assert policies.waiting.since(NAMESPACE, "other-api") is None
        await settle()
        assert policies.waiting.since(NAMESPACE, ENDPOINT) is None


async def test_what_only_a_candidate_reads_is_taken_up_and_waited_for_by_no_answer() -> None:
    live = changed(changed(reader(), "spec.data", ...), "spec.rules", [rule()])
    candidate = changed(changed(reader(), "metadata.name", "next"), "metadata.uid", "next-uid")
    candidate["spec"] |= {"mode": "Audit", "replaces": "reader"}
    async with deciding() as policies:
        for raw in (live, candidate):
            raw["metadata"]["generation"] = 2
            policies.apply("MODIFIED", (NAMESPACE, raw["metadata"]["name"]), raw)
        await settle()
        for number, expected in enumerate((Reason.CONDITION_ERROR, Reason.ALLOWED, Reason.CONDITION_FALSE)):
            if number:
                policies.data.apply("MODIFIED", KEY, held({"open": number == 1}, number))
                assert policies.waiting.since(NAMESPACE, ENDPOINT) is None
                await settle()
            assert policies.snapshot is not None
            (shadow,) = policies.snapshot.endpoints[NAMESPACE, ENDPOINT].shadows
            assert verdict_of(Snapshot({(NAMESPACE, ENDPOINT): shadow.endpoint}), LIST).reason is expected
            assert reason(policies) is Reason.ALLOWED


async def test_a_status_is_no_news() -> None:
    async with deciding() as policies:
        policies.data.apply("ADDED", KEY, held({"open": True}))
        await settle()
        before = policies.snapshot
        policies.data.apply("MODIFIED", KEY, held({"open": True}) | {"status": {"digest": "x"}})
        await settle()
        assert policies.snapshot is before


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"open": True, "note": "\0"}, "Unreadable"),
        ({"open": True, "note": "\ud800"}, "Unreadable"),
        ({"open": True, "note": "x" * 300_000}, "TooLarge"),
        ("open", "Unreadable"),
    ],
    ids=["NUL", "half a character", "oversized", "no object"],
)
async def test_what_cannot_be_read_is_unknown_and_never_what_it_was(data: object, told: str) -> None:
    async with deciding() as policies:
        policies.data.apply("ADDED", KEY, held({"open": True}))
        await settle()
        with capture_logs() as logs:
            policies.data.apply("MODIFIED", KEY, held(data, 2))
            await settle()
        assert reason(policies) is Reason.CONDITION_ERROR
        assert [(one["event"], one["reason"]) for one in logs if one.get("name") == "incident"] == [
            ("data is unknown, conditions that read it do not hold", told)
        ]
        policies.data.apply("MODIFIED", KEY, held({"open": True}, 3))
        await settle()
        assert reason(policies) is Reason.ALLOWED


async def test_what_is_over_budget_is_unknown_and_takes_no_room() -> None:
    async with deciding(Budget(namespace=MIB // 4)) as policies:
        older = changed(
            held({"open": True, "note": "x" * 200_000}), "metadata.creationTimestamp", "2026-01-01T00:00:00Z"
        )
        policies.data.apply("ADDED", KEY, older)
        await settle()
        assert reason(policies) is Reason.ALLOWED
        newer = changed(
            held({"note": "x" * 200_000}, name="more", uid="more"), "metadata.creationTimestamp", "2026-01-02T00:00:00Z"
        )
        policies.data.apply("ADDED", (NAMESPACE, "more"), newer)
        await settle()
        assert policies.ledger.over_in(NAMESPACE) == 1
        assert reason(policies) is Reason.ALLOWED
        policies.data.apply(
            "MODIFIED", KEY, changed(changed(older, "metadata.generation", 2), "spec.data.note", "x" * 262_000)
        )
        await settle()
        assert reason(policies) is Reason.CONDITION_ERROR


async def test_what_was_over_budget_is_read_again_and_known_once_there_is_room() -> None:
    newer = changed(held({"open": True}), "metadata.creationTimestamp", "2026-01-02T00:00:00Z")

    async def stored(key: Key) -> Object:
        assert key == KEY
        return newer

    async with deciding(Budget(policies=2), stored) as policies:
        older = changed(held({}, name="more", uid="more"), "metadata.creationTimestamp", "2026-01-01T00:00:00Z")
        policies.data.apply("ADDED", (NAMESPACE, "more"), older)
        policies.data.apply("ADDED", KEY, newer)
        await settle()
        assert (policies.ledger.over, reason(policies)) == (1, Reason.CONDITION_ERROR)
        policies.data.apply("DELETED", (NAMESPACE, "more"), older)
        await settle()
        assert (policies.ledger.over, reason(policies)) == (0, Reason.ALLOWED)


async def test_what_only_a_new_list_lets_in_is_read_again_and_known() -> None:
    newer = changed(held({"open": True}), "metadata.creationTimestamp", "2026-01-02T00:00:00Z")

    async def stored(_: Key) -> Object:
        return newer

    async with deciding(Budget(policies=2), stored) as policies:
        policies.apply("ADDED", (NAMESPACE, "older"), policy(NAMESPACE, "older", endpoint="other"))
        policies.data.apply("ADDED", KEY, newer)
        await settle()
        assert (policies.ledger.over, reason(policies)) == (1, Reason.CONDITION_ERROR)
        # The watch told nothing of what was deleted.
        listing = policies.listing()
        listing.take((NAMESPACE, "reader"), reader())
        whole(listing.finish())
        await settle()
        assert (policies.ledger.over, reason(policies)) == (0, Reason.ALLOWED)


async def test_a_list_takes_out_what_is_gone_and_all_of_it_can_be_lost() -> None:
    async with deciding() as policies:
        listing = policies.data.listing()
        listing.take(KEY, held({"open": True}))
        for _ in listing.finish():
            pass
        assert not policies.data.in_force
        await settle()
        assert (policies.data.in_force, reason(policies)) == (True, Reason.ALLOWED)
        policies.data.lose()
        await settle()
        assert reason(policies) is Reason.CONDITION_ERROR
        listing = policies.data.listing()
        listing.take(KEY, held({"open": True}))
        for _ in listing.finish():
            pass
        await settle()
        assert reason(policies) is Reason.ALLOWED
        for _ in policies.data.listing().finish():
            pass
        await settle()
        assert reason(policies) is Reason.CONDITION_ERROR


class RefusingApiServer:
    """An API server of an old chart, which does not let us list data."""

    async def pages(self, _: Collection) -> AsyncIterator[ListPage]:
        raise ClusterUnavailableError("list endpointdata: forbidden")
        yield ListPage([], "1")


async def test_without_the_right_to_list_decisions_go_on_and_the_log_says_what_that_means() -> None:
    async with deciding() as policies:
        watch = ListWatch(
            RefusingApiServer(),  # type: ignore[arg-type]  # a server of ours
            DATA,
            policies.data,
            relist_interval=60,
            pulse=Pulse(time.monotonic),
            without="data is unknown",
        )
        with capture_logs() as logs:
            watching = asyncio.create_task(watch.run())
            await settle()
            watching.cancel()
        assert (watch.failing, watch.synced, policies.data.in_force) == (True, False, False)
        assert logs[0]["meanwhile"] == "data is unknown"
        assert reason(policies) is Reason.CONDITION_ERROR


# A step is some hundred values: at most 6,900 calls and returns. Read whole, "a directory" alone takes 370,000.
STEP: Final = 8_000
SHAPES: Final = {
    "a directory": {"by": {f"p{number}": {"groups": ["a", "b"], "n": number} for number in range(6_000)}},
    "numbers": {"l": [1.5] * 65_000},
    "empty lists": {"l": [[]] * 19_000, "t": "x" * 200_000},
    "a directory of small entries": {"by": {f"p{number}": {"g": ["a"]} for number in range(9_999)}},
    "one text": {"t": "x" * 262_000},
}


async def calls_of(objects: Sequence[object]) -> list[int]:
    """Return what each callback of the loop does, in calls, while these objects are read."""
    async with deciding(Budget(namespace=0, policy=0, total=0)) as policies:
        with counted(policies) as callbacks:
            for number, data in enumerate(objects):
                name = f"d{number}"
                policies.data.apply("MODIFIED", (NAMESPACE, name), held(data, 1, name, name))
                await asyncio.sleep(0)
            while any(not policies.serves(f"d{number}", 1) for number in range(len(objects))):  # noqa: ASYNC110 - as `main` waits
                await asyncio.sleep(0)
    return callbacks


@pytest.mark.parametrize("shape", SHAPES)
async def test_large_data_is_read_in_small_steps(shape: str) -> None:
    assert max(await calls_of([SHAPES[shape]])) < STEP


@pytest.mark.long
async def test_a_step_of_reading_is_no_larger_among_twenty_large_objects() -> None:
    shapes = [*SHAPES.values()]
    # Each of its own, as the API server's are, so that nothing that was made of one is found again for another.
    objects = [json.loads(json.dumps(shapes[number % len(shapes)])) for number in range(20)]
    assert sum(len(json.dumps(one)) for one in objects) > 20 * 200_000
    assert max(await calls_of(objects)) < STEP
