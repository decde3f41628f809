"""From a kubeconfig to what a request carries: the trust, the proof of who we are, the person acted as.

Standing: between `kubeconfig` (data) and `rest` (calls). Every login verifies TLS: a kubeconfig that
switches this off is refused. A token that can change on disk or expire is asked for at each request.
"""

import base64
import datetime
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from localcluster.errors import AccessError
from localcluster.files import write_secret
from localcluster.kubeconfig import Kubeconfig, read
from localcluster.pki import Pair

_REFUSED: Final = {
    "insecure-skip-tls-verify": "put the authority of the cluster into certificate-authority-data",
    "proxy-url": "reach the cluster without a proxy",
    "tls-server-name": "call the server by a name that its certificate has",
    "auth-provider": "use an exec plugin; auth providers are gone from Kubernetes",
    "username": "use a token or a client certificate; passwords are gone from Kubernetes",
}
# A plugin's token is asked for anew when it has less than this left.
_MARGIN: Final = datetime.timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Login:
    """All that a client needs to call one server as somebody.

    `authority` is a PEM file, or None for the authorities that this system trusts anyway.
    """

    server: str
    authority: Path | None
    token: Callable[[], str] | None = None
    certificate: Pair | None = None
    acting_as: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers that say who asks; `Impersonate-Group` comes once for each group."""
        pairs = [(name, value) for name, values in self.acting_as.items() for value in values]
        if self.token is not None:
            pairs.append(("Authorization", f"Bearer {self.token()}"))
        return pairs


def with_token(server: str, authority: Path | None, token: str) -> Login:
    """Log in by one token that does not change."""
    return Login(server, authority, token=lambda: token)


def from_file(path: Path) -> Login:
    """Log in as the current context of one kubeconfig of ours says."""
    return from_kubeconfig(read([path]), path.parent)


def from_kubeconfig(config: Kubeconfig, folder: Path) -> Login:
    """Log in as this says. Certificates that it has inline become files in `folder`."""
    for part in (config.cluster, config.user):
        for refused, cure in _REFUSED.items():
            if part.get(refused):
                msg = f"The kubeconfig of {config.cluster_name} has {refused}, which is not supported here: {cure}."
                raise AccessError(msg)
    plugin = _Plugin(config) if "exec" in config.user else None
    user: Mapping[str, Any] = config.user if plugin is None else plugin.as_user()
    certificate = _file(user, "client-certificate", folder)
    key = _file(user, "client-key", folder)
    return Login(
        server=str(config.cluster["server"]).rstrip("/"),
        authority=_file(config.cluster, "certificate-authority", folder),
        token=_token(user) if plugin is None else plugin.bearer(),
        certificate=Pair(certificate, key) if certificate and key else None,
        acting_as=_acting_as(config.user),
    )


def _token(user: Mapping[str, Any]) -> Callable[[], str] | None:
    # client-go lets the file win over an inline token, and so do we.
    if path := user.get("tokenFile"):
        return lambda: Path(path).read_text(encoding="utf-8").strip()
    if token := user.get("token"):
        return lambda: str(token)
    return None


def _acting_as(user: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    acting: dict[str, tuple[str, ...]] = {}
    if name := user.get("as"):
        acting["Impersonate-User"] = (str(name),)
    if uid := user.get("as-uid"):
        acting["Impersonate-Uid"] = (str(uid),)
    if groups := user.get("as-groups"):
        acting["Impersonate-Group"] = tuple(str(group) for group in groups)
    return acting


def _file(entry: Mapping[str, Any], key: str, folder: Path) -> Path | None:
    if data := entry.get(f"{key}-data"):
        content = base64.b64decode(data)
        # Named by content: logins of different clusters can share a folder, and writing again is harmless.
        path = folder / f"{key}-{hashlib.sha256(content).hexdigest()[:16]}.pem"
        if not path.exists():
            write_secret(path, content)
        return path
    return Path(value) if (value := entry.get(key)) else None


class _Plugin:
    """An exec plugin (client.authentication.k8s.io): the command that hands out the credential."""

    def __init__(self, config: Kubeconfig) -> None:
        self._spec: dict[str, Any] = config.user["exec"]
        self._cluster = config.cluster
        self._status: dict[str, Any] = {}

    def as_user(self) -> dict[str, Any]:
        """Run it, and return what it gave as a kubeconfig would have it."""
        status = self._current()
        data = {"client-certificate": "clientCertificateData", "client-key": "clientKeyData"}
        return {
            f"{key}-data": base64.b64encode(status[field].encode()).decode()
            for key, field in data.items()
            if status.get(field)
        }

    def bearer(self) -> Callable[[], str] | None:
        return (lambda: str(self._current().get("token", ""))) if self._current().get("token") else None

    def _current(self) -> dict[str, Any]:
        if not self._status or _expires_soon(self._status.get("expirationTimestamp")):
            self._status = self._run()
        return self._status

    def _run(self) -> dict[str, Any]:
        command = [self._spec["command"], *(self._spec.get("args") or ())]
        spec: dict[str, Any] = {"interactive": False}
        if self._spec.get("provideClusterInfo"):
            spec["cluster"] = dict(self._cluster)
        info = {"apiVersion": self._spec["apiVersion"], "kind": "ExecCredential", "spec": spec}
        extra = {pair["name"]: pair["value"] for pair in self._spec.get("env") or ()}
        environment = {**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            answer = subprocess.run(  # noqa: S603 - what the user's kubeconfig says is what kubectl would run
                command, env=environment, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
            )
            status = json.loads(answer.stdout)["status"]
        except (OSError, subprocess.CalledProcessError, ValueError, KeyError) as error:
            stderr = getattr(error, "stderr", "") or str(error)
            msg = f"The credential plugin `{' '.join(command)}` returned no credential: {stderr.strip()}. Log in again."
            raise AccessError(msg) from error
        return dict(status)


def _expires_soon(timestamp: str | None) -> bool:
    if not timestamp:
        return False
    expires = datetime.datetime.fromisoformat(timestamp)
    return expires - datetime.datetime.now(datetime.UTC) < _MARGIN
