"""A control plane with a node: pods run, Services and cluster DNS answer, from this machine too.

Standing: above `controlplane` and `node`; the one thing that tests, the demo and the command line start. The control
plane is as it is without a node, but for a range of Services of its own and for webhooks and kubelet being reachable.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from localcluster import build, versions
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane, Settings
from localcluster.errors import StartError
from localcluster.node import needs
from localcluster.node.network import Network
from localcluster.node.networkpolicies import PROGRAM, NetworkPolicyEnforcement
from localcluster.node.node import Node
from localcluster.node.recipes import Programs
from localcluster.pki import Authority
from localcluster.process import ProcessId
from localcluster.progress import Progress
from localcluster.reaper import Reaper


class NodeCluster:
    """A cluster with one node; also a context manager that starts and stops it."""

    def __init__(
        self, folder: Path | None = None, settings: Settings | None = None, progress: Progress | None = None
    ) -> None:
        """Describe it, and build what it takes; nothing runs yet.

        `folder` is as for `ControlPlane`. Raises `NodeNeedsError` where this machine cannot run a node, and
        `VersionError` where an earlier Kubernetes is chosen: no kubelet may be newer than its API server.
        """
        versions.require_newest("a node")
        needs.require()
        self._binaries = build.ensure(progress=progress)
        self._programs = Programs.ensure(progress)
        self._settings = settings or Settings()
        self._temporary = folder is None
        self.folder: Final = Path(tempfile.mkdtemp(prefix="bailiwick-")) if folder is None else folder.absolute()
        self.node: Final = Node(self._programs, self.folder, self._hand_to_reaper)
        self._plane: ControlPlane | None = None
        self._network: Network | None = None
        self._reaper: Reaper | None = None

    @property
    def plane(self) -> ControlPlane:
        """The control plane, to pause it or to start parts of it again."""
        if self._plane is None:
            raise StartError("The cluster is not running: call start() first.")
        return self._plane

    @property
    def cluster(self) -> Cluster:
        """How to talk to it."""
        return self.plane.cluster

    @property
    def network(self) -> Network:
        """The addresses of its pods and Services, which this machine reaches as pods do."""
        if self._network is None:
            raise StartError("The cluster is not running: call start() first.")
        return self._network

    @property
    def processes(self) -> dict[str, ProcessId]:
        """The processes that run now, by name."""
        return self.node.processes | (self._plane.processes if self._plane else {})

    def start(self) -> Cluster:
        """Bring it up, and return when pods can be made."""
        try:
            return self._start()
        except BaseException:
            try:
                self._end()
            finally:
                # A temporary folder stays: the error names its logs.
                self.detach()
            raise

    def stop(self) -> None:
        """End everything; a temporary folder goes with it."""
        self._end()
        self._plane = None
        self.detach()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def detach(self) -> dict[str, ProcessId]:
        """Let the processes outlive this Python process; whoever wants to end them must keep what this returns."""
        if self._reaper is not None:
            self._reaper.release()
            self._reaper = None
        if self._plane is not None:
            self._plane.detach()
        return self.processes

    def load(self, *archives: Path) -> None:
        """Bring images into the node, from OCI or Docker archives."""
        for archive in archives:
            self.node.containerd.load(archive)

    def network_policies(self, progress: Progress | None = None) -> NetworkPolicyEnforcement:
        """Return what puts NetworkPolicies in force once it is started, and build its program; else they are not."""
        program = build.ensure(build.netpolicies(), progress) / PROGRAM
        return NetworkPolicyEnforcement(program, self.node.inside, self.network, self.cluster, self.folder)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _end(self) -> None:
        try:
            self.node.stop()
        finally:
            if self._plane is not None:
                self._plane.stop()

    def _start(self) -> Cluster:
        self._reaper = Reaper(*self.node.leftovers, *([self.folder] if self._temporary else []))
        self._network = self.node.open()
        self._plane = ControlPlane(self._binaries, self.folder, self._with_node(self._network))
        cluster = self._plane.start()
        # The reaper has it too: a temporary folder can go only when nobody writes to it any more.
        for entry in self._plane.processes.values():
            self._hand_to_reaper(entry)
        self.node.join(cluster, self._network, urlsplit(cluster.server).port or 0)
        return cluster

    def _hand_to_reaper(self, entry: ProcessId) -> None:
        if self._reaper is not None:
            self._reaper.add(entry)

    def _with_node(self, network: Network) -> Settings:
        """Tell the control plane of the node. A flag given by whoever started this wins over these."""
        authority = Authority.at(self.folder / "pki", "ca")
        client = authority.client("kubelet-client", "kube-apiserver-kubelet-client")
        apiserver = (
            *("--service-cluster-ip-range", str(network.services)),
            # Here pods reach it, by the `kubernetes` Service, whose endpoint it writes itself.
            *("--advertise-address", str(network.host), "--endpoint-reconciler-type", "lease"),
            *("--kubelet-preferred-address-types", "InternalIP", "--kubelet-certificate-authority"),
            str(authority.certificate),
            *("--kubelet-client-certificate", str(client.certificate), "--kubelet-client-key", str(client.key)),
        )
        names = (str(network.host), str(network.api_service))
        return replace(
            self._settings,
            extra_names=(*self._settings.extra_names, *names),
            apiserver_flags=(*apiserver, *self._settings.apiserver_flags),
        )
