"""A file that names the tests that failed: `pytest --failures FILE`.

Standing: a plugin, loaded by tests/conftest.py; hack/stages.py reads the file.
"""

import json
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failures", metavar="FILE", help="write to FILE which tests failed")


def pytest_configure(config: pytest.Config) -> None:
    file: str | None = config.getoption("--failures")
    # A worker tells the process that started it, and that one writes.
    if file is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Failures(Path(file)))


class _Failures:
    def __init__(self, file: Path) -> None:
        self._file = file
        # Each once: a test and the end of its fixture can both fail.
        self._found: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._found[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._found[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps([*self._found]))
