"""What a machine must have for a node, beside what can be built.

Standing: asked before anything is built or touched; changes nothing, but for `install`, which a person asks for.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.errors import LocalClusterError
from localcluster.progress import Progress

# Where programs of the system lie that a user's PATH may lack.
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Where distributions put the CNI plugins.
CNI_FOLDERS: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS: Final = ("ptp", "host-local", "portmap", "loopback")


class NodeNeedsError(LocalClusterError):
    """This machine cannot run a node; the message says all that is missing."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the system, and the Debian package that has it."""

    name: str
    package: str


NODE: Final = (
    Program("runc", "runc"),
    Program("iptables", "iptables"),
    Program("ip", "iproute2"),
    Program("nsenter", "util-linux"),
    Program("unshare", "util-linux"),
    Program("mount", "mount"),
)
IMAGES: Final = (Program("buildah", "buildah"), Program("debootstrap", "debootstrap"))
ARGOCD: Final = (Program("redis-server", "redis-server"), Program("jq", "jq"))
"""jq: the tutorial that is typed with Argo CD types it."""
_CNI_PACKAGE: Final = "containernetworking-plugins"


def find(name: str) -> Path | None:
    """Return a program of the system."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    return Path(path) if path else None


def require(programs: tuple[Program, ...] = NODE, *, what: str = "A node") -> None:
    """Raise `NodeNeedsError` where this machine lacks anything of it."""
    if reasons := (*_of_the_system(), *_of_packages(programs), *_of_the_kernel()):
        lines = "\n".join(f"  - {reason}" for reason in reasons)
        packages = missing_packages(programs)
        cure = ""
        if packages:
            cure = f"\nOn Debian: apt-get install {' '.join(packages)}, or `python -m localcluster node-packages`."
        raise NodeNeedsError(f"{what} needs the following, which this machine lacks:\n{lines}{cure}")


def install(progress: Progress, programs: tuple[Program, ...] = (*NODE, *IMAGES), *, cni: bool = True) -> bool:
    """Install the Debian packages that are missing; False where none is. `NodeNeedsError` where it cannot be done."""
    packages = missing_packages(programs, cni=cni)
    if not packages:
        return False
    apt = find("apt-get")
    if reasons := (*_of_the_system(), *(() if apt else ("apt-get, to install packages",))):
        lines = "\n".join(f"  - {reason}" for reason in reasons)
        raise NodeNeedsError(f"{', '.join(packages)} cannot be installed here. This machine lacks:\n{lines}")
    with progress.step(f"Installing {', '.join(packages)} with apt-get"):
        _apt(str(apt), "update")
        _apt(str(apt), "install", "--yes", "--no-install-recommends", *packages)
    return True


def missing_packages(programs: tuple[Program, ...] = NODE, *, cni: bool = True) -> list[str]:
    """Return the Debian packages that would bring what is missing."""
    packages = [program.package for program in programs if find(program.name) is None]
    if cni and cni_folder() is None:
        packages.append(_CNI_PACKAGE)
    return sorted(set(packages))


def cni_folder() -> Path | None:
    """Return the folder in which all the CNI plugins are that a node uses."""
    return next((f for f in CNI_FOLDERS if all((f / name).is_file() for name in CNI_PLUGINS)), None)


def _of_the_system() -> tuple[str, ...]:
    if sys.platform != "linux":
        return (f"Linux: this is {sys.platform}",)
    return () if os.geteuid() == 0 else ("root: a node creates namespaces, mounts and cgroups",)


def _of_the_kernel() -> tuple[str, ...]:
    """Try what root in a container may not do."""
    unshare = find("unshare")
    if unshare is None or os.geteuid() != 0:
        return ()
    made = subprocess.run(  # noqa: S603 - a program of this system, with our own arguments
        [unshare, "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return () if made.returncode == 0 else (f"new namespaces: {made.stderr.strip()}",)


def _of_packages(programs: tuple[Program, ...]) -> tuple[str, ...]:
    absent = [program.name for program in programs if find(program.name) is None]
    if cni_folder() is None:
        absent.append(f"the CNI plugins {', '.join(CNI_PLUGINS)} in {' or '.join(map(str, CNI_FOLDERS))}")
    return tuple(absent)


def _apt(apt: str, *arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    answer = subprocess.run(  # noqa: S603 - the system's own installer, with names from the tables above
        [apt, "--quiet", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise NodeNeedsError(f"`apt-get {' '.join(arguments)}` failed: {answer.stderr.strip()[-1000:]}")
