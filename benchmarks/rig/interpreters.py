"""Interpreters: the checkout's Python, and an optimised one beside it, as the images have.

Standing: under `serve` and `enforcement`, which start a decision point by each. Holds: an optimised Python of the same
minor version imports the very packages of the checkout's environment; one of another version must bring its own.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.rig.servers import MissingError

VARIABLE: Final = "BENCH_PYTHON"
"""Names an optimised Python that is to be measured in place of the first that is found."""

_MINOR: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
# A distribution optimises without saying so, and is known by PEP 668; others say it in what they were configured by.
_LOOK: Final = """
import importlib.util, sys, sysconfig
from pathlib import Path
managed = (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists()
print(sys.version.split()[0])
print(managed or "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")))
print(importlib.util.find_spec("bailiwick_webhook") is not None)
"""


@dataclass(frozen=True, slots=True)
class Python:
    """How a process is started by an interpreter. `environment` None: that of the benchmark."""

    version: str
    command: tuple[str, ...]
    environment: Mapping[str, str] | None = None


CHECKOUT: Final = Python(sys.version.split()[0], (sys.executable,))


@dataclass(frozen=True, slots=True)
class _Seen:
    version: str
    optimised: bool
    has_packages: bool


def is_optimised() -> bool:
    """Tell whether the Python that runs the benchmark was built with optimisations."""
    return _look(sys.executable).optimised


def optimised(folder: Path) -> Python:
    """Return an optimised Python with the settings of the images. Raises `MissingError`, which says what there is.

    `folder` is for an environment that leads it to the packages of the checkout.
    """
    if is_optimised():
        raise MissingError(f"the checkout's Python {CHECKOUT.version} is itself an optimised build")
    met = []
    for program in _candidates():
        seen = _look(program)
        if not seen.optimised:
            met.append(f"{program} {seen.version} is not optimised")
        elif seen.has_packages:
            return _as_in_images(seen.version, program)
        elif not seen.version.startswith(_MINOR.removeprefix("python") + "."):
            met.append(f"{program} {seen.version} has no packages: pip install this checkout into an environment of it")
        else:
            return _as_in_images(seen.version, _environment(folder, program))
    why = "; ".join(met) or f"there is no {_MINOR} besides the checkout's"
    raise MissingError(f"no optimised Python: {why}. {VARIABLE}=... names one")


def _as_in_images(version: str, program: str) -> Python:
    return Python(version, (program,), {**os.environ, "PYTHONOPTIMIZE": "1"})


def _candidates() -> Iterator[str]:
    if named := os.environ.get(VARIABLE):
        yield named
        return
    own = Path(sys.base_prefix).resolve()
    for place in dict.fromkeys((*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin")):
        found = shutil.which(_MINOR, path=place)
        if found is not None and own not in Path(found).resolve().parents:
            yield found


def _look(program: str) -> _Seen:
    try:
        answer = subprocess.run(  # noqa: S603 - an interpreter that was found or named
            [program, "-c", _LOOK], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""}
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise MissingError(f"{program} is no Python that starts: {error}") from error
    version, built, packages = answer.stdout.split()
    return _Seen(version, built == "True", packages == "True")


def _environment(folder: Path, program: str) -> str:
    """Make an environment (PEP 405) of an interpreter, with the packages that this one has."""
    made = folder / "optimised"
    library = made / "lib" / _MINOR
    if not made.exists():
        library.mkdir(parents=True)
        (library / "site-packages").symlink_to(sysconfig.get_path("purelib"))
        (made / "bin").mkdir()
        (made / "bin" / "python").symlink_to(Path(program).resolve())
        (made / "pyvenv.cfg").write_text(f"home = {Path(program).resolve().parent}\n", encoding="utf-8")
    return str(made / "bin" / "python")
