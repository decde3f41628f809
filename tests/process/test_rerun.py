"""What `.ci/run` runs again, and what it does not, with pytest and make as they are."""

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
PROGRAM: Final = ROOT / "hack" / "rerun.py"

PARALLEL: Final = "-p xdist --numprocesses 1"
MAKEFILE: Final = f"""\
one two:
\t@{sys.executable} -m pytest -p no:cacheprovider test_$@.py $(ARGS)
broken:
\t@exit 3
"""
HEAD: Final = """\
import pathlib, pytest
once = pathlib.Path(__file__).with_suffix(".ran")

def first(name):
    mark = once.with_name(once.name + name)
    if not mark.exists():
        mark.touch()
        return True
    return False
"""
FINE: Final = "def test_fine(): pass\n"


def flaky(name: str, *, marked: bool = True) -> str:
    """A test that fails the first time."""
    return f"{'@pytest.mark.cluster' if marked else ''}\ndef test_{name}(): assert not first('{name}')\n"


BROKEN: Final = "@pytest.mark.cluster\ndef test_broken(): assert False\n"
TORN: Final = """\
@pytest.fixture
def torn():
    yield
    assert not first('torn')

@pytest.mark.cluster
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
        (self.folder / "test_one.py").write_text(HEAD + one)
        (self.folder / "test_two.py").write_text(HEAD + two)
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
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    cluster: needs one\n")
    return Project(tmp_path)


class TestARun:
    def test_in_which_nothing_failed_says_that_nothing_was_run_again(self, project: Project) -> None:
        ran = project.run("one", "two")
        assert (ran.code, ran.last) == (0, "=== 0 cluster tests were run again")

    def test_says_how_long_each_target_took(self, project: Project) -> None:
        ran = project.run("one", "two|one")
        took = re.findall(r"^=== make (\w+) took 0 min \d\d s$", ran.out, re.MULTILINE)
        assert sorted(took) == ["one", "one", "two"]

    def test_is_recorded_beside_those_before_it(self, project: Project) -> None:
        project.run("one", one=flaky("a"))
        project.run("two", two=BROKEN)
        found = [json.loads(line) for line in (project.cache / "runs.jsonl").read_text().splitlines()]
        assert [(run["passed"], run["again"]) for run in found] == [
            (True, ["test_one.py::test_a"]),
            (False, ["test_two.py::test_broken"]),
        ]
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
    def test_passes_when_a_cluster_test_passes_by_itself_and_names_it(self, project: Project, args: str) -> None:
        ran = project.run("one", "two", one=FINE + flaky("a"), args=args)
        assert (ran.code, ran.last) == (0, "=== 1 cluster tests were run again: test_one.py::test_a")
        assert "=== make two" in ran.out

    def test_takes_an_error_of_a_fixture_for_a_failure(self, project: Project) -> None:
        ran = project.run("one", one=TORN)
        assert (ran.code, ran.last) == (0, "=== 1 cluster tests were run again: test_one.py::test_torn")

    def test_fails_when_it_fails_again(self, project: Project) -> None:
        ran = project.run("one", "two", one=BROKEN)
        assert (ran.code, ran.last) == (1, "=== 1 cluster tests were run again: test_one.py::test_broken")
        assert "=== make two" not in ran.out

    def test_runs_each_again_although_one_failed_again(self, project: Project) -> None:
        ran = project.run("one", one=BROKEN + flaky("a"))
        assert ran.code == 1
        assert "=== again, by itself: test_one.py::test_a" in ran.out
        assert "=== again, by itself: test_one.py::test_broken" in ran.out

    @pytest.mark.parametrize("args", ["", PARALLEL])
    def test_fails_at_once_for_a_test_that_needs_no_cluster(self, project: Project, args: str) -> None:
        ran = project.run("one", one=flaky("a") + flaky("b", marked=False), args=args)
        assert (ran.code, ran.last) == (1, "=== 0 cluster tests were run again")
        assert "not run again, since these need no cluster: test_one.py::test_b\n" in ran.out

    def test_has_a_budget_for_all_of_its_targets(self, project: Project) -> None:
        two = flaky("a") + flaky("b")
        assert project.run("one", one=two).code == 0
        ran = project.run("one", "two", one=flaky("c"), two=flaky("a") + flaky("b"))
        assert (ran.code, ran.last) == (1, "=== 1 cluster tests were run again: test_one.py::test_c")
        assert "not run again, since 2 cluster tests failed, and 1 may be" in ran.out

    def test_goes_on_in_a_lane_whose_failure_is_run_again(self, project: Project) -> None:
        ran = project.run("one,two", one=flaky("a"))
        assert (ran.code, ran.last) == (0, "=== 1 cluster tests were run again: test_one.py::test_a")
        assert "=== make two took" in ran.out

    def test_ends_a_lane_whose_failure_is_not_run_again(self, project: Project) -> None:
        ran = project.run("one,two", one=flaky("a", marked=False))
        assert ran.code == 1
        assert "=== make two" not in ran.out

    def test_of_two_lanes_runs_them_beside_each_other(self, project: Project) -> None:
        # Each waits for what only the other makes.
        def meets(mine: str, other: str) -> str:
            return (
                "def test_meets():\n    import time\n"
                f"    once.with_name({mine!r}).touch()\n"
                "    end = time.monotonic() + 60\n"
                f"    while not once.with_name({other!r}).exists():\n"
                "        assert time.monotonic() < end\n        time.sleep(0.01)\n"
            )

        ran = project.run("one|two", one=meets("a", "b"), two=meets("b", "a"))
        assert (ran.code, ran.last) == (0, "=== 0 cluster tests were run again")
        assert ran.out.index("=== make one") < ran.out.index("=== make two")

    def test_of_two_lanes_runs_again_what_failed_in_either_once_both_ended(self, project: Project) -> None:
        ran = project.run("one|two", one=flaky("a"), two=flaky("b"))
        assert (ran.code, ran.last) == (
            0,
            "=== 2 cluster tests were run again: test_one.py::test_a, test_two.py::test_b",
        )
        assert ran.out.index("=== make two") < ran.out.index("=== again, by itself: test_one.py::test_a")

    @pytest.mark.parametrize("lanes", ["one|two", "two|one"])
    def test_fails_when_one_of_two_lanes_does(self, project: Project, lanes: str) -> None:
        ran = project.run(lanes, one=flaky("a", marked=False))
        assert (ran.code, ran.last) == (1, "=== 0 cluster tests were run again")
        assert "not run again, since these need no cluster: test_one.py::test_a\n" in ran.out

    def test_ends_a_lane_with_the_target_that_fails(self, project: Project) -> None:
        ran = project.run("broken,two|one")
        assert ran.code == 1
        assert "=== make one" in ran.out
        assert "=== make two" not in ran.out

    def test_has_one_budget_for_its_lanes(self, project: Project) -> None:
        ran = project.run("one|two", one=flaky("a") + flaky("b"), two=flaky("c"))
        assert ran.code == 1
        assert "=== make two: not run again, since 1 cluster tests failed, and 0 may be" in ran.out

    def test_fails_for_a_file_that_cannot_be_read(self, project: Project) -> None:
        ran = project.run("one", one="import nowhere_to_be_found\n")
        assert (ran.code, ran.last) == (1, "=== 0 cluster tests were run again")

    def test_fails_for_a_target_that_runs_no_test(self, project: Project) -> None:
        ran = project.run("broken")
        assert ran.code == 1
        assert "it failed, and names no test that did" in ran.out

    def test_fails_for_a_worker_that_died_in_a_cluster_test(self, project: Project) -> None:
        died = "import os\n@pytest.mark.cluster\ndef test_dies(): first('dies') and os.abort()\n"
        assert project.run("one", one=died, args=PARALLEL).code == 1
