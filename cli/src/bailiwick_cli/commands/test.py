"""`test`: the tests of policies, run by the engine that serves them.

Holds: a file, a policy or a name that is wrong is never a pass: what cannot be run ends with 2, before what failed.
"""

import dataclasses
import random
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster
from bailiwick_cli.options import Output
from bailiwick_cli.policytest import plan, report, trial
from bailiwick_cli.policytest.coverage import Coverage
from bailiwick_cli.policytest.document import PlacedDocument, UnusableTestError
from bailiwick_cli.policytest.fixtures import EndpointUnderTest, Fixtures
from bailiwick_cli.policytest.model import PolicyTest
from bailiwick_cli.policytest.plan import PlannedCase
from bailiwick_cli.policytest.report import FileReport, SuiteReport
from bailiwick_cli.policytest.trial import TriedCase
from bailiwick_cli.sources import testfiles
from bailiwick_cli.sources.inforce import namespace_policies
from bailiwick_cli.sources.testfiles import PolicyShelf, SuiteDocument
from bailiwick_cli.verbs.policyverbs import SuiteFlags, SuiteOutput
from bailiwick_engine.approval.display import visible
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_governance.display import Line, talk
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources import policies
from bailiwick_governance.sources.policies import PolicySet

_STYLES: Final = {"pass": "green", "fail": "red", "error": "red"}


def run(options: SuiteFlags) -> int:
    """Run and tell."""
    if not options.live:
        refuse_cluster(options, "without --live, test")
    elif options.file:
        raise CliError("--live and -f each say which policies to test: set one")
    labels = testfiles.list_files(options.files)
    runner = _Runner(options, time.time())
    files = tuple(runner.file(label) for label in labels)
    made = SuiteReport(files, tuple(runner.unstable), runner.coverage)
    if options.filter is not None and not any(file.cases or file.problems for file in files):
        raise CliError(f"--filter: no test has a name like {options.filter}")
    if options.output is SuiteOutput.JSON:
        sys.stdout.write(output.document(report.document(made), Output.JSON))
    elif options.output is SuiteOutput.JUNIT:
        sys.stdout.write(report.junit(made))
    else:
        _table(made)
    for problem in made.problems:
        talk(f"error: {problem}")
    if made.problems:
        return Exit.FAILURE
    return Exit.NO if made.failed or made.unstable else Exit.OK


class _Runner:
    """Runs files. `now`: for tests that do not say when they are."""

    def __init__(self, options: SuiteFlags, now: float) -> None:
        self._options = options
        self._now = now
        self._shelf = _shelf(options)
        self._assembled: dict[int, Snapshot] = {}
        self.coverage = Coverage() if options.coverage else None
        self.unstable: list[str] = []

    def file(self, label: str) -> FileReport:
        """Run one file. What is wrong with it, it tells."""
        cases: list[TriedCase] = []
        try:
            for suite in testfiles.suites(label):
                cases += self._suite(suite)
        except UnusableTestError as error:
            return FileReport(label, tuple(cases), error.problems)
        return FileReport(label, tuple(cases))

    def _suite(self, suite: SuiteDocument) -> list[TriedCase]:
        own = suite.own
        if not own.read.tests and not suite.cases:
            raise own.wrong("", "there is no test in it")
        found = self._shelf.policies_of(own)
        snapshot = self._sound(found)
        first = self._results(suite, snapshot)
        for seed in range(1, self._options.shuffle + 1):
            self._compare(suite, found, first, seed)
        return first

    def _sound(self, found: PolicySet) -> Snapshot:
        """Return the policies, if all of them are sound: of what is broken every call is denied, as many tests want."""
        known = self._assembled.get(id(found))
        if known is None:
            known, wrong = found.assembled()
            if wrong:
                raise UnusableTestError(*(one.problem for one in wrong))
            self._assembled[id(found)] = known
        return known

    def _results(self, suite: SuiteDocument, snapshot: Snapshot, order: random.Random | None = None) -> list[TriedCase]:
        own = suite.own
        tested = _endpoint(own, snapshot, self._options.namespace)
        now = self._now if own.read.now is None else own.read.now.timestamp()
        planned = plan.plan_tests(own, Fixtures(own, suite.fixtures, tested), tested)
        for cases in suite.cases:
            planned += plan.plan_authzen(cases, tested)
        wanted = list(self._filter(planned))
        coverage = self.coverage if order is None else None
        if coverage is not None:
            coverage.know(tested.endpoint.rules)
        if order is not None:
            order.shuffle(wanted)
        return [
            trial.try_case(case, own, snapshot, tested, now if case.now is None else case.now, coverage)
            for case in wanted
        ]

    def _filter(self, planned: list[PlannedCase]) -> Iterator[PlannedCase]:
        wanted = self._options.filter
        for case in planned:
            if wanted is None or wanted in case.name or ("*" in wanted and fnmatchcase(case.name, wanted)):
                yield case

    def _compare(self, suite: SuiteDocument, found: PolicySet, first: list[TriedCase], seed: int) -> None:
        order = random.Random(seed)  # noqa: S311 - to try orders, and the same ones the next time
        snapshot, _ = _shuffle(found, order).assembled()
        again = {(case.place, case.name): case for case in self._results(suite, snapshot, order)}
        for case in first:
            if again[case.place, case.name] != case:
                self.unstable.append(f"{case.place}: {visible(case.name)}: has another result with --shuffle {seed}")


def _shelf(options: SuiteFlags) -> PolicyShelf:
    if not options.live:
        # Standard input can be read but once.
        return PolicyShelf(options.file, cache(policies.files_of))
    live = namespace_policies(options)
    return PolicyShelf([f"the namespace {live.namespace} of the cluster"], lambda _: list(live.files))


def _shuffle(found: PolicySet, order: random.Random) -> PolicySet:
    """Return policies and their rules in another order."""
    entries = []
    for entry in order.sample(found.entries, len(found.entries)):
        policy = entry.policy
        if isinstance(policy, CompiledPolicy):
            policy = dataclasses.replace(policy, rules=tuple(order.sample(policy.rules, len(policy.rules))))
        entries.append(dataclasses.replace(entry, policy=policy))
    return dataclasses.replace(found, entries=tuple(entries))


def _endpoint(own: PlacedDocument[PolicyTest], snapshot: Snapshot, namespace: str | None) -> EndpointUnderTest:
    wanted = own.read.namespace or namespace
    spaces = sorted({space for space, _ in snapshot.endpoints})
    if wanted is None and len(spaces) > 1:
        raise own.wrong("namespace", f"is required, because the policies are of {', '.join(spaces)}")
    if wanted is not None and wanted not in spaces:
        raise own.wrong("namespace", f"is {wanted}, and the policies are of {', '.join(spaces)}")
    space = wanted or spaces[0]
    try:
        name, endpoint = policies.endpoint(snapshot, space, own.read.endpoint)
    except UserError as error:
        raise own.wrong("endpoint", str(error).replace("set --endpoint: ", "is required: ")) from error
    if endpoint.settings is None:
        raise own.wrong("endpoint", f"{space}/{name} has no endpointSettings")
    return EndpointUnderTest(space, name, endpoint, endpoint.settings)


def _table(made: SuiteReport) -> None:
    rows: list[Line] = []
    for file in made.files:
        for case in file.cases:
            result = "fail" if case.failures else "pass"
            rows.append(
                [
                    (visible(file.label), ""),
                    (visible(case.name), ""),
                    (str(len(case.calls)), ""),
                    (result, _STYLES[result]),
                ]
            )
        if file.problems:
            rows.append([(visible(file.label), ""), ("", ""), ("", ""), ("error", _STYLES["error"])])
    output.Table(["FILE", "TEST", "CALLS", "RESULT"]).add(rows)
    lines = [*report.failures(made)]
    if made.coverage is not None:
        gaps = [visible(gap) for gap in made.coverage.gaps()]
        lines += ["", "Not covered:" if gaps else "Everything is covered.", *(f"  {gap}" for gap in gaps)]
    output.write([[("", "")], *([(line, "")] for line in (*lines, made.summary()))])
