"""The ways by which a release is installed, upgraded and rolled back: manifests by kubectl, and the chart by Helm.

Standing: what docs/operations tells people to type, without the processes, which the tests start beside it. Holds: an
upgrade applies what the page says in the order that it says, and a roll back by hand goes the other way round.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from demo.ground import KUBECTL, output
from localcluster.access import Cluster

NAMESPACE: Final = "bailiwick-system"
RELEASE: Final = "bailiwick"
_SECONDS: Final = 120
_DEFINITIONS: Final = "crds"
_ROLES: Final = "crds/rbac"
_GUARDS: Final = "crds/guards"


class Way(Protocol):
    """A way to change what of a release stands in the cluster; folders are checkouts of a release."""

    def install(self, old: Path) -> None:
        """Install a release where none is."""

    def upgrade(self, new: Path) -> None:
        """Apply a newer release, before its processes start."""

    def begin_roll_back(self) -> None:
        """Do what comes before the older processes start."""

    def end_roll_back(self, old: Path, new: Path) -> None:
        """Do what comes after the older processes have started."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """The files of `crds/`, applied by kubectl."""

    cluster: Cluster

    def install(self, old: Path) -> None:
        """Apply definitions, roles and guards."""
        self._apply(_files(old, _DEFINITIONS))
        self._await_definitions(old)
        self._apply(_files(old, _ROLES))
        self._apply(_files(old, _GUARDS))

    def upgrade(self, new: Path) -> None:
        """Apply the accounts and definitions, roles and guards; none that there are is deleted."""
        self._apply([new / _ROLES / "accounts.yaml"])
        self._apply(_files(new, _DEFINITIONS))
        self._await_definitions(new)
        self._apply(_files(new, _ROLES))
        self._apply(_files(new, _GUARDS))

    def begin_roll_back(self) -> None:
        """Do nothing: the newer processes need the newer roles and definitions for as long as they run."""

    def end_roll_back(self, old: Path, new: Path) -> None:
        """Apply guards, roles and definitions of the older release, and delete those that it does not have."""
        self._apply(_files(old, _GUARDS))
        self._delete(_only_in(new, old, _GUARDS))
        self._apply(_files(old, _ROLES))
        self._apply(_files(old, _DEFINITIONS))
        self._delete(_only_in(new, old, _DEFINITIONS))

    def _apply(self, files: list[Path]) -> None:
        _kubectl(self.cluster, "apply", "--server-side", "--force-conflicts", *_named(files))

    def _delete(self, files: list[Path]) -> None:
        _kubectl(self.cluster, "delete", "--ignore-not-found", *_named(files))

    def _await_definitions(self, folder: Path) -> None:
        names = [f"crd/{file.stem}.bailiwick.dev" for file in _files(folder, _DEFINITIONS)]
        _kubectl(self.cluster, "wait", "--for=condition=Established", "--timeout=30s", *names)


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart, by Helm itself.

    The API server asks nobody about policies: its Service has no pods here, and would refuse each.
    """

    cluster: Cluster
    helm: Path

    def install(self, old: Path) -> None:
        """Install the chart."""
        self._helm("install", RELEASE, _chart(old), "--create-namespace", "--set=admission.enabled=false")

    def upgrade(self, new: Path) -> None:
        """Upgrade to another chart, with the values that were set."""
        self._helm("upgrade", RELEASE, _chart(new), "--reset-then-reuse-values")

    def begin_roll_back(self) -> None:
        """Roll back: Helm changes everything at once."""
        self._helm("rollback", RELEASE)

    def end_roll_back(self, old: Path, new: Path) -> None:
        """Delete the definitions that the older release does not have: Helm keeps them."""
        for file in _only_in(new, old, _DEFINITIONS):
            _kubectl(self.cluster, "delete", "--ignore-not-found", f"crd/{file.stem}.bailiwick.dev")

    def _helm(self, *arguments: str | Path) -> None:
        where = (f"--kubeconfig={self.cluster.admin_kubeconfig}", f"--namespace={NAMESPACE}")
        code, out, errors = output(self.helm, *map(str, arguments), *where, seconds=_SECONDS)
        assert code == 0, out + errors


def _files(folder: Path, below: str) -> list[Path]:
    return sorted((folder / below).glob("*.yaml"))


def _only_in(new: Path, old: Path, below: str) -> list[Path]:
    return [file for file in _files(new, below) if not (old / below / file.name).exists()]


def _named(files: list[Path]) -> list[str]:
    return [f"--filename={file}" for file in files]


def _chart(folder: Path) -> Path:
    return folder / "charts" / "bailiwick"


def _kubectl(cluster: Cluster, *arguments: str) -> None:
    code, out, errors = output(KUBECTL, f"--kubeconfig={cluster.admin_kubeconfig}", *arguments, seconds=_SECONDS)
    assert code == 0, out + errors
