"""Signals of an issuer on a real API server: an operator and three decision points that know the issuer.

Holds: the control plane is this module's own, since its operator would take the lease from every other one.
"""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_api.accounts import Installation
from bailiwick_kube.access import from_kubeconfig
from bailiwick_kube.connections import HttpTransport
from bailiwick_kube.paths import revocations_path
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.loop.grantsurvey import GrantSurvey
from bailiwick_operator.reconcile.signals import ArrivedSignal, RevocationTerms, SignalCause, SignalEffect
from bailiwick_operator.signals.storage import SignalStore
from demo.stack import DecisionPoint, Stack
from localcluster import build, process
from localcluster.controlplane import ControlPlane
from localcluster.machineload import stretch
from localcluster.process import RunningProcess
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile
from support.callers import Callers
from support.installation import install
from support.namespaces import Namespaces
from support.objects import ENDPOINT, Object, rule, settings
from support.pdp.processes import await_ready
from support.pdp.questions import Said, post
from support.pdp.tenant import Tenant, Tenants
from support.signals.caep import RISC
from support.signals.transmitter import SignalTransmitter, transmitting
from support.stacks import stack_on
from support.waits import until

WAITS: Final = 20.0
ALLOWED: Final = "allowed"
KINDS: Final = ("refuse", "hold", "release", "risk hold", "risk release")


@dataclass
class SignalWorld:
    """What runs, and who asks there."""

    transmitter: SignalTransmitter
    stack: Stack
    callers: Callers
    operator: RunningProcess
    flags: tuple[str, ...]
    tenant: Tenant

    @property
    def points(self) -> list[DecisionPoint]:
        return self.stack.decision_points

    def token(self, person: str, **claims: Any) -> str:  # noqa: ANN401 - claims
        return self.transmitter.signer.token(person, self.tenant.audience, groups=["support"], **claims)

    def ask(self, point: DecisionPoint, person: str, token: str) -> Said:
        body = {
            "subject": {"type": "user", "id": person},
            "action": {"name": "customers.get"},
            "resource": {"type": "customer", "id": "42"},
            "context": {"evidence": {"subject_token": token}},
        }
        return post(point.evaluation(f"{self.tenant.namespace}/{ENDPOINT}"), body, self.tenant.pep)

    def reasons(self, person: str, token: str) -> set[str | None]:
        """Return why each decision point denies, or that it allows."""
        answers = [self.ask(point, person, token) for point in self.points]
        return {ALLOWED if one.decision is True else one.reason for one in answers}

    def specs(self, sub: str) -> list[Object]:
        listed = self.callers.admin.get(revocations_path()).body["items"]
        return [body for body in listed if body["spec"]["match"].get("sub") == sub]


@pytest.fixture(scope="module")
def signalled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignalWorld]:
    folder: Path = tmp_path_factory.mktemp("signals")
    with ExitStack() as closing:
        plane = closing.enter_context(ControlPlane(build.ensure()))
        callers = closing.enter_context(Callers(plane.cluster))
        installation = Installation()
        install(callers, installation)
        transmitter = closing.enter_context(transmitting(folder / "transmitter", WAITS))
        file = folder / "issuers.yaml"
        file.write_text(yaml.safe_dump({"issuers": [transmitter.issuer()]}))
        flags = ("--issuers", str(file))
        stack = closing.enter_context(stack_on(plane.cluster, folder, installation))
        operator = stack.start_operator(*flags)
        for _ in range(3):
            stack.start_decision_point(*flags, await_ready=False)
        stack.await_guard()
        for point in stack.decision_points:
            await_ready(point)
        urls = [point.url for point in stack.decision_points]
        tenants = Tenants(plane.cluster, callers, urls, Namespaces(callers.admin))
        tenant = tenants.make("signalled")
        tenant.change_policy(
            {
                "endpointSettings": {
                    **settings(tenant.namespace, "api"),
                    "identity": {"issuers": ["cluster", "corp"]},
                },
                "subjects": [
                    {"name": "agent", "serviceAccount": {"namespace": tenant.namespace, "name": "agent"}},
                    {"name": "support", "group": {"issuer": "corp", "name": "support"}},
                ],
                "rules": [rule("read", subjects=["agent", "support"], actions=["customers.get"])],
            }
        )
        running = SignalWorld(transmitter, stack, callers, operator, flags, tenant)
        until(lambda: running.reasons("zoe", running.token("zoe")) == {ALLOWED}, "the policy is known")
        until(lambda: transmitter.polls, "the transmitter is polled")
        yield running
        transmitter.closing.set()


@pytest.mark.invariant(32)
def test_three_replicas_deny_within_a_second_of_the_signal_and_nobody_else(signalled: SignalWorld) -> None:
    token = signalled.token("dave")
    assert signalled.reasons("dave", token) == {ALLOWED}
    began = time.monotonic()
    signalled.transmitter.signal("three", "dave")
    until(lambda: signalled.reasons("dave", token) == {"identity_revoked"}, "all deny", 5)
    assert time.monotonic() - began < 1.0 * stretch()
    assert signalled.reasons("zoe", signalled.token("zoe")) == {ALLOWED}
    until(lambda: "three" in signalled.transmitter.acknowledged, "it is acknowledged")
    # A token from after the event counts again.
    until(lambda: signalled.reasons("dave", signalled.token("dave")) == {ALLOWED}, "a new token counts", 10)
    assert signalled.reasons("dave", token) == {"identity_revoked"}
    (stored,) = signalled.specs("dave")
    assert stored["spec"]["cause"]["jti"] == "three"


@pytest.mark.invariant(32)
def test_a_disabled_account_is_held_until_it_is_enabled(signalled: SignalWorld) -> None:
    signalled.transmitter.signal("disabled", "erin", "account-disabled", RISC)
    until(lambda: signalled.reasons("erin", signalled.token("erin")) == {"identity_revoked"}, "all deny")
    time.sleep(2)
    assert signalled.reasons("erin", signalled.token("erin")) == {"identity_revoked"}
    signalled.transmitter.signal("enabled", "erin", "account-enabled", RISC)
    until(lambda: signalled.reasons("erin", signalled.token("erin")) == {ALLOWED}, "a new token counts")


def test_a_token_that_could_outlive_a_revocation_is_refused_by_every_replica(signalled: SignalWorld) -> None:
    assert signalled.reasons("zoe", signalled.token("zoe", seconds=3601)) == {"token_lifetime_exceeded"}


def test_what_arrives_while_no_operator_runs_is_stored_by_the_next_one_and_a_replay_changes_nothing(
    signalled: SignalWorld,
) -> None:
    transmitter = signalled.transmitter
    process.kill([signalled.operator.id])
    token = transmitter.waiting[transmitter.signal("late", "frank", at=time.time() - 7200)]
    signalled.operator = signalled.stack.start_operator(*signalled.flags, name="operator-2")
    until(lambda: "late" in transmitter.acknowledged, "it is acknowledged", 60)
    (before,) = signalled.specs("frank")
    # Late as it is, it lasts long enough for the operator to end grants.
    assert datetime.fromisoformat(before["spec"]["until"]) > datetime.now(UTC) + timedelta(minutes=5)
    transmitter.acknowledged.clear()
    transmitter.send("late", token)
    until(lambda: "late" in transmitter.acknowledged, "the replay is acknowledged")
    (after,) = signalled.specs("frank")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def effect(kind: str, person: str, at: datetime) -> ArrivedSignal:
    hold = {"hold": True, "release": False}.get(kind.rsplit(maxsplit=1)[-1])
    issued_before = None if hold is False else at + timedelta(seconds=1)
    risk = kind.startswith("risk")
    cause = SignalCause("risk-level-change" if risk else kind, f"jti-{person}-{kind}", "a" * 64)
    return ArrivedSignal(SignalEffect({"sub": person}, at, issued_before, hold, risk), cause)


async def test_the_definition_accepts_every_change_that_signals_make_in_any_order(
    signalled: SignalWorld, tmp_path: Path
) -> None:
    installation = Installation()
    account = Account(installation.namespace, installation.operator_name)
    now = datetime.now(UTC)
    with TokenFile(signalled.stack.cluster, account, tmp_path / "token") as token:
        transport = HttpTransport(from_kubeconfig(token.write_kubeconfig()), 10.0, "test")
        terms = RevocationTerms("corp", timedelta(hours=1))
        kube = OperatorClient(transport, lambda: True)
        store = SignalStore(
            kube,
            terms,
            now=lambda: now,
            earliest=lambda: now,
            clock=time.monotonic,
            survey=GrantSurvey(kube, None, time.monotonic),
        )
        try:
            for number, order in enumerate(permutations(enumerate(KINDS))):
                outcomes = [
                    await store.store([effect(kind, f"p{number}", now - timedelta(seconds=100 - index))])
                    for index, kind in order
                ]
                assert {one for outcome in outcomes for one in outcome.values()} <= {"stored", "unchanged"}
        finally:
            await transport.close()
    states = {
        tuple(
            sorted((s["spec"]["hold"], s["spec"]["issuedBefore"], s["spec"]["asOf"], s["spec"]["until"]) for s in found)
        )
        for number in range(len([*permutations(KINDS)]))
        for found in (signalled.specs(f"p{number}"),)
    }
    assert len(states) == 1


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_signals_are_stored_and_acknowledged_while_others_are_served(signalled: SignalWorld) -> None:
    transmitter, people = signalled.transmitter, 4_000
    token = signalled.token("zoe")
    seconds: list[float] = []
    stop = False

    def ask(point: DecisionPoint) -> None:
        while not stop:
            began = time.monotonic()
            assert signalled.ask(point, "zoe", token).decision is True
            seconds.append(time.monotonic() - began)
            time.sleep(0.05)

    transmitter.acknowledged.clear()
    now = time.time()
    for number in range(10_000):
        transmitter.signal(f"many-{number}", f"m{number % people}", at=now - 100 + number / 1000)
    began = time.monotonic()
    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(ask, point) for point in signalled.points]
        try:
            until(lambda: len(transmitter.acknowledged) >= 10_000 or any(one.done() for one in asking), "all", 600)
        finally:
            stop = True
        for one in asking:
            one.result()
    took = time.monotonic() - began
    assert len(set(transmitter.acknowledged)) == 10_000
    listed = [body["spec"]["match"] for body in signalled.callers.admin.get(revocations_path()).body["items"]]
    assert {f"m{number}" for number in range(people)} <= {one.get("sub") for one in listed}
    assert {} not in listed
    old = signalled.token("m3999", seconds=1800, iat=int(now) - 200)
    until(lambda: signalled.reasons("m3999", old) == {"identity_revoked"}, "all know")
    slowest = statistics.quantiles(seconds, n=100)[98]
    assert slowest < 0.5 * stretch(), f"{slowest:.3f} s, while 10,000 signals took {took:.0f} s"
