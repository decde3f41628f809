"""What the programs that a failed test started said last: a section for each in the report of the failure.

Standing: a plugin, loaded by tests/conftest.py. Holds: a test that waits for another program in vain shows what that
program did meanwhile, or that it had ended; by the time that somebody reads the report, its log is gone.
"""

from collections.abc import Generator
from typing import Final

import pytest

from localcluster.process import spawned

_LINES: Final = 40


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.when == "call":
        for program in spawned():
            state = "runs" if program.alive else f"ended with {program.handle.returncode}"
            report.sections.append((f"{program.name}, which {state}", program.last_words(_LINES)))
    return report
