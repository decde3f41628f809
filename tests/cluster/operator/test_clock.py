"""An operator whose clock is off: by its time nothing is counted, approved, ended or deleted, and it says so.

Holds: only the operator's clock is another here. Grants, reviews and what a person reads are by the API server's.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import GUARD_CONFIG_MAP, Installation
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator, Operator
from support.callers import Callers
from support.events import events_in
from support.installation import accepted
from support.objects import Object, later
from support.shiftedclock import Shifter
from support.waits import until
from unit.operator.cases import condition

pytestmark = pytest.mark.long

MINUTES: Final = 60.0
DAYS: Final = 86_400.0
# As long as an operator that believed its clock would take, several times over.
LONG_ENOUGH: Final = 4.0


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Shifter:
    shifter = Shifter(tmp_path_factory.mktemp("clock") / "seconds")
    shifter.set(0)
    return shifter


@pytest.fixture(scope="module")
def operator(new_operator: NewOperator, clock: Shifter, health_port: int) -> Iterator[Operator]:
    """One operator that leads for the whole module, by that clock."""
    with new_operator("--proof-interval", "3", f"--health-port={health_port}", clock=clock) as operator:
        yield operator


@pytest.fixture
def shift(operator: Operator, clock: Shifter) -> Iterator[Callable[[float], None]]:
    """Set the operator's clock; at the end of a test it is right again."""
    yield clock.set
    clock.set(0)


def metric(port: int, name: str) -> float:
    """Return a metric of the operator without labels."""
    lines = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def stays(grants: Grants, body: Object, phase: str | None) -> Object:
    """Watch a grant for a while: it keeps its phase. Returns it as it is then."""
    deadline = time.monotonic() + LONG_ENOUGH
    while time.monotonic() < deadline:
        assert grants.phase(body) == phase
        time.sleep(0.1)
    return grants.read(body)


@pytest.mark.invariant(12)
class TestBehind:
    def test_it_counts_no_review_that_comes_after_the_deadline(
        self, grants: Grants, shift: Callable[[float], None]
    ) -> None:
        deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        body = grants.open(pendingUntilTime=later(seconds=5))
        grants.await_phase(body, "Pending")
        shift(-10 * MINUTES)
        time.sleep(max(0.0, (deadline - datetime.now(UTC)).total_seconds() + 1.5))
        accepted(grants.review(body))
        status = stays(grants, body, "Pending")["status"]
        assert "counted" not in status
        shift(0)
        ended = grants.await_phase(body, "Expired")["status"]
        assert "approvedTime" not in ended

    def test_it_counts_a_denial_once_its_clock_is_right_and_not_before(
        self, grants: Grants, shift: Callable[[float], None]
    ) -> None:
        body = grants.open()
        grants.await_phase(body, "Pending")
        shift(-10 * MINUTES)
        accepted(grants.review(body, decision="Deny"))
        stays(grants, body, "Pending")
        shift(0)
        denied = grants.await_phase(body, "Denied")
        since = datetime.fromisoformat(condition(denied["status"], "Denied")["lastTransitionTime"])
        assert since >= datetime.fromisoformat(body["metadata"]["creationTimestamp"])

    def test_it_still_ends_what_somebody_revokes(self, grants: Grants, shift: Callable[[float], None]) -> None:
        body = grants.approved()
        shift(-10 * MINUTES)
        accepted(grants.revoke(body))
        ready = condition(grants.await_phase(body, "Revoked")["status"], "Ready")
        assert datetime.fromisoformat(ready["lastTransitionTime"]) >= datetime.fromisoformat(
            body["metadata"]["creationTimestamp"]
        )

    def test_a_grant_that_is_opened_meanwhile_is_approved_once_its_clock_is_right(
        self, grants: Grants, shift: Callable[[float], None]
    ) -> None:
        shift(-10 * MINUTES)
        body = grants.open()
        accepted(grants.review(body))
        assert "status" not in stays(grants, body, None)
        shift(0)
        status = grants.await_phase(body, "Active")["status"]
        assert status["approvedTime"] >= body["metadata"]["creationTimestamp"]


@pytest.mark.invariant(12)
class TestAhead:
    def test_it_approves_and_ends_nothing(self, grants: Grants, shift: Callable[[float], None]) -> None:
        active, reviewed, waiting = grants.approved(), grants.open(), grants.open()
        for body in (reviewed, waiting):
            grants.await_phase(body, "Pending")
        shift(40)
        accepted(grants.review(reviewed))
        assert "counted" not in stays(grants, reviewed, "Pending")["status"]
        shift(2 * DAYS)
        stays(grants, waiting, "Pending")
        stays(grants, active, "Active")
        shift(0)
        grants.await_phase(reviewed, "Active")
        assert (grants.phase(waiting), grants.phase(active)) == ("Pending", "Active")

    @pytest.mark.invariant(19, 22)
    def test_it_deletes_no_denial_of_a_moment_ago(
        self, operator: Operator, grants: Grants, shift: Callable[[float], None]
    ) -> None:
        body = grants.open()
        grants.await_phase(body, "Pending")
        accepted(grants.review(body, decision="Deny"))
        grants.await_phase(body, "Denied")
        shift(2 * DAYS)
        # The clock steps, and it looks at everything anew.
        assert operator.stop() == 0
        operator.start()
        operator.await_said("leading")
        stays(grants, body, "Denied")
        assert operator.said("grant deleted") == []
        shift(0)
        operator.await_leading()


@pytest.mark.invariant(12)
@pytest.mark.parametrize("seconds", [-25.0, 25.0])
def test_a_clock_that_is_a_little_off_approves_and_not_before_the_grant_was_made(
    grants: Grants, shift: Callable[[float], None], seconds: float
) -> None:
    shift(seconds)
    body = grants.open()
    accepted(grants.review(body))
    status = grants.await_phase(body, "Active")["status"]
    assert status["approvedTime"] >= body["metadata"]["creationTimestamp"]
    assert datetime.fromisoformat(status["approvedTime"]) < datetime.now(UTC) + timedelta(seconds=30)


@pytest.mark.parametrize("seconds", [-10 * MINUTES, 10 * MINUTES])
def test_it_says_that_the_clocks_disagree_and_that_they_agree_again(
    operator: Operator,
    callers: Callers,
    installed: Installation,
    shift: Callable[[float], None],
    health_port: int,
    seconds: float,
) -> None:
    def told() -> list[str]:
        # Of this process, as its log is: a test before this one may have started another.
        instance = operator.said("leading")[-1]["identity"]
        found = events_in(callers.admin, installed.namespace)
        about = [item for item in found if item["regarding"]["name"] == GUARD_CONFIG_MAP]
        return [item["reason"] for item in about if item["reportingInstance"] == instance]

    apart, agree = "clock skew: no grant is approved, expired or deleted", "the clocks agree again"
    until(lambda: metric(health_port, "bailiwick_operator_clock_agrees") == 1, "the clocks agree")
    # What it said for a test before this one may be on its way as an Event.
    said, said_again = len(operator.said(apart)), len(operator.said(agree))
    until(lambda: (told().count("ClockSkew"), told().count("ClocksAgree")) == (said, said_again), "all Events came")
    shift(seconds)
    until(lambda: metric(health_port, "bailiwick_operator_clock_agrees") == 0, "the clocks disagree", 10)
    assert metric(health_port, "bailiwick_operator_clock_ahead_seconds") == pytest.approx(seconds, abs=3)
    entry = operator.await_said(apart, said + 1)[-1]
    assert f"{'ahead of' if seconds > 0 else 'behind'} the API server's clock; the limit is 30 s" in entry["problem"]
    until(lambda: told().count("ClockSkew") == said + 1, "an Event tells")
    health = requests.get(f"http://127.0.0.1:{health_port}/healthz", timeout=5)
    assert (health.status_code, entry["problem"].split(" s ")[1] in health.json()["clock"]) == (200, True)
    shift(0)
    until(lambda: metric(health_port, "bailiwick_operator_clock_agrees") == 1, "the clocks agree again", 15)
    operator.await_said(agree, said_again + 1)
    until(lambda: told().count("ClocksAgree") == said_again + 1, "an Event tells that, too")
