"""A file that names the tests that failed, and says of each whether it is marked `cluster`: `pytest --failures FILE`.

Standing: a plugin, loaded by tests/conftest.py; hack/rerun.py reads the file. Holds: a test whose mark is not known,
since its process died or its file was not read, counts as one without it.
"""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

_MARK = "cluster"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failures", metavar="FILE", help="write to FILE which tests failed, and which need a cluster")


def pytest_configure(config: pytest.Config) -> None:
    file: str | None = config.getoption("--failures")
    # A worker tells the process that started it, and that one writes.
    if file is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Failures(Path(file)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.get_closest_marker(_MARK):
        report.user_properties.append((_MARK, True))
    return report


class _Failures:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._found[report.nodeid] = any(name == _MARK for name, _ in report.user_properties)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._found[report.nodeid] = False

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps(self._found))
