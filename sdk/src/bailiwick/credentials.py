"""The application's own token, and the authority of the decision point: files that change while the process runs.

Holds: what is read is what stands in the file now, since projected tokens are replaced long before they end; a file
that cannot be read is an error that becomes a denial, never an old value.
"""

import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

# Where docs/operations/install.md mounts the projected token for the audience `bailiwick`.
TOKEN_PATH: Final = Path("/var/run/secrets/bailiwick/token")

Stamp = tuple[int, int, int]


class ServiceAccountFile:
    """A projected service-account token. Calling it returns the token of now. Raises `OSError`, `ValueError`."""

    def __init__(self, path: Path | str = TOKEN_PATH) -> None:
        """Remember the path; the file is read when the token is asked for."""
        self._path = Path(path)
        self._held: tuple[Stamp, str] | None = None

    def __call__(self) -> str:
        """Return the token of now."""
        stamp = stamp_of(self._path)
        held = self._held
        if held is not None and held[0] == stamp:
            return held[1]
        token = self._path.read_text(encoding="ascii").strip()
        if not token or not token.isprintable() or " " in token:
            raise ValueError(f"{self._path} holds no token")
        self._held = (stamp, token)
        return token


class TrustFile:
    """A context for TLS that trusts a file's certificates, made again when the file changes. Raises `OSError`."""

    def __init__(self, path: Path | str) -> None:
        """Remember the path."""
        self._path = Path(path)
        self._lock = threading.Lock()
        self._held: tuple[Stamp, ssl.SSLContext] | None = None

    def __call__(self) -> ssl.SSLContext:
        """Return the context of now."""
        stamp = stamp_of(self._path)
        with self._lock:
            if self._held is None or self._held[0] != stamp:
                self._held = (stamp, ssl.create_default_context(cafile=str(self._path)))
            return self._held[1]


def stamp_of(path: Path) -> Stamp:
    """Return what changes with a file. A projected volume swaps a link, so the inode tells too."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


TokenSource = Callable[[], str]
