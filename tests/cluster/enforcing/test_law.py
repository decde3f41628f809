"""What is asked about is what the API server does: what a Deny names, nobody whom it speaks of gets at in any way.

Drawn requests to the real API server, with the real decision point at admission, and before RBAC too. What happened is
read from the API server, and from what listens in the pod that is denied.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from support.apiserver import AskingServer
from support.kuberequests import KubeRequest, connections, deletions, readings, writes
from support.precious import CONTENTS, OTHER, PRECIOUS, PodUpstream, PreciousWorld, refused

# The port is known only once something listens, so that a request holds another one in its place.
PORT = 61_234
AT_ADMISSION, BEFORE_RBAC = "dave", "eve"
SHARED = settings(suppress_health_check=[*HealthCheck])


@pytest.fixture(scope="module")
def upstream() -> Iterator[PodUpstream]:
    """What runs in the pod that is denied."""
    with PodUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def world(server: AskingServer, upstream: PodUpstream) -> PreciousWorld:
    """All calls of dave are asked about at admission, and all calls of eve before RBAC, too."""
    made = PreciousWorld.begin(server, "law", AT_ADMISSION, BEFORE_RBAC)
    upstream.give(made, PRECIOUS)
    made.ask_about_everything(AT_ADMISSION)
    secret = f"{made.kinds['v1/Secret']}/{PRECIOUS}"
    server.authorize(
        lambda: refused(made.send(BEFORE_RBAC, "GET", secret)),
        **{
            "- expression: has(request.resourceAttributes)": (
                f"- expression: has(request.resourceAttributes) && request.user == '{BEFORE_RBAC}'"
            ),
            "(request.resourceAttributes.resource == 'secrets' &&": "true || (",
        },
    )
    return made


def untouched(world: PreciousWorld, upstream: PodUpstream, by: str, request: KubeRequest) -> None:
    """Send a request, and see that nothing that is called `precious` was changed, reached or read by it."""
    world.restore(OTHER)
    if None in (before := world.state()).values():
        # Where the law was broken, it is looked for in fewer requests.
        world.restore(PRECIOUS)
        upstream.give(world, PRECIOUS)
        before = world.state()
    upstream.asked.clear()
    path = request.path.replace("{}", world.namespace).replace(str(PORT), str(upstream.port))
    answer = world.send(by, request.method, path, request.body, request.content_type)
    assert world.state() == before, answer
    assert upstream.asked == [], answer
    assert not (PRECIOUS in answer.message and "host assigned" in answer.message), answer
    assert not (PRECIOUS in answer.message and "no endpoints available" in answer.message), answer
    if by == BEFORE_RBAC:
        assert CONTENTS not in answer.text


people = st.sampled_from([AT_ADMISSION, BEFORE_RBAC])
drawn = st.one_of(
    st.tuples(people, st.one_of(deletions(), writes(), connections(PORT))),
    # Admission never sees who reads.
    st.tuples(st.just(BEFORE_RBAC), readings()),
)


@given(drawn)
@settings(SHARED)
def test_what_a_deny_names_is_neither_changed_nor_reached_nor_read(
    world: PreciousWorld, upstream: PodUpstream, call: tuple[str, KubeRequest]
) -> None:
    untouched(world, upstream, *call)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@given(drawn)
@settings(SHARED, max_examples=300)
def test_what_a_deny_names_stays_so_in_many_requests(
    world: PreciousWorld, upstream: PodUpstream, call: tuple[str, KubeRequest]
) -> None:
    untouched(world, upstream, *call)


def test_the_same_requests_get_at_what_no_rule_denies(world: PreciousWorld) -> None:
    # Else the law would hold of a decision point that denies everything.
    root = f"/api/v1/namespaces/{world.namespace}"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": OTHER}}
    for by in (AT_ADMISSION, BEFORE_RBAC):
        world.restore(OTHER)
        assert world.send(by, "PUT", f"{root}/services/{OTHER}/proxy/").status == 503
        assert world.send(by, "GET", f"{root}/pods/http:{OTHER}:80/proxy/a").message == "address not allowed"
        labels = {"metadata": {"labels": {"changed": "yes"}}}
        assert world.send(by, "PATCH", f"{root}/secrets/{OTHER}", labels, "application/merge-patch+json").ok
        assert world.send(by, "GET", f"{root}/secrets?fieldSelector=metadata.name={OTHER}").ok
        assert world.send(by, "POST", f"{root}/pods/{OTHER}/eviction", eviction).ok
        assert world.send(by, "DELETE", f"{root}/configmaps/{OTHER}").ok
    assert world.send(AT_ADMISSION, "DELETE", f"{root}/secrets?labelSelector=which={OTHER}").ok
    assert world.state(OTHER)["v1/Secret"] is None
