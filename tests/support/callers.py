"""Clients of the API server, one for each identity, kept for as long as the tests run.

Holds: every identity is real: people by their kubeconfig, service accounts by a token of the API server's own making.
"""

from types import TracebackType
from typing import Self

from bailiwick_api.serviceaccounts import ServiceAccountName
from localcluster.access import Cluster
from localcluster.people import ADMIN
from localcluster.rest import Rest


class Callers:
    """`callers("carol")` calls as a person, `callers("system:serviceaccount:crm:crm-api")` as that account."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._clients: dict[str, Rest] = {}

    @property
    def admin(self) -> Rest:
        """Who may do everything that RBAC can give."""
        return self(ADMIN)

    def __call__(self, username: str) -> Rest:
        """Return the client of this username; the service account must exist."""
        if username not in self._clients:
            self._clients[username] = self._new(username)
        return self._clients[username]

    def forget(self, username: str) -> None:
        """Ask for a new token the next time: a service account that is made anew refuses those of the one before."""
        client = self._clients.pop(username, None)
        if client is not None:
            client.close()

    def _new(self, username: str) -> Rest:
        account = ServiceAccountName.parse(username)
        if account is None:
            return self._cluster.rest(username)
        return self._cluster.rest_as_service_account(account.namespace, account.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        self.close()

    def close(self) -> None:
        """Close every connection; the next call makes one anew."""
        for client in self._clients.values():
            client.close()
