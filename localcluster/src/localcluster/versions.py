"""Which Kubernetes the API servers of this run are: one of the pinned versions, or an earlier one that is emulated.

Standing: read by `build` (which binaries), `components` (which flags) and whatever depends on the version. Holds: the
variable `KUBERNETES` alone chooses, and a word of it that names no version is refused before anything is built.
"""

import os
from dataclasses import dataclass
from typing import Final

from localcluster import pins
from localcluster.errors import VersionError

KUBERNETES: Final = "KUBERNETES"
"""The variable: `1.36` for the programs of that version, `1.36-emulated` for an API server that behaves as it."""
_EMULATED: Final = "-emulated"


@dataclass(frozen=True, slots=True)
class KubernetesVersion:
    """A minor version, such as `1.36`.

    `pinned` is the patch release whose programs run. Emulated, those are of the newest version, and its API server
    serves the APIs, feature gates and CEL of the minor version, by its own code (KEP-4330).
    """

    minor: str
    pinned: str
    emulated: bool = False

    @property
    def word(self) -> str:
        """What the variable says to choose it."""
        return f"{self.minor}{_EMULATED if self.emulated else ''}"

    @property
    def is_newest(self) -> bool:
        """Whether it is the version that is pinned for everything, and not an earlier one."""
        return self.minor == newest().minor

    @property
    def module(self) -> pins.Module:
        """The pins of its programs."""
        return pins.kubernetes() if self.is_newest or self.emulated else pins.kubernetes(self.minor)


def newest() -> KubernetesVersion:
    """Return the version that runs where the variable chooses none."""
    return _pinned(pins.kubernetes())


def choices() -> tuple[KubernetesVersion, ...]:
    """Return every version that the variable can choose, the newest first."""
    real = (newest(), *(_pinned(pins.kubernetes(minor)) for minor in pins.EARLIER_KUBERNETES))
    return (*real, *(KubernetesVersion(one.minor, real[0].pinned, emulated=True) for one in real[1:]))


def chosen() -> KubernetesVersion:
    """Return the version that the variable chooses; `VersionError` where it says something else."""
    word = os.environ.get(KUBERNETES, "")
    if not word:
        return newest()
    offered = {one.word: one for one in choices()}
    if word not in offered:
        msg = f"{KUBERNETES}={word}: there is no such version here. Choose one of {', '.join(offered)}."
        raise VersionError(msg)
    return offered[word]


def require_newest(what: str) -> None:
    """Raise `VersionError` where another version is chosen, for `what` there are no other programs."""
    version = chosen()
    if not version.is_newest:
        only = newest()
        msg = f"{KUBERNETES}={version.word}: {what} is of Kubernetes {only.pinned} only. Unset {KUBERNETES}."
        raise VersionError(msg)


def _pinned(module: pins.Module) -> KubernetesVersion:
    release = module.version_of(pins.KUBERNETES)
    return KubernetesVersion(release.removeprefix("v").rpartition(".")[0], release)
