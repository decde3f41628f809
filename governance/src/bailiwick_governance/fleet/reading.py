"""What is read of one cluster: a few lists and the ConfigMaps of the operator, as they are.

Standing: the edge under `judging`. Holds: it only reads; a cluster that does not answer as an API server does is a
reading with a problem. No text of an error of a library leaves here, since one can repeat a kubeconfig.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from bailiwick_api.kinds.meta import ENDPOINT_DATA, ENDPOINT_POLICIES, SUBJECT_REVOCATIONS
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.health.evidencefacts import HealthFacts
from bailiwick_governance.health.reading import read_health
from bailiwick_kube.paths import data_path, object_path, policies_path, revocations_path

Object = dict[str, Any]
Listing = tuple[Object, ...] | str
"""A list of objects; a text: why it could not be read."""

NOT_INSTALLED: Final = "Bailiwick is not installed in this cluster"
_APPS: Final = "apps/v1"
_OURS: Final = "app.kubernetes.io/part-of=bailiwick"


@dataclass(frozen=True, slots=True)
class ClusterReading:
    """What one cluster said. `time`: when, in seconds since the epoch, by our clock. `skew`: what is wrong with it.

    `data` is empty unless it was asked for.
    """

    name: str
    time: float
    health: HealthFacts
    deployments: Listing
    policies: Listing
    data: Listing
    revocations: Listing
    skew: str | None = None


@dataclass(frozen=True, slots=True)
class UnansweredCluster:
    """A cluster that could not be asked, and why."""

    name: str
    problem: str


class ClusterUnansweredError(UserError):
    """The cluster could not be asked."""


def read_cluster(
    name: str,
    cluster: ClusterClient,
    installation: str,
    namespace: str | None,
    *,
    with_data: bool,
    clock: Callable[[], float] = time.time,
) -> ClusterReading:
    """Read a cluster. `namespace` None: the policies of all. Raises `ClusterUnansweredError`."""
    # The first that is read says whether there is an API server at all.
    policies = _listing(cluster, policies_path(namespace), ENDPOINT_POLICIES)
    now = clock()
    return ClusterReading(
        name,
        now,
        read_health(cluster, installation, now),
        _listing(cluster, object_path(_APPS, "deployments", installation), "deployments", labelSelector=_OURS),
        policies,
        _listing(cluster, data_path(namespace), ENDPOINT_DATA) if with_data else (),
        _listing(cluster, revocations_path(), SUBJECT_REVOCATIONS),
        cluster.clock.problem,
    )


def _listing(cluster: ClusterClient, path: str, kind: str, **query: str) -> Listing:
    try:
        items, _ = cluster.list_all(path, **query)
    except ApiError as error:
        return _refusal(error, kind)
    except UserError as error:
        raise ClusterUnansweredError("it does not answer") from error
    if not all(_is_object(one) for one in items):
        raise ClusterUnansweredError("it does not answer as an API server does")
    return tuple(items)


def _refusal(error: ApiError, kind: str) -> str:
    match error.status:
        case HTTPStatus.UNAUTHORIZED:
            raise ClusterUnansweredError("it did not authenticate you: log in again") from error
        case HTTPStatus.FORBIDDEN:
            return f"you may not list {kind}"
        case HTTPStatus.NOT_FOUND:
            return NOT_INSTALLED
    return f"the API server answered {visible(str(error.status))} when asked for {kind}"


def _is_object(value: object) -> bool:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return (
        isinstance(metadata, dict)
        and isinstance(metadata.get("name"), str)
        and isinstance(metadata.get("namespace", ""), str)
    )
