"""The base of the images: a small Debian, of which nothing tells where and when it was made.

Standing: under `images`, which puts the tree into its store. Holds: two trees of the same versions of Debian's packages
have the same files, so what is built on them can be built again elsewhere, to the byte; no file of one lends its
owner's rights.
"""

import shutil
import stat
from pathlib import Path
from typing import Final

SUITE: Final = "bookworm"
PACKAGES: Final = "ca-certificates,python3-venv"
# The time of every file: the earliest that an archive in ZIP's form can state, 1980.
CREATED: Final = 315532800
# Where packages lie that were got.
ARCHIVES: Final = "var/cache/apt/archives"
# Downloads, lists and logs; and the backups that tools of Debian make when they change a file.
_EMPTIED: Final = ("var/cache", "var/lib/apt/lists", "var/log", "run", "tmp")
_REMOVED: Final = (
    *("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock"),
    *("var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old"),
    # Where this machine got the packages from.
    "etc/apt/sources.list",
)
# What starts as its owner or its group, whoever starts it: `su`, `passwd` and the like, which no image of ours runs.
LENT_RIGHTS: Final = stat.S_ISUID | stat.S_ISGID
# debootstrap copies those of this machine. A node mounts a pod's own over them.
_BLANK: Final = ("etc/hostname", "etc/resolv.conf")


def command(debootstrap: str, tree: Path, mirror: str | None) -> list[str]:
    """Return the command that makes the tree; without a mirror, debootstrap has its own."""
    words = [debootstrap, "--variant=minbase", f"--include={PACKAGES}", SUITE, str(tree)]
    return [*words, mirror] if mirror else words


def packages_command(debootstrap: str, folder: Path, architecture: str, mirror: str | None) -> list[str]:
    """Return the command that gets the packages of the tree for another architecture, verified as for the tree.

    Nothing is unpacked. They lie in `ARCHIVES` of the folder.
    """
    first, *words = command(debootstrap, folder, mirror)
    return [first, f"--arch={architecture}", "--download-only", *words]


def settle(tree: Path) -> None:
    """Take out of a tree what depends on this machine or on this day, and what lends rights."""
    for name in _EMPTIED:
        mode = (tree / name).stat().st_mode & 0o7777
        shutil.rmtree(tree / name)
        (tree / name).mkdir()
        (tree / name).chmod(mode)
    for name in _REMOVED:
        (tree / name).unlink(missing_ok=True)
    for name in _BLANK:
        (tree / name).write_text("")
    for path in tree.rglob("*"):
        mode = path.lstat().st_mode
        # On a folder, what is made in it would get its group. A link has no mode of its own.
        if mode & LENT_RIGHTS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~LENT_RIGHTS)
    # Compiled modules hold the times of their sources. The images have their own, and Python's own image has none.
    for folder in [*tree.rglob("__pycache__")]:
        shutil.rmtree(folder)
    shadow = tree / "etc" / "shadow"
    # The third field is the day of the last change. Empty, no account of these, which have no password, ever ages.
    lines = [line.split(":") for line in shadow.read_text().splitlines()]
    shadow.write_text("".join(":".join([*fields[:2], "", *fields[3:]]) + "\n" for fields in lines))
