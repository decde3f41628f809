"""What the node's programs are told: their configuration files, and their command lines.

Standing: pure; turns addresses and paths into text. All paths are those inside the node's file system, where the
cluster's folder is `init.INSIDE`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from localcluster.node.init import INSIDE
from localcluster.node.network import Network
from localcluster.node.recipes import Programs

NODE_NAME: Final = "node"
FOLDER: Final = INSIDE / "node"
# Whom containerd trusts as a registry: a folder for each, read anew for each pull.
REGISTRIES: Final = "registries"
CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"
PAUSE_IMAGE: Final = "localhost/bailiwick-pause:1"
DNS_PORT: Final = 53
_DNS_READY_PORT: Final = 8181


def containerd(runc: Path, cni: Path) -> str:
    """Return containerd's configuration, version 3."""
    return f"""\
version = 3
root = "{FOLDER}/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "{FOLDER / REGISTRIES}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  # Where the machine lacks CAP_SYS_RESOURCE, runc could not start a container that asks for a better score.
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{cni}"]
  conf_dir = "{FOLDER}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = false
"""


def cni(network: Network) -> str:
    """Return the network of pods: each has a link of its own to the node, which routes between them.

    Not a bridge: between two pods on one bridge an answer of a Service would go back past the node, and past the rules
    that translate it, unless the kernel has a module that not every kernel has.
    """
    ipam = {
        "type": "host-local",
        "dataDir": "/run/cni-addresses",
        "ranges": [[{"subnet": str(network.pods)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [{"type": "ptp", "ipam": ipam}, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}, indent=2)


def kubelet(network: Network) -> str:
    """Return kubelet's configuration."""
    return _object(
        "kubelet.config.k8s.io/v1beta1",
        "KubeletConfiguration",
        {
            "address": str(network.node),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(INSIDE / "pki" / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(INSIDE / "pki" / "kubelet-serving.crt"),
            "tlsPrivateKeyFile": str(INSIDE / "pki" / "kubelet-serving.key"),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "clusterDomain": "cluster.local",
            "clusterDNS": [str(network.dns_service)],
            "resolvConf": str(FOLDER / "resolv.conf"),
            "podLogsDir": "/var/log/pods",
            "volumePluginDir": str(FOLDER / "volume-plugins"),
            # Both versions of control groups, and no limits on pods as a whole.
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "localStorageCapacityIsolation": False,
            "failSwapOn": False,
            # A full disk of this machine is no reason to throw pods or images out.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        },
    )


def kube_proxy(network: Network) -> str:
    """Return kube-proxy's configuration."""
    return _object(
        "kubeproxy.config.k8s.io/v1alpha1",
        "KubeProxyConfiguration",
        {
            "hostnameOverride": NODE_NAME,
            "bindAddress": str(network.node),
            "clientConnection": {"kubeconfig": str(FOLDER / "kube-proxy.kubeconfig")},
            "mode": "iptables",
            "clusterCIDR": str(network.pods),
            # The limits of connection tracking are the machine's.
            "conntrack": {"maxPerCore": 0, "min": 0},
            "iptables": {"minSyncPeriod": "0.1s"},
        },
    )


def coredns(network: Network) -> str:
    """Return the Corefile: the names of this cluster, and no others."""
    return f"""\
. {{
    bind {network.node}
    errors
    ready {network.node}:{_DNS_READY_PORT}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {FOLDER}/coredns.kubeconfig
        pods verified
        ttl 5
    }}
}}
"""


def plan(network: Network, programs: Programs) -> str:
    """Return what `init` runs."""
    folders = ":".join(str(folder) for folder in programs.folders)
    environment = {
        "PATH": f"{folders}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(FOLDER),
    }
    scheduler = str(FOLDER / "kube-scheduler.kubeconfig")
    commands = {
        "containerd": ["--config", str(FOLDER / "containerd.toml")],
        "kubelet": [
            *("--config", str(FOLDER / "kubelet.json"), "--kubeconfig", str(FOLDER / "kubelet.kubeconfig")),
            *("--root-dir", str(FOLDER / "kubelet"), "--cert-dir", str(FOLDER / "kubelet" / "pki")),
            *("--hostname-override", NODE_NAME, "--node-ip", str(network.node)),
        ],
        "kube-proxy": ["--config", str(FOLDER / "kube-proxy.json")],
        "kube-scheduler": [
            *("--kubeconfig", scheduler, "--authentication-kubeconfig", scheduler),
            *("--authorization-kubeconfig", scheduler, "--leader-elect=false", "--secure-port", "0"),
        ],
        "coredns": ["-conf", str(FOLDER / "Corefile"), "-dns.port", str(DNS_PORT)],
    }
    entries = [
        {"name": name, "command": [str(programs.path(name)), *arguments], "environment": environment}
        for name, arguments in commands.items()
    ]
    return json.dumps(entries, indent=2)


def objects(network: Network) -> tuple[dict[str, Any], ...]:
    """Return what the cluster is told about its node: who may call it, and where the DNS is."""
    dns = {"namespace": "kube-system", "name": "kube-dns"}
    ports = [{"name": name, "protocol": protocol, "port": DNS_PORT} for name, protocol in _DNS_PORTS.items()]
    return (
        _binding("system:coredns", "system:coredns"),
        # The API server asks kubelet for logs, and runs commands in pods, in the name of whoever asked it.
        _binding("bailiwick:kubelet-api", "kube-apiserver-kubelet-client", role="system:kubelet-api-admin"),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                _watch("", "endpoints", "services", "pods", "namespaces"),
                _watch("discovery.k8s.io", "endpointslices"),
            ],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**dns, "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": str(network.dns_service), "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**dns, "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [str(network.node)], "conditions": {"ready": True}}],
        },
    )


_DNS_PORTS: Final = {"dns": "UDP", "dns-tcp": "TCP"}


def _binding(name: str, user: str, role: str | None = None) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role or name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }


def _watch(group: str, *resources: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": ["list", "watch"]}


def _object(version: str, kind: str, content: Mapping[str, Any]) -> str:
    return json.dumps({"apiVersion": version, "kind": kind, **content}, indent=2)
