"""The releases before this one, by the commits that they were made from, with an environment for their programs.

Standing: beside `source`, for the tests of an upgrade. Holds: what is prepared has the files of that commit alone, the
packages that its own locks name, and nothing of the checkout.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.cache import cache_folder, locked
from releasemaker import packages
from releasemaker.errors import ReleaseError
from releasemaker.source import Source, git

FILE: Final = Path("hack", "releases.toml")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+")
# What the images of a release have, all in one environment.
_LOCKS: Final = ("webhook", "operator", "cli")
_FILES: Final = "files"
_ENVIRONMENT: Final = "environment"


@dataclass(frozen=True, slots=True)
class NamedRelease:
    """A release, by its version and its commit."""

    version: str
    commit: str


@dataclass(frozen=True, slots=True)
class PreparedRelease:
    """A release whose files are in a folder, and whose modules this Python runs."""

    name: NamedRelease
    files: Path
    python: Path


def read(checkout: Path) -> tuple[NamedRelease, ...]:
    """Return the releases that a checkout names, the oldest first. Raises `ReleaseError`."""
    text = (checkout / FILE).read_text(encoding="utf-8")
    rows = [(str(row.get("version")), str(row.get("commit"))) for row in tomllib.loads(text).get("release", ())]
    for version, commit in rows:
        if not _VERSION.fullmatch(version) or not _COMMIT.fullmatch(commit):
            raise ReleaseError(f"{FILE}: {version}, {commit}: write a version like 0.1.0 and a commit in full.")
    versions = [tuple(map(int, version.split("."))) for version, _ in rows]
    if not rows or versions != sorted(set(versions)):
        raise ReleaseError(f"{FILE}: name each release once, the newest last.")
    return tuple(NamedRelease(version, commit) for version, commit in rows)


def prepare(checkout: Path, release: NamedRelease) -> PreparedRelease:
    """Return a release with its files and its environment, which are kept. Raises `ReleaseError`."""
    kept = cache_folder() / "releases" / f"{release.commit}-{sys.implementation.cache_tag}"
    with locked(kept.with_suffix(".lock")):
        if not kept.is_dir():
            making = kept.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            _unpack(checkout, release, making / _FILES)
            _install(release, making)
            making.rename(kept)
    return PreparedRelease(release, kept / _FILES, kept / _ENVIRONMENT / "bin" / "python")


def _unpack(checkout: Path, release: NamedRelease, folder: Path) -> None:
    try:
        content = git(checkout, "archive", "--format=tar", release.commit)
    except ReleaseError as error:
        message = f"{release.version} is commit {release.commit}, which is not here: run git fetch --unshallow. {error}"
        raise ReleaseError(message) from error
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")


def _install(release: NamedRelease, folder: Path) -> None:
    files, environment = folder / _FILES, folder / _ENVIRONMENT
    wheel, _ = packages.build(Source(files, release.version, release.commit, 0), folder / "dist")
    # Relocatable, since it is moved into its place when it is whole.
    _uv("venv", "--relocatable", "--python", sys.executable, environment)
    install = ("pip", "install", "--python", environment / "bin" / "python")
    locks = [part for name in _LOCKS for part in ("--requirement", files / "requirements" / f"{name}.txt")]
    _uv(*install, "--require-hashes", *locks)
    _uv(*install, "--no-deps", "--offline", wheel)


def _uv(*arguments: str | Path) -> None:
    command = [Path(sys.executable).parent / "uv", "--quiet", *arguments]
    # Its own settings alone decide which environment is meant.
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PYTHON"}}
    answer = subprocess.run(  # noqa: S603 - a program of the lock, with our own arguments
        command, env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise ReleaseError(f"uv {arguments[0]} failed: {answer.stderr.strip()[-1500:]}")
