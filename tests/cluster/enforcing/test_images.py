"""The shipped registration leaves no way to have an image run that nobody was asked about, on the real API server."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from localcluster.rest import Answer
from support.apiserver import EXAMPLES, IMAGE, AskingServer
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object
from support.podschemas import Written, holding_containers
from support.precious import BODIES, OTHER, PRECIOUS, STRANGER, PreciousWorld, body_of, refused

FOREIGN = "docker.example.net/miner:1"
# Members of any schema, in which no controller of the cluster looks for containers: parameters for drivers of devices.
OF_DRIVERS = {"deviceclasses", "resourceclaims", "resourceclaims/status", "resourceclaimtemplates"}


@pytest.fixture(scope="module")
def world(server: AskingServer) -> PreciousWorld:
    """A namespace with the shipped registration, with workloads from before. No rule lets dave touch any of them."""
    made = PreciousWorld.begin(server, "images", "nobody")
    server.register(made.namespace, STRANGER)
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    Roles(server.callers.admin, made.namespace).give(everything, "dave", "system:anonymous")
    return made


def registered() -> set[Written]:
    """Return what the shipped registration asks about."""
    (webhook,) = yaml.safe_load((EXAMPLES / "webhook.yaml").read_text())["webhooks"]
    assert (webhook["matchPolicy"], webhook.get("objectSelector")) == ("Equivalent", None)
    return {
        Written(group, resource, operation)
        for rule in webhook["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for operation in rule["operations"]
    }


def with_image(body: Any, image: str = FOREIGN) -> Any:  # noqa: ANN401 - any part of an object
    """Return an object that runs another image everywhere."""
    if isinstance(body, list):
        return [with_image(each, image) for each in body]
    if not isinstance(body, dict):
        return body
    return {name: image if name == "image" else with_image(value, image) for name, value in body.items()}


def debugged(pod: Object) -> Object:
    """Return a pod with one more container, to debug it."""
    return {**pod, "spec": {**pod["spec"], "ephemeralContainers": [{"name": "debug", "image": FOREIGN}]}}


def keeps_images(world: PreciousWorld, written: Written) -> bool:
    """Tell whether the API server takes such a write from its administrator, and leaves every image as it was."""
    plural, _, subresource = written.resource.partition("/")
    root = "/api/v1" if not written.group else f"/apis/{written.group}/v1"
    path = f"{root}/namespaces/{world.namespace}/{plural}/{OTHER}"
    admin = world.server.callers.admin
    before = accepted(admin.get(path))
    changed = with_image(before)
    answer = admin.request("PUT", f"{path}/{subresource}", body=debugged(changed) if plural == "pods" else changed)
    after = admin.get(path)
    return answer.ok and after.ok and FOREIGN not in after.text


def test_the_registration_covers_everything_that_holds_what_a_pod_runs(world: PreciousWorld) -> None:
    holds, opens = holding_containers(world.server.callers.admin)
    assert {Written("", "pods", "CREATE"), Written("batch", "cronjobs", "UPDATE")} <= holds
    missing = holds - registered()
    # A write of a status names the object whole, and keeps of it the status alone.
    harmless = {each for each in missing if "/" in each.resource and keeps_images(world, each)}
    assert all(each.resource.endswith("/status") for each in harmless), harmless
    assert missing - harmless == set()
    assert {each for each in opens - registered() if each.resource not in OF_DRIVERS} == set()


def kinds() -> Iterator[str]:
    """Yield the kinds of `support.precious.BODIES` that hold an image."""
    yield from ("v1/Pod", "v1/PodTemplate", "v1/ReplicationController", "apps/v1/Deployment", "apps/v1/ReplicaSet")
    yield from ("apps/v1/StatefulSet", "apps/v1/DaemonSet", "batch/v1/Job", "batch/v1/CronJob")


def images(world: PreciousWorld) -> str:
    """Return everything in the namespace that could run an image, as text."""
    admin = world.server.callers.admin
    revisions = f"/apis/apps/v1/namespaces/{world.namespace}/controllerrevisions"
    return "".join(admin.get(path).text for path in (*world.kinds.values(), revisions))


def attempts(world: PreciousWorld, kind: str) -> Iterator[Answer]:
    """Try to have the foreign image run by an object of a kind: a new one, and by each way to change an old one."""
    send, path = world.send, world.kinds[kind]
    version, _, short = kind.rpartition("/")
    new = {"apiVersion": version, "kind": short, **with_image(body_of(kind, PRECIOUS))}
    changed = with_image(accepted(world.server.callers.admin.get(f"{path}/{PRECIOUS}")))
    # Whatever its controller reports meanwhile.
    del changed["metadata"]["managedFields"], changed["metadata"]["resourceVersion"]
    merge, apply = "application/merge-patch+json", "application/apply-patch+yaml"
    taken = "fieldManager=d&force=true"
    yield send("dave", "POST", path, new | {"metadata": {"name": "new"}})
    yield send("dave", "POST", path, new | {"metadata": {"generateName": "new-"}})
    yield send("dave", "PATCH", f"{path}/applied?{taken}", new | {"metadata": {"name": "applied"}}, apply)
    yield send("dave", "PUT", f"{path}/{PRECIOUS}", changed)
    yield send("dave", "PATCH", f"{path}/{PRECIOUS}", {name: changed[name] for name in BODIES[kind]}, merge)
    yield send("dave", "PATCH", f"{path}/{PRECIOUS}?{taken}", new | {"metadata": {"name": PRECIOUS}}, apply)
    if kind == "v1/Pod":
        old = accepted(world.server.callers.admin.get(f"{path}/{PRECIOUS}"))
        yield send("dave", "PUT", f"{path}/{PRECIOUS}/ephemeralcontainers", debugged(old))


@pytest.mark.parametrize("kind", [*kinds()])
def test_no_kind_runs_an_image_that_no_rule_allows(world: PreciousWorld, kind: str) -> None:
    answers = [*attempts(world, kind)]
    assert not any(answer.ok for answer in answers), answers
    # The template of a job cannot change: there the API server itself refuses.
    assert all(refused(answer) or (kind, answer.status) == ("batch/v1/Job", 422) for answer in answers), answers
    assert all(refused(answer) for answer in answers[:3]), answers
    assert FOREIGN not in images(world)


def test_a_revision_from_which_a_controller_would_make_pods_is_asked_about(world: PreciousWorld) -> None:
    body: Object = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "precious-forged", "labels": {"app": "shop"}},
        "data": {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": FOREIGN}]}}}},
        "revision": 7,
    }
    answer = world.send("dave", "POST", f"/apis/apps/v1/namespaces/{world.namespace}/controllerrevisions", body)
    assert (refused(answer), FOREIGN in images(world)) == (True, False)


def owned(world: PreciousWorld, kind: str) -> Object:
    """Return metadata that says that a controller made the object."""
    owner = accepted(world.server.callers.admin.get(f"{world.kinds[kind]}/{PRECIOUS}"))
    version, _, short = kind.rpartition("/")
    reference = {"apiVersion": version, "kind": short, "name": PRECIOUS, "uid": owner["metadata"]["uid"]}
    return {"ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}]}


def test_a_pod_is_asked_about_whatever_it_says_of_its_owner(world: PreciousWorld) -> None:
    template = {"labels": {"app": f"replicaset-{PRECIOUS}", "pod-template-hash": "1", "bailiwick.dev/exempt": "true"}}
    claims = [template, *(owned(world, kind) for kind in kinds() if kind not in {"v1/Pod", "v1/PodTemplate"})]
    for claim in claims:
        for metadata in ({"name": "forged"}, {"generateName": f"{PRECIOUS}-"}):
            body = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**metadata, **claim},
                "spec": {"containers": [{"name": "web", "image": FOREIGN}]},
            }
            answer = world.send("dave", "POST", world.kinds["v1/Pod"], body)
            assert refused(answer), (claim, answer)
    assert FOREIGN not in images(world)


def test_who_shows_no_credential_is_no_part_of_the_cluster(world: PreciousWorld) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "anonymous"}, "spec": {"containers": []}}
    body["spec"] = {"containers": [{"name": "web", "image": FOREIGN}]}
    answer = world.send("", "POST", world.kinds["v1/Pod"], body)
    assert (refused(answer), FOREIGN in images(world), IMAGE in images(world)) == (True, False, True)
