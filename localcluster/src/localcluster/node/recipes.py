"""What of a node is built: apart from the control plane, so that its binaries stay as they are.

Standing: read by `build`. Each has a folder of its own; what Kubernetes' programs share with the control plane comes
out of Go's cache.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from localcluster import build, pins
from localcluster.build import GoRecipe, Recipe
from localcluster.progress import Progress

# Snapshotters that need a C compiler or a file system of their own.
_CONTAINERD_TAGS: Final = ("-tags", "no_btrfs,no_devmapper,no_zfs")


def recipes() -> tuple[Recipe, ...]:
    """Return everything that a node runs, and kubectl."""
    return (
        GoRecipe((pins.node(),), usual="usually one to two minutes on 2 cores, after the control plane"),
        GoRecipe((pins.containerd(),), usual="usually a minute", flags=_CONTAINERD_TAGS),
        GoRecipe((pins.coredns(),), usual="usually two minutes"),
        GoRecipe((pins.pause(),), usual="usually seconds"),
    )


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the built programs are: a folder for each recipe."""

    folders: tuple[Path, ...]

    @classmethod
    def ensure(cls, progress: Progress | None = None) -> Self:
        """Build what is not built yet."""
        return cls(tuple(build.ensure(recipe, progress) for recipe in recipes()))

    def path(self, name: str) -> Path:
        """Return a program by its name; `LookupError` where there is none of that name."""
        for folder in self.folders:
            if (folder / name).is_file():
                return folder / name
        msg = f"The program {name!r} is not built: no recipe of a node contains it."
        raise LookupError(msg)
