"""How the benchmarks build decern-serve, and the model that they give it."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from localcluster.progress import Silent
from support.pages import DOCS

ROOT: Final = DOCS.parent
COUNT: Final = 1_000
# Ten of the tree, and four of a place's own.
DEEPEST: Final = 14
BUILDS: Final = """\
#!/bin/sh
for word; do case $word in --root=*) root=${word#--root=} ;; esac; done
mkdir -p "$root/bin"
echo "$@" > "$root/bin/decern-serve"
"""
FAILS: Final = """\
#!/bin/sh
echo "error: linker not found" >&2
exit 101
"""


@pytest.fixture
def decern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module, in the world of somebody who has no cargo and has built nothing."""
    if str(ROOT) not in sys.path:
        monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", _which)
    return importlib.import_module("benchmarks.targets.decern")


def _which(name: str, path: str | None = None) -> str | None:
    """Find what a test put into ~/.cargo/bin; a cargo of the machine would take minutes."""
    found = Path(path, name) if path else None
    return str(found) if found and found.exists() else None


def cargo(home: Path, script: str) -> None:
    file = home / ".cargo" / "bin" / "cargo"
    file.parent.mkdir(parents=True)
    file.write_text(script)
    file.chmod(0o755)


class TestBuilding:
    def test_says_what_to_install_where_there_is_no_cargo(self, decern: ModuleType) -> None:
        with pytest.raises(decern.MissingError, match=r"cargo.*: install Rust with rustup"):
            decern.Decern.ensure(Silent())

    def test_takes_the_exact_version_and_what_it_was_locked_with(self, decern: ModuleType, tmp_path: Path) -> None:
        cargo(tmp_path, BUILDS)
        binary = decern.Decern.ensure(Silent()).binary
        assert binary == decern.program()
        assert binary.read_text().startswith(f"install decern-server --version {decern.VERSION} --locked")

    def test_builds_once(self, decern: ModuleType, tmp_path: Path) -> None:
        cargo(tmp_path, BUILDS)
        decern.Decern.ensure(Silent())
        (tmp_path / ".cargo" / "bin" / "cargo").unlink()
        assert decern.Decern.ensure(Silent()).binary.exists()

    def test_that_fails_leaves_nothing_and_says_why(self, decern: ModuleType, tmp_path: Path) -> None:
        cargo(tmp_path, FAILS)
        with pytest.raises(decern.MissingError, match="linker not found"):
            decern.Decern.ensure(Silent())
        assert [path.name for path in decern.program().parents[2].iterdir()] == [f"decern-{decern.VERSION}.lock"]


class TestTheModel:
    def test_has_each_place_once_with_its_own_subject(self, decern: ModuleType) -> None:
        places = list(decern.workload.places(COUNT))
        policy = decern.model_files(places)["authority.cedar"]
        for place in places:
            type_ = place.type.replace("-", "_")
            assert policy.count(f'resource is {type_} && principal == serviceAccount::"{place.agent}" &&') == 1

    def test_declares_each_type_for_every_action(self, decern: ModuleType) -> None:
        places = list(decern.workload.places(COUNT))
        schema = decern.model_files(places)["authority.cedarschema"]
        # As an entity, and where each action says what it is for; `read` says it for two.
        assert {schema.count(place.type.replace("-", "_")) for place in places} == {4}

    def test_is_nowhere_too_deep_for_an_evaluation_by_recursion(self, decern: ModuleType) -> None:
        depth = deepest = 0
        for character in decern.model_files(list(decern.workload.places(COUNT)))["authority.cedar"]:
            depth += (character == "(") - (character == ")")
            deepest = max(deepest, depth)
        assert depth == 0
        assert deepest <= DEEPEST
