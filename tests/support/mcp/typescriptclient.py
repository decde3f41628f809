"""The official TypeScript SDK of MCP as a client: one call by a program of its own.

Standing: beside `modernclients`. Holds: its packages are those of the lock, by their hashes, without their scripts; npm
is asked for them once for each lock, into the user's cache.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import pytest

from localcluster.cache import builds_folder, locked

_SOURCES: Final = Path(__file__).parent / "typescript"
_FILES: Final = ("package.json", "package-lock.json", "client.mjs")
_INSTALL_SECONDS: Final = 300


def ensure() -> Path:
    """Return the program, and install its packages if need be; skip the test where npm or Node is missing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm and Node are not on the PATH (Debian: apt install npm)")
    digest = hashlib.sha256(b"".join((_SOURCES / name).read_bytes() for name in _FILES)).hexdigest()[:16]
    folder = builds_folder() / f"mcp-typescript-{digest}"
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            _install(npm, folder)
    return folder / "client.mjs"


def _install(npm: str, folder: Path) -> None:
    # Under another name first: what an interrupted installation left is never taken for a whole one.
    with tempfile.TemporaryDirectory(prefix=".installing-", dir=folder.parent) as temporary:
        for name in _FILES:
            shutil.copy(_SOURCES / name, temporary)
        command = [
            npm,
            "ci",
            f"--prefix={temporary}",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
        if done.returncode != 0:
            pytest.skip(f"npm could not install the TypeScript SDK: {done.stderr.strip()[-500:]}")
        shutil.copytree(temporary, folder, symlinks=True)


def call(program: Path, *urls: str, token: str, tool: str, link: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as the program has them
    """Make a call by any of several servers. `link`: what the client's user does with one; None: it declares none."""
    said = json.dumps({"urls": urls, "token": token, "tool": tool, "link": link, **more})
    done = subprocess.run(["node", str(program), said], capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
