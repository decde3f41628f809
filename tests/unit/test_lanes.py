"""Who runs which file, where tests are shared out among workers."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from support.lanes import LanesScheduling, pytest_xdist_make_scheduler, takes_shared_pdp

# Three tests each: a worker is given its next file when it has two left.
FILES: Final = [f"tests/test_{letter}.py" for letter in "abcdefgh"]
NOWHERE: Final = Path("/nowhere")
TESTS: Final = [f"{file}::test_{number}" for file in FILES for number in range(3)]


@dataclass(eq=False)
class Worker:
    """What the scheduler knows of a worker."""

    name: str
    shutting_down: bool = False
    given: list[int] = field(default_factory=list)

    @property
    def gateway(self) -> SimpleNamespace:
        return SimpleNamespace(id=self.name)

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(TESTS[index].split("::")[0] for index in self.given))

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def _config(workers: int, dist: str = "loadfile", root: Path = NOWHERE) -> Any:  # noqa: ANN401 - stands for a pytest.Config
    options = {"tx": ["popen"] * workers, "dist": dist}
    option = SimpleNamespace(loadscopereorder=False)
    return SimpleNamespace(getvalue=options.__getitem__, option=option, rootpath=root)


def _log() -> Any:  # noqa: ANN401 - stands for a Producer
    def say(*_: object) -> None:
        pass

    return SimpleNamespace(loadscopesched=say, loadfilesched=say)


def _ran(count: int, root: Path = NOWHERE) -> list[list[str]]:
    """Let workers run everything, a test each in turn; return the files that each was given, in their order."""
    scheduler = pytest_xdist_make_scheduler(_config(count, root=root), _log())
    assert scheduler is not None
    workers: list[Any] = [Worker(f"gw{number}") for number in range(count)]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, TESTS)
    scheduler.schedule()
    done = dict.fromkeys((worker.name for worker in workers), 0)
    while sum(done.values()) < len(TESTS):
        for worker in workers:
            if done[worker.name] < len(worker.given):
                scheduler.mark_test_complete(worker, worker.given[done[worker.name]])
                done[worker.name] += 1
    return [worker.files for worker in workers]


def _write(root: Path, sharing: str) -> None:
    """Write the files; those of these letters import the fixtures of a running Bailiwick."""
    (root / "tests").mkdir()
    for file in FILES:
        shares = file[-4] in sharing
        (root / file).write_text("from support.pdp.fixtures import pdp\n" if shares else "", encoding="utf-8")


def test_of_three_the_first_takes_what_shares_a_running_bailiwick_and_the_others_both_ends(tmp_path: Path) -> None:
    _write(tmp_path, "ceg")
    first, second, last = _ran(3, tmp_path)
    assert first[:3] == ["tests/test_c.py", "tests/test_e.py", "tests/test_g.py"]
    assert second[:2] == ["tests/test_a.py", "tests/test_b.py"]
    assert last[:2] == ["tests/test_h.py", "tests/test_f.py"]


@pytest.mark.parametrize("sharing", ["", "abcdefgh", "a", "h"])
def test_of_three_who_has_none_left_helps_the_others(tmp_path: Path, sharing: str) -> None:
    _write(tmp_path, sharing)
    given = _ran(3, tmp_path)
    assert sorted(file for files in given for file in files) == FILES
    assert all(len(files) >= 2 for files in given)


def test_a_folder_of_what_shares_it_says_so_in_its_conftest(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "inner"
    folder.mkdir(parents=True)
    (tmp_path / "tests" / "conftest.py").write_text("", encoding="utf-8")
    before = folder / "test_before.py"
    assert not takes_shared_pdp(before)
    (folder / "conftest.py").write_text("from support.pdp.fixtures import pdp\n", encoding="utf-8")
    assert takes_shared_pdp(folder / "test_after.py")


def test_of_two_both_begin_at_the_front() -> None:
    first, second = _ran(2)
    assert (first[0], second[0]) == ("tests/test_a.py", "tests/test_b.py")
    assert [first, second] == [sorted(first), sorted(second)]


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_every_file_is_one_workers(workers: int) -> None:
    given = [file for files in _ran(workers) for file in files]
    assert sorted(given) == FILES


@pytest.mark.parametrize("dist", ["load", "loadscope", "worksteal", "each"])
def test_no_other_way_of_sharing_is_touched(dist: str) -> None:
    assert pytest_xdist_make_scheduler(_config(3, dist), _log()) is None


def test_a_scheduler_is_one_of_xdist_by_files() -> None:
    assert isinstance(pytest_xdist_make_scheduler(_config(3), _log()), LanesScheduling)
