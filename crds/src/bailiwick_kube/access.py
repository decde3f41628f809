"""The address of the API server and the identity of its client, from a kubeconfig or a pod's files.

Standing: both processes start from here.

Holds: the token is read again for every use, because it rotates; it is never kept, logged or shown by repr.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

_POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# Other credentials of a kubeconfig's user. To ignore one silently would call the API server as another user.
_UNSUPPORTED: Final = ("client-certificate", "client-certificate-data", "exec", "auth-provider", "username", "as")


class AccessError(Exception):
    """The kubeconfig, the token or the CA cannot be used; the message says what to fix."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API server. With `ca_file` None, `ca_data` (PEM) is trusted, or else what this system trusts.

    `server_name`: the name that its certificate must have; None: the host of `server`.
    """

    server: str
    ca_file: Path | None = None
    ca_data: str | None = None
    token_file: Path | None = None
    static_token: str | None = field(default=None, repr=False)
    server_name: str | None = None

    def token(self) -> str:
        """Return the token as it is now. Raises `AccessError` when the file cannot be read."""
        if self.token_file is None:
            return self.static_token or ""
        try:
            token = self.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"the token file {self.token_file} cannot be read: {error.strerror}"
            raise AccessError(message) from error
        if not token:
            message = f"the token file {self.token_file} is empty"
            raise AccessError(message)
        return token


def access(kubeconfig: Path | None, environment: Mapping[str, str] = os.environ) -> Access:
    """Return how to reach the API server. Raises `AccessError` with what is missing."""
    return from_kubeconfig(kubeconfig) if kubeconfig else from_pod(environment)


def from_pod(environment: Mapping[str, str], folder: Path = _POD) -> Access:
    """Return a pod's own access, by its projected token and CA."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        message = "not in a pod (KUBERNETES_SERVICE_HOST is not set): set --kubeconfig FILE"
        raise AccessError(message)
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca_file=folder / "ca.crt",
        token_file=folder / "token",
    )


def from_kubeconfig(path: Path) -> Access:
    """Return the access of a kubeconfig's current context: server, CA, and a token or tokenFile."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _entry(content, "context", content["current-context"])
        cluster = _entry(content, "cluster", context["cluster"])
        user = _entry(content, "user", context["user"])
        server = cluster["server"].rstrip("/")
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        message = f"{path} is not a kubeconfig with a current context: {error}"
        raise AccessError(message) from error
    if present := [name for name in _UNSUPPORTED if user.get(name)]:
        message = f"{path}: {', '.join(present)} not supported here: use a token or a tokenFile"
        raise AccessError(message)
    if not server.startswith("https://"):
        message = f"{path}: the server {server} does not use https"
        raise AccessError(message)
    data = cluster.get("certificate-authority-data")
    return Access(
        server=server,
        ca_file=_resolve(path, cluster.get("certificate-authority")),
        ca_data=base64.b64decode(data).decode() if data else None,
        token_file=_resolve(path, user.get("tokenFile")),
        static_token=user.get("token"),
    )


def _entry(content: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    for entry in content[f"{kind}s"]:
        if entry["name"] == name:
            member: Mapping[str, Any] = entry[kind]
            return member
    message = f"it has no {kind} {name}"
    raise KeyError(message)


def _resolve(path: Path, reference: str | None) -> Path | None:
    """Resolve a relative path against the folder of the kubeconfig, as kubectl does."""
    return path.absolute().parent / reference if reference else None
