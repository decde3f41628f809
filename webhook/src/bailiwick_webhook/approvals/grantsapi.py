"""Grants as they are stored: what `opener`, `consumer` and `throttle` ask of the API server, and of the view beside it.

Standing: under them. In a cluster it is `cluster.client.ApiClient` and `store.store.Store`; with `--development` it is
memory and a directory. Holds: nothing here decides.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook.store.grants import Grants
from bailiwick_webhook.store.view import View


class GrantsApi(Protocol):
    """Where grants are stored. Each method raises `ClusterUnavailableError`, after which a write may have happened."""

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        """Read one grant as it is now; 404 is an answer."""

    async def list_grants(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Return the grants of a namespace with these labels, as they are now."""

    async def create_grant(self, manifest: Mapping[str, Any]) -> ApiResponse:
        """Create a grant; 409 (exists) and refusals are answers."""

    async def revoke_grant(self, namespace: str, name: str, version: str, revocation: Mapping[str, str]) -> ApiResponse:
        """Set a grant's revocation at a resourceVersion; 409 and refusals are answers."""

    async def write_grant_status(self, grant: Mapping[str, Any]) -> ApiResponse:
        """Replace a grant's status at its resourceVersion; 409 and refusals are answers."""


class GrantView(View, Protocol):
    """A view that also finds grants by what they were requested with."""

    @property
    def grants(self) -> Grants:
        """Every grant that is known."""
