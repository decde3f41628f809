"""One request of a client that the API server reviews more than once takes one use of an approval.

Holds: the oracle is the real API server. A request that it answers 2xx has its effect and took one use.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from localcluster.rest import Answer
from support.apiserver import AskingServer
from support.installation import accepted
from support.precious import GATED, PreciousWorld, approved, grants_of, refused
from support.waits import until

TYPES: Final = {"v1/Pod": "pods", "v1/ConfigMap": "configmaps", "apps/v1/Deployment": "apps/deployments"}
DEPLOYMENT: Final = "apps/v1/Deployment"
FINALIZED: Final = {"metadata": {"finalizers": ["example.com/kept"]}}
FREE: Final = {"metadata": {"finalizers": None}}
PAUSED: Final = {"spec": {"paused": True}}
MERGE: Final = "application/merge-patch+json"


@pytest.fixture(scope="module")
def watched_world(server: AskingServer) -> PreciousWorld:
    """A namespace of which every call is asked about."""
    made = PreciousWorld.begin(server, "again", "dave")
    made.ask_about_everything("dave")
    return made


@pytest.fixture
def world(watched_world: PreciousWorld) -> Iterator[PreciousWorld]:
    """The same, with what is called `gated`."""
    watched_world.restore(GATED)
    yield watched_world
    admin = watched_world.server.callers.admin
    for kind in TYPES:
        path = f"{watched_world.kinds[kind]}/{GATED}"
        admin.patch(path, FREE, "merge")
        until(lambda: admin.delete(f"{path}?gracePeriodSeconds=0").status == 404, f"{kind} is gone", 30.0)  # noqa: B023 - at once


def answered_after_approval(world: PreciousWorld, kind: str, method: str, query: str, body: object = None) -> Answer:
    """Send a request that is denied, have it approved, and send it once more; return the answer to that."""
    path = f"{world.kinds[kind]}/{GATED}{query}"
    denied = world.send("dave", method, path, body, MERGE)
    assert refused(denied), denied
    assert denied.body["details"]["causes"][0]["reason"] == "approval_pending"
    grant = approved(world, denied)
    admin = world.server.callers.admin
    until(lambda: accepted(admin.get(grant)).get("status", {}).get("phase") == "Active", "it is approved")
    # The decision point hears of it a moment later; a request in between would be denied, and use nothing.
    until(lambda: world.send("dave", method, f"{path}{'&' if query else '?'}dryRun=All", body, MERGE).ok, "it is known")
    return world.send("dave", method, path, body, MERGE)


def uses(world: PreciousWorld, kind: str) -> list[int]:
    """Return how often each grant for an object of a kind was used, those of earlier tests too."""
    return sorted(one.get("status", {}).get("uses", 0) for one in grants_of(world, TYPES[kind]))


@pytest.mark.parametrize("query", ["", "?gracePeriodSeconds=0", "?propagationPolicy=Foreground"])
@pytest.mark.parametrize("kept", [False, True], ids=["free", "with a finalizer"])
@pytest.mark.parametrize("kind", TYPES)
def test_a_deletion_that_is_reviewed_at_each_of_its_steps_takes_one_use(
    world: PreciousWorld, kind: str, query: str, *, kept: bool
) -> None:
    admin, path = world.server.callers.admin, f"{world.kinds[kind]}/{GATED}"
    if kept:
        accepted(admin.patch(path, FINALIZED, "merge"))
    before = uses(world, kind)
    answer = answered_after_approval(world, kind, "DELETE", query)
    assert answer.ok, answer
    left = admin.get(path)
    assert left.status == 404 or left.body["metadata"]["deletionTimestamp"]
    assert uses(world, kind) == sorted([*before, 1])


@contextmanager
def writing_status(world: PreciousWorld) -> Iterator[None]:
    """Write the status of the Deployment again and again, as controllers do, until the context ends."""
    over = threading.Event()
    admin, path = world.server.callers.admin, f"{world.kinds[DEPLOYMENT]}/{GATED}"

    def write() -> None:
        number = 0
        # With a pause: without one, the API server reviews the update again and again, and never comes to store it.
        while not over.wait(0.03):
            number += 1
            status = {"status": {"observedGeneration": number % 7, "collisionCount": number}}
            admin.patch(path, status, "merge", "status")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def test_an_update_that_is_reviewed_again_beside_writers_of_the_status_takes_one_use(world: PreciousWorld) -> None:
    admin, path = world.server.callers.admin, f"{world.kinds[DEPLOYMENT]}/{GATED}"
    with writing_status(world):
        answer = answered_after_approval(world, DEPLOYMENT, "PATCH", "", PAUSED)
    assert answer.ok, answer
    assert accepted(admin.get(path))["spec"]["paused"] is True
    assert uses(world, DEPLOYMENT)[-1:] == [1]


def test_the_same_update_of_an_object_that_somebody_changed_meanwhile_is_another_one(world: PreciousWorld) -> None:
    admin, path = world.server.callers.admin, f"{world.kinds[DEPLOYMENT]}/{GATED}"
    assert answered_after_approval(world, DEPLOYMENT, "PATCH", "", PAUSED).ok
    accepted(admin.patch(path, {"spec": {"paused": False, "revisionHistoryLimit": 3}}, "merge"))
    again = world.send("dave", "PATCH", path, PAUSED, MERGE)
    assert refused(again), again
    assert accepted(admin.get(path))["spec"].get("paused", False) is False
