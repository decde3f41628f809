"""What `.ci/run` runs, and what it says of what failed, with pytest and make as they are."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.long

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = ROOT / "hack" / "stages.py"

PARALLEL: Final = "-p xdist --numprocesses 1"
MAKEFILE: Final = f"""\
one two:
\t@{sys.executable} -m pytest -p no:cacheprovider test_$@.py $(ARGS)
broken:
\t@exit 3
"""
FINE: Final = "def test_fine(): pass\n"
BROKEN: Final = "def test_broken(): assert False\n"
TORN: Final = """\
import pytest

@pytest.fixture
def torn():
    yield
    assert False

def test_torn(torn): pass
"""


@dataclass
class Ran:
    code: int
    out: str

    @property
    def last(self) -> str:
        return self.out.splitlines()[-1]


@dataclass
class Project:
    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def run(self, *targets: str, args: str = "", one: str = FINE, two: str = FINE) -> Ran:
        (self.folder / "test_one.py").write_text(one)
        (self.folder / "test_two.py").write_text(two)
        path = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "hack"), str(ROOT / "localcluster" / "src")])
        outside = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MAKE", "MFLAGS"))
        }
        done = subprocess.run(
            [sys.executable, "-P", str(PROGRAM), *targets],
            cwd=self.folder,
            # Only the plugins that are asked for: each of these runs starts pytest anew.
            env={
                **outside,
                "PYTHONPATH": path,
                "ARGS": args,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "BAILIWICK_CACHE": str(self.cache),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        return Ran(done.returncode, done.stdout)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["support.failures"]\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return Project(tmp_path)


class TestARun:
    def test_says_how_long_each_target_took(self, project: Project) -> None:
        ran = project.run("one", "two|one")
        took = re.findall(r"^=== make (\w+) took 0 min \d\d s$", ran.out, re.MULTILINE)
        assert (ran.code, sorted(took)) == (0, ["one", "one", "two"])
        assert "failed" not in ran.last

    def test_is_recorded_beside_those_before_it(self, project: Project) -> None:
        project.run("one")
        project.run("two", two=BROKEN)
        found = [json.loads(line) for line in (project.cache / "runs.jsonl").read_text().splitlines()]
        assert [(run["passed"], run["failed"]) for run in found] == [(True, []), (False, ["test_two.py::test_broken"])]
        assert all(run["time"] and run["seconds"] >= 0 for run in found)

    def test_that_cannot_be_recorded_says_so_and_fails_nothing(self, project: Project) -> None:
        project.cache.write_text("in the way of the folder\n")
        ran = project.run("one")
        assert ran.code == 0
        assert "=== this run is not recorded: " in ran.out

    def test_leaves_out_lanes_and_stages_without_a_target(self, project: Project) -> None:
        ran = project.run("one|", "|two", "|")
        assert ran.code == 0
        assert re.findall(r"^=== make (\w+)$", ran.out, re.MULTILINE) == ["one", "two"]

    @pytest.mark.parametrize("args", ["", PARALLEL])
    def test_fails_for_one_test_that_failed_once_and_names_it(self, project: Project, args: str) -> None:
        once = "import pathlib\nmark = pathlib.Path('ran')\n"
        once += "def test_once():\n    ran = mark.exists()\n    mark.touch()\n    assert ran\n"
        ran = project.run("one", "two", one=FINE + once, args=args)
        assert (ran.code, ran.last) == (1, "=== failed: test_one.py::test_once")
        assert "=== make two" not in ran.out

    def test_takes_an_error_of_a_fixture_for_a_failure(self, project: Project) -> None:
        ran = project.run("one", one=TORN)
        assert (ran.code, ran.last) == (1, "=== failed: test_one.py::test_torn")

    def test_goes_on_to_the_end_of_its_stage_so_that_it_names_all_that_failed(self, project: Project) -> None:
        ran = project.run("one,two", "one", one=BROKEN, two=BROKEN)
        assert (ran.code, ran.last) == (1, "=== failed: test_one.py::test_broken, test_two.py::test_broken")
        assert re.findall(r"^=== make (\w+)$", ran.out, re.MULTILINE) == ["one", "two"]

    def test_of_two_lanes_runs_them_beside_each_other(self, project: Project) -> None:
        # Each waits for what only the other makes.
        def meets(mine: str, other: str) -> str:
            return (
                "import pathlib, time\ndef test_meets():\n"
                f"    pathlib.Path({mine!r}).touch()\n"
                "    end = time.monotonic() + 60\n"
                f"    while not pathlib.Path({other!r}).exists():\n"
                "        assert time.monotonic() < end\n        time.sleep(0.01)\n"
            )

        ran = project.run("one|two", one=meets("a", "b"), two=meets("b", "a"))
        assert ran.code == 0
        assert ran.out.index("=== make one") < ran.out.index("=== make two")

    @pytest.mark.parametrize("lanes", ["one|two", "two|one"])
    def test_fails_when_one_of_two_lanes_does(self, project: Project, lanes: str) -> None:
        ran = project.run(lanes, one=BROKEN)
        assert (ran.code, ran.last) == (1, "=== failed: test_one.py::test_broken")
        assert "=== make two took" in ran.out

    def test_ends_a_lane_with_a_target_that_fails_without_a_test(self, project: Project) -> None:
        ran = project.run("broken,two|one")
        assert (ran.code, ran.last) == (1, "=== failed: make broken")
        assert "=== make one" in ran.out
        assert "=== make two" not in ran.out

    def test_fails_for_a_file_that_cannot_be_read(self, project: Project) -> None:
        ran = project.run("one", one="import nowhere_to_be_found\n")
        assert (ran.code, ran.last) == (1, "=== failed: test_one.py")

    def test_fails_for_a_worker_that_died(self, project: Project) -> None:
        ran = project.run("one", one="import os\ndef test_dies(): os.abort()\n", args=PARALLEL)
        assert (ran.code, "test_one.py::test_dies" in ran.last) == (1, True)
