"""What a pod must show before a rule that asks for a workload takes it for one."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_engine.call import Party
from bailiwick_webhook.identity.workloads import FRESH, PodRef, pod_of, workload_of
from unit.webhook.identity.world import AGENT, World, account_claims

Pod = dict[str, Any]

IMAGE: Final = "sha256:" + "a" * 64
OTHER: Final = "sha256:" + "b" * 64
REF: Final = PodRef("agents", "crm-agent-0", "pod-uid", "crm-agent")
POD: Final[Pod] = {
    "metadata": {"namespace": "agents", "name": "crm-agent-0", "uid": "pod-uid", "labels": {"app": "crm-agent"}},
    "spec": {
        "serviceAccountName": "crm-agent",
        "containers": [{"name": "main"}],
        "initContainers": [{"name": "setup"}],
    },
    "status": {
        "phase": "Running",
        "containerStatuses": [{"name": "main", "imageID": f"registry.example/agent@{IMAGE}"}],
        "initContainerStatuses": [{"name": "setup", "imageID": f"docker-pullable://registry.example/setup@{OTHER}"}],
    },
}


def _main(**fields: object) -> Callable[[Pod], object]:
    return lambda pod: pod["status"]["containerStatuses"][0].update(fields)


def _debug(pod: Pod) -> None:
    pod["spec"]["ephemeralContainers"] = [{"name": "debug"}]


def _debug_running(pod: Pod) -> None:
    _debug(pod)
    pod["status"]["ephemeralContainerStatuses"] = [{"name": "debug", "imageID": "x@sha256:" + "c" * 64}]


def _without_containers(pod: Pod) -> None:
    pod["spec"].update(containers=[], initContainers=[])
    pod["status"].update(containerStatuses=[], initContainerStatuses=[])


CHANGES: Final[dict[str, tuple[Callable[[Pod], object], set[str] | None]]] = {
    "as it is": (lambda pod: None, {IMAGE, OTHER}),
    "the same image twice": (_main(imageID=f"x@{OTHER}"), {OTHER}),
    "a container somebody debugs it with": (_debug_running, {IMAGE, OTHER, "sha256:" + "c" * 64}),
    "a container that was added a moment ago": (_debug, None),
    "another pod of that name": (lambda pod: pod["metadata"].update(uid="new-uid"), None),
    "a pod that runs as another account": (lambda pod: pod["spec"].update(serviceAccountName="default"), None),
    "a pod that is over": (lambda pod: pod["status"].update(phase="Succeeded"), None),
    "a pod that failed": (lambda pod: pod["status"].update(phase="Failed"), None),
    "no status yet": (lambda pod: pod.pop("status"), None),
    "no statuses of containers": (lambda pod: pod["status"].pop("containerStatuses"), None),
    "an init container without a status": (lambda pod: pod["status"].update(initContainerStatuses=[]), None),
    "no containers": (_without_containers, None),
    "a label that is none": (lambda pod: pod["metadata"]["labels"].update(x=1), {IMAGE, OTHER}),
    "no image yet": (_main(imageID=""), None),
    "an image without a digest": (_main(imageID="registry.example/agent:1.0"), None),
    "the id of a local image": (_main(imageID=IMAGE), None),
    "a digest that is cut": (_main(imageID=f"x@{IMAGE[:-1]}"), None),
    "a digest with something after it": (_main(imageID=f"x@{IMAGE}@sha256:x"), None),
    "another kind of digest": (_main(imageID="x@sha512:" + "a" * 128), None),
    "a status of a container that it has not": (
        lambda pod: pod["status"]["containerStatuses"].append({"name": "ghost", "imageID": ""}),
        None,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_workload_is_known_whole_or_not_at_all(change: str) -> None:
    spoil, images = CHANGES[change]
    pod = copy.deepcopy(POD)
    spoil(pod)
    found = workload_of(pod, REF)
    assert (None if found is None else set(found.images)) == images
    assert found is None or dict(found.labels) == {"app": "crm-agent"}


def _party(bound: object, **fields: Any) -> Party:  # noqa: ANN401 - fields of `Party`
    return Party(**{"type": "serviceAccount", "id": AGENT, "uid": "u", "claims": {"kubernetes.io": bound}, **fields})


BOUND: Final = {**account_claims()["kubernetes.io"], "pod": {"name": "crm-agent-0", "uid": "pod-uid"}}


@pytest.mark.parametrize(
    ("party", "expected"),
    [
        (_party(BOUND), REF),
        (_party({**BOUND, "pod": None}), None),
        (_party({**BOUND, "pod": {"name": "crm-agent-0"}}), None),
        (_party({**BOUND, "pod": {"name": "", "uid": "pod-uid"}}), None),
        (_party({**BOUND, "pod": {"name": "crm-agent-0", "uid": 1}}), None),
        (_party(account_claims()["kubernetes.io"]), None),
        (_party("x"), None),
        # Claims of the same name in the token of somebody else say nothing about a pod.
        (_party(BOUND, type="user", issuer="corp"), None),
        (_party(BOUND, type="user"), None),
        (_party(BOUND, issuer="corp"), None),
        (_party(BOUND, issuer=None), None),
    ],
)
def test_only_the_clusters_own_token_names_a_pod(party: Party, expected: PodRef | None) -> None:
    assert pod_of(party) == expected


async def test_a_pod_is_read_again_after_ten_seconds_and_never_remembered_through_an_outage(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.cluster.pods["agents", "crm-agent-0"] = copy.deepcopy(POD)
    party = _party(BOUND)
    known = await world.identity.workload(party)
    assert known is not None
    world.cluster.down = True
    assert await world.identity.workload(party) == known
    world.clock += FRESH + 0.1
    assert await world.identity.workload(party) is None
    world.cluster.down = False
    world.cluster.pods.clear()
    assert await world.identity.workload(party) is None
