"""Counting while API server or etcd restart, hang, or run without guards: late is denied, no limit is passed."""

import threading
import time
from collections import Counter
from typing import Final, Self

import pytest

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_HISTORIES
from bailiwick_api.manifests import generate
from bailiwick_api.manifests.historyguards import HISTORY_WRITE
from bailiwick_engine.history.state import parse_state
from localcluster.controlplane import ControlPlane
from support.installation import accepted, apply
from support.objects import Object, rule
from support.pdp.processes import Bailiwick, await_ready, readiness
from support.pdp.tenant import RULES, Tenant
from support.waits import until

pytestmark = pytest.mark.long

LIMIT: Final = 30
CALLERS: Final = 4
POINTS: Final = 2
API_SECONDS: Final = 1.0
# The operator looks at the guards once a minute, and asks again a few seconds after it found them wrong.
PROVEN_SECONDS: Final = 90.0
BINDINGS: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
ACTIONS: Final = ("restart", "store", "hang", "guard")


def counted(name: str) -> Object:
    return {"name": name, "key": ["agent", "action"], "window": "1h", "counts": {"actions": [f"customers.{name}"]}}


def limited(name: str) -> Object:
    condition = {"name": "limit", "expression": f"history.{name}.count <= {LIMIT}"}
    return rule(name, actions=[f"customers.{name}"], conditions=[condition])


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    points = [ours.start_point("--api-timeout", f"{API_SECONDS}") for _ in range(POINTS)]
    rules = [RULES[0], *map(limited, ACTIONS)]
    return ours.tenants(*points).make("outages", rules, [counted(name) for name in ACTIONS])


class InsistentCaller:
    """Asks from several threads until the block is left; `answers` by reason."""

    def __init__(self, tenant: Tenant, action: str) -> None:
        self._tenant = tenant
        self._action = action
        self._over = threading.Event()
        self.answers: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._insist, args=(number,)) for number in range(CALLERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _insist(self, number: int) -> None:
        while not self._over.is_set():
            said = self._tenant.ask(self._action, point=number % POINTS)
            self.answers[str(said.reason if said.status == 200 else said.status)] += 1
            time.sleep(0.05)


def counts(tenant: Tenant) -> list[int]:
    """Return how many calls stand in each object."""
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_HISTORIES}"
    states = [parse_state(item["spec"]) for item in accepted(tenant.callers.admin.get(path))["items"]]
    return [sum(slot.count for line in state.lines.values() for slot in line.slots) for state in states if state]


@pytest.mark.parametrize("what", ["restart", "store"])
def test_a_restart_under_load_passes_no_limit(ours: Bailiwick, plane: ControlPlane, tenant: Tenant, what: str) -> None:
    action = f"customers.{what}"
    # The calls of the load may all be answered by the other one: this one has to know the tokens before the outage.
    until(lambda: tenant.ask("customers.list").decision, "it is ready")
    with InsistentCaller(tenant, action) as load:
        until(lambda: load.answers["allowed"] >= 3, "calls are counted", PROVEN_SECONDS)
        if what == "restart":
            plane.stop_apiserver(grace=0)
        else:
            plane.stop_etcd(grace=0)
        until(lambda: load.answers["history_unavailable"] >= 3, "calls that count are denied")
        assert tenant.ask("customers.list").decision
        if what == "restart":
            plane.start_apiserver()
        else:
            plane.start_etcd()
        ours.revive_operator()
        until(lambda: load.answers["condition_false"] >= 3, "the limit is reached", 90)
    assert load.answers["allowed"] <= LIMIT
    assert max(counts(tenant)) == LIMIT


def test_an_api_server_that_hangs_denies_what_counts_in_time(
    ours: Bailiwick, plane: ControlPlane, tenant: Tenant
) -> None:
    until(lambda: tenant.ask("customers.hang").decision, "the guards are proven", PROVEN_SECONDS)
    ours.stop_operator()
    plane.pause()
    try:
        began = time.monotonic()
        denied = tenant.ask("customers.hang")
        assert (denied.decision, denied.reason) == (False, "history_unavailable")
        assert time.monotonic() - began < API_SECONDS + 2
        assert tenant.ask("customers.list").decision
    finally:
        plane.resume()
        ours.start_operator()
    until(lambda: tenant.ask("customers.hang").decision, "calls are counted again", PROVEN_SECONDS)


def test_without_the_guard_over_histories_nothing_is_counted_and_what_counts_is_denied(
    ours: Bailiwick, tenant: Tenant
) -> None:
    for point in ours.stack.decision_points:
        await_ready(point)
    until(lambda: tenant.ask("customers.guard").decision, "the guards are proven", PROVEN_SECONDS)
    binding = accepted(ours.callers.admin.get(f"{BINDINGS}/{HISTORY_WRITE}"))
    accepted(ours.callers.admin.delete(f"{BINDINGS}/{HISTORY_WRITE}"))
    points = ours.stack.decision_points
    until(lambda: not any(readiness(one)[1]["guard"]["proven"] for one in points), "the guard is missed", 10)
    try:
        before = counts(tenant)
        denied = tenant.ask("customers.guard")
        assert (denied.decision, denied.reason) == (False, "history_unavailable")
        assert "guards" in denied.context["reason_user"]["403"]
        assert tenant.ask("customers.list").decision
        assert counts(tenant) == before
    finally:
        documents = [document for file in generate.manifests(ours.installation).values() for document in file]
        apply(ours.callers.admin, [document for document in documents if document["kind"] == binding["kind"]])
    until(lambda: tenant.ask("customers.guard").decision, "calls are counted again", PROVEN_SECONDS)
