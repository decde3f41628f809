"""Clusters that outlive the command that started them, each under a name in the user's cache.

Standing: between the command line and `controlplane`. What is running is written down with pid and start
time, and only such a process is ever ended. Commands on one name wait for each other.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from localcluster import build, process, versions
from localcluster.access import Cluster
from localcluster.cache import clusters_folder, locked
from localcluster.controlplane import APISERVER, CONTROLLER_MANAGER, ETCD, ControlPlane, Settings
from localcluster.errors import AccessError, VersionError
from localcluster.files import write_secret
from localcluster.node.cluster import NodeCluster
from localcluster.node.containerd import Containerd
from localcluster.node.network import Network
from localcluster.node.node import NODE, RELAY, clear, has_node, network_of
from localcluster.node.recipes import Programs
from localcluster.process import ProcessId
from localcluster.progress import Progress
from localcluster.versions import KubernetesVersion

DEFAULT_NAME: Final = "default"
_PARTS: Final = (ETCD, APISERVER, CONTROLLER_MANAGER)
_NODE_PARTS: Final = (NODE, RELAY)
# As long as everything of a control plane takes to end after it was asked to.
_GRACE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class NamedCluster:
    """One such cluster; it need not exist yet."""

    name: str = DEFAULT_NAME

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?", self.name):
            msg = f"{self.name!r} is not a valid cluster name: use lower case letters, digits and hyphens."
            raise AccessError(msg)

    @property
    def folder(self) -> Path:
        """Its data, keys, kubeconfigs and logs."""
        return clusters_folder() / self.name

    @property
    def logs(self) -> Path:
        """The folder of its log files."""
        return self.folder / "logs"

    @property
    def exists(self) -> bool:
        """Whether there is anything of it, running or not."""
        return self.folder.is_dir()

    @property
    def is_up(self) -> bool:
        """Whether each part of the control plane runs, and of the node where there is one."""
        processes = self.processes()
        parts = (*_PARTS, *(_NODE_PARTS if has_node(self.folder) else ()))
        return all(name in processes and processes[name].alive for name in parts)

    def processes(self) -> dict[str, ProcessId]:
        """Return what was started, by name, whether it still runs or not."""
        try:
            written = json.loads(self._record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {name: ProcessId(**entry) for name, entry in written.items()}

    def adopt(self, name: str, entry: ProcessId, progress: Progress) -> None:
        """Write down a further process that `down` has to end."""
        with self._locked(progress):
            self._remember({name: entry})

    def cluster(self) -> Cluster:
        """Return how to talk to it."""
        if not self.is_up:
            msg = f"Cluster {self.name!r} is not running: start it with `python -m localcluster up --name {self.name}`."
            raise AccessError(msg)
        return Cluster.at(self.folder)

    @property
    def containerd(self) -> Containerd:
        """The images of its node."""
        inside = self.processes().get(NODE)
        if not self.is_up or inside is None:
            msg = f"No cluster {self.name!r} with a node is running: run `python -m localcluster up --node`."
            raise AccessError(msg)
        return Containerd(Programs.ensure().path("ctr"), inside)

    @property
    def network(self) -> Network:
        """The addresses of its node, pods and Services."""
        return network_of(self.folder)

    def up(self, progress: Progress, *, node: bool = False) -> bool:
        """Bring it up, on its old data where there is some; False where it is up already.

        One that had a node has one again, and one that had none does not get one: its Services have other addresses.
        Each stays on the version of Kubernetes that it was created with, since no API server reads what a later wrote.
        """
        with self._locked(progress):
            begun = (self.folder / "etcd").is_dir()
            version = versions.chosen()
            if begun:
                self._require(version)
            if node and begun and not has_node(self.folder):
                msg = (
                    f"Cluster {self.name!r} was created without a node: remove it with"
                    f" `python -m localcluster down --name {self.name}`."
                )
                raise AccessError(msg)
            if self.is_up:
                return False
            # Some parts may have died; the others would hold the data.
            self._end()
            settings = Settings(name=f"bailiwick-{self.name}")
            started: ControlPlane | NodeCluster
            if node or has_node(self.folder):
                started = NodeCluster(self.folder, settings, progress)
            else:
                started = ControlPlane(build.ensure(progress=progress), self.folder, settings)
            if not version.is_newest:
                self._earlier.write_text(version.word, encoding="utf-8")
            with progress.step(f"Starting cluster {self.name!r}"):
                started.start()
                # First written down, then released by the reaper: at no moment can a killed command leave a process.
                self._remember(started.processes)
                started.detach()
            return True

    def down(self, progress: Progress, *, keep_data: bool = False) -> bool:
        """End what was started and remove the folder; False where there is nothing of it."""
        with self._locked(progress):
            if not self.exists:
                return False
            self._end()
            if not keep_data:
                shutil.rmtree(self.folder)
            return True

    @property
    def _record(self) -> Path:
        return self.folder / "processes.json"

    @property
    def _earlier(self) -> Path:
        """Names the version of Kubernetes, where it is not the newest."""
        return self.folder / "kubernetes-version"

    def _require(self, version: KubernetesVersion) -> None:
        created = self._earlier.read_text(encoding="utf-8") if self._earlier.exists() else ""
        if created != ("" if version.is_newest else version.word):
            again = f"set {versions.KUBERNETES}={created}" if created else f"unset {versions.KUBERNETES}"
            msg = (
                f"Cluster {self.name!r} was created with Kubernetes {created or versions.newest().word}: {again}, or"
                f" remove it with `python -m localcluster down --name {self.name}`."
            )
            raise VersionError(msg)

    def _remember(self, processes: Mapping[str, ProcessId]) -> None:
        everything = self.processes() | dict(processes)
        write_secret(self._record, json.dumps({name: asdict(entry) for name, entry in everything.items()}, indent=2))

    def _end(self) -> None:
        processes = self.processes()
        etcd = processes.pop(ETCD, None)
        process.stop(processes.values(), _GRACE_SECONDS)
        process.stop([etcd] if etcd else [])
        if has_node(self.folder):
            clear(self.folder)
        self._record.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, progress: Progress) -> Iterator[None]:
        waiting = f"Another command is working on cluster {self.name!r}: waiting for it."
        # Beside the folder, not in it: `down` removes the folder while it holds the lock.
        with locked(self.folder.with_name(f".{self.name}.lock"), lambda: progress.say(waiting)):
            yield


def all_names() -> list[str]:
    """Return the names of all clusters that exist."""
    folder = clusters_folder()
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
