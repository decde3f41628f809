"""The distribution of Python packages: wheel and source archive, by the build backend of the lock."""

from pathlib import Path

from releasemaker.errors import ReleaseError
from releasemaker.source import Source, python, run


def build(source: Source, output: Path) -> tuple[Path, Path]:
    """Write wheel and source archive into a folder; returns their paths. Raises `ReleaseError`."""
    run(python("hatchling", "build", "--directory", output), source)
    wheels, archives = sorted(output.glob("*.whl")), sorted(output.glob("*.tar.gz"))
    if len(wheels) != 1 or len(archives) != 1:
        raise ReleaseError(f"{output} was not empty, or the build wrote something else: {[*wheels, *archives]}")
    return wheels[0], archives[0]
