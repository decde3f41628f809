"""Wheels of what a lock pins, for a platform that need not be this machine's.

Standing: asks the package registry, by the hashes of the lock; runs nothing of what it gets. What was got once lies in
this user's cache, under the hash of the lock.
"""

import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.cache import cache_folder
from releasemaker.archives import Entry
from releasemaker.errors import ReleaseError
from releasemaker.source import python
from releasemaker.sums import sha256

# What pip asks for on a system whose glibc is 2.34, in its order: 2.17 is manylinux2014, and the locks need none older.
_LINUX: Final = (*(f"manylinux_2_{minor}" for minor in range(34, 16, -1)), "manylinux2014")


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform as krew and OCI name it, and as wheels do."""

    system: str
    architecture: str
    tags: tuple[str, ...]

    @property
    def name(self) -> str:
        """As it stands in the names of files."""
        return f"{self.system}-{self.architecture}"


AMD64: Final = Platform("linux", "amd64", tuple(f"{tag}_x86_64" for tag in _LINUX))
ARM64: Final = Platform("linux", "arm64", tuple(f"{tag}_aarch64" for tag in _LINUX))


def fetch(lock: Path, platform: Platform, version: str) -> list[Path]:
    """Return the wheels that a lock names for a platform and a version of Python, from the cache or from the registry.

    Raises `ReleaseError` where one is not to be had.
    """
    folder = cache_folder() / "wheels" / sha256(lock)[:16] / f"{platform.name}-{version}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".downloading-", dir=folder.parent))
        try:
            _pip("download", "--require-hashes", "--dest", temporary, *_for(platform, version), "--requirement", lock)
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return sorted(folder.glob("*.whl"))


def unpack(wheel: Path) -> dict[str, Entry]:
    """Return what a wheel installs among libraries. Raises `ReleaseError` for anything that belongs elsewhere."""
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            top = member.filename.partition("/")[0]
            if top.endswith(".data"):
                raise ReleaseError(f"{wheel.name} installs {member.filename}, which has no place among libraries.")
            if not member.is_dir():
                executable = bool(member.external_attr >> 16 & 0o100)
                found[member.filename] = Entry(archive.read(member), executable=executable)
    return found


def _for(platform: Platform, version: str) -> list[str]:
    tags = [f"--platform={tag}" for tag in platform.tags]
    compact = version.replace(".", "")
    # Wheels of the stable interface name the version that they were made with, which is often an older one.
    abis = ("--implementation=cp", f"--abi=cp{compact}", "--abi=abi3", "--abi=none")
    return ["--no-deps", "--only-binary=:all:", f"--python-version={version}", *tags, *abis]


def _pip(*arguments: str | Path) -> None:
    command = python("pip", "--quiet", "--disable-pip-version-check", *arguments)
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own pip
    if answer.returncode != 0:
        raise ReleaseError(f"pip {arguments[0]} failed: {(answer.stderr or answer.stdout).strip()[-1500:]}")
