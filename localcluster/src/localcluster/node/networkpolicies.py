"""NetworkPolicies in force on a node: kube-network-policies judges each new connection from or to one of its pods.

Standing: beside `node`, whose namespaces it enters; off unless somebody starts it. Holds: between `start` and `stop`
the kernel gives these packets to the program, and drops them while it does not run. The program is unmodified. It would
give the kernel rules of nftables itself, but not every kernel can queue packets from there, so these are of iptables.
"""

import contextlib
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from localcluster import process
from localcluster.access import Cluster
from localcluster.errors import StartError
from localcluster.node.config import NODE_NAME
from localcluster.node.needs import NodeNeedsError, find
from localcluster.node.network import Network
from localcluster.node.node import first_child
from localcluster.pki import Authority
from localcluster.process import ProcessId, RunningProcess, spawn

PROGRAM: Final = "kube-network-policies"
QUEUE: Final = 100
_METRICS: Final = "127.0.0.1:9080"
_CHAIN: Final = "NETWORK-POLICIES"
_NAMESPACE: Final = "kube-system"
# Where every in-cluster client looks for its login, and this one nowhere else. /run is memory of the node.
_LOGIN: Final = Path("run", "secrets", "kubernetes.io", "serviceaccount")
_TOKEN_SECONDS: Final = 24 * 3600
_START_SECONDS: Final = 60.0
# On SIGINT it takes away the rules of its own where it has some, and waits five seconds before it ends.
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05


class NetworkPolicyEnforcement:
    """The enforcement of NetworkPolicies on one node; also a context manager that starts and stops it."""

    def __init__(self, program: Path, inside: ProcessId, network: Network, cluster: Cluster, folder: Path) -> None:
        """Describe it; nothing runs yet. `inside` is the first process of the node, `folder` that of its cluster."""
        self._program = program
        self._inside = inside
        self._network = network
        self._cluster = cluster
        self._folder = folder
        self._running: RunningProcess | None = None

    @property
    def process(self) -> ProcessId | None:
        """The program; None where it does not run."""
        return first_child(self._running.id.pid) if self._running and self._running.alive else None

    def start(self) -> None:
        """Return when the program judges. Until then no new connection of a pod comes about.

        Raises `NodeNeedsError` where the kernel cannot give packets to a program.
        """
        try:
            self._put_rules()
            self._put_login()
            self.start_program()
        except BaseException:
            self.stop()
            raise

    def start_program(self) -> None:
        """Start the program, behind rules that are there already, and return when it judges."""
        # Nothing but the node itself reads its metrics.
        arguments = ("--hostname-override", NODE_NAME, "--nfqueue-id", str(QUEUE), "--metrics-bind-address", _METRICS)
        command = [*self._entering("--mount", "--net", "--pid"), self._program, *arguments]
        server = urlsplit(self._cluster.server)
        environment = {"KUBERNETES_SERVICE_HOST": str(self._network.host), "KUBERNETES_SERVICE_PORT": str(server.port)}
        running = spawn(PROGRAM, command, self._folder / "logs" / f"{PROGRAM}.log", environment)
        self._running = running
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_judging():
            if not running.alive or time.monotonic() > deadline:
                msg = f"{PROGRAM} does not judge packets. The end of {running.log}:\n{running.last_words()}"
                raise StartError(msg)
            time.sleep(_POLL_SECONDS)

    def stop_program(self) -> None:
        """End the program, and leave the rules: no new connection of a pod comes about any more."""
        running, self._running = self._running, None
        if running is None:
            return
        if (inside := first_child(running.id.pid) if running.alive else None) is not None:
            inside.send(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.handle.wait(_STOP_SECONDS)
            process.kill([inside])
        process.kill([running.id])
        running.handle.wait()

    def stop(self) -> None:
        """End the program, and take away rules, login and objects; nothing happens where there are none."""
        self.stop_program()
        # With the node's namespaces all of it is gone already.
        if not self._inside.alive:
            return
        for arguments in (("-D", "POSTROUTING", "-j", _CHAIN), ("-F", _CHAIN), ("-X", _CHAIN)):
            self._iptables(*arguments)
        shutil.rmtree(self._login, ignore_errors=True)
        admin = self._cluster.rest()
        for body in reversed(_objects()):
            admin.delete(body)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def _login(self) -> Path:
        return Path(f"/proc/{self._inside.pid}/root") / _LOGIN

    def _put_rules(self) -> None:
        queue = ("-j", "NFQUEUE", "--queue-num", str(QUEUE))
        pods = str(self._network.pods)
        # As the program's own: before the node gives a packet another source, and nothing that it sends itself, such as
        # a probe. Without a program at the queue the kernel drops: there is no `--queue-bypass`.
        rules = (
            ("-N", _CHAIN),
            ("-A", _CHAIN, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"),
            ("-A", _CHAIN, "-m", "owner", "--uid-owner", "0", "-j", "ACCEPT"),
            ("-A", _CHAIN, "-s", pods, *queue),
            ("-A", _CHAIN, "-d", pods, *queue),
            ("-A", "POSTROUTING", "-j", _CHAIN),
        )
        for rule in rules:
            answer = self._iptables(*rule)
            if answer.returncode != 0:
                msg = f"Enforced NetworkPolicies need a kernel for `iptables {' '.join(rule)}`: {answer.stderr.strip()}"
                raise NodeNeedsError(msg)
        if not self._queues.exists():
            raise NodeNeedsError(f"Enforced NetworkPolicies need a kernel with nfnetlink_queue: no {self._queues}")

    def _put_login(self) -> None:
        admin = self._cluster.rest()
        for body in _objects():
            applied = admin.apply(body, manager="localcluster", force=True)
            if not applied.ok:
                raise StartError(f"{body['kind']} {body['metadata']['name']}: {applied.message}")
        token = self._cluster.service_account_token(_NAMESPACE, PROGRAM, seconds=_TOKEN_SECONDS)
        self._login.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._login / "token").write_text(token, encoding="ascii")
        shutil.copyfile(Authority.at(self._folder / "pki", "ca").certificate, self._login / "ca.crt")

    @property
    def _queues(self) -> Path:
        return Path(f"/proc/{self._inside.pid}/net/netfilter/nfnetlink_queue")

    def _is_judging(self) -> bool:
        # A line for each queue that some process holds: its number comes first. By then it knows all objects.
        lines = self._queues.read_text(encoding="ascii").splitlines()
        return any(line.split()[0] == str(QUEUE) for line in lines)

    def _entering(self, *namespaces: str) -> list[str | Path]:
        return [str(find("nsenter")), "--target", str(self._inside.pid), *namespaces, "--"]

    def _iptables(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*self._entering("--net"), str(find("iptables")), "--wait", "--table", "mangle", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - iptables of this system


def _objects() -> tuple[dict[str, Any], ...]:
    """Return the account of the program and its rights, as its own manifests have them."""
    group = "rbac.authorization.k8s.io"
    watched = {"": ["pods", "namespaces", "nodes"], "networking.k8s.io": ["networkpolicies"]}
    rules = [{"apiGroups": [name], "resources": some, "verbs": ["list", "watch"]} for name, some in watched.items()]
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": PROGRAM}}
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": _NAMESPACE, "name": PROGRAM}},
        {**role, "rules": rules},
        {
            **role,
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": PROGRAM},
            "subjects": [{"kind": "ServiceAccount", "namespace": _NAMESPACE, "name": PROGRAM}],
        },
    )
