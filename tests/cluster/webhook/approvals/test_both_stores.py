"""What an approval does is the same wherever grants are stored: at a real API server, or in memory in development.

Each law runs on both: a cluster with an operator and three decision points, and one process with `--development`.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import pytest
import yaml

from support.objects import Object, gated_rule, policy, rule, settings
from support.pdp.development import Development
from support.pdp.questions import Said
from support.pdp.standalone import Process
from support.pdp.tenant import PLENTY, STEPS, Tenant, Tenants
from support.waits import until

CALLERS: Final = 50
WINDOW_SECONDS: Final = 10
RULES: Final = (
    rule("read", actions=["customers.list"]),
    gated_rule("export", actions=["customers.export"], approval={"steps": STEPS, "limits": PLENTY}),
    gated_rule(
        "move",
        actions=["customers.move"],
        approval={"steps": STEPS, "binding": "Scope", "maxUses": 2, "limits": PLENTY},
    ),
    gated_rule(
        "erase",
        actions=["customers.erase"],
        approval={
            "steps": [{**STEPS[0], "name": "first"}, {**STEPS[0], "name": "second"}],
            "limits": PLENTY,
        },
    ),
    gated_rule(
        "notify",
        actions=["customers.notify"],
        approval={"steps": STEPS, "windowSeconds": WINDOW_SECONDS, "maxUses": 3, "limits": PLENTY},
    ),
)


class World(Protocol):
    """Where a call is asked about and a request is reviewed."""

    def ask(
        self,
        action: str,
        resource: str,
        *,
        args: object = None,
        path: str = "evaluation",
        request_id: str | None = None,
        key: str | None = None,
    ) -> Said: ...

    def poll(self, task: str) -> Said: ...

    def cancel(self, task: str) -> Said: ...

    def review(self, task: str, by: str = "carol", decision: str = "Approve", step: int = 0) -> bool: ...

    def await_reason(self, reason: str, action: str, resource: str, args: object = None) -> None: ...


@dataclass(frozen=True, slots=True)
class OnServer:
    """A tenant of the cluster."""

    tenant: Tenant

    def ask(
        self,
        action: str,
        resource: str,
        *,
        args: object = None,
        path: str = "evaluation",
        request_id: str | None = None,
        key: str | None = None,
    ) -> Said:
        return self.tenant.ask(action, resource, args=args, path=path, request_id=request_id, key=key)

    def poll(self, task: str) -> Said:
        return self.tenant.poll(task)

    def cancel(self, task: str) -> Said:
        return self.tenant.cancel(task)

    def review(self, task: str, by: str = "carol", decision: str = "Approve", step: int = 0) -> bool:
        return self.tenant.review(task.partition(".")[0], by, decision, step).ok

    def await_reason(self, reason: str, action: str, resource: str, args: object = None) -> None:
        self.tenant.await_known(lambda said: said.reason == reason, action, resource, args=args)


@dataclass(frozen=True, slots=True)
class InMemory:
    """A decision point in development. What is written there is known at once."""

    development: Development

    def ask(
        self,
        action: str,
        resource: str,
        *,
        args: object = None,
        path: str = "evaluation",
        request_id: str | None = None,
        key: str | None = None,
    ) -> Said:
        return self.development.ask(action, resource, args=args, path=path, request_id=request_id, key=key)

    def poll(self, task: str) -> Said:
        return self.development.poll(task)

    def cancel(self, task: str) -> Said:
        return self.development.cancel(task)

    def review(self, task: str, by: str = "carol", decision: str = "Approve", step: int = 0) -> bool:
        return self.development.review(task, by, decision).status == 200

    def await_reason(self, reason: str, action: str, resource: str, args: object = None) -> None:
        """Wait for nothing."""


@pytest.fixture(scope="module", params=["API server", "memory"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "API server":
        tenants: Tenants = request.getfixturevalue("tenants")
        yield OnServer(tenants.make("both-stores", RULES))
        return
    folder = tmp_path_factory.mktemp("development")
    written: Object = policy("crm", endpointSettings=settings(), rules=list(RULES))
    policies = folder / "policies"
    policies.mkdir()
    (policies / "crm.yaml").write_text(yaml.safe_dump(written))
    with (folder / "log").open("wb") as log:
        point = Process(folder, policies, log)
        yield InMemory(Development(point))
        assert point.stop() == 0


def opened(world: World, action: str, resource: str, args: object = None) -> str:
    said = world.ask(action, resource, args=args, path="requests")
    assert said.status == 202, said
    return str(said.task["id"])


def approved(world: World, action: str, resource: str, args: object = None) -> str:
    task = opened(world, action, resource, args)
    assert world.review(task)
    await_status(world, task, "approved")
    world.await_reason("allowed", action, resource, args)
    return task


def await_status(world: World, task: str, status: str) -> None:
    until(lambda: world.poll(task).task["status"] == status, f"the task is {status}")


@pytest.mark.invariant(10)
def test_a_call_is_denied_requested_approved_allowed_and_spent(world: World) -> None:
    first = world.ask("customers.export", "whole")
    assert (first.decision, first.reason, first.context["next_action"]) == (False, "approval_required", "request")
    task = opened(world, "customers.export", "whole")
    world.await_reason("approval_pending", "customers.export", "whole")
    assert world.ask("customers.export", "whole").reason == "approval_pending"
    assert world.review(task)
    await_status(world, task, "approved")
    world.await_reason("allowed", "customers.export", "whole")
    allowed = world.ask("customers.export", "whole")
    assert (allowed.decision, allowed.context["approval"]["id"], allowed.context["approval"]["uses"]) == (True, task, 1)
    spent = world.ask("customers.export", "whole")
    assert (spent.decision, spent.reason) == (False, "approval_consumed")


@pytest.mark.invariant(8)
def test_changed_arguments_are_another_call(world: World) -> None:
    approved(world, "customers.export", "bound", {"format": "csv"})
    for other in ({"format": "json"}, {"format": "csv", "more": 1}, None):
        assert world.ask("customers.export", "bound", args=other).reason == "approval_required"
    assert world.ask("customers.export", "other", args={"format": "csv"}).reason == "approval_required"
    assert world.ask("customers.export", "bound", args={"format": "csv"}).decision is True


def test_a_scope_takes_other_arguments_and_no_other_resource(world: World) -> None:
    approved(world, "customers.move", "scoped", {"to": "a"})
    answers = [world.ask("customers.move", "scoped", args={"to": to}) for to in ("b", "c", "d")]
    assert [answer.decision for answer in answers] == [True, True, False]
    assert answers[-1].reason == "approval_consumed"
    assert world.ask("customers.move", "unscoped").reason == "approval_required"


@pytest.mark.invariant(5)
def test_two_steps_take_two_people(world: World) -> None:
    task = opened(world, "customers.erase", "both")
    assert world.review(task, "carol", step=0)
    assert not world.review(task, "carol", step=1)
    assert world.poll(task).task["status"] == "pending"
    assert world.ask("customers.erase", "both").decision is False
    assert world.review(task, "dave", step=1)
    await_status(world, task, "approved")
    world.await_reason("allowed", "customers.erase", "both")
    assert world.ask("customers.erase", "both").decision is True


def test_somebody_outside_the_group_approves_nothing(world: World) -> None:
    task = opened(world, "customers.export", "outside")
    if isinstance(world, InMemory):
        assert world.development.review(task, "mallory", groups=["sales"]).status == 409
    else:
        assert not world.review(task, "mallory")
    assert world.poll(task).task["status"] == "pending"


@pytest.mark.invariant(13, 19)
def test_a_denial_is_final_and_cools_down(world: World) -> None:
    task = opened(world, "customers.export", "denied")
    assert world.review(task, decision="Deny")
    await_status(world, task, "denied")
    world.await_reason("approval_denied", "customers.export", "denied")
    assert not world.review(task, "dave")
    assert world.ask("customers.export", "denied").reason == "approval_denied"
    again = world.ask("customers.export", "denied", path="requests")
    assert (again.status, again.reason) == (400, "approval_denied")


@pytest.mark.invariant(10)
def test_of_fifty_calls_at_once_exactly_one_uses_the_approval(world: World) -> None:
    approved(world, "customers.export", "raced")
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda _: world.ask("customers.export", "raced"), range(CALLERS)))
    assert [answer.decision for answer in answers].count(True) == 1
    assert {answer.reason for answer in answers if not answer.decision} == {"approval_consumed"}


@pytest.mark.invariant(11)
def test_the_same_request_id_is_the_same_call(world: World) -> None:
    approved(world, "customers.export", "repeated")
    answers = [world.ask("customers.export", "repeated", request_id="same") for _ in range(3)]
    assert [answer.decision for answer in answers] == [True] * 3
    assert world.ask("customers.export", "repeated", request_id="another").reason == "approval_consumed"


def test_a_storm_of_requests_opens_one(world: World) -> None:
    with ThreadPoolExecutor(10) as pool:
        tasks = set(pool.map(lambda _: opened(world, "customers.export", "storm"), range(10)))
    assert len(tasks) == 1


def test_an_idempotency_key_is_of_one_request(world: World) -> None:
    first = world.ask("customers.export", "keyed", path="requests", key="k-1")
    until(
        lambda: world.ask("customers.export", "keyed-too", path="requests", key="k-1").status == 409,
        "the key is known",
    )
    assert world.ask("customers.export", "keyed", path="requests", key="k-1").task["id"] == first.task["id"]


def test_what_its_requester_withdrew_cannot_be_approved(world: World) -> None:
    task = opened(world, "customers.export", "withdrawn")
    assert world.cancel(task).task["status"] == "cancelled"
    assert not world.review(task)
    assert world.ask("customers.export", "withdrawn").decision is False


@pytest.mark.invariant(12)
def test_an_approval_ends_with_its_window(world: World) -> None:
    approved(world, "customers.notify", "ending")
    assert world.ask("customers.notify", "ending").decision is True
    time.sleep(WINDOW_SECONDS)
    ended = world.ask("customers.notify", "ending")
    assert (ended.decision, ended.reason) == (False, "approval_expired")
