"""The folder of this user where everything lies that is dear to make again.

Standing: asked for paths only. Nothing of the test bed is ever written into the checkout.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_folder() -> Path:
    """`$BAILIWICK_CACHE`, else `bailiwick` under `$XDG_CACHE_HOME` or `~/.cache`."""
    if own := os.environ.get("BAILIWICK_CACHE"):
        return Path(own).absolute()
    # The XDG specification has a relative path ignored.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "bailiwick"


def builds_folder() -> Path:
    """Where built binaries and the toolchain are kept."""
    return cache_folder() / "localcluster"


def clusters_folder() -> Path:
    """Where clusters that outlive their command keep data, keys and logs."""
    return cache_folder() / "clusters"


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a lock that only one process has; `on_wait` is called once where another one has it now.

    The system gives the lock back when its holder dies, however it dies; the file itself stays.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
