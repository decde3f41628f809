"""Playing: the tests run once as they are, then for each mutant those of them that call its function.

Standing: a plugin of pytest in the process that has everything imported. Holds: each mutant has a process of its own,
forked from it, with a limit of processor time; a test that fails, a crash and a run without end kill a mutant alike.
"""

import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import CodeType, FunctionType
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

from mutants.changes import Mutant, Name
from mutants.targets import Target

_SURVIVED: Final = 0
_KILLED: Final = 1
_SLOWER: Final = 4
"""So many times longer than without a change the tests of a mutant may take, and so many seconds more."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant. `tests`: how many call its function."""

    file: str
    name: Name
    line: int
    survived: bool
    tests: int


@dataclass(slots=True)
class Player:
    """Give it to pytest as a plugin; afterwards it has the results, unless a test failed without any change."""

    targets: Sequence[Target]
    workers: int
    until: float
    tell: Callable[[Result], None]
    results: list[Result] = field(default_factory=list)
    left: int = 0
    _durations: dict[pytest.Item, float] = field(default_factory=dict)
    _callers: dict[tuple[str, str], set[pytest.Item]] = field(default_factory=lambda: defaultdict(set))
    _called: set[tuple[str, str]] = field(default_factory=set)
    _running: dict[int, Result] = field(default_factory=dict)

    def pytest_collection_finish(self) -> None:
        """Begin to note which functions are called."""
        for target in self.targets:
            target.watched(lambda file, name: self._called.add((file, name)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> object:
        """Note which functions a test calls and how long it takes."""
        self._called.clear()
        began = time.process_time()
        played = yield
        self._durations[item] = time.process_time() - began
        for function in self._called:
            self._callers[function].add(item)
        return played

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> object:
        """Play all mutants after the tests themselves."""
        played = yield
        if not session.testsfailed:
            for target in self.targets:
                for mutant in target.mutants():
                    self._start(target, mutant)
            while self._running:
                self._wait()
        return played

    def _start(self, target: Target, mutant: Mutant) -> None:
        code = target.code(mutant)
        if code is None:
            return
        if time.monotonic() > self.until:
            self.left += 1
            return
        function = target.functions[mutant.name.function]
        tests = sorted(self._callers[target.file, mutant.name.function], key=lambda item: self._durations[item])
        result = Result(target.file, mutant.name, mutant.line, survived=False, tests=len(tests))
        while len(self._running) >= self.workers:
            self._wait()
        pid = os.fork()
        if not pid:
            self._be(function, code, tests)
        self._running[pid] = result

    def _be(self, function: FunctionType, code: CodeType, tests: Sequence[pytest.Item]) -> None:
        """Run the tests on the mutant, in a child that ends here."""
        outcome = _KILLED
        try:
            seconds = int(_SLOWER * (sum(self._durations[item] for item in tests) + _SLOWER))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            function.__code__ = code
            if not any(_fails(item) for item in tests):
                outcome = _SURVIVED
        finally:
            os._exit(outcome)

    def _wait(self) -> None:
        pid, status = os.wait()
        result = self._running.pop(pid)
        result = replace(result, survived=os.waitstatus_to_exitcode(status) == _SURVIVED)
        self.results.append(result)
        self.tell(result)


def _fails(item: pytest.Item) -> bool:
    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))
