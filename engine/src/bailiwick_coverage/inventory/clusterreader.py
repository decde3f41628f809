"""What reads a cluster: implemented over the connections of the command line or of the operator.

Holds: a refusal by the API server is a `ReadRefusedError`. Whatever else fails is an error of the implementation, and
ends the reading.
"""

from collections.abc import Collection
from typing import Any, Protocol

Object = dict[str, Any]


class ReadRefusedError(Exception):
    """The API server refused to show something. `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class InventoryError(Exception):
    """The question does not fit the cluster, such as a namespace that does not exist; the message says what to do."""


class ClusterReader(Protocol):
    """Reads objects at an API server."""

    def list_all(self, path: str) -> list[Object]:
        """Return all objects of a list. Raises `ReadRefusedError`."""

    def get(self, path: str) -> Object:
        """Return an object. Raises `ReadRefusedError`."""

    @property
    def left_out(self) -> Collection[str]:
        """The namespaces whose objects are missing in lists of all namespaces, since they do not fit in memory."""

    def username(self) -> str:
        """Return who reads, as the API server names them. Raises `ReadRefusedError`."""
