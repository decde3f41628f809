"""What a cluster answers that is well, and a stand-in for its API server: for answers that a real one does not give."""

from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

from bailiwick_governance.errors import ApiError
from bailiwick_governance.fleet.reading import ClusterReading, read_cluster
from support.objects import DIGEST, policy, settings
from unit.governance.cases import NOW, at
from unit.governance.health.test_evidence_facts import VKEY, entry

__all__ = ["NOW", "StandInCluster", "reader_of", "well_cluster"]

VERSION: Final = "0.1.0"


def well_cluster() -> dict[str, Any]:
    """Return the lists of a cluster by their plurals, and its ConfigMaps by their names."""
    conditions = [
        {"type": kind, "status": "True", "observedGeneration": 1, "lastTransitionTime": at(-600)}
        for kind in ("Accepted", "Programmed")
    ]
    raw = policy("fleet", "crm-agent", endpointSettings=settings("fleet"))
    raw["metadata"]["generation"] = 1
    raw["status"] = {"observedGeneration": 1, "digest": DIGEST, "conditions": conditions}
    return {
        "policies": [raw],
        "deployments": [_deployment(part) for part in ("operator", "webhook")],
        "revocations": [],
        "data": [],
        "configmaps": {
            "bailiwick-guard": {"data": {"provenTime": at(-40)}},
            "bailiwick-witness": {"data": {"witness.vkey": VKEY + "\n", "a": entry("a", 20, lost=0)}},
        },
    }


def _deployment(part: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": part, "app.kubernetes.io/version": VERSION}
    return {"metadata": {"name": f"bailiwick-{part}", "namespace": "bailiwick-system", "labels": labels}}


class StandInCluster:
    """Answers what it is given. `refused`: the status of each list, by its plural, that is refused."""

    def __init__(self, answers: Mapping[str, Any], refused: Mapping[str, int] | None = None) -> None:
        self._answers = answers
        self._refused = refused or {}
        self.clock = SimpleNamespace(problem=None)
        self.paths: list[str] = []

    def list_all(self, path: str, **_query: str) -> tuple[Any, str]:
        """Return a list, as the client does."""
        self.paths.append(path)
        plural = path.rpartition("/")[2]
        name = {"endpointpolicies": "policies", "subjectrevocations": "revocations", "endpointdata": "data"}
        found = name.get(plural, plural)
        if found in self._refused:
            raise ApiError("refused", self._refused[found])
        return self._answers[found], "1"

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return a ConfigMap."""
        self.paths.append(path)
        name = path.rpartition("/")[2]
        if name not in self._answers["configmaps"]:
            raise ApiError("not found", 404)
        return self._answers["configmaps"][name]


def reader_of(name: str, cluster: StandInCluster) -> Callable[[], ClusterReading]:
    """Return what reads it, at the moment `NOW`."""
    stand_in: Any = cluster
    return partial(read_cluster, name, stand_in, "bailiwick-system", None, with_data=True, clock=lambda: NOW)
