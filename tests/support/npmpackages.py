"""Packages of npm for tests, by a lock: installed once, into the user's cache.

Holds: the packages are those of the lock, by their hashes, without their scripts; what an interrupted installation left
is never taken for a whole one.
"""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

from localcluster.cache import builds_folder, locked

_INSTALL_SECONDS: Final = 300


def ensure(name: str, sources: Path) -> Path:
    """Return a folder with these files and the packages of their lock; skip the test where npm or Node is missing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm and Node are not on the PATH (Debian: apt install npm)")
    files = sorted(path for path in sources.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = builds_folder() / f"{name}-{digest}"
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            _install(npm, files, folder)
    return folder


def _install(npm: str, files: list[Path], folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".installing-", dir=folder.parent) as temporary:
        for file in files:
            shutil.copy(file, temporary)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        command = [npm, "ci", f"--prefix={temporary}", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
        if done.returncode != 0:
            pytest.fail(f"npm could not install {folder.name}: {done.stderr.strip()[-500:]}")
        shutil.copytree(temporary, folder, symlinks=True)
