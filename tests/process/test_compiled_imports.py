"""What an image has compiled depends on the sources alone, and not on the time at which they were installed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).parents[2] / "hack" / "image" / "compile_imports.py"
FILES: Final = {
    "program/__init__.py": "",
    # As libraries try what may not be there.
    "program/main.py": "import contextlib\nwith contextlib.suppress(ImportError):\n    import optional\nimport whole\n",
    "optional.py": "value = 1\nimport no_such_module\n",
    "whole.py": "value = 2\n",
}


def compiled(folder: Path, installed: int) -> dict[str, bytes]:
    library, cache = folder / "lib", folder / "compiled"
    for name, text in FILES.items():
        path = library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (installed, installed))
    environment = {"PYTHONPATH": str(library), "PYTHONPYCACHEPREFIX": str(cache), "PATH": os.defpath}
    subprocess.run([sys.executable, SCRIPT, "program"], env=environment, check=True)
    found = {str(path.relative_to(cache)): path.read_bytes() for path in cache.rglob("*.pyc")}
    for path in (library, cache):
        path.rename(path.with_name(f"{path.name}-{installed}"))
    return found


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """What two builds in one place have compiled, a year apart."""
    folder = tmp_path_factory.mktemp("image")
    return [compiled(folder, installed) for installed in (1_700_000_000, 1_731_536_000)]


def test_two_builds_have_the_same_files(twice: list[dict[str, bytes]]) -> None:
    first, second = twice
    assert [name for name in first if "optional" in name]
    assert [name for name in sorted(first.keys() | second.keys()) if first.get(name) != second.get(name)] == []


def test_nothing_is_compared_with_its_source_again(twice: list[dict[str, bytes]]) -> None:
    # PEP 552: the second word says that a hash stands in place of the time, and that it is not checked.
    assert {content[4:8] for content in twice[0].values()} == {bytes([1, 0, 0, 0])}
