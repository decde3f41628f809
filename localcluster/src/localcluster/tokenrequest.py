"""Service account tokens, from the API server's own TokenRequest.

Standing: between `rest` and whoever runs as a service account. Tokens are never minted here: what the API
server issues is what pods get, with its audiences, its life and its binding.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcluster.errors import AccessError
from localcluster.rest import Rest


@dataclass(frozen=True, slots=True)
class Account:
    """Which token: the service account, for whom (no audiences: the API server), and how long it lives.

    The server refuses less than 600 seconds.
    """

    namespace: str
    name: str
    audiences: tuple[str, ...] = ()
    seconds: int = 3600


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and when it ends."""

    value: str
    expires: datetime.datetime


def issue(rest: Rest, account: Account, bound_to: Mapping[str, Any] | None = None) -> IssuedToken:
    """Ask for a token; a refusal is an `AccessError` with the server's words.

    `bound_to` is a Pod, Secret or Node as read from the server: the token dies with it.
    """
    spec: dict[str, Any] = {"expirationSeconds": account.seconds}
    if account.audiences:
        spec["audiences"] = list(account.audiences)
    if bound_to is not None:
        metadata = bound_to["metadata"]
        spec["boundObjectRef"] = {
            "apiVersion": bound_to["apiVersion"],
            "kind": bound_to["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
    path = f"/api/v1/namespaces/{account.namespace}/serviceaccounts/{account.name}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = rest.create(request, path)
    if not answer.ok:
        msg = f"No token for service account {account.namespace}/{account.name}: {answer.message}"
        raise AccessError(msg)
    status = answer.body["status"]
    return IssuedToken(status["token"], datetime.datetime.fromisoformat(status["expirationTimestamp"]))
