"""The base install, without extras, is the SDK alone: it brings no CEL engine, no Kubernetes client, nothing."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from support.pages import DOCS

pytestmark = pytest.mark.long
ROOT: Final = DOCS.parent
PIP: Final = ("-m", "pip", "--quiet", "--disable-pip-version-check")
LOOK: Final = """
import importlib, json, sys

# A distribution's Python has a sitecustomize.
before = {*sys.modules}
import bailiwick

own = {name.partition(".")[0] for name in sys.modules.keys() - before if not name.startswith("_")}
absent = []
for name in ("bailiwick.transports.http", "bailiwick.aiohttp", "bailiwick.fastapi", "bailiwick_engine.cel.expressions"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        absent.append(name)
try:
    bailiwick.Bailiwick("https://pdp.example", endpoint="crm/crm-api")
except ImportError as error:
    said = str(error)
print(json.dumps([absent, said, sorted(own - set(sys.stdlib_module_names))]))
"""


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=110).stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (found,) = folder.glob("*.whl")
    return found


def test_it_needs_no_package_and_no_registry(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, *PIP, "install", "--no-index", "--no-compile", wheel)
    listed = {
        one["name"]
        for one in json.loads(run(python, "-m", "pip", "--disable-pip-version-check", "list", "--format=json"))
    }
    assert listed - {"pip", "setuptools"} == {"bailiwick-authz"}
    absent, said, imported = json.loads(run(python, "-P", "-c", LOOK))
    assert absent == [
        "bailiwick.transports.http",
        "bailiwick.aiohttp",
        "bailiwick.fastapi",
        "bailiwick_engine.cel.expressions",
    ]
    assert "bailiwick-authz[http]" in said
    assert imported == ["bailiwick"]


def test_the_wheel_says_that_the_sdk_is_typed_and_what_its_extras_are(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(archive.read(name).decode() for name in names if name.endswith("METADATA"))
    assert "bailiwick/py.typed" in names
    assert "bailiwick/transports/http.py" in names
    asked = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert [line for line in asked if "; extra ==" not in line and "and extra ==" not in line] == []
    extras = {line.removeprefix("Provides-Extra: ") for line in metadata.splitlines() if line.startswith("Provides-E")}
    assert extras == {
        *("http", "mcp", "otel", "testing"),
        *("engine", "evidence", "webhook", "grpc", "tracing", "operator", "cli", "console", "notifications"),
        "objects",
    }
