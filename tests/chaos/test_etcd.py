"""etcd goes away and comes back: what hangs on it is refused, the rest goes on, and nothing is lost or used twice."""

import threading
import time
from collections import Counter
from typing import Final

import pytest
import requests

from demo.stack import DecisionPoint
from localcluster.controlplane import ControlPlane
from support.installation import accepted
from support.objects import gated_rule
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant
from support.waits import until

USES: Final = 50
API_SECONDS: Final = 1.0
AWAY_SECONDS: Final = 5.0


@pytest.fixture(scope="module")
def points(ours: Bailiwick) -> list[DecisionPoint]:
    return [ours.start_point("--api-timeout", f"{API_SECONDS}", "--relist-interval", "5") for _ in range(2)]


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick, points: list[DecisionPoint]) -> Tenant:
    many = gated_rule("many", actions=["customers.many"], approval={"steps": STEPS, "maxUses": USES, "limits": PLENTY})
    return ours.tenants(*points).make("etcd", (*RULES, many))


@pytest.mark.invariant(10, 26)
def test_a_restart_of_etcd_under_load_loses_no_use_and_gives_none_twice(
    ours: Bailiwick, plane: ControlPlane, points: list[DecisionPoint], tenant: Tenant
) -> None:
    name = tenant.approved("customers.many", "etcd")
    seen, over = Counter[str](), threading.Event()

    def use(point: int) -> None:
        while not over.is_set():
            try:
                said = tenant.ask("customers.many", "etcd", point=point)
            except requests.RequestException as error:
                seen[type(error).__name__] += 1
                continue
            seen["allowed" if said.decision else str(said.reason)] += 1
            time.sleep(0.2)

    def read() -> None:
        while not over.is_set():
            seen[f"list {tenant.ask('customers.list').decision}"] += 1
            time.sleep(0.1)

    workers = [threading.Thread(target=use, args=(point,)) for point in range(2)] + [threading.Thread(target=read)]
    for worker in workers:
        worker.start()
    try:
        until(lambda: seen["allowed"] >= 3, "it is used")
        plane.stop_etcd(grace=0)
        until(lambda: seen["approval_unverifiable"] > 0, "it is refused")
        allowed, listed = seen["allowed"], seen["list True"]
        time.sleep(AWAY_SECONDS)
        assert seen["allowed"] == allowed
        # What hangs on no grant goes on.
        assert seen["list True"] > listed
        plane.start_etcd()
        until(lambda: seen["allowed"] > allowed, "it is used again", 60)
    finally:
        over.set()
        for worker in workers:
            worker.join(20)
    assert seen["list False"] == 0
    # A use that was taken and whose answer was lost on the way is spent; never is more allowed than was taken.
    assert seen["allowed"] <= tenant.uses(name) <= seen["allowed"] + seen["approval_unverifiable"]
    assert {key for key in seen if not key.startswith("list")} <= {"allowed", "approval_unverifiable"}, seen
    for point in points:
        await_ready(point)
        assert readiness(point)[0] == 200


def test_after_a_restart_of_etcd_what_was_reviewed_is_approved(
    ours: Bailiwick, plane: ControlPlane, tenant: Tenant
) -> None:
    ours.revive_operator()
    waiting = tenant.opened("customers.export", "etcd-operator")
    plane.stop_etcd(grace=0)
    plane.start_etcd()
    accepted(tenant.review(waiting))

    def active() -> bool:
        # A leader that could not renew its lease in time has ended, and is started again by whoever runs it.
        ours.revive_operator()
        return tenant.phase(waiting) == "Active"

    until(active, "it is approved", 60)
    until(lambda: tenant.ask("customers.export", "etcd-operator").decision, "the approved call goes through", 20)
