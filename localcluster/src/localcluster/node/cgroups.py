"""The control groups of a node: one folder in each hierarchy, below which all its containers lie.

Standing: imports only the standard library, since `enter` runs on it alone. Version 1 (a hierarchy for each
controller), version 2 (one for all) and the two side by side. A group can be removed once no process is in it.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
# With version 2 a group that hands controllers on has no processes of its own: those of the node go here.
LEAF: Final = "processes"
_REMOVE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A hierarchy and where a process is in it. Version 2 names no controllers."""

    controllers: str
    mount: Path
    group: str


def hierarchies() -> list[Hierarchy]:
    """Return those that are mounted here."""
    found = []
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, group = line.split(":", 2)
        if (mounted := _mount_of(controllers)) is not None:
            root, mount = mounted
            # In a container the hierarchy may be mounted from the container's group on.
            found.append(Hierarchy(controllers, mount, group.removeprefix(root.rstrip("/"))))
    return found


def is_unified() -> bool:
    """Whether version 2 has the controllers."""
    return (ROOT / "cgroup.controllers").exists()


def enter(name: str) -> None:
    """Put this process into a group of that name, below its own; with version 2 below the root."""
    for hierarchy in hierarchies():
        group = _group(hierarchy, name)
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # A new group of version 1 has none, and takes no process without.
            with contextlib.suppress(FileNotFoundError):
                (group / setting).write_text((group.parent / setting).read_text(encoding="ascii"), encoding="ascii")
        (group / "cgroup.procs").write_text("0", encoding="ascii")


def enter_leaf(name: str) -> None:
    """With version 2: go one deeper, and hand all controllers on to the groups beside."""
    if not is_unified():
        return
    group = ROOT / name
    (group / LEAF).mkdir(exist_ok=True)
    (group / LEAF / "cgroup.procs").write_text("0", encoding="ascii")
    for controller in (group / "cgroup.controllers").read_text(encoding="ascii").split():
        (group / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")


def groups(name: str) -> list[Path]:
    """Return where `enter` makes the groups of that name, when started from this process."""
    return [_group(hierarchy, name) for hierarchy in hierarchies()]


def remove(folders: list[Path]) -> None:
    """Remove these groups and those below, as soon as their processes are gone."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    for folder in folders:
        while folder.is_dir() and time.monotonic() < deadline:
            for group in _deepest_first(folder):
                # The last of a killed process leave a moment after it is gone.
                with contextlib.suppress(OSError):
                    group.rmdir()
            if folder.is_dir():
                time.sleep(0.02)


def _group(hierarchy: Hierarchy, name: str) -> Path:
    if hierarchy.controllers == "" and is_unified():
        return hierarchy.mount / name
    return hierarchy.mount / hierarchy.group.lstrip("/") / name


def _deepest_first(folder: Path) -> Iterator[Path]:
    for child in sorted(folder.iterdir()):
        if child.is_dir():
            yield from _deepest_first(child)
    yield folder


def _mount_of(controllers: str) -> tuple[str, Path] | None:
    """Return from which group on a hierarchy is mounted, and where, by the kernel's own table."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, mount = before.split(" ")[3:5]
        if not controllers and kind == "cgroup2":
            return root, Path(mount)
        if controllers and kind == "cgroup" and set(controllers.split(",")) <= set(options.split(",")):
            return root, Path(mount)
    return None
