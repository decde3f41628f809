"""The commit that a release is made from, as a folder of its own that holds nothing else.

Standing: the first step; all others read this folder, and none the checkout. Holds: the version of a release is the one
that the commit states, in each of its files; the time of everything in a release is the time of the commit.
"""

import io
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from releasemaker.errors import ReleaseError

CHART: Final = Path("charts", "bailiwick")
_DOCKERFILES: Final = ("webhook", "operator", "cli", "sdk")
# Git's own variables, by which a hook or a rebase would name another repository.
_NOT_OURS: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


@dataclass(frozen=True, slots=True)
class Source:
    """A commit, unpacked: its folder, its version, its hash, and when it was committed, in seconds since 1970."""

    folder: Path
    version: str
    commit: str
    created: int


def export(checkout: Path, version: str, folder: Path) -> Source:
    """Unpack the commit of a clean checkout into an empty folder.

    Raises `ReleaseError` where the checkout has changes, or where the commit is not of this version.
    """
    changes = git(checkout, "status", "--porcelain").decode()
    if changes:
        raise ReleaseError(f"The checkout has changes that no commit has. Commit or remove them first:\n{changes}")
    commit = git(checkout, "rev-parse", "HEAD").decode().strip()
    created = int(git(checkout, "show", "--no-patch", "--format=%ct", commit))
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(git(checkout, "archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")
    for path, stated in stated_versions(folder).items():
        if stated != version:
            raise ReleaseError(f"{path} says {stated}, and the release is to be {version}: change the file and commit.")
    return Source(folder, version, commit, created)


def stated_versions(folder: Path) -> dict[str, str]:
    """Return the version that each file of a checkout states, by its path."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((folder / CHART / "Chart.yaml").read_text(encoding="utf-8"))
    found = {
        "pyproject.toml": project["version"],
        f"{CHART}/Chart.yaml, version": chart["version"],
        f"{CHART}/Chart.yaml, appVersion": chart["appVersion"],
    }
    for name in _DOCKERFILES:
        text = (folder / name / "Dockerfile").read_text(encoding="utf-8")
        stated = re.search(r"^ARG VERSION=(\S+)$", text, re.MULTILINE)
        found[f"{name}/Dockerfile"] = stated[1] if stated else "no version"
    return found


def run(command: list[str | Path], source: Source, **more: str) -> None:
    """Run a program in the folder of a source, at the time of its commit. Raises `ReleaseError` with its output."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source.created), **more}
    answer = subprocess.run(  # noqa: S603 - programs of ours, with our own arguments
        command, cwd=source.folder, env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise ReleaseError(f"{Path(command[0]).name} failed: {(answer.stderr or answer.stdout).strip()[-1500:]}")


def python(*arguments: str | Path) -> list[str | Path]:
    """Return the command that runs a module of the environment for development."""
    return [sys.executable, "-P", "-m", *arguments]


def git(checkout: Path, *arguments: str) -> bytes:
    """Run git in a checkout; returns what it printed. Raises `ReleaseError` with its error."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    command = ["git", "-c", f"safe.directory={checkout.resolve()}", *arguments]
    try:
        answer = subprocess.run(  # noqa: S603 - git, with our own arguments
            command, cwd=checkout, env=environment, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise ReleaseError("A release needs git, and there is none on the PATH.") from error
    if answer.returncode != 0:
        raise ReleaseError(f"A release needs a checkout made by git: {answer.stderr.decode().strip()}")
    return answer.stdout
