"""Service accounts as the API server calls them, `system:serviceaccount:<namespace>:<name>`: spelled, and taken apart.

Holds: what is parsed has a namespace and a name that a path of the API can hold as they are; everybody else's username
is None.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"
# Namespaces are labels of DNS, names of service accounts are its subdomains.
_USERNAME: Final = re.compile(SERVICE_ACCOUNT_PREFIX + r"([a-z0-9][-a-z0-9]*):([a-z0-9][-a-z0-9.]*)")


@dataclass(frozen=True, slots=True)
class ServiceAccountName:
    """A service account by namespace and name."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, username: str) -> Self | None:
        """Take a username apart; None where it is no service account's."""
        found = _USERNAME.fullmatch(username)
        return None if found is None else cls(found[1], found[2])

    @property
    def username(self) -> str:
        """What the API server calls it."""
        return f"{SERVICE_ACCOUNT_PREFIX}{self.namespace}:{self.name}"

    @property
    def short(self) -> str:
        """The name as a person types it, `sa:<namespace>/<name>`."""
        return f"sa:{self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """Where the API server has the object."""
        return f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.name}"
