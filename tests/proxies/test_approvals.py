"""Approvals through every real proxy: a real API server, the operator, and a person who approves.

However often a proxy or its client asks, and whichever decision point answers late or not at all: one approval lets one
call through.
"""

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from localcluster import process
from support.proxies.approvals import ACCESS_REQUEST, ApprovingWorld, both
from support.proxies.kinds import PROXIES, Changes
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import Answer
from support.proxies.relay import Relay
from support.proxies.servers import ReachedUpstream, Server
from support.waits import until

pytestmark = pytest.mark.cluster

KINDS: Final = list(PROXIES)
# HAProxy's client takes one address.
BALANCING: Final = [kind for kind in KINDS if kind != "haproxy"]
ENVOYS: Final = ["envoy", "envoy-grpc"]
# A use is written to an API server, which takes longer than the shipped files wait where the machine has much else to
# do; a proxy that gives up has denied, and the use is spent. How long they wait, one test looks at.
PATIENT: Final[dict[str, Changes]] = {
    "envoy": {"cluster: bailiwick, timeout: 1s}": "cluster: bailiwick, timeout: 15s}"},
    "envoy-grpc": {"                timeout: 1s\n": "                timeout: 15s\n"},
    "nginx": {"proxy_read_timeout 1s;": "proxy_read_timeout 15s;"},
    "haproxy": {"timeout = 1000 }": "timeout = 15000 }"},
    "caddy": {"response_header_timeout 1s": "response_header_timeout 15s"},
}
# Of Envoy's own: it asks again where it heard nothing. It waits longer than the shipped file has it, since that is for
# all of its tries, and each of them writes to an API server.
ASKING_AGAIN: Final[dict[str, Changes]] = {
    "envoy": {
        "cluster: bailiwick, timeout: 1s}": "cluster: bailiwick, timeout: 10s}",
        "                path_prefix: /ext-authz": "                retry_policy:\n"
        "                  retry_on: 5xx,reset,connect-failure\n"
        "                  num_retries: 2\n"
        "                path_prefix: /ext-authz",
    },
    "envoy-grpc": {
        "                timeout: 1s\n": "                timeout: 10s\n"
        "                retry_policy: {retry_on: 'unavailable,reset,connect-failure,internal', num_retries: 2}\n"
    },
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovingWorld]:
    with ExitStack() as closing:
        yield ApprovingWorld.begin(closing, tmp_path_factory.mktemp("approving"))


@pytest.fixture(autouse=True)
def _room(world: ApprovingWorld) -> Iterator[None]:
    yield
    world.withdraw()


@contextmanager
def before(
    world: ApprovingWorld,
    kind: str,
    folder: Path,
    upstream: Server,
    port: int | None = None,
    changes: Changes | None = None,
) -> Iterator[RunningProxy]:
    """Start a proxy, by default before the first decision point."""
    port = port or world.replicas[0].serving(grpc=kind == "envoy-grpc")
    with PROXIES[kind](world.scene, folder, upstream.port, port, changes or {}) as proxy:
        yield proxy


@contextmanager
def relayed(
    world: ApprovingWorld, kind: str, folder: Path, upstream: Server, changes: Changes | None = None
) -> Iterator[tuple[Relay, RunningProxy]]:
    """Start a proxy before the first replica, of which answers can be lost or late on the way."""
    grpc = kind == "envoy-grpc"
    with (
        Relay(world.scene, world.replicas[0].serving(grpc=grpc), grpc=grpc) as relay,
        before(world, kind, folder, upstream, relay.port, changes) as proxy,
    ):
        yield relay, proxy


def passed(*answers: Answer) -> int:
    """Return how many calls came through; every other must be a denial."""
    assert {answer.status for answer in answers} <= {200, 401, 403, 502, 503, 504}
    return sum(answer.status == 200 for answer in answers)


@pytest.mark.parametrize("kind", KINDS)
def test_an_approval_lets_one_call_through_and_does_not_reach_the_upstream(
    world: ApprovingWorld, upstream: Server, tmp_path: Path, kind: str
) -> None:
    customer = f"once-{kind}"
    with before(world, kind, tmp_path, upstream, changes=PATIENT[kind]) as proxy:
        denied = world.call(proxy, customer)
        assert (denied.status, denied.header("x-bailiwick-reason")) == (403, "approval_pending")
        assert (denied.header("x-bailiwick-evaluation") or "").startswith("eval_")
        assert b"approval_pending" in denied.body
        (grant,) = world.grants(customer)
        assert denied.header("x-bailiwick-task") == f"{grant['metadata']['name']}.{grant['metadata']['uid']}"
        # What was denied once is asked for once.
        assert world.call(proxy, customer).header("x-bailiwick-task") == denied.header("x-bailiwick-task")
        shown = world.approve(grant)
        assert upstream.asked == []
        # It is of this call and no other.
        assert passed(world.call(proxy, f"{customer}-other", shown)) == 0
        # Nor are two calls one because their client says so.
        mine = ("X-Request-ID", "mine")
        assert world.call(proxy, customer, shown, mine).status == 200
        (reached,) = upstream.asked
        assert reached.target == f"/customers/{customer}/notice?template=welcome"
        assert reached.all("x-bailiwick-approval") == []
        assert grant["metadata"]["uid"] not in str(reached.headers)
        again = world.call(proxy, customer, shown, mine)
        assert again.status == 403
        assert again.header("x-bailiwick-reason") in {"approval_pending", "approval_consumed"}
    assert len(upstream.asked) == 1
    assert world.uses(customer) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_denial_says_where_to_ask_and_what_is_approved_there_lets_the_call_through(
    world: ApprovingWorld, upstream: Server, tmp_path: Path, kind: str
) -> None:
    customer = f"asked-{kind}"
    with before(world, kind, tmp_path, upstream, changes=PATIENT[kind]) as proxy:
        denied = world.call(proxy, customer, method="DELETE", what="")
        assert (denied.status, denied.header("x-bailiwick-reason")) == (403, "approval_required")
        assert denied.header("x-bailiwick-access-request") == ACCESS_REQUEST
        assert (denied.header("x-bailiwick-evaluation") or "").startswith("eval_")
        assert world.grants(customer) == []
        task = world.ask(customer, "customers.delete")
        (grant,) = world.grants(customer)
        name, shown = world.approve(grant)
        assert shown == task["id"]
        assert world.call(proxy, customer, (name, shown), method="DELETE", what="").status == 200
        assert world.call(proxy, customer, (name, shown), method="DELETE", what="").status == 403
    assert [reached.method for reached in upstream.asked] == ["DELETE"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_approval_whose_answer_is_lost_lets_at_most_that_call_through(
    world: ApprovingWorld, upstream: Server, tmp_path: Path, kind: str
) -> None:
    # HAProxy, and Caddy on a connection that it has kept, ask again by themselves; the others deny.
    customer = f"lost-{kind}"
    with relayed(world, kind, tmp_path, upstream, PATIENT[kind]) as (relay, proxy):
        shown = world.approved(proxy, customer)
        relay.lose = 1
        first = world.call(proxy, customer, shown)
        assert relay.lose == 0
        assert world.uses(customer) == 1
        again = [world.call(proxy, customer, shown) for _ in range(3)]
    assert passed(*again) == 0
    assert len(upstream.asked) == passed(first)
    assert world.uses(customer) == 1


@pytest.mark.parametrize("kind", ENVOYS)
def test_a_proxy_that_asks_again_takes_one_use(
    world: ApprovingWorld, upstream: Server, tmp_path: Path, kind: str
) -> None:
    customer = f"again-{kind}"
    with relayed(world, kind, tmp_path, upstream, ASKING_AGAIN[kind]) as (relay, proxy):
        shown = world.approved(proxy, customer)
        heard, relay.lose = relay.answers, 1
        assert world.call(proxy, customer, shown).status == 200
        assert relay.answers == heard + 2
        assert passed(*(world.call(proxy, customer, shown) for _ in range(3))) == 0
    assert len(upstream.asked) == 1
    assert world.uses(customer) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_decision_point_that_answers_later_than_the_proxy_waits_lets_nothing_through(
    world: ApprovingWorld, upstream: Server, tmp_path: Path, kind: str
) -> None:
    customer = f"late-{kind}"
    with relayed(world, kind, tmp_path, upstream) as (relay, proxy):
        shown = world.approved(proxy, customer)
        relay.delay = 6.0
        assert passed(world.call(proxy, customer, shown), world.call(proxy, f"{customer}-unapproved", shown)) == 0
        relay.delay = 0.0
        # Its use is spent, and nobody's call went through.
        until(lambda: world.call(proxy, customer, shown).status == 403, "the proxy hears answers again")
    assert upstream.asked == []
    assert world.uses(customer) == 1


@pytest.mark.parametrize("kind", BALANCING)
@pytest.mark.parametrize("fault", ["none", "gone", "silent"])
def test_calls_at_once_before_two_replicas_take_one_use(
    world: ApprovingWorld, upstream: Server, tmp_path: Path, kind: str, fault: str
) -> None:
    customer = f"two-{fault}-{kind}"
    grpc = kind == "envoy-grpc"
    replica = world.replica() if fault == "gone" else world.replicas[1]
    ports = [world.replicas[0].serving(grpc=grpc), replica.serving(grpc=grpc)]
    with before(world, kind, tmp_path, upstream, ports[0], both(kind, ports)) as proxy:
        shown = world.approved(proxy, customer)
        running = replica.point.process
        if fault == "gone":
            process.stop([running.id])
        elif fault == "silent":
            running.handle.send_signal(signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(12) as pool:
                calls = [
                    pool.submit(world.call, proxy, f"{customer}-unapproved" if number % 3 == 0 else customer, shown)
                    for number in range(24)
                ]
                answers = [call.result() for call in calls]
            served = passed(*answers)
            assert served <= 1
            while served == 0 and world.uses(customer) == 0:
                served += passed(world.call(proxy, customer, shown))
        finally:
            if fault == "silent":
                running.handle.send_signal(signal.SIGCONT)
        assert passed(*(world.call(proxy, customer, shown) for _ in range(4))) == 0
    assert {reached.target for reached in upstream.asked} <= {f"/customers/{customer}/notice?template=welcome"}
    assert len(upstream.asked) == served <= 1
    until(lambda: world.uses(customer) == 1, "its use is taken")


class FlakyUpstream(Server):
    """Fails the first of two calls."""

    def respond(self, reached: ReachedUpstream, connection: socket.socket) -> None:
        if len(self.asked) % 2:
            connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            super().respond(reached, connection)


@pytest.mark.parametrize("kind", ENVOYS)
def test_an_upstream_that_is_called_again_by_the_proxy_can_tell_that_it_is_one_call(
    world: ApprovingWorld, tmp_path: Path, kind: str
) -> None:
    customer = f"flaky-{kind}"
    retrying = {"route: {cluster: crm}": "route: {cluster: crm, retry_policy: {retry_on: 5xx, num_retries: 1}}"}
    with (
        FlakyUpstream() as upstream,
        before(world, kind, tmp_path, upstream, changes={**PATIENT[kind], **retrying}) as proxy,
    ):
        shown = world.approved(proxy, customer)
        assert world.call(proxy, customer, shown).status == 200
        assert world.call(proxy, customer, shown).status == 403
    one, two = upstream.asked
    assert one.all("x-bailiwick-decision") == two.all("x-bailiwick-decision") != []
    assert world.uses(customer) == 1
