"""The command line as archives of krew: one for each platform, with everything that it needs but Python.

Standing: asks the package registry for wheels, by the hashes of the lock. Holds: what does not depend on the version of
Python lies there once; what does, lies there for each version that is named. A launcher finds a Python of one of these.
"""

from pathlib import Path
from typing import Final

import yaml

from releasemaker import wheels
from releasemaker.archives import Entry, tar_gzip
from releasemaker.source import Source
from releasemaker.sums import sha256
from releasemaker.wheels import AMD64, ARM64, Platform

NAME: Final = "bailiwick"
# Those that distributions have: Debian 12, Ubuntu 24.04, Debian 13.
PYTHONS: Final = ("3.11", "3.12", "3.13")
_ANY: Final = "any"
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


PLATFORMS: Final = (AMD64, ARM64)


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
    entries |= _libraries(wheel, _ANY)
    for version in PYTHONS:
        for each in wheels.fetch(source.folder / "requirements" / "cli.txt", platform, version):
            # What is the same for all versions of Python lies there once.
            entries |= _libraries(each, _ANY if each.stem.endswith("-none-any") else version)
    path = output / f"kubectl-bailiwick-{source.version}-{platform.name}.tar.gz"
    path.write_bytes(tar_gzip(entries, source.created))
    return path


def _libraries(wheel: Path, folder: str) -> dict[str, Entry]:
    return {f"lib/{folder}/{name}": entry for name, entry in wheels.unpack(wheel).items()}


def _listed() -> str:
    return f"{', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}"
