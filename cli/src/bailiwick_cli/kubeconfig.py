"""The API server of a kubeconfig or of a pod, as kubectl's own flags say.

The client of Kubernetes reads the kubeconfig: several files, exec plugins, certificates, tokens.

Holds: imported by a command only once it needs a cluster; every failure is an error in one line.
"""

import logging
import os
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


def connect(flags: Flags) -> ClusterClient:
    """Return the API server of the flags. Raises `CliError` with what is missing."""
    # What the client has to say of a plugin that failed comes through the log, as one line.
    logging.basicConfig(format="%(message)s", level=logging.ERROR)
    timeout = TIMEOUT_SECONDS if flags.request_timeout is None else seconds(flags.request_timeout, "--request-timeout")
    configuration = Configuration()
    acting: dict[str, Any] = {}
    paths = flags.kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    files = [path for path in paths.split(os.pathsep) if path and Path(path).expanduser().exists()]
    try:
        if files:
            namespace, acting = _from_kubeconfig(configuration, os.pathsep.join(files), flags.context)
        elif os.environ.get("KUBERNETES_SERVICE_HOST") and not flags.kubeconfig:
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            namespace = _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
        else:
            raise CliError(f"no kubeconfig at {paths}: set KUBECONFIG or --kubeconfig FILE")
        client = ApiClient(configuration)
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
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


def _from_kubeconfig(configuration: Configuration, paths: str, context: str | None) -> tuple[str, dict[str, Any]]:
    """Load these files; returns the context's namespace, and whom its user acts as (which the client leaves out)."""
    merged = KubeConfigMerger(paths)  # type: ignore[no-untyped-call]
    contents = list(merged.config_files.values())
    # Of several files the first that says so decides, as for kubectl; the client would take the last.
    current = context or next((one["current-context"] for one in contents if one.get("current-context")), None)
    if not current:
        raise CliError(f"{paths} has no current context: set --context NAME, or run `kubectl config use-context NAME`")
    known = [entry["name"] for one in contents for entry in one.get("contexts") or ()]
    if current not in known:
        raise CliError(f"no context {current!r} in {paths}: the contexts are {', '.join(known) or 'none'}")
    loader = KubeConfigLoader(  # type: ignore[no-untyped-call]
        merged.config, active_context=current, config_base_path=None, config_persister=merged.save_changes
    )
    loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
    chosen = _first(contents, "context", current)
    return chosen.get("namespace") or "default", dict(_first(contents, "user", chosen.get("user")))


def _first(contents: list[Any], kind: str, name: object) -> dict[str, Any]:
    entries = (entry for one in contents for entry in one.get(f"{kind}s") or () if entry["name"] == name)
    found: dict[str, Any] = next(entries, {})
    return found.get(kind) or {}
