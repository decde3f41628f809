"""Plan: the calls of each test of a file, in the order in which they are made, and what each must come to.

Holds: everything that can be wrong with a test is found here, before anything is decided. A pair of a test's lists that
no entry names must be denied.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from bailiwick_cli.policytest.document import PlacedDocument
from bailiwick_cli.policytest.fixtures import EndpointUnderTest, Fixtures
from bailiwick_cli.policytest.historystore import units_of
from bailiwick_cli.policytest.model import (
    AuthzenCases,
    AuthzenRequest,
    Expectation,
    ExpectedVerdict,
    GrantFixture,
    HistoryFixture,
    PolicyTest,
    PolicyTestCase,
)
from bailiwick_cli.policytest.parties import UnknownPartyError, asserted_party
from bailiwick_cli.policytest.regionplan import PlannedRegion, planned_regions
from bailiwick_engine.call import RESERVED_CONTEXT, Action, Call, Resource
from bailiwick_engine.cel.hints import suggest_name
from bailiwick_engine.reasons import Reason
from bailiwick_governance.arguments import seconds

Names = tuple[str, str, str]
"""A subject, a resource and an action, as a file calls them."""
_DENIED: Final = Expectation.model_validate({"is": "Deny"})
_NOT_ALLOWED: Final = None


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call. `expected` None: anything but an Allow (AuthZEN's `false`).

    `after`: how many seconds after the call before. `turn`: which of how many it is that one step stands for.
    """

    place: str
    names: Names
    call: Call
    expected: ExpectedVerdict | None
    after: float = 0.0
    turn: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class PlannedGrant:
    """One approval that there is before the first call. `path` is where it stands."""

    path: str
    call: Call
    fixture: GrantFixture


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """One test. `now`: when it takes place, in seconds since the epoch; None: when the file says."""

    name: str
    place: str
    calls: tuple[PlannedCall, ...]
    grants: tuple[PlannedGrant, ...] = ()
    data: tuple[tuple[str, dict[str, Any] | None], ...] = ()
    history: Mapping[str, HistoryFixture | None] = field(default_factory=dict)
    regions: tuple[PlannedRegion, ...] = ()
    now: float | None = None


def plan_tests(
    document: PlacedDocument[PolicyTest], fixtures: Fixtures, tested: EndpointUnderTest
) -> list[PlannedCase]:
    """Return the tests of a file. Raises `UnusableTestError`."""
    rules = {(rule.policy.name, rule.name) for rule in tested.endpoint.rules}
    return [_Case(document, fixtures, tested, index, rules).planned() for index, _ in enumerate(document.read.tests)]


def plan_authzen(document: PlacedDocument[AuthzenCases], tested: EndpointUnderTest) -> list[PlannedCase]:
    """Return the cases of an AuthZEN file, each as a test. Raises `UnusableTestError`."""
    cases = []
    for index, case in enumerate(document.read.evaluation):
        path = f"evaluation[{index}]"
        call = _authzen_call(document, path, f"{path}.request", case.request, case.expected, tested)
        cases.append(PlannedCase(path, document.place(path), (call,)))
    for index, batch in enumerate(document.read.evaluations):
        path = f"evaluations[{index}]"
        calls = tuple(
            _authzen_call(
                document,
                f"{path}.expected[{number}]",
                f"{path}.request.evaluations[{number}]",
                _merge(batch.request, item),
                expected.decision,
                tested,
            )
            for number, (item, expected) in enumerate(zip(batch.request.evaluations, batch.expected, strict=True))
        )
        cases.append(PlannedCase(path, document.place(path), calls))
    return cases


def _merge(batch: AuthzenRequest, item: AuthzenRequest) -> AuthzenRequest:
    return AuthzenRequest(
        subject=item.subject or batch.subject,
        action=item.action or batch.action,
        resource=item.resource or batch.resource,
        context=batch.context if item.context is None else item.context,
    )


def _authzen_call(
    document: PlacedDocument[AuthzenCases],
    path: str,
    asked: str,
    request: AuthzenRequest,
    expected: bool,  # noqa: FBT001 - as the file says
    tested: EndpointUnderTest,
) -> PlannedCall:
    subject, action, resource = request.subject, request.action, request.resource
    if subject is None or action is None or resource is None:
        raise document.wrong(asked, "subject, action and resource are required")
    context = request.context or {}
    for name in context:
        if name in RESERVED_CONTEXT:
            raise document.wrong(f"{asked}.context.{name}", "is not part of a call")
    try:
        party = asserted_party(subject.type, subject.id, tested.settings, subject.properties)
    except UnknownPartyError as error:
        raise document.wrong(f"{asked}.subject.{error.member}", str(error)) from error
    call = tested.call(
        party,
        (),
        Action(action.name, action.properties),
        Resource(resource.type, resource.id, resource.properties),
        context,
    )
    names = (f"{subject.type}/{subject.id}", f"{resource.type}/{resource.id}", action.name)
    wanted = Expectation.model_validate({"is": "Allow"}) if expected else _NOT_ALLOWED
    return PlannedCall(document.place(path), names, call, wanted)


class _Case:
    """One test of a file, at `tests[index]`."""

    def __init__(
        self,
        document: PlacedDocument[PolicyTest],
        fixtures: Fixtures,
        tested: EndpointUnderTest,
        index: int,
        rules: set[tuple[str, str]],
    ) -> None:
        self._document = document
        self._fixtures = fixtures
        self._tested = tested
        self._case: PolicyTestCase = document.read.tests[index]
        self._path = f"tests[{index}]"
        self._context = fixtures.context(index)
        self._rules = rules

    def planned(self) -> PlannedCase:
        """Return it."""
        case = self._case
        surroundings = case.with_
        calls = [*self._calls(), *self._sequence()]
        for name in surroundings.data:
            if name not in self._tested.endpoint.reads:
                read = ", ".join(sorted(self._tested.endpoint.reads)) or "none"
                raise self._wrong(f"with.data.{name}", f"no policy reads this EndpointData: they read {read}")
        self._check_history(surroundings.history)
        grants = tuple(
            PlannedGrant(
                f"{self._path}.with.grants[{number}]",
                self._call((one.of.subject, one.of.resource, one.of.action), f"with.grants[{number}].of"),
                one,
            )
            for number, one in enumerate(surroundings.grants)
        )
        place = self._document.place(f"{self._path}.name")
        regions = planned_regions(self._document, self._path, case, self._fixtures, self._tested)
        data = tuple(surroundings.data.items())
        now = None if case.now is None else case.now.timestamp()
        return PlannedCase(case.name, place, tuple(calls), grants, data, surroundings.history, regions, now)

    def _check_history(self, given: Mapping[str, HistoryFixture | None]) -> None:
        defined = {one.name: one for one in self._tested.endpoint.histories}
        for name, fixture in given.items():
            history = defined.get(name)
            if history is None:
                known = suggest_name(name, defined) or f": it has {', '.join(sorted(defined)) or 'none'}"
                raise self._wrong(f"with.history.{name}", f"the endpoint has no history {name}{known}")
            if fixture is None or (history.amount is None and "sum" not in fixture.model_fields_set):
                continue
            if units_of(fixture, history) is None:
                what = "is summed" if history.amount is None else f"of this kind is summed: {fixture.sum}"
                raise self._wrong(f"with.history.{name}.sum", f"nothing {what}")

    def _calls(self) -> Iterator[PlannedCall]:
        listed = self._matrix()
        named: dict[Names, str] = {}
        before: list[Names] = []
        for number, row in enumerate(self._case.expect):
            path = f"expect[{number}]"
            self._check(row, path)
            if row.repeat:
                if len(before) != 1:
                    raise self._wrong(
                        f"{path}.repeat", f"the entry before stands for {len(before)} calls: name the one to repeat"
                    )
            else:
                before = list(self._calls_of(row, path))
                for names in before:
                    if names in named:
                        raise self._wrong(
                            path, f"{' '.join(names)} is also expected at {named[names]}: use repeat to call it again"
                        )
                    named[names] = self._place(path)
            yield from (PlannedCall(self._place(path), names, self._call(names, path), row) for names in before)
        for names in listed:
            if names not in named:
                # What no entry names is where the lists are.
                yield PlannedCall(self._place("name"), names, self._call(names, "subjects"), _DENIED)

    def _sequence(self) -> Iterator[PlannedCall]:
        before: tuple[str | None, ...] = (None, None, None)
        for number, step in enumerate(self._case.sequence):
            path = f"sequence[{number}]"
            self._check(step, path)
            given = (step.subject, step.resource, step.action)
            before = tuple(own or earlier for own, earlier in zip(given, before, strict=True))
            subject, resource, action = before
            if subject is None or resource is None or action is None:
                member = ("subject", "resource", "action")[before.index(None)]
                raise self._wrong(path, f"{member} is required, because no step before names one")
            names = (subject, resource, action)
            for name in step.context or {}:
                if name in RESERVED_CONTEXT:
                    raise self._wrong(f"{path}.context.{name}", "is not part of a call")
            context = {**self._context, **(step.context or {})}
            call = self._fixtures.call(names, f"{self._path}.{path}", context)
            after = 0.0 if step.after is None else seconds(step.after, "after")
            for turn in range(1, step.times + 1):
                yield PlannedCall(self._place(path), names, call, step, after, (turn, step.times))
                after = 0.0

    def _matrix(self) -> list[Names]:
        case = self._case
        lists = {"subjects": case.subjects, "resources": case.resources, "actions": case.actions}
        for member, entries in lists.items():
            for index, entry in enumerate(entries or ()):
                if entry in (entries or ())[:index]:
                    raise self._wrong(f"{member}[{index}]", f"{entry} is listed twice")
        if not (case.subjects and case.resources and case.actions):
            return []
        return list(product(case.subjects, case.resources, case.actions))

    def _calls_of(self, row: Expectation, path: str) -> Iterator[Names]:
        """Yield the calls that an entry stands for."""
        case = self._case
        choices: list[list[str]] = []
        for member, given, listed in (
            ("subject", row.subject, case.subjects),
            ("resource", row.resource, case.resources),
            ("action", row.action, case.actions),
        ):
            if given is None and listed is None:
                raise self._wrong(path, f"{member} is required, because the test does not list {member}s")
            if given is not None and listed is not None and given not in listed:
                raise self._wrong(
                    f"{path}.{member}", f"{member}s of this test has no {given}{suggest_name(given, listed)}"
                )
            choices.append([given] if given is not None else list(listed or ()))
        yield from ((subject, resource, action) for subject, resource, action in product(*choices))

    def _check(self, row: ExpectedVerdict, path: str) -> None:
        if row.reason is not None and row.reason not in set(Reason):
            raise self._wrong(
                f"{path}.reason", f"{row.reason} is no reason code{suggest_name(row.reason, list(Reason))}"
            )
        if row.steps is not None and row.is_ != "Approval":
            raise self._wrong(f"{path}.steps", f"only an Approval has steps, and {row.is_} is expected")
        if row.rule is not None:
            policy, _, rule = row.rule.rpartition("/")
            if not any(name == rule and policy in {"", of} for of, name in self._rules):
                known = [f"{of}/{name}" if policy else name for of, name in sorted(self._rules)]
                raise self._wrong(f"{path}.rule", f"there is no rule {row.rule}{suggest_name(row.rule, known)}")

    def _call(self, names: Names, path: str) -> Call:
        return self._fixtures.call(names, f"{self._path}.{path}", self._context)

    def _place(self, path: str) -> str:
        return self._document.place(f"{self._path}.{path}")

    def _wrong(self, path: str, message: str) -> Exception:
        return self._document.wrong(f"{self._path}.{path}", message)
