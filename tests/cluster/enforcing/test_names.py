"""What names the same thing in two ways is one thing, on the real API server."""

from collections.abc import Iterator

import pytest

from bailiwick_webhook.http.adapters.k8snames import resolved
from localcluster.rest import Answer
from support.apiserver import AskingServer
from support.installation import accepted
from support.precious import (
    GATED,
    OTHER,
    PRECIOUS,
    PodUpstream,
    PreciousWorld,
    approved,
    discovered,
    reached,
    refused,
)
from support.waits import until_ok


@pytest.fixture(scope="module")
def asked(server: AskingServer) -> PreciousWorld:
    """A namespace where dave may do everything but to what is called `precious`; every call is asked about."""
    made = PreciousWorld.begin(server, "names", "dave")
    made.ask_about_everything("dave")
    return made


@pytest.fixture
def world(asked: PreciousWorld) -> Iterator[PreciousWorld]:
    """The same; what a test deletes is there again for the next one."""
    yield asked
    asked.restore(PRECIOUS, OTHER)


def reason(answer: Answer) -> str:
    """Return the reason code of a refusal at admission."""
    assert refused(answer), answer
    return str(answer.body["details"]["causes"][0]["reason"])


@pytest.mark.parametrize(
    "selector",
    [
        "?fieldSelector=metadata.name=precious",
        "?fieldSelector=metadata.name!=other",
        "?labelSelector=which=precious",
        "?fieldSelector=metadata.name=precious&propagationPolicy=Orphan",
        "",
    ],
)
@pytest.mark.parametrize("kind", ["v1/ConfigMap", "v1/Secret", "v1/Pod", "apps/v1/Deployment", "batch/v1/CronJob"])
def test_a_deletion_of_a_collection_is_judged_by_each_object(world: PreciousWorld, kind: str, selector: str) -> None:
    before = world.state()
    answer = world.send("dave", "DELETE", world.kinds[kind] + selector)
    assert (world.state(), reason(answer)) == (before, "policy_denied")


def test_a_deletion_of_a_collection_deletes_what_a_rule_allows(world: PreciousWorld) -> None:
    path = world.kinds["v1/ConfigMap"]
    assert world.send("dave", "DELETE", f"{path}?fieldSelector=metadata.name={OTHER}").ok
    assert world.state(OTHER)["v1/ConfigMap"] is None


def test_an_approval_of_a_deletion_is_bound_to_the_object_in_the_collection(world: PreciousWorld) -> None:
    admin = world.server.callers.admin
    metadata = {"name": GATED, "namespace": world.namespace}
    accepted(admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
    one, every = (f"{world.kinds['v1/ConfigMap']}{end}" for end in (f"?fieldSelector=metadata.name={GATED}", ""))
    denied = world.send("dave", "DELETE", one)
    assert (reason(denied), admin.get(f"{every}/{GATED}").ok) == ("approval_pending", True)
    grant = approved(world, denied)
    assert grant["spec"]["request"]["resource"]["id"] == GATED
    until_ok(lambda: world.send("dave", "DELETE", one), "the approval is known")
    assert not admin.get(f"{every}/{GATED}").ok
    assert accepted(admin.get(grant))["status"]["uses"] == 1
    accepted(admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
    assert reason(world.send("dave", "DELETE", one)) == "approval_pending"
    accepted(admin.delete(f"{every}/{GATED}"))


def test_kinds_that_the_api_server_keeps_as_one_are_asked_about_as_one(world: PreciousWorld) -> None:
    admin = world.server.callers.admin
    types: dict[str, dict[str, str]] = {}
    for kind, path in discovered(world.server)[0].items():
        answer = admin.get(f"{path.format(world.namespace)}/{OTHER}")
        if answer.ok:
            group, plural = kind.rpartition("/")[0].rpartition("/")[0], path.rpartition("/")[2]
            types.setdefault(answer.body["metadata"]["uid"], {})[group] = resolved("get", group, plural, "", OTHER).type
    kept = [groups for groups in types.values() if len(groups) > 1]
    assert [*map(set, kept)] == [{"", "events.k8s.io"}]
    assert all(len({*groups.values()}) == 1 for groups in kept)


@pytest.mark.parametrize("name", ["{}", "{}:", "{}:80", "http:{}:", "http:{}:80", "https:{}:443", ":{}:", "{}%3A80"])
@pytest.mark.parametrize("plural", ["pods", "services"])
def test_a_proxied_name_is_the_object_whatever_scheme_and_port_it_carries(
    world: PreciousWorld, plural: str, name: str
) -> None:
    root = f"/api/v1/namespaces/{world.namespace}/{plural}"
    denied = world.send("dave", "GET", f"{root}/{name.format(PRECIOUS)}/proxy/")
    assert (reached(denied), reason(denied)) == (False, "policy_denied")
    assert reached(world.send("dave", "GET", f"{root}/{name.format(OTHER)}/proxy/"))


@pytest.mark.parametrize("name", ["a:b:c:d", "ftp:{}:80", "http::80", "{}:http", "{}:080", "{}:+80", "{}:70000"])
def test_a_proxied_name_that_does_not_split_in_one_way_is_refused(world: PreciousWorld, name: str) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/pods/{name.format(OTHER)}/proxy/"
    assert reason(world.send("dave", "GET", path)) == "ambiguous_request"


@pytest.mark.parametrize("path", ["a/../b", "a/./b", "..", "a//b", "//a", "a/%2e%2e/b", "a/..%2fb"])
def test_a_proxied_path_that_reads_in_two_ways_is_refused(world: PreciousWorld, path: str) -> None:
    with PodUpstream() as upstream:
        upstream.give(world, OTHER)
        root = f"/api/v1/namespaces/{world.namespace}/pods/{OTHER}:{upstream.port}/proxy"
        assert reason(world.send("dave", "GET", f"{root}/{path}")) == "ambiguous_request"
        assert upstream.asked == []
        assert world.send("dave", "GET", f"{root}/a/b").text == "served"
        assert [one.target for one in upstream.asked] == ["/a/b"]


def test_an_eviction_is_a_deletion_of_the_pod(world: PreciousWorld) -> None:
    def evict(name: str, within: str) -> Answer:
        metadata = {"name": within, "namespace": world.namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        return world.send("dave", "POST", f"{world.kinds['v1/Pod']}/{name}/eviction", body)

    before = world.state()
    assert reason(evict(PRECIOUS, PRECIOUS)) == "policy_denied"
    # The API server itself refuses two names.
    assert evict(OTHER, PRECIOUS).status == 400
    assert world.state() == before
    assert evict(OTHER, OTHER).ok
    assert world.state(OTHER)["v1/Pod"] is None


def test_a_generated_name_is_the_one_that_the_api_server_made(world: PreciousWorld) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": PRECIOUS, "name": PRECIOUS}}
    assert reason(world.send("dave", "POST", world.kinds["v1/ConfigMap"], body)) == "policy_denied"
    body["metadata"] = {"generateName": f"{PRECIOUS}-"}
    assert world.send("dave", "POST", world.kinds["v1/ConfigMap"], body).ok


def test_a_token_is_not_issued_in_a_dry_run(world: PreciousWorld) -> None:
    # The API server issues it, so that a dry run would be a way to get one that is neither recorded nor approved.
    path = f"/api/v1/namespaces/{world.namespace}/serviceaccounts/{{}}/token{{}}"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["any"]}}
    assert reason(world.send("dave", "POST", path.format(OTHER, "?dryRun=All"), body)) == "ambiguous_request"
    assert reason(world.send("dave", "POST", path.format(PRECIOUS, ""), body)) == "policy_denied"
    assert world.send("dave", "POST", path.format(OTHER, ""), body).body["status"]["token"]
