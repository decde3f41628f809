"""What an earlier demo left up: taken away only where nobody kept it, or somebody says so now.

Standing: below both demos. Holds: a cluster that KEEP=1 left, and one that still runs, perhaps for a demo in another
terminal, are never taken away without a word.
"""

import sys
from collections.abc import Callable
from typing import Final

from localcluster.clusters import NamedCluster
from localcluster.errors import LocalClusterError
from localcluster.progress import Progress

_KEPT: Final = "kept"


class KeptError(LocalClusterError):
    """There is a cluster that somebody may still want."""


def keep(named: NamedCluster) -> None:
    """Mark a cluster as one that somebody wants to keep."""
    (named.folder / _KEPT).touch()


def at_terminal() -> Callable[[str], str] | None:
    """Return what asks the person at the terminal; None where nobody is there."""
    return input if sys.stdin.isatty() and sys.stderr.isatty() else None


def clear_the_ground(
    named: NamedCluster, progress: Progress, *, ask: Callable[[str], str] | None, replace: bool = False
) -> None:
    """Take away what an earlier demo left. Raises `KeptError` where somebody may want it."""
    if not named.exists:
        return
    kept = (named.folder / _KEPT).exists()
    if (kept or named.is_up) and not replace:
        why = "an earlier demo left it up, as KEEP asked" if kept else "it is running"
        end = f"make cluster-down ARGS='--name {named.name}'"
        if ask is None:
            msg = f"There is a cluster {named.name!r} already: {why}. Stop it first: {end}"
            raise KeptError(msg)
        answer = ask(f"There is a cluster {named.name!r} already: {why}. Remove it, with its data? [y/N] ")
        if answer.strip().lower() not in {"y", "yes"}:
            msg = f"Cluster {named.name!r} is unchanged. To stop it: {end}"
            raise KeptError(msg)
    named.down(progress)
