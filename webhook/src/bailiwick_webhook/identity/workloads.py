"""The workload that a service account calls from: the pod that its token is bound to, as the API server shows it.

Holds: a workload is known only whole: the very pod (by uid) that runs as that account, with every container's image
digest; anything less is None, which a rule that asks for one takes as unknown. An answer is kept `FRESH` seconds.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_engine.call import Party, PodWorkload
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_webhook.cluster.client import ApiClient, ClusterUnavailableError
from bailiwick_webhook.loglimit import LogLimit

FRESH: Final = 10.0
_KEPT: Final = 10_000
# `repository@sha256:…`, with or without a runtime's prefix. A bare `sha256:…` is the id of a local image's
# configuration, which says nothing about the manifest that a policy lists.
_IMAGE_ID: Final = re.compile(r"[^@]+@(sha256:[a-f0-9]{64})")
_KINDS: Final = (
    ("containers", "containerStatuses"),
    ("initContainers", "initContainerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
)
_OVER: Final = frozenset({"Succeeded", "Failed"})

_log: Final = LogLimit()


class PodRef(NamedTuple):
    """A pod as a token names it, and the account that it must run as."""

    namespace: str
    name: str
    uid: str
    account: str


class Workloads:
    """Reads pods. `clock` is monotonic, in seconds."""

    def __init__(self, cluster: ApiClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._kept: BoundedCache[PodRef, tuple[float, PodWorkload | None]] = BoundedCache(_KEPT)

    async def find(self, party: Party) -> PodWorkload | None:
        """Return what a party calls from; None where that is not known."""
        ref = pod_of(party)
        if ref is None:
            return None
        kept = self._kept.get(ref)
        if kept is not None and self._clock() - kept[0] <= FRESH:
            return kept[1]
        asked = self._clock()
        try:
            answer = await self._cluster.read_pod(ref.namespace, ref.name)
        except ClusterUnavailableError as error:
            # Not kept: the next call asks again. Images change meanwhile, so no old answer serves meanwhile.
            _log.warning("caller's pod not read", namespace=ref.namespace, pod=ref.name, error=str(error))
            return None
        if not answer.ok:
            _log.info("caller's pod not found", namespace=ref.namespace, pod=ref.name, status=answer.status)
        found = workload_of(answer.body, ref) if answer.ok else None
        self._kept.put(ref, (asked, found))
        return found


def pod_of(party: Party) -> PodRef | None:
    """Return the pod that a party's own token is bound to. A token of somebody else than the cluster has none."""
    if party.issuer != CLUSTER or party.type != SERVICE_ACCOUNT:
        return None
    bound = _mapping(party.claims.get("kubernetes.io"))
    pod, account = _mapping(bound.get("pod")), _mapping(bound.get("serviceaccount"))
    named = (bound.get("namespace"), pod.get("name"), pod.get("uid"), account.get("name"))
    texts = [text for text in named if isinstance(text, str) and text]
    return PodRef(*texts) if len(texts) == len(named) else None


def workload_of(pod: Mapping[str, Any], ref: PodRef) -> PodWorkload | None:
    """Return what a pod runs; None where it is another pod, is over, or does not show every image yet."""
    metadata, spec, status = (_mapping(pod.get(name)) for name in ("metadata", "spec", "status"))
    if metadata.get("uid") != ref.uid or spec.get("serviceAccountName") != ref.account:
        return None
    if status.get("phase") in _OVER:
        return None
    images: set[str] = set()
    for kind, statuses in _KINDS:
        shown = {entry.get("name"): entry.get("imageID") for entry in status.get(statuses) or ()}
        # Of the spec, too: a container that was added a moment ago has no status yet.
        for name in {container.get("name") for container in spec.get(kind) or ()} | shown.keys():
            found = _IMAGE_ID.fullmatch(shown.get(name) or "")
            if found is None:
                return None
            images.add(found[1])
    labels = {name: value for name, value in _mapping(metadata.get("labels")).items() if isinstance(value, str)}
    return PodWorkload(frozenset(images), labels) if images else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
