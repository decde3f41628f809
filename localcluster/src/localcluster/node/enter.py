"""The way into a node's namespaces: joins its control groups, then becomes `unshare`, which starts `init` inside.

Standing: run as `python -m localcluster.node.enter NAME FOLDER`, twice: the second time in a view of the control groups
whose root is the node's. Imports only the standard library. Who ends this process ends the node: `unshare` has the
kernel kill `init` when it dies itself, and with `init` goes everything that runs inside.
"""

import os
import shutil
import sys
from typing import Final

from localcluster.node import cgroups

_INSIDE: Final = "--inside"
# Mounts, network, processes, names: everything but users.
_NAMESPACES: Final = ("--mount", "--net", "--pid", "--ipc", "--uts", "--mount-proc", "--fork", "--kill-child")


def main(arguments: list[str]) -> None:
    """Replace this process; does not return."""
    unshare = shutil.which("unshare") or "/usr/bin/unshare"
    *flags, name, folder = arguments
    this = [sys.executable, "-m"]
    if _INSIDE not in flags:
        cgroups.enter(name)
        os.execv(unshare, [unshare, "--cgroup", *this, "localcluster.node.enter", _INSIDE, name, folder])  # noqa: S606
    cgroups.enter_leaf(name)
    os.execv(unshare, [unshare, *_NAMESPACES, *this, "localcluster.node.init", folder])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
