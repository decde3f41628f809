"""One node: its namespaces, its link to this machine, its programs, the images that it has.

Standing: under `cluster`, which starts it in two steps, because the control plane has to know the node's addresses
before it starts and the node's programs need the control plane. Everything of a node ends with one process.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from localcluster import process
from localcluster.access import Cluster
from localcluster.cache import clusters_folder, locked
from localcluster.errors import StartError
from localcluster.kubeconfig import for_server
from localcluster.node import cgroups, config, network, oci
from localcluster.node.containerd import Containerd
from localcluster.node.init import INSIDE, PLAN
from localcluster.node.needs import cni_folder, find
from localcluster.node.network import Network
from localcluster.node.recipes import Programs
from localcluster.pki import Authority
from localcluster.process import ProcessId, RunningProcess, spawn, tail

NODE: Final = "node"
HOLDER: Final = "node-holder"
RELAY: Final = "node-relay"
_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_PACKAGE_PARENT: Final = Path(__file__).resolve().parents[2]

_Found = TypeVar("_Found")


def name_of(folder: Path) -> str:
    """Return the name of a node's control groups and of this machine's end of its link.

    The same for the same folder of a cluster, so that a later start knows what an earlier one left.
    """
    return f"bwick-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def has_node(folder: Path) -> bool:
    """Whether the cluster of this folder was started with a node."""
    return _slot_file(folder).exists()


def network_of(folder: Path) -> Network:
    """Return the addresses of a cluster's node. Raises `StartError` where it has none."""
    slot = _slot(folder)
    if slot is None:
        raise StartError(f"The cluster of {folder} has no node: start one with `python -m localcluster up --node`.")
    return Network(slot)


def clear(folder: Path) -> None:
    """Clear away what a node whose processes are gone has left, but for what it needs to be started again."""
    cgroups.remove(_groups(folder))
    network.disconnect(name_of(folder))
    shutil.rmtree(folder / "node", ignore_errors=True)


class Node:
    """The node of one cluster."""

    def __init__(self, programs: Programs, folder: Path, started: Callable[[ProcessId], None]) -> None:
        """Describe it; nothing runs yet. `folder` is that of the cluster; `started` is told of each process at once."""
        self._started = started
        self._programs = programs
        self._cluster_folder = folder
        self._folder = folder / "node"
        self.name: Final = name_of(folder)
        self._running: list[RunningProcess] = []
        self._inside: ProcessId | None = None

    @property
    def processes(self) -> dict[str, ProcessId]:
        """What runs on this machine for it, by name; the processes inside the node end with the first of these."""
        inside = {NODE: self._inside} if self._inside and self._inside.alive else {}
        return inside | {running.name: running.id for running in self._running if running.alive}

    @property
    def leftovers(self) -> list[Path]:
        """The folders that outlive its processes: its control groups, where `open` makes them."""
        return cgroups.groups(self.name)

    def open(self) -> Network:
        """Make its namespaces and the link, after clearing away what an earlier one left; returns its addresses."""
        clear(self._cluster_folder)
        self._folder.mkdir(mode=0o700, parents=True)
        (self._cluster_folder / "logs").mkdir(parents=True, exist_ok=True)
        # They lie below those of this process, so another one would look for them elsewhere.
        _groups_file(self._cluster_folder).write_text("\n".join(map(str, self.leftovers)), encoding="utf-8")
        with locked(clusters_folder() / ".networks.lock"):
            claimed = network.claim(_slot(self._cluster_folder))
            holder = self._run(HOLDER, "localcluster.node.enter", self.name, str(self._cluster_folder))
            self._inside = self._await(lambda: first_child(holder.id.pid), "its first process")
            self._started(self._inside)
            self._await((self._folder / "ready").exists, "its file system")
            network.connect(claimed, self.name, self._inside.pid)
        _slot_file(self._cluster_folder).write_text(str(claimed.slot), encoding="ascii")
        return claimed

    def join(self, cluster: Cluster, claimed: Network, port: int) -> None:
        """Start its programs against a control plane on this port of loopback; returns when it takes pods."""
        self._run(RELAY, "localcluster.node.relay", str(claimed.host), str(port))
        self._configure(claimed, port)
        (self._folder / f".{PLAN}").write_text(config.plan(claimed, self._programs), encoding="utf-8")
        (self._folder / f".{PLAN}").replace(self._folder / PLAN)
        admin = cluster.rest()
        for body in config.objects(claimed):
            applied = admin.apply(body, manager="localcluster")
            if not applied.ok:
                raise StartError(f"{body['kind']} {body['metadata']['name']}: {applied.message}")
        self._await(self.containerd.answers, "containerd")
        self.containerd.load(
            oci.static_image(config.PAUSE_IMAGE, self._programs.path("pause"), self._folder / "pause.tar")
        )

        def ready() -> bool:
            node = admin.get(f"/api/v1/nodes/{config.NODE_NAME}")
            conditions = node.body["status"].get("conditions", ()) if node.ok else ()
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        self._await(ready, "kubelet")

    @property
    def inside(self) -> ProcessId:
        """The first process in its namespaces."""
        if self._inside is None:
            raise StartError("The node is not running: start its cluster first.")
        return self._inside

    @property
    def containerd(self) -> Containerd:
        """Its images."""
        return Containerd(self._programs.path("ctr"), self.inside)

    def trust(self, registry: str, authority: Path) -> None:
        """Let it pull from the registry at `host:port`, whose certificate is by this authority."""
        folder = self._folder / config.REGISTRIES / registry
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(authority, folder / "ca.crt")

    def stop(self) -> None:
        """End it and everything in it at once, and clear away what is left."""
        running, self._running = self._running, []
        inside = [self._inside] if self._inside else []
        # Process 1 of the namespace is gone only when everything else in it is.
        process.kill([*inside, *(each.id for each in running)])
        for each in running:
            each.handle.wait()
        self._inside = None
        clear(self._cluster_folder)

    def _run(self, name: str, module: str, *arguments: str) -> RunningProcess:
        environment = {**os.environ, "PYTHONPATH": str(_PACKAGE_PARENT)}
        log = self._cluster_folder / "logs" / f"{name}.log"
        running = spawn(name, [sys.executable, "-m", module, *arguments], log, environment)
        self._started(running.id)
        self._running.append(running)
        return running

    def _configure(self, claimed: Network, port: int) -> None:
        runc, cni = find("runc"), cni_folder()
        if runc is None or cni is None:  # pragma: no cover - `needs.require` was asked before
            raise AssertionError
        authority = Authority.at(self._cluster_folder / "pki", "ca")
        authority.serving("kubelet-serving", (config.NODE_NAME, str(claimed.node)))
        server = for_server(f"https://{claimed.host}:{port}", authority.certificate, "local")
        logins = {
            "kubelet": (f"system:node:{config.NODE_NAME}", ("system:nodes",)),
            "kube-proxy": ("system:kube-proxy", ()),
            "kube-scheduler": ("system:kube-scheduler", ()),
            "coredns": ("system:coredns", ()),
        }
        for name, (user, groups) in logins.items():
            pair = authority.client(name, user, groups)
            inside = {
                "client-certificate": str(INSIDE / "pki" / pair.certificate.name),
                "client-key": str(INSIDE / "pki" / pair.key.name),
            }
            server.with_user(name, inside).write(self._folder / f"{name}.kubeconfig")
        (self._folder / "cni").mkdir()
        texts = {
            "cni/10-pods.conflist": config.cni(claimed),
            "containerd.toml": config.containerd(runc, cni),
            "kubelet.json": config.kubelet(claimed),
            "kube-proxy.json": config.kube_proxy(claimed),
            "Corefile": config.coredns(claimed),
            # No name of this machine's networks is known in the node.
            "resolv.conf": "",
        }
        for name, text in texts.items():
            (self._folder / name).write_text(text, encoding="utf-8")

    def _await(self, look: Callable[[], _Found | None], what: str) -> _Found:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            for running in self._running:
                if not running.alive:
                    code = running.handle.returncode
                    msg = f"{running.name} ended with code {code}. The end of {running.log}:\n{running.last_words()}"
                    raise StartError(msg)
            if found := look():
                return found
            time.sleep(_POLL_SECONDS)
        log = self._cluster_folder / "logs" / f"{what}.log"
        log = log if log.exists() else log.with_name(f"{HOLDER}.log")
        msg = f"The node waited {_START_SECONDS:g} s for {what}, without success. The end of {log}:\n{tail(log)}"
        raise StartError(msg)


def _slot_file(folder: Path) -> Path:
    return folder / "node-slot"


def _slot(folder: Path) -> int | None:
    """Return the slot of an earlier start: the Services in the store have addresses of its range."""
    try:
        return int(_slot_file(folder).read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _groups_file(folder: Path) -> Path:
    return folder / "node-groups"


def _groups(folder: Path) -> list[Path]:
    """Return the control groups of an earlier start."""
    try:
        return [Path(line) for line in _groups_file(folder).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def first_child(pid: int) -> ProcessId | None:
    """Return the first child of a process, such as what `unshare` or `nsenter` runs; None where it has none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return ProcessId.of(int(children[0])) if children else None
