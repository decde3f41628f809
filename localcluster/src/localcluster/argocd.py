"""Argo CD beside a control plane: Redis, its repository server and its controllers as plain processes.

Standing: above `process` and `rest`. What Argo CD finds in the cluster comes from its own `install.yaml`, less what
would need a node, and the controller acts as its own service account with the rights that it has there. Applications
read repositories by `file://`; the cluster that they name is https://kubernetes.default.svc.
"""

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import requests
import yaml

from localcluster.access import Cluster
from localcluster.components import LOOPBACK
from localcluster.errors import StartError
from localcluster.files import write_secret
from localcluster.machineload import stretch
from localcluster.node import needs
from localcluster.ports import free_ports
from localcluster.process import RunningProcess, spawn, stop
from localcluster.reaper import Reaper
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile

NAMESPACE: Final = "argocd"
CONTROLLER: Final = Account(NAMESPACE, "argocd-application-controller")
APPLICATION_SETS: Final = Account(NAMESPACE, "argocd-applicationset-controller")
DESTINATION: Final = "https://kubernetes.default.svc"
# Of install.yaml: what the two processes read, and as whom they may.
_KINDS: Final = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "CustomResourceDefinition",
        "Role",
        "RoleBinding",
        "Secret",
        "ServiceAccount",
    }
)
_GROUP: Final = "/apis/argoproj.io/v1alpha1"
_MANAGER: Final = "localcluster"
_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_TRIES: Final = 3
_RESYNC_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Programs:
    """What runs: `argocd` is the folder that `build.ensure` returns for it, `helm` likewise."""

    argocd: Path
    helm: Path

    @property
    def redis(self) -> Path:
        """The Redis of this machine; `StartError` where there is none."""
        if found := needs.find("redis-server"):
            return found
        msg = "Argo CD needs Redis, and there is no redis-server: `python -m localcluster argocd-packages` installs it."
        raise StartError(msg)


class ArgoCD:
    """One Argo CD; also a context manager that starts and stops it.

    `settings` go into the ConfigMap argocd-cm, as an administrator would patch it. `folder` must exist.
    `application_sets`: the controller of ApplicationSets runs too, with progressive syncs.
    """

    def __init__(
        self,
        programs: Programs,
        cluster: Cluster,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        application_sets: bool = False,
    ) -> None:
        self._programs = programs
        self._cluster = cluster
        self._rest = cluster.rest()
        self._folder = folder
        self._settings = dict(settings or {})
        self._token = TokenFile(cluster, CONTROLLER, folder / "controller.token")
        self._set_token: TokenFile | None = None
        if application_sets:
            self._set_token = TokenFile(cluster, APPLICATION_SETS, folder / "applicationset.token")
        self._reaper: Reaper | None = None
        self._running: list[RunningProcess] = []

    def start(self) -> Self:
        """Install it, bring its processes up, and return when they say that they are well."""
        redis = self._programs.redis
        self._install()
        self._reaper = Reaper()
        try:
            for token in self._tokens:
                token.start()
            for attempt in range(1, _TRIES + 1):
                try:
                    self._start_all(redis)
                except StartError as error:
                    if attempt == _TRIES or "address already in use" not in str(error).lower():
                        raise
                    self._end_processes()
                else:
                    break
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End its processes; what it installed stays, and goes with the cluster."""
        self._end_processes()
        for token in self._tokens:
            token.stop()
        self._rest.close()
        if self._reaper is not None:
            self._reaper.release()
            self._reaper = None

    @property
    def _tokens(self) -> list[TokenFile]:
        return [token for token in (self._token, self._set_token) if token is not None]

    def log(self, name: str) -> Path:
        """Return the log of a process: `redis`, `argocd-repo-server` or `argocd-application-controller`."""
        return self._folder / f"{name}.log"

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _install(self) -> None:
        namespace: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        documents = [namespace, *self._manifests()]
        for document in documents:
            answer = self._rest.apply(document, _MANAGER, force=True)
            if not answer.ok:
                what = f"{document['kind']} {document['metadata']['name']}"
                msg = f"{what} of Argo CD was refused: {answer.status} {answer.message}"
                raise StartError(msg)
        # In discovery, by which clients find what a kind is called.
        kinds = {"Application", "ApplicationSet", "AppProject"}
        self._rest.wait(_GROUP, lambda answer: kinds <= _kinds_in(answer.body), _START_SECONDS)

    def _manifests(self) -> Iterator[dict[str, Any]]:
        # The C loader where there is one: with the other these two megabytes take ten seconds.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        with (self._programs.argocd / "install.yaml").open(encoding="utf-8") as file:
            for document in yaml.load_all(file, Loader=loader):
                if document["kind"] not in _KINDS:
                    continue
                if not document["kind"].startswith(("Cluster", "CustomResource")):
                    document["metadata"]["namespace"] = NAMESPACE
                match document["metadata"]["name"]:
                    case "argocd-cm":
                        document["data"] = {**(document.get("data") or {}), **self._settings}
                    case "argocd-secret":
                        # Its API server would write it; the controller only wants it to be there.
                        document["stringData"] = {"server.secretkey": secrets.token_urlsafe(32)}
                yield document

    def _start_all(self, redis: Path) -> None:
        cache, server, server_metrics, controller_metrics = free_ports(4)
        password = secrets.token_urlsafe(24)
        config = self._folder / "redis.conf"
        write_secret(config, f'bind {LOOPBACK}\nport {cache}\nrequirepass {password}\nsave ""\ndir {self._folder}\n')
        self._run("redis", [redis, config], self._environment(password))
        to_redis = ("--redis", f"{LOOPBACK}:{cache}")
        self._run_argocd(
            "argocd-repo-server",
            *("--address", LOOPBACK, "--port", str(server)),
            *("--metrics-address", LOOPBACK, "--metrics-port", str(server_metrics)),
            *to_redis,
            password=password,
        )
        self._run_argocd(
            "argocd-application-controller",
            *("--kubeconfig", str(self._token.write_kubeconfig()), "--namespace", NAMESPACE),
            *("--repo-server", f"{LOOPBACK}:{server}", "--metrics-port", str(controller_metrics)),
            # Looks often: the tests wait for it. There is no jitter, which would only spread many applications.
            *("--app-resync", str(_RESYNC_SECONDS), "--app-resync-jitter", "0"),
            # The health of each object stands in the Application too; else only its own API server tells it.
            "--persist-resource-health",
            *to_redis,
            password=password,
        )
        self._await_well(server_metrics)
        self._await_well(controller_metrics)
        if self._set_token is not None:
            metrics, probe, webhook = free_ports(3)
            self._run_argocd(
                "argocd-applicationset-controller",
                *("--kubeconfig", str(self._set_token.write_kubeconfig()), "--namespace", NAMESPACE),
                *("--argocd-repo-server", f"{LOOPBACK}:{server}", "--enable-progressive-syncs"),
                *("--metrics-addr", f"{LOOPBACK}:{metrics}", "--probe-addr", f"{LOOPBACK}:{probe}"),
                *("--webhook-addr", f"{LOOPBACK}:{webhook}"),
                password=password,
            )
            # It has no check of its health.
            self._await_well(metrics, "metrics")

    def _run_argocd(self, name: str, *arguments: str, password: str) -> None:
        environment = {**self._environment(password), "ARGOCD_BINARY_NAME": name}
        self._run(name, [self._programs.argocd / "argocd", *arguments], environment)

    def _environment(self, password: str) -> dict[str, str]:
        folders = {
            "HOME": "home",
            "TMPDIR": "tmp",
            "ARGOCD_GNUPGHOME": "gpg",
            "ARGOCD_GPG_DATA_PATH": "gpg-data",
            "ARGOCD_PLUGINSOCKFILEPATH": "plugins",
            "ARGOCD_SSH_DATA_PATH": "ssh",
            "ARGOCD_TLS_DATA_PATH": "tls",
        }
        paths = {name: self._folder / folder for name, folder in folders.items()}
        for path in paths.values():
            path.mkdir(exist_ok=True)
        programs = (str(self._programs.argocd), str(self._programs.helm), os.environ.get("PATH", ""))
        return {
            "PATH": os.pathsep.join(programs),
            **{name: str(path) for name, path in paths.items()},
            "KUBECONFIG": str(self._token.path.with_name(f"{self._token.path.name}.kubeconfig")),
            # Else it would want the files that a pod has.
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            # Seconds between waves; where a wave must wait for something, it waits for its health.
            "ARGOCD_SYNC_WAVE_DELAY": "1",
            "REDIS_PASSWORD": password,
        }

    def _run(self, name: str, command: list[str | Path], environment: Mapping[str, str]) -> None:
        running = spawn(name, command, self.log(name), environment)
        self._running.append(running)
        if self._reaper is not None:
            self._reaper.add(running.id)

    def _await_well(self, port: int, path: str = "healthz") -> None:
        began = time.monotonic()
        while time.monotonic() - began < _START_SECONDS * stretch():
            for running in self._running:
                if not running.alive:
                    msg = f"{running.name} ended. The end of {running.log}:\n{running.last_words()}"
                    raise StartError(msg)
            try:
                if requests.get(f"http://{LOOPBACK}:{port}/{path}", timeout=5).ok:
                    return
            except requests.RequestException:
                pass  # It does not listen yet.
            time.sleep(_POLL_SECONDS)
        msg = f"Argo CD did not become healthy within {_START_SECONDS:g} s: see the logs in {self._folder}."
        raise StartError(msg)

    def _end_processes(self) -> None:
        stop((running.id for running in self._running), grace=5.0)
        for running in self._running:
            running.handle.wait()
        self._running.clear()


def _kinds_in(discovered: Mapping[str, Any]) -> set[str]:
    return {resource["kind"] for resource in discovered.get("resources") or ()}
