"""Ten thousand policies at once: the others are decided meanwhile, memory is bounded, one broken policy is one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from resource import getpagesize
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.call import Party
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_engine.reasons import Reason
from bailiwick_engine.steps import whole
from bailiwick_policystore.controller import PolicyController
from support.objects import AGENT, Object, rule, settings, subject
from unit.engine.cases import CALL, stored, verdict_of

MANY: Final = 10_000
BROKEN: Final = 4_711
FLOODED: Final = "flooded"
QUIET: Final = "quiet"
BOUND: Final = 250 * 1024 * 1024
STATM: Final = Path("/proc/self/statm")

Key = tuple[str, str]


def placed(raw: Object, namespace: str) -> tuple[Key, Object]:
    """Return a policy in a namespace, and its key."""
    raw["metadata"] |= {"namespace": namespace, "resourceVersion": "1"}
    return (namespace, raw["metadata"]["name"]), raw


def flood() -> dict[Key, Object]:
    """Return policies of one endpoint, each for an account of its own; one of them does not compile."""
    made = [stored("carrier", rule(subjects=["agent"]), endpointSettings=settings())]
    for number in range(MANY):
        broken = {"conditions": [{"name": "c", "expression": "context.n >"}]} if number == BROKEN else {}
        everything = rule("all", actions=["*"], **broken)
        made.append(stored(f"p{number}", everything, subjects=[subject(account=f"a{number}")]))
    return dict(placed(raw, FLOODED) for raw in made)


@asynccontextmanager
async def running() -> AsyncIterator[PolicyController]:
    """Run a store that serves a quiet endpoint already. A namespace may have any number of policies."""
    policies = PolicyController(Budget(policies=0))
    task = asyncio.create_task(policies.run())
    quiet_alone(policies)
    await asyncio.wait_for(_first(policies), 10)
    yield policies
    assert not task.done(), task.exception()
    task.cancel()


def quiet_alone(policies: PolicyController) -> None:
    """Let a list say that there is nothing but the policy of the quiet endpoint."""
    listing = policies.listing()
    listing.take(*placed(stored("own", rule(actions=["*"]), endpointSettings=settings()), QUIET))
    whole(listing.finish())


async def _first(policies: PolicyController) -> None:
    while policies.snapshot is None:  # noqa: ASYNC110 - the store tells nobody; a turn of the loop is all it takes
        await asyncio.sleep(0)


def decided(policies: PolicyController, namespace: str, account: str = AGENT) -> Verdict:
    assert policies.snapshot is not None
    call = replace(CALL, namespace=namespace, subject=Party("serviceAccount", account, "uid"))
    return verdict_of(policies.snapshot, call)


async def served(policies: PolicyController) -> list[float]:
    """Wait until the flood is served; all the while the quiet endpoint is decided. Returns the pauses between."""
    pauses = []
    while not policies.settled:
        began = time.monotonic()
        await asyncio.sleep(0)
        pauses.append(time.monotonic() - began)
        assert decided(policies, QUIET).reason is Reason.ALLOWED
    return pauses


@pytest.mark.long
async def test_ab_23_one_broken_policy_among_ten_thousand_denies_its_own_subject_and_no_other() -> None:
    async with running() as policies:
        for key, raw in flood().items():
            policies.apply("ADDED", key, raw)
        await served(policies)
        asked = [*range(0, MANY, 500), BROKEN - 1, BROKEN, BROKEN + 1, MANY - 1]
        reasons = {one: decided(policies, FLOODED, f"system:serviceaccount:agents:a{one}").reason for one in asked}
        assert reasons.pop(BROKEN) is Reason.POLICY_INVALID
        assert set(reasons.values()) == {Reason.ALLOWED}
        assert decided(policies, QUIET).reason is Reason.ALLOWED


@pytest.mark.skipif(not STATM.exists(), reason="this system does not tell how much memory a process has")
async def test_ab_25_ten_thousand_policies_fit_into_memory_and_hold_up_no_other_decision() -> None:
    made = flood()
    before = resident()
    async with running() as policies:
        for key, raw in made.items():
            policies.apply("ADDED", key, raw)
        pauses = await served(policies)
        assert resident() - before < BOUND
        # Thousands of decisions were made meanwhile, none more than a moment late.
        assert len(pauses) > 100
        assert sorted(pauses)[len(pauses) * 99 // 100] < 0.1
        # What is deleted is not kept.
        quiet_alone(policies)
        await served(policies)
        assert policies.snapshot is not None
        assert {namespace for namespace, _ in policies.snapshot.endpoints} == {QUIET}


def resident() -> int:
    """Return the memory of this process, in bytes."""
    return int(STATM.read_text().split()[1]) * getpagesize()
