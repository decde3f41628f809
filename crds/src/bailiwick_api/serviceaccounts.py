"""Usernames of service accounts, `system:serviceaccount:<namespace>:<name>`: written and parsed.

Holds: a parsed name has a namespace and a name that a path of the API can contain unescaped. Every other username is
None.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"
# Namespaces are DNS labels, names of service accounts are DNS subdomains.
_USERNAME: Final = re.compile(SERVICE_ACCOUNT_PREFIX + r"([a-z0-9][-a-z0-9]*):([a-z0-9][-a-z0-9.]*)")


@dataclass(frozen=True, slots=True)
class ServiceAccountName:
    """A service account by namespace and name."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, username: str) -> Self | None:
        """Parse a username; None if it is not that of a service account."""
        found = _USERNAME.fullmatch(username)
        return None if found is None else cls(found[1], found[2])

    @property
    def username(self) -> str:
        """Its username at the API server."""
        return f"{SERVICE_ACCOUNT_PREFIX}{self.namespace}:{self.name}"

    @property
    def short(self) -> str:
        """The name as a person types it, `sa:<namespace>/<name>`."""
        return f"sa:{self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """The path of the object at the API server."""
        return f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.name}"
