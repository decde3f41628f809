"""One leads, the others wait; what a leader leaves behind when it stops, dies, or stands still."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick_api.accounts import OPERATOR_LEASE, Installation
from bailiwick_operator.process.leader import NOTIFIED
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator
from localcluster.access import Cluster
from localcluster.rest import Rest
from support import faultkinds
from support.callers import Callers
from support.faultproxy import FaultProxy
from support.installation import accepted
from support.waits import until

pytestmark = pytest.mark.long

LEASE_SECONDS = 15


@pytest.fixture(autouse=True)
def alone(new_operator: NewOperator) -> Iterator[None]:
    """No operator outlives its test, or it would hold the lease against the next."""
    yield
    new_operator.kill_all()


def holder(admin: Rest, installed: Installation) -> str | None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{installed.namespace}/leases/{OPERATOR_LEASE}"
    identity: str | None = accepted(admin.get(path))["spec"].get("holderIdentity")
    return identity


class TestASecondOperator:
    def test_waits_and_takes_over_when_the_first_is_killed(
        self, new_operator: NewOperator, grants: Grants, callers: Callers, installed: Installation
    ) -> None:
        first = new_operator("--identity", "first").start().await_leading()
        second = new_operator("--identity", "second").start()
        second.await_said("not leading")
        assert "held by first" in second.said("not leading")[0]["why"]
        time.sleep(3)
        assert second.said("leading") == []
        first.kill()
        began = time.monotonic()
        body = grants.open()
        accepted(grants.review(body))
        second.await_said("leading", seconds=LEASE_SECONDS + 30)
        assert time.monotonic() - began > LEASE_SECONDS - 6
        grants.await_phase(body, "Active")
        assert holder(callers.admin, installed) == "second"
        assert second.stop() == 0

    def test_takes_over_at_once_when_the_first_is_stopped(
        self, new_operator: NewOperator, grants: Grants, callers: Callers, installed: Installation
    ) -> None:
        first = new_operator("--identity", "first").start().await_leading()
        second = new_operator("--identity", "second").start()
        second.await_said("not leading")
        assert first.stop() == 0
        second.await_said("leading", seconds=LEASE_SECONDS - 5)
        assert second.stop() == 0
        assert holder(callers.admin, installed) is None

    def test_says_in_the_api_servers_words_why_it_may_not_lead(self, new_operator: NewOperator) -> None:
        lost = new_operator("--namespace", "nowhere").start()
        lost.await_said("not leading")
        assert 'cannot get resource "leases"' in lost.said("not leading")[0]["why"]
        assert lost.stop() == 0

    def test_stops_while_it_waits(self, new_operator: NewOperator, grants: Grants) -> None:
        first = new_operator("--identity", "first").start().await_leading()
        second = new_operator("--identity", "second").start()
        second.await_said("not leading")
        began = time.monotonic()
        assert second.stop() == 0
        assert time.monotonic() - began < 4
        assert first.stop() == 0


@pytest.mark.invariant(18)
def test_ab_46_a_leader_that_stood_still_ends_and_writes_no_more(new_operator: NewOperator, grants: Grants) -> None:
    first = new_operator("--identity", "first").start().await_leading()
    body = grants.open()
    grants.await_phase(body, "Pending")
    # Its line comes after the status is stored, and a process that stands still between the two never writes it.
    first.await_said("grant")
    first.freeze()
    second = new_operator("--identity", "second").start()
    second.await_said("leading", seconds=LEASE_SECONDS + 30)
    second.await_leading()
    accepted(grants.review(body))
    grants.await_phase(body, "Active")
    first.thaw()
    assert first.process.wait(30) == 1
    lost = first.said("lost leadership, exiting")
    assert "second" in lost[0]["why"] or "could not be renewed" in lost[0]["why"]
    assert [entry["phase"] for entry in first.said("grant")] == ["Pending"]
    assert second.stop() == 0


@pytest.mark.invariant(18)
def test_ab_46_a_leader_that_wakes_up_after_its_lease_sends_no_write_at_all(
    new_operator: NewOperator, grants: Grants, cluster: Cluster, account: Path, tmp_path: Path
) -> None:
    with FaultProxy(cluster, tmp_path) as proxy:
        first = new_operator("--identity", "first", "--proof-interval", "1", kubeconfig=proxy.kubeconfig(account))
        first.start().await_leading()
        first.freeze()
        second = new_operator("--identity", "second").start()
        second.await_said("leading", seconds=LEASE_SECONDS + 30)
        # Nobody is left who could do what the first one wakes up to.
        second.kill()
        left = [grants.open() for _ in range(5)]
        # Its sockets tell it of them as soon as it goes on, and a proof is due. That the lease is lost it hears late.
        proxy.on("GET", r"/leases/", faultkinds.hang, times=None)
        writes = [proxy.on(method, r"", faultkinds.pass_on, times=None) for method in ("PATCH", "POST", "DELETE")]
        puts = proxy.on("PUT", r"^(?!.*/leases/)", faultkinds.pass_on, times=None)
        first.thaw()
        assert first.process.wait(30) == 1
        assert "could not be renewed" in first.said("lost leadership, exiting")[0]["why"]
        assert [write.seen for write in (*writes, puts)] == [0, 0, 0, 0]
    assert not any("status" in grants.read(body) for body in left)


@pytest.mark.invariant(18)
def test_ab_46_a_leader_that_stood_still_alone_ends_and_marks_nothing_as_notified(
    new_operator: NewOperator, grants: Grants, installed: Installation, callers: Callers, tmp_path: Path
) -> None:
    (tmp_path / "chat").write_text("json://127.0.0.1:9/")
    only = new_operator("--identity", "only", f"--notifications-dir={tmp_path}").start().await_leading()
    path = f"/apis/coordination.k8s.io/v1/namespaces/{installed.namespace}/leases/{OPERATOR_LEASE}"

    def mark() -> str | None:
        return accepted(callers.admin.get(path))["metadata"].get("annotations", {}).get(NOTIFIED)  # type: ignore[no-any-return]

    until(mark, "the lease says up to when people were notified", 30)
    only.freeze()
    before = mark()
    time.sleep(LEASE_SECONDS + 2)
    only.thaw()
    assert only.process.wait(30) == 1
    assert "was stopped for longer than its lease" in only.said("lost leadership, exiting")[0]["why"]
    # The next leader notifies people of what happened after this time. A later one would hide what came meanwhile.
    assert mark() == before


def test_a_leader_stops_within_seconds(new_operator: NewOperator, grants: Grants) -> None:
    leader = new_operator().start().await_leading()
    began = time.monotonic()
    assert leader.stop() == 0
    assert time.monotonic() - began < 5


class TestStartedWrongly:
    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["--lease-seconds", "5"], "--lease-seconds must exceed --renew-seconds"),
            (["--proof-interval", "often"], "invalid float value: 'often'"),
            (["--namespaces", "x"], "unrecognized arguments: --namespaces"),
        ],
        ids=["lease", "number", "unknown"],
    )
    def test_says_why_and_ends_with_two(self, new_operator: NewOperator, flags: list[str], words: str) -> None:
        operator = new_operator(*flags).start()
        assert operator.process.wait(20) == 2
        assert words in operator.log.read_text()

    def test_with_a_kubeconfig_that_has_no_token_it_ends_with_two(
        self, new_operator: NewOperator, account: Path, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.kubeconfig"
        broken.write_text(account.read_text().replace("tokenFile: ", "tokenFile: /nowhere"))
        operator = new_operator(kubeconfig=broken).start()
        assert operator.process.wait(20) == 2
        assert "cannot be read" in operator.log.read_text()


def test_health_says_who_leads_and_whether_the_guard_is_proven(
    new_operator: NewOperator, grants: Grants, unused_tcp_port: int
) -> None:
    def health() -> dict[str, object]:
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_tcp_port}/healthz", timeout=5) as answer:
            return json.loads(answer.read())  # type: ignore[no-any-return]

    with new_operator("--health-port", str(unused_tcp_port)):
        until(lambda: health()["guard"] == "proven", "the health says that the guard is proven")
        assert health()["leading"] is True
