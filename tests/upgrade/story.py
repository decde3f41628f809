"""An upgrade from the last release to this checkout and back, played once, and what was seen of it.

Holds: enforcement points ask all the time; decision points are replaced one after another, each when its successor is
ready, as a Deployment does it. Whoever asserts something reads what is noted here, since all of it happens once.
"""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bailiwick_api.accounts import WITNESS_CONFIG_MAP, WITNESS_KEYS_ENTRY
from demo.stack import DecisionPoint, Stack
from localcluster import process
from localcluster.access import Cluster
from localcluster.process import RunningProcess
from releasemaker.releaselist import PreparedRelease
from support import commandline
from support.callers import Callers
from support.installation import accepted
from support.namespaces import Namespaces
from support.objects import Object, gated_rule
from support.pdp.balancer import Balancer, Replica
from support.pdp.processes import await_ready
from support.pdp.tenant import RULES, STEPS, Tenants
from support.stacks import logs, stack_on
from support.waits import until
from upgrade import world
from upgrade.ways import NAMESPACE, Way
from upgrade.world import STRANGER, World

REPLICAS: Final = 2
STAGES: Final = 3
_OPERATOR_FLAGS: Final = ("--proof-interval=5",)
_DRAIN_SECONDS: Final = 2.0
_POINT_FLAGS: Final = (f"--drain-seconds={_DRAIN_SECONDS}", "--witness-wait-seconds=10", "--connection-requests=50")
_ENDING_SECONDS: Final = 40
_FEWEST_CALLS: Final = 200
_SIGNED_RULE: Final = gated_rule("signed", approval={"steps": [{**STEPS[0], "signature": "Key"}]})


@dataclass(frozen=True, slots=True)
class RollOut:
    """What enforcement points saw while processes were replaced."""

    lost: tuple[str, ...]
    answers: frozenset[str]
    asked: int
    calls: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands in the cluster at one moment: grants by case, the spec of the policy, the data."""

    grants: dict[str, Object]
    policy: Object
    data: Object


@dataclass
class Story:
    """What was seen, in the order of the fields."""

    before: Stage
    upgrade: RollOut
    upgraded: Stage
    # Calls under the newer release: by case, whether each in turn was let through.
    calls: dict[str, list[bool | None]] = field(default_factory=dict)
    mails: list[bool | None] = field(default_factory=list)
    alerts: list[bool | None] = field(default_factory=list)
    audit: dict[str, Any] = field(default_factory=dict)
    taken_back: str | None = None
    signed: bool | None = None
    phases_before_roll_back: dict[str, str] = field(default_factory=dict)
    roll_back: RollOut | None = None
    rolled_back: Stage | None = None
    calls_after_roll_back: dict[str, bool | None] = field(default_factory=dict)
    taken_back_after_roll_back: str | None = None
    signed_after_roll_back: bool | None = None
    reason_after_roll_back: str | None = None
    reason_after_a_change: str | None = None
    audit_after_roll_back: dict[str, Any] = field(default_factory=dict)


@dataclass
class Play:
    """The processes that run, and how they are replaced."""

    stack: Stack
    way: Way
    operator: RunningProcess
    points: list[DecisionPoint]

    def roll_out(self, world: World, change: Callable[[], None], python: str | Path) -> RollOut:
        """Change what stands in the cluster, and replace the processes, while enforcement points ask."""
        tenant = world.tenant
        path, body = urlsplit(tenant.url()).path, tenant.body("customers.list")
        with Balancer(path, body, tenant.pep, [_replica(one) for one in self.points], workers=2) as balancer:
            until(lambda: balancer.count >= _FEWEST_CALLS, "the older ones are asked", 60)
            change()
            self.stack.python = python
            process.stop([self.operator.id])
            self.operator = self.stack.start_operator(*_OPERATOR_FLAGS)
            for old in list(self.points):
                new = self.stack.start_decision_point(*_POINT_FLAGS)
                balancer.replicas.append(_replica(new))
                until(partial(balancer.asked.__getitem__, new.url), "the new one is asked", 60)
                old.process.id.send(signal.SIGTERM)
                assert old.process.handle.wait(_ENDING_SECONDS) == 0, old.process.last_words()
                balancer.replicas.remove(_replica(old))
                self.points = [*self.points[1:], new]
            seen = balancer.count
            until(lambda: balancer.count >= seen + _FEWEST_CALLS, "the new ones are asked", 60)
        tenant.points = [point.url for point in self.points]
        return RollOut(tuple(balancer.lost), frozenset(balancer.answers), len(balancer.asked), balancer.count)

    def await_proven(self) -> None:
        """Wait until every decision point uses grants."""
        for point in self.points:
            await_ready(point)

    def audit(self) -> dict[str, Any]:
        """Return what this checkout's `audit verify` says of all logs, once the witness has seen each of them."""
        folder = self.stack.folder
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{WITNESS_CONFIG_MAP}"
        key = folder / WITNESS_KEYS_ENTRY
        key.write_text(accepted(self.stack.cluster.rest().get(path))["data"][key.name])
        arguments = ("audit", "verify", "--witness-key", str(key), "--policies", "ledger", "-o", "json")
        found: dict[str, Any] = {}

        def witnessed() -> bool:
            ran = commandline.run(*arguments, *map(str, logs(self.stack)))
            assert ran.code in {0, 1}, ran
            found.update(json.loads(ran.out), code=ran.code)
            return bool(ran.code or found["totals"]["chains"] == found["totals"]["intact"])

        until(witnessed, "every log is witnessed", 60)
        return found


@contextmanager
def begin(cluster: Cluster, folder: Path, way: Way, old: PreparedRelease) -> Iterator[tuple[Play, Tenants]]:
    """Install the older release and start its processes."""
    with Callers(cluster) as callers, stack_on(cluster, folder, asked=REPLICAS * STAGES) as stack:
        way.install(old.files)
        stack.python = old.python
        operator = stack.start_operator(*_OPERATOR_FLAGS)
        points = [stack.start_decision_point(*_POINT_FLAGS, await_ready=False) for _ in range(REPLICAS)]
        stack.await_guard()
        for point in points:
            await_ready(point)
        tenants = Tenants(cluster, callers, [point.url for point in points], Namespaces(callers.admin))
        yield Play(stack, way, operator, points), tenants


def play(began: Play, tenants: Tenants, old: PreparedRelease, checkout: Path, python: str | Path) -> Story:
    """Play all of it."""
    there = world.make(tenants)
    before = _stage(there)
    upgrade = began.roll_out(there, lambda: began.way.upgrade(checkout), python)
    began.await_proven()
    story = Story(before, upgrade, _stage(there))
    _use(there, story)
    story.audit = began.audit()
    tenants.points = there.tenant.points
    unprepared = _use_what_is_new(there, tenants, story)
    world.await_proof(there.tenant)
    story.phases_before_roll_back = there.phases()
    story.roll_back = began.roll_out(there, began.way.begin_roll_back, old.python)
    began.way.end_roll_back(old.files, checkout)
    began.await_proven()
    story.rolled_back = _stage(there)
    story.calls_after_roll_back = {case: there.ask(case).decision for case in ("kept", "used", "denied", "revoked")}
    story.taken_back_after_roll_back = there.stranger()
    unprepared.tenant.points = there.tenant.points
    story.signed_after_roll_back = _signed(unprepared)
    story.reason_after_roll_back = unprepared.tenant.ask("customers.list").reason
    unprepared.tenant.change_policy({"rules": [RULES[0]]})
    until(lambda: unprepared.tenant.ask("customers.list").decision, "the policy compiles again")
    story.reason_after_a_change = unprepared.tenant.ask("customers.list").reason
    story.audit_after_roll_back = began.audit()
    return story


def _use(there: World, story: Story) -> None:
    """Make calls under the newer release that the state from before decides."""
    tenant = there.tenant
    tenant.approve(there.names["waiting"])
    tenant.await_known(lambda said: said.decision is True, "customers.export", "waiting")
    for case in ("waiting", "approved", "used", "consumed", "expired", "denied", "revoked", "withdrawn"):
        story.calls[case] = [there.ask(case).decision for _ in range(2)]
    story.calls["shown"] = [there.ask("shown").decision, there.ask("shown", approval=dict(there.approval)).decision]
    story.mails = [there.mail() for _ in range(2)]
    story.alerts = [there.alert()]
    there.write_data(is_open=False)
    tenant.await_known(lambda said: said.decision is False, "customers.alert")
    story.alerts.append(there.alert())


def _use_what_is_new(there: World, tenants: Tenants, story: Story) -> World:
    """Use what the older release does not have: take a subject back, and ask for a signature.

    Returns whoever does not remove the signature from the policy before the roll back, as the page tells people to do.
    """
    tenant = there.tenant
    subject = f"sa:{tenant.namespace}/{STRANGER}"
    admin = tenant.cluster.admin_kubeconfig
    ran = commandline.run("take-back", subject, "--hold", "--reason", "its token leaked", kubeconfig=admin)
    assert ran.code == 0, ran
    until(lambda: there.stranger() is not None, "it is taken back")
    story.taken_back = there.stranger()
    unprepared = World(tenants.make("unprepared", [RULES[0], _SIGNED_RULE]))
    story.signed = _signed(unprepared)
    return unprepared


def _signed(there: World) -> bool:
    """Return whether the policy of the unprepared, as the API server tells it, asks for a signature."""
    (rule,) = (one for one in there.policy()["spec"]["rules"] if one["name"] == _SIGNED_RULE["name"])
    return "signature" in rule["approval"]["steps"][0]


def _stage(there: World) -> Stage:
    return Stage(there.grants(), there.policy()["spec"], there.data()["spec"])


def _replica(point: DecisionPoint) -> Replica:
    return Replica(point.url, point.status_url)
