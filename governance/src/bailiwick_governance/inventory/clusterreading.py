"""Coverage's facts about a cluster, read as one person.

Standing: over `apiserver`, whose connection it lends to `bailiwick_coverage.inventory`. Holds: every failure is a
`UserError` in one line.
"""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

from bailiwick_coverage.facts import ClusterFacts
from bailiwick_coverage.inventory.clusterfacts import read_facts
from bailiwick_coverage.inventory.clusterreader import InventoryError, ReadRefusedError
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.apiserver.people import who_am_i
from bailiwick_governance.display import talk
from bailiwick_governance.errors import ApiError, UserError

_REFUSALS: Final = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_Answer = TypeVar("_Answer")


def read_cluster(cluster: ClusterClient, namespaces: Sequence[str] | None, installation: str) -> ClusterFacts:
    """Read everything. `namespaces` None: all but those of the platform, and the installation's. Raises `UserError`."""
    try:
        return read_facts(_PersonalReader(cluster), namespaces, time.time(), talk, installation)
    except (InventoryError, ReadRefusedError) as error:
        raise UserError(str(error)) from error


class _PersonalReader:
    """Reads over the connection of a person."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster

    def list_all(self, path: str) -> list[dict[str, Any]]:
        return _read(lambda: self._cluster.list_all(path)[0])

    def get(self, path: str) -> dict[str, Any]:
        return _read(lambda: self._cluster.get(path))

    @property
    def left_out(self) -> tuple[str, ...]:
        return ()

    def username(self) -> str:
        return _read(lambda: who_am_i(self._cluster).username)


def _read(ask: Callable[[], _Answer]) -> _Answer:
    try:
        return ask()
    except ApiError as error:
        if error.status not in _REFUSALS:
            raise
        raise ReadRefusedError(str(error), error.status) from error
