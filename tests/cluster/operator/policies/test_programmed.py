"""Programmed, by what two real decision points really serve, the second behind a proxy that can keep news from it."""

import signal
from collections.abc import Iterator

import pytest

from bailiwick_api.accounts import Installation
from cluster.operator.policies.programmed import await_told, create
from demo.stack import Stack
from localcluster import process
from localcluster.access import Cluster
from localcluster.rest import Rest
from support.callers import Callers
from support.faultproxy import FaultProxy
from support.installation import accepted
from support.objects import rule
from support.stacks import stack_on
from unit.operator.cases import condition

pytestmark = pytest.mark.long

BROKEN = rule(conditions=[{"name": "big", "expression": "context.count >"}])


@pytest.fixture(scope="module")
def proxy(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    with FaultProxy(cluster, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def stack(
    cluster: Cluster, installed: Installation, proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """An operator and two decision points, which it is told of by URL; a third place is free."""
    with stack_on(cluster, tmp_path_factory.mktemp("stack"), installed) as stack:
        stack.start_operator("--proof-interval", "5")
        stack.start_decision_point()
        start_behind(proxy, stack)
        yield stack


def start_behind(proxy: FaultProxy, stack: Stack) -> None:
    config = proxy.kubeconfig(stack.folder / "webhook.token.kubeconfig")
    stack.start_decision_point("--kubeconfig", str(config))


@pytest.fixture(autouse=True)
def well(proxy: FaultProxy, stack: Stack) -> Iterator[None]:
    """Each test begins with two decision points that hear everything."""
    yield
    for point in stack.decision_points:
        point.process.id.send(signal.SIGCONT)
    proxy.clear()
    proxy.cut_watches()


@pytest.fixture
def admin(callers: Callers) -> Rest:
    return callers.admin


def test_a_policy_that_both_serve_is_programmed_and_ready(stack: Stack, admin: Rest, namespace: str) -> None:
    status = await_told(admin, create(admin, namespace), "True", "2 of 2 processes serve generation 1")
    assert condition(status, "Ready")["reason"] == "Enforced"


def test_one_that_does_not_compile_is_programmed_too_and_says_how(stack: Stack, admin: Rest, namespace: str) -> None:
    status = await_told(admin, create(admin, namespace, rules=[BROKEN]), "True", "they deny the calls that it covers")
    assert condition(status, "Ready")["reason"] == "InvalidPolicy"


def test_a_process_that_stands_still_is_waited_for_and_named(stack: Stack, admin: Rest, namespace: str) -> None:
    still = stack.decision_points[1]
    still.process.id.send(signal.SIGSTOP)
    body = create(admin, namespace)
    status = await_told(admin, body, "False", f"1 of 2 processes serve generation 1; no answer from {still.status_url}")
    assert condition(status, "Ready")["status"] == "False"
    still.process.id.send(signal.SIGCONT)
    await_told(admin, body, "True", "2 of 2 processes")


def test_an_edit_that_one_has_not_heard_of_is_not_programmed_until_it_has(
    stack: Stack, proxy: FaultProxy, admin: Rest, namespace: str
) -> None:
    body = create(admin, namespace)
    await_told(admin, body, "True", "2 of 2 processes")
    proxy.silent = True
    accepted(admin.patch(body, {"spec": {"suspend": True}}))
    status = await_told(admin, body, "False", "1 of 2 processes serve generation 2", generation=2)
    assert [entry["observedGeneration"] for entry in status["conditions"]] == [2, 2, 2]
    proxy.clear()
    proxy.cut_watches()
    status = await_told(admin, body, "True", "2 of 2 processes serve generation 2", generation=2)
    assert condition(status, "Ready")["reason"] == "Suspended"


def test_once_programmed_it_stays_so_whoever_falls_behind_and_nothing_is_written(
    stack: Stack, admin: Rest, namespace: str
) -> None:
    body = create(admin, namespace)
    await_told(admin, body, "True", "2 of 2 processes")
    before = accepted(admin.get(body))["metadata"]["resourceVersion"]
    for point in stack.decision_points:
        point.process.id.send(signal.SIGSTOP)
    other = create(admin, namespace, "other", endpoint="other")
    await_told(admin, other, "False", "0 of 2 processes")
    assert accepted(admin.get(body))["metadata"]["resourceVersion"] == before


def test_with_none_ready_nobody_knows_and_what_was_true_stays_true(
    stack: Stack, proxy: FaultProxy, admin: Rest, namespace: str
) -> None:
    before = create(admin, namespace)
    await_told(admin, before, "True", "2 of 2 processes")
    process.stop([point.process.id for point in stack.decision_points])
    for point in stack.decision_points:
        point.process.handle.wait()
    stack.decision_points.clear()
    body = create(admin, namespace, "other", endpoint="other")
    status = await_told(admin, body, "Unknown", "no process of the decision point is ready")
    assert condition(status, "Ready")["status"] == "Unknown"
    # On the port of the first of them.
    stack.start_decision_point()
    await_told(admin, body, "True", "1 of 1 processes serve generation 1")
    assert condition(accepted(admin.get(before))["status"], "Programmed")["message"].startswith("2 of 2")
    start_behind(proxy, stack)
