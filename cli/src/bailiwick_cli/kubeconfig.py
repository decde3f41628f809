"""The API server of a kubeconfig or of a pod, as kubectl's own flags say.

The client of Kubernetes reads the kubeconfig: several files, exec plugins, certificates, tokens.

Holds: imported by a command only once it needs a cluster; every failure is an error in one line.
"""

import logging
import os
import threading
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from bailiwick_cli.errors import CliError
from bailiwick_cli.options import Flags
from bailiwick_governance.apiserver.cluster import TIMEOUT_SECONDS, ClusterClient
from bailiwick_governance.arguments import seconds

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# What the libraries raise for a kubeconfig that is not one.
_UNUSABLE: Final = (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError)
_SAVING: Final = threading.Lock()


class KubeconfigContexts:
    """The contexts of kubeconfig files, parsed once for however many are used. `paths`: joined like a PATH."""

    def __init__(self, paths: str) -> None:
        self._paths = paths
        self._merged = KubeConfigMerger(paths)  # type: ignore[no-untyped-call]
        self._contents: list[Any] = list(self._merged.config_files.values())
        self.names = tuple(
            dict.fromkeys(str(entry["name"]) for one in self._contents for entry in one.get("contexts") or ())
        )
        # Of several files the first that says so decides, as for kubectl; the client would take the last.
        self.current: str | None = next(
            (str(one["current-context"]) for one in self._contents if one.get("current-context")), None
        )

    def server(self, context: str) -> str:
        """Return the URL of a context's API server; empty if the files have none."""
        cluster = _first(self._contents, "context", context).get("cluster")
        return str(_first(self._contents, "cluster", cluster).get("server") or "")

    def load(self, configuration: Configuration, context: str | None) -> tuple[str, dict[str, Any]]:
        """Fill in the configuration of a context.

        Returns the context's namespace, and whom its user acts as (which the client leaves out). Raises `CliError`.
        """
        current = context or self.current
        if not current:
            raise CliError(
                f"{self._paths} has no current context: set --context NAME, or run `kubectl config use-context NAME`"
            )
        if current not in self.names:
            known = ", ".join(self.names) or "none"
            raise CliError(f"no context {current!r} in {self._paths}: the contexts are {known}")
        loader = KubeConfigLoader(  # type: ignore[no-untyped-call]
            self._merged.config, active_context=current, config_base_path=None, config_persister=self._save
        )
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
        chosen = _first(self._contents, "context", current)
        return chosen.get("namespace") or "default", dict(_first(self._contents, "user", chosen.get("user")))

    def _save(self) -> None:
        # A token that a plugin fetched is written back; contexts that are loaded at once take turns.
        with _SAVING:
            self._merged.save_changes()  # type: ignore[no-untyped-call]


def read_contexts(flags: Flags) -> KubeconfigContexts:
    """Return the contexts of the kubeconfig that the flags name.

    Raises `CliError`, which repeats nothing of the files: what the client raises can hold a token.
    """
    files = _files(_paths(flags))
    if not files:
        raise CliError("there is no kubeconfig: set KUBECONFIG or --kubeconfig FILE")
    try:
        return KubeconfigContexts(files)
    except _UNUSABLE as error:
        raise CliError("the kubeconfig cannot be read: see what `kubectl config view` says of it") from error


def _paths(flags: Flags) -> str:
    return flags.kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


def _files(paths: str) -> str:
    return os.pathsep.join(path for path in paths.split(os.pathsep) if path and Path(path).expanduser().exists())


def connect(flags: Flags, contexts: KubeconfigContexts | None = None) -> ClusterClient:
    """Return the API server of the flags. Raises `CliError` with what is missing.

    `contexts`: of the kubeconfig of the flags, where they were read before.
    """
    # What the client has to say of a plugin that failed comes through the log, as one line.
    logging.basicConfig(format="%(message)s", level=logging.ERROR)
    timeout = TIMEOUT_SECONDS if flags.request_timeout is None else seconds(flags.request_timeout, "--request-timeout")
    configuration = Configuration()
    acting: dict[str, Any] = {}
    paths = _paths(flags)
    try:
        if contexts is not None or _files(paths):
            found = contexts or KubeconfigContexts(_files(paths))
            namespace, acting = found.load(configuration, flags.context)
        elif os.environ.get("KUBERNETES_SERVICE_HOST") and not flags.kubeconfig:
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            namespace = _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
        else:
            raise CliError(f"no kubeconfig at {paths}: set KUBECONFIG or --kubeconfig FILE")
        client = ApiClient(configuration)
    except _UNUSABLE as error:
        raise CliError(f"cannot use the kubeconfig {paths}: {' '.join(str(error).split())}") from error
    headers = urllib3.HTTPHeaderDict()
    if flags.as_user:
        acting = {"as": flags.as_user}
    if flags.as_group:
        if "as" not in acting:
            raise CliError("--as-group requires --as")
        acting["as-groups"] = flags.as_group
    if acting.get("as"):
        headers.add("Impersonate-User", acting["as"])
    if acting.get("as-uid"):
        headers.add("Impersonate-Uid", acting["as-uid"])
    for group in acting.get("as-groups") or ():
        headers.add("Impersonate-Group", group)
    return ClusterClient(client, flags.namespace or namespace, headers, timeout, assumed=not flags.namespace)


def _first(contents: list[Any], kind: str, name: object) -> dict[str, Any]:
    entries = (entry for one in contents for entry in one.get(f"{kind}s") or () if entry["name"] == name)
    found: dict[str, Any] = next(entries, {})
    return found.get(kind) or {}
