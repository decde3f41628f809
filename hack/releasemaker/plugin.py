"""The command line as archives of krew: one for each platform, with everything that it needs but Python.

Standing: asks the package registry for wheels, by the hashes of the lock. Holds: what does not depend on the version of
Python lies there once; what does, lies there for each version that is named. A launcher finds a Python of one of these.
"""

import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from localcluster.cache import cache_folder
from releasemaker.archives import Entry, tar_gzip
from releasemaker.errors import ReleaseError
from releasemaker.source import Source, python
from releasemaker.sums import sha256

NAME: Final = "bailiwick"
# Those that distributions have: Debian 12, Ubuntu 24.04, Debian 13.
PYTHONS: Final = ("3.11", "3.12", "3.13")
_ANY: Final = "any"
# Those of the platform, in which all of what the lock pins has wheels.
_LINUX: Final = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
_PROGRAMS: Final = {"kubectl-bailiwick": "bailiwick_cli.main:main", "bailiwick": "bailiwick_cli.main:standalone"}
_LAUNCHER: Final = """\
#!/bin/sh
# Starts Bailiwick's command line with a Python that its libraries were packed for.
here=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
for python in ${{BAILIWICK_PYTHON:-{candidates}}}; do
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null) || continue
  if [ -d "$here/lib/$version" ]; then
    PYTHONPATH="$here/lib/$version:$here/lib/{any}" PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 \\
      exec "$python" -c 'import sys; sys.argv[0] = "{program}"; from {module} import {function}; {function}()' "$@"
  fi
done
echo "{program} needs Python {versions}. Install one, or set BAILIWICK_PYTHON to its path." >&2
exit 1
"""


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform as krew names it, and as wheels do."""

    system: str
    architecture: str
    tags: tuple[str, ...]

    @property
    def name(self) -> str:
        """As it stands in the names of files."""
        return f"{self.system}-{self.architecture}"


PLATFORMS: Final = (
    Platform("linux", "amd64", tuple(f"{tag}_x86_64" for tag in _LINUX)),
    Platform("linux", "arm64", tuple(f"{tag}_aarch64" for tag in _LINUX)),
)


def build(source: Source, wheel: Path, output: Path, address: str) -> list[Path]:
    """Write an archive for each platform, and the manifest, whose archives lie under an address.

    Returns their paths, the manifest last. Raises `ReleaseError` where a wheel is not to be had.
    """
    archives = {platform: _archive(source, wheel, output, platform) for platform in PLATFORMS}
    manifest = output / "bailiwick.krew.yaml"
    document = manifest_document(source.version, {one: (path, sha256(path)) for one, path in archives.items()}, address)
    manifest.write_text(yaml.safe_dump(document, sort_keys=False, width=120), encoding="utf-8")
    return [*archives.values(), manifest]


def manifest_document(version: str, archives: dict[Platform, tuple[Path, str]], address: str) -> dict[str, object]:
    """Return krew's manifest of a plugin; `archives` are path and hash for each platform."""
    platforms = [
        {
            "selector": {"matchLabels": {"os": platform.system, "arch": platform.architecture}},
            "uri": f"{address}/{path.name}",
            "sha256": digest,
            "bin": "kubectl-bailiwick",
        }
        for platform, (path, digest) in archives.items()
    ]
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": NAME},
        "spec": {
            "version": f"v{version}",
            "shortDescription": "Review approvals, ask policies, verify decisions",
            "description": (
                "The command line of Bailiwick, an authorization service for Kubernetes. It reviews requests for\n"
                "approval, tests and compares policies, says why a call was denied, and verifies decision logs.\n"
            ),
            "caveats": f"It needs Python {_listed()} on the PATH, or in BAILIWICK_PYTHON.\n",
            "platforms": platforms,
        },
    }


def launcher(program: str, target: str) -> str:
    """Return the script that starts a program."""
    module, _, function = target.partition(":")
    candidates = " ".join(["python3", *(f"python{version}" for version in reversed(PYTHONS))])
    parts = {"any": _ANY, "versions": _listed(), "module": module, "function": function, "program": program}
    return _LAUNCHER.format(candidates=candidates, **parts)


def _archive(source: Source, wheel: Path, output: Path, platform: Platform) -> Path:
    entries = {"LICENSE": Entry((source.folder / "LICENSE").read_bytes())}
    for program, target in _PROGRAMS.items():
        entries[program] = Entry(launcher(program, target).encode(), executable=True)
    entries |= _unpacked(wheel, _ANY)
    for version in PYTHONS:
        for each in _wheels(source, platform, version):
            # What is the same for all versions of Python lies there once.
            entries |= _unpacked(each, _ANY if each.stem.endswith("-none-any") else version)
    path = output / f"kubectl-bailiwick-{source.version}-{platform.name}.tar.gz"
    path.write_bytes(tar_gzip(entries, source.created))
    return path


def _unpacked(wheel: Path, folder: str) -> dict[str, Entry]:
    """Return what a wheel installs, below a folder of the libraries. Raises `ReleaseError` for anything beside it."""
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            top = member.filename.partition("/")[0]
            if top.endswith(".data"):
                raise ReleaseError(
                    f"{wheel.name} installs {member.filename}, for which an archive of krew has no place."
                )
            if not member.is_dir():
                executable = bool(member.external_attr >> 16 & 0o100)
                found[f"lib/{folder}/{member.filename}"] = Entry(archive.read(member), executable=executable)
    return found


def _wheels(source: Source, platform: Platform, version: str) -> list[Path]:
    """Return the wheels that the lock names for a platform, from this user's cache or from the registry."""
    lock = source.folder / "requirements" / "cli.txt"
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


def _listed() -> str:
    return f"{', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}"
