"""Trial: a test is made call by call, each decided by the engine, and what it came to is held against what it must.

Holds: a use of a grant is taken before the next call, as the decision point takes it; tests share nothing.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bailiwick_cli.policytest import approvals
from bailiwick_cli.policytest.approvals import UnfitApprovalError
from bailiwick_cli.policytest.coverage import Coverage
from bailiwick_cli.policytest.document import PlacedDocument, UnusableTestError
from bailiwick_cli.policytest.fixtures import EndpointUnderTest
from bailiwick_cli.policytest.historystore import HistoryStore
from bailiwick_cli.policytest.model import ExpectedVerdict, PolicyTest, VerdictWord
from bailiwick_cli.policytest.plan import Names, PlannedCall, PlannedCase
from bailiwick_cli.policytest.regiontrial import TriedRegion, tried_region
from bailiwick_cli.policytest.reviewerkey import trust_of
from bailiwick_engine.approval import grants as approval
from bailiwick_engine.approval.binding import digest
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call, Party
from bailiwick_engine.cel.data import read_data
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot

_LET: Final = frozenset({Outcome.ALLOW, Outcome.USE_GRANT})


@dataclass(frozen=True, slots=True)
class TriedCall:
    """What one call came to. `wrong`: in what it differs from what was expected; empty where it does not."""

    place: str
    names: Names
    verdict: VerdictWord
    reason: str
    rule: str | None
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriedCase:
    """What one test came to."""

    name: str
    place: str
    calls: tuple[TriedCall, ...]
    regions: tuple[TriedRegion, ...] = ()

    @property
    def failures(self) -> tuple[TriedCall | TriedRegion, ...]:
        """Return the calls and patterns that came to something else."""
        return (*(one for one in self.calls if one.wrong), *(one for one in self.regions if one.wrong))


def word(verdict: Verdict) -> VerdictWord:
    """Return a verdict in one of three words. Approval: an approval would let the call through, or is waited for."""
    if verdict.outcome in _LET:
        return "Allow"
    return "Approval" if verdict.awaits_approval else "Deny"


def try_case(
    case: PlannedCase,
    document: PlacedDocument[PolicyTest],
    snapshot: Snapshot,
    tested: EndpointUnderTest,
    now: float,
    coverage: Coverage | None = None,
) -> TriedCase:
    """Make the calls of a test. Raises `UnusableTestError` where an approval or data of it cannot be."""
    snapshot = _add_data(case, document, snapshot, tested)
    store = HistoryStore(case.history, now)
    held = _open_grants(case, document, snapshot, now, store)
    calls: list[TriedCall] = []
    moment = now
    for one in case.calls:
        moment += one.after
        call = _call_with_token(one, held)
        readings = store.readings(snapshot, call, held, moment)
        around = Circumstances(moment, history=readings, reviewers=trust_of(_reviewers(held)))
        verdict, hops = evaluate_hops(snapshot, call, held, around)
        if coverage is not None:
            coverage.add(call, verdict, hops or ())
        reason, wrong = verdict.reason.value, _wrong(one, verdict)
        calls.append(TriedCall(one.place, one.names, word(verdict), reason, _rule(verdict), wrong))
        if verdict.outcome in _LET:
            by_grant = verdict.outcome is Outcome.USE_GRANT
            store.count(verdict.needs, call.endpoint, moment, by_grant=by_grant)
        if verdict.outcome is Outcome.USE_GRANT:
            taken = verdict.grants[0]
            held = [approvals.count_use(grant, moment) if grant is taken else grant for grant in held]
    endpoint = snapshot.endpoints[tested.namespace, tested.name]
    regions = tuple(tried_region(one, endpoint, tested, now) for one in case.regions)
    return TriedCase(case.name, case.place, tuple(calls), regions)


def _add_data(
    case: PlannedCase, document: PlacedDocument[PolicyTest], snapshot: Snapshot, tested: EndpointUnderTest
) -> Snapshot:
    """Return the snapshot with the data of this test."""
    if not case.data:
        return snapshot
    objects = dict(tested.endpoint.data)
    index = next(number for number, one in enumerate(document.read.tests) if one.name == case.name)
    for name, value in case.data:
        if value is None:
            objects.pop(name, None)
            continue
        made = read_data(name, f"test-{name}", 1, {"data": value})
        if made.unknown is not None:
            raise document.wrong(f"tests[{index}].with.data.{name}", str(made.unknown.problem))
        objects[name] = made
    key = (tested.namespace, tested.name)
    return dataclasses.replace(snapshot, endpoints={**snapshot.endpoints, key: tested.endpoint.with_data(objects)})


def _open_grants(
    case: PlannedCase, document: PlacedDocument[PolicyTest], snapshot: Snapshot, now: float, store: HistoryStore
) -> list[Grant]:
    held: list[Grant] = []
    for number, one in enumerate(case.grants):
        at = now if one.fixture.at is None else one.fixture.at.timestamp()
        try:
            around = Circumstances(at, history=store.readings(snapshot, one.call, [], at))
            held.append(approvals.open_grant(snapshot, one.call, one.fixture, around, number))
        except UnfitApprovalError as error:
            raise document.wrong(f"{one.path}.{error.member}", str(error)) from error
    return held


def _reviewers(held: Iterable[Grant]) -> Iterator[str]:
    return (review.reviewer for grant in held for review in grant.reviews)


def _call_with_token(one: PlannedCall, held: Iterable[Grant]) -> Call:
    """Return the call, with the token of its approval where the test shows one."""
    if one.expected is None or not one.expected.token:
        return one.call
    subject = one.call.subject
    if isinstance(subject, Party):
        bound = digest(one.call, subject)
        for grant in held:
            if approval.answers(grant, one.call, subject, bound):
                return approvals.show_token(one.call, grant)
    raise UnusableTestError(f"{one.place}: token: with.grants has no approval of this call")


def _rule(verdict: Verdict) -> str | None:
    return None if verdict.rule is None else "/".join(verdict.rule.place)


def _wrong(one: PlannedCall, verdict: Verdict) -> tuple[str, ...]:
    got = word(verdict)
    if one.expected is None:
        return ("expected no Allow, got Allow",) if got == "Allow" else ()
    wanted = one.expected
    found: list[str] = []
    if got != wanted.is_:
        by = _rule(verdict)
        found.append(f"expected {wanted.is_}, got {got} ({verdict.reason.value}{'' if by is None else f', {by}'})")
    if wanted.reason is not None and verdict.reason.value != wanted.reason:
        found.append(f"expected the reason {wanted.reason}, got {verdict.reason.value}")
    if wanted.rule is not None and not _is_rule_of(wanted.rule, verdict):
        found.append(f"expected the rule {wanted.rule}, got {_rule(verdict) or 'none'}")
    if wanted.steps is not None and not found:
        found += _steps(wanted, verdict)
    turn, times = one.turn
    return tuple(found) if times == 1 else tuple(f"call {turn} of {times}: {wrong}" for wrong in found)


def _is_rule_of(wanted: str, verdict: Verdict) -> bool:
    policy, _, rule = wanted.rpartition("/")
    places = [] if verdict.rule is None else [verdict.rule.place]
    places += [] if verdict.gate is None else [(one.policy, one.rule) for one in verdict.gate.rules]
    return any(name == rule and policy in {"", of} for of, name in places)


def _steps(wanted: ExpectedVerdict, verdict: Verdict) -> list[str]:
    """Return in what the steps differ. The last part of a step's name is its own."""
    names = [] if verdict.gate is None else [step.name for step in verdict.gate.steps]
    left = list(names)
    for given in wanted.steps or ():
        match = next((name for name in left if given in {name, name.rpartition(".")[2]}), None)
        if match is None:
            return [f"expected the steps {', '.join(wanted.steps or ())}, got {', '.join(names) or 'none'}"]
        left.remove(match)
    return [f"expected the steps {', '.join(wanted.steps or ())}, got {', '.join(names)}"] if left else []
