"""Whatever happens between API server and store: what is gone is gone, what is old denies, and nothing stops us."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from bailiwick_kube.access import access
from bailiwick_kube.connections import HttpTransport
from bailiwick_kube.paths import revocations_path
from bailiwick_webhook.cluster.client import POLICIES, ApiClient, ClusterUnavailableError
from bailiwick_webhook.store.pulse import LONGEST
from demo.stack import DecisionPoint
from localcluster import process
from localcluster.people import ADMIN
from support import faultkinds
from support.faultkinds import Held
from support.faultproxy import FaultProxy
from support.installation import accepted
from support.objects import POLICY, Object, policy, rule
from support.pdp.processes import Bailiwick, readiness
from support.pdp.tenant import RULES, Tenant, Tenants
from support.revocations import manifest
from support.waits import until

pytestmark = pytest.mark.long

LIST: Final = r"/(endpointpolicies|approvalgrants)\?.*limit="
# A list's first page: how many follow hangs on what other tests left.
LIST_BEGUN: Final = r"/(endpointpolicies|approvalgrants)\?(?!.*continue=).*limit="
WATCH: Final = r"/(endpointpolicies|approvalgrants)\?.*watch=true"
# For one collection only, the one in which something happens: a pause grows until then.
POLICY_LIST: Final = r"/endpointpolicies\?.*limit="
POLICY_WATCH: Final = r"/endpointpolicies\?.*watch=true"
DECIDED_BY: Final = r"/(endpointpolicies|approvalgrants|subjectrevocations)\?"
# Longer than a turn of a loop takes.
STOPPED: Final = LONGEST + 2
STALE_AFTER: Final = 5.0
DEAD_AFTER: Final = 10.0
GONE: Final = b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}\n'


def test_ab_18_what_was_deleted_while_the_watch_was_away_is_gone(both: Tenants, faults: FaultProxy) -> None:
    deleted, kept = both.make("gap"), both.make("gap-of-a-grant")
    name = kept.opened("customers.export", "gap")
    kept.await_known(lambda said: said.reason == "approval_pending", "customers.export", "gap")
    # The next watch is told that its history is gone; the list that then follows is held until we are done.
    listing = Held(before=True)
    faults.on("GET", WATCH, faultkinds.status(410), times=4)
    faults.on("GET", LIST, listing, times=4)
    faults.cut_watches()
    assert listing.reached.wait(10)
    _delete_policy(deleted)
    accepted(kept.callers("system:serviceaccount:kube-system:namespace-controller").delete(kept.path_of(name)))
    assert deleted.ask("customers.list").decision is True
    assert kept.ask("customers.export", "gap").reason == "approval_pending"
    listing.go.set()
    until(lambda: deleted.ask("customers.list").status == 403, "the deleted policy is gone", 15)
    until(lambda: kept.ask("customers.export", "gap").reason == "approval_required", "the deleted grant is gone", 15)


def large_policies(count: int) -> list[Object]:
    """Return policies of 90 KB each that compile quickly."""
    wide = [
        rule(
            f"r{number}", resources=[{"type": "customer", "ids": [f"{number}.{one}.{'x' * 100}" for one in range(16)]}]
        )
        for number in range(48)
    ]
    return [policy("", f"large-{number:02}", rules=wide) for number in range(count)]


LINES: Final[dict[str, bytes]] = {
    "history gone": GONE,
    "an error without words": b'{"type":"ERROR","object":{}}\n',
    "half an event": b'{"type":"ADDED","object":{"metadata":{"na',
    "no JSON": b"not JSON\n",
    "a list": b"[]\n",
    "a string": b'"ADDED"\n',
    "an empty object": b"{}\n",
    "no object": b'{"type":"ADDED","object":null}\n',
    "metadata that are a list": b'{"type":"ADDED","object":{"metadata":[]}}\n',
    "no name": b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}}}\n',
    "a version that is a number": b'{"type":"MODIFIED","object":{"metadata":{"name":"x","resourceVersion":7}}}\n',
    "no uid": b'{"type":"MODIFIED","object":{"metadata":{"name":"x","namespace":"y","resourceVersion":"1"}}}\n',
    "a bookmark of nothing": b'{"type":"BOOKMARK","object":{"metadata":{}}}\n',
    "nothing": b"",
}


@pytest.mark.parametrize("what", LINES)
def test_no_line_of_a_watch_stops_the_store(
    both: Tenants, behind: DecisionPoint, faults: FaultProxy, what: str
) -> None:
    tenant = both.make("lines")
    fault = faults.on("GET", POLICY_WATCH, faultkinds.events(LINES[what]))
    faults.cut_watches()
    until(lambda: fault.seen == 1, "the watch got the line", 15)
    tenant.change_policy({"rules": [*RULES[1:]]})
    until(lambda: tenant.ask("customers.list").reason == "no_rule", "the change arrives", 15)
    assert behind.process.alive
    assert readiness(behind)[0] == 200


LISTS: Final = (b"[]", b"{}", b'{"items":5}', b'{"items":[],"metadata":{}}', b"not JSON", b"")


@pytest.mark.parametrize("body", LISTS, ids=repr)
def test_no_answer_to_a_list_stops_the_store_or_empties_it(
    both: Tenants, behind: DecisionPoint, faults: FaultProxy, body: bytes
) -> None:
    tenant = both.make("lists")
    fault = faults.on("GET", POLICY_LIST, faultkinds.events(body), times=2)
    faults.cut_watches()
    until(lambda: fault.seen == 2, "the lists were answered", 15)
    assert tenant.ask("customers.list").decision is True
    tenant.change_policy({"rules": [*RULES[1:]]})
    until(lambda: tenant.ask("customers.list").reason == "no_rule", "the change arrives", 15)
    assert behind.process.alive


def test_watches_that_end_at_once_do_not_make_a_storm(behind: DecisionPoint, faults: FaultProxy) -> None:
    watches = faults.on("GET", WATCH, faultkinds.events(b""), times=None)
    lists = faults.on("GET", LIST_BEGUN, faultkinds.pass_on, times=None)
    faults.cut_watches()
    time.sleep(3)
    # Two collections; the pauses double from 0.2 s on.
    assert 2 <= watches.seen + lists.seen <= 20


@pytest.fixture
def sensitive(pdp: Bailiwick, proxy: FaultProxy) -> Iterator[DecisionPoint]:
    """A decision point that notices within seconds that it hears nothing: it lists every second, so health is known.

    It lives no longer than its test: others count the requests that come through the same proxy.
    """
    point = pdp.start_point(
        *("--max-staleness", f"{STALE_AFTER}", "--hard-staleness", f"{DEAD_AFTER}"),
        *("--relist-interval", "1", "--api-timeout", "1"),
        proxy=proxy,
    )
    yield point
    process.stop([point.process.id])


@pytest.mark.invariant(26)
def test_ab_19_a_silent_api_server_makes_the_store_stale_and_then_dead_and_it_recovers(
    pdp: Bailiwick, sensitive: DecisionPoint, faults: FaultProxy
) -> None:
    _await_fresh(sensitive)
    tenants = pdp.tenants(sensitive)
    tenant = tenants.make("silent")
    name = tenant.approved("customers.notify", "silent")
    for _ in range(2):
        time.sleep(STALE_AFTER * 0.6)
        assert readiness(sensitive)[1]["checks"]["fresh"] is True
    faults.silent = True
    for path in (LIST, WATCH):
        faults.on("GET", path, faultkinds.hang, times=None)
    until(lambda: readiness(sensitive)[0] == 503, "the store is stale", STALE_AFTER + 3)
    answer = tenant.ask("customers.notify", "silent")
    assert (answer.decision, answer.reason) == (False, "store_stale")
    assert tenant.ask("customers.list").decision is True
    assert tenant.submit("customers.export", "silent").reason == "store_stale"
    until(lambda: tenant.ask("customers.list").reason == "store_stale", "the store is dead", DEAD_AFTER + 3)
    assert tenant.uses(name) == 0
    faults.clear()
    until(lambda: readiness(sensitive)[0] == 200, "the store is fresh again", 10)
    until(lambda: tenant.ask("customers.notify", "silent").decision, "grants are used again", 10)
    tenants.namespaces.clean()


@pytest.mark.invariant(26)
def test_a_guard_that_is_not_heard_of_any_more_is_not_proven(
    pdp: Bailiwick, sensitive: DecisionPoint, faults: FaultProxy
) -> None:
    _await_fresh(sensitive)
    tenants = pdp.tenants(sensitive)
    tenant = tenants.make("silent-guard")
    tenant.approved("customers.notify", "silent-guard")
    faults.on("GET", r"/validatingadmissionpolicybindings\?", faultkinds.hang, times=None)
    until(lambda: not readiness(sensitive)[1]["guard"]["proven"], "the guard is in doubt", STALE_AFTER + 4)
    answer = tenant.ask("customers.notify", "silent-guard")
    assert (answer.decision, answer.reason) == (False, "approval_unverifiable")
    assert readiness(sensitive)[0] == 200
    faults.clear()
    until(lambda: tenant.ask("customers.notify", "silent-guard").decision, "grants are used again", 10)
    tenants.namespaces.clean()


async def test_a_list_of_large_objects_comes_in_small_pages_and_whole(
    pdp: Bailiwick, proxy: FaultProxy, tenants: Tenants
) -> None:
    # One page of 200 objects would be 4 MB, which nobody's loop may parse in one go.
    namespace, large = tenants.namespaces.make("pages"), large_policies(40)
    for raw in large:
        accepted(pdp.callers.admin.create({**raw, "metadata": {**raw["metadata"], "namespace": namespace}}))
    cluster = ApiClient(
        HttpTransport(access(proxy.kubeconfig(pdp.stack.folder / "webhook.token.kubeconfig")), 5.0, "test")
    )
    try:
        pages = [page.items async for page in cluster.pages(POLICIES)]
    finally:
        await cluster.close()
    names = [item["metadata"]["name"] for page in pages for item in page if item["metadata"]["namespace"] == namespace]
    assert names == sorted(raw["metadata"]["name"] for raw in large)
    keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for page in pages for item in page]
    assert len(keys) == len(set(keys))
    sizes = [len(json.dumps(page)) for page in pages if len(page) > 1]
    assert max(sizes) <= 1024 * 1024
    # Who has large objects does not make everybody's pages small.
    assert len(pages) < len(large)
    tenants.namespaces.clean()


async def test_a_watch_that_says_nothing_is_not_believed(pdp: Bailiwick, faults: FaultProxy) -> None:
    config: Path = faults.kubeconfig(pdp.stack.folder / "webhook.token.kubeconfig")
    cluster = ApiClient(HttpTransport(access(config), 5.0, "test"))

    async def listen(resource_version: str) -> None:
        async for _ in cluster.watch(POLICIES, resource_version, silence=1.0, seconds=60):
            pass

    try:
        listed = [page async for page in cluster.pages(POLICIES)][-1]
        faults.silent = True
        began = time.monotonic()
        with pytest.raises(ClusterUnavailableError):
            await listen(listed.resource_version)
        assert 0.9 < time.monotonic() - began < 5
    finally:
        await cluster.close()


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """What is ended however the test ends."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.invariant(26)
def test_what_lay_unread_while_the_process_was_stopped_makes_nothing_fresh(
    pdp: Bailiwick, proxy: FaultProxy, faults: FaultProxy, closing: ExitStack
) -> None:
    point = pdp.start_point("--api-timeout", "1", proxy=proxy)
    closing.callback(process.stop, [point.process.id])
    tenants = pdp.tenants(point)
    closing.callback(tenants.namespaces.clean)
    tenant = tenants.make("stopped-point")
    name = tenant.opened("customers.export", "stopped")
    assert tenant.ask("customers.list").decision is True
    taken_back = manifest(sub=f"system:serviceaccount:{tenant.namespace}:nobody", by=ADMIN)
    closing.callback(pdp.callers.admin.delete, revocations_path(taken_back["metadata"]["name"]))
    point.process.id.send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        # One event of each kind that is decided by, and then nothing more.
        tenant.change_policy({"rules": [*RULES[1:]]})
        tenant.revoke(name)
        accepted(pdp.callers.admin.create(taken_back, revocations_path()))
        time.sleep(STOPPED)
        faults.on("GET", DECIDED_BY, faultkinds.status(503), times=None)
        stopped = time.monotonic() - began
    finally:
        point.process.id.send(signal.SIGCONT)
    until(lambda: tenant.ask("customers.list").reason == "no_rule", "what lay unread is decided by", 10)
    assert readiness(point)[1]["store"]["age_seconds"] >= stopped
    faults.clear()
    faults.cut_watches()
    until(lambda: readiness(point)[1]["store"]["age_seconds"] < STOPPED, "a list makes it fresh", 30)


def _await_fresh(point: DecisionPoint) -> None:
    """Let what an earlier test hung or cut be over: after a failure it pauses for seconds before it lists again.

    The guard's objects have watches of their own, that come back at another moment.
    """

    def heard() -> bool:
        status, body = readiness(point)
        return status == 200 and body["guard"]["proven"]

    until(heard, "the store is fresh and the guard is proven", 30)


def _delete_policy(tenant: Tenant) -> None:
    path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}/{POLICY}"
    accepted(tenant.callers.admin.delete(path))
