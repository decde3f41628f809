"""Documents: the bytes of a test file as a frozen model, or what is wrong: `file:line:column: path: message`.

Holds: strict, as the API server is with a policy. A file that has anything wrong with it is no test at all.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from bailiwick_api.documents.positions import Document, documents
from bailiwick_api.kinds.meta import Model
from bailiwick_cli.policytest.model import (
    API_VERSION,
    KIND,
    AuthzenCases,
    Expectation,
    PartyFixture,
    PolicyTest,
    PolicyTestCase,
)
from bailiwick_engine.approval.display import visible
from bailiwick_engine.compile import schemaerrors
from bailiwick_engine.problem import Problem

_Read = TypeVar("_Read", bound=Model)


class UnusableTestError(Exception):
    """A file cannot be run. `problems` have their places."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class PlacedDocument(Generic[_Read]):
    """A document and where it stands."""

    label: str
    read: _Read
    _document: Document

    def place(self, path: str) -> str:
        """Return `file:line:column` of a member."""
        line, column = self._document.place(path)
        return f"{self.label}:{line}:{column}"

    def wrong(self, path: str, message: str) -> UnusableTestError:
        """Return what to raise where a member cannot be."""
        return UnusableTestError(_sentence(self.place(path), Problem(path, message)))


def policy_tests(label: str, raw: bytes) -> list[PlacedDocument[PolicyTest]]:
    """Read a file of `PolicyTest` documents. Raises `UnusableTestError`."""
    found = documents(raw)
    if not found:
        raise UnusableTestError(f"{label}:1:1: the file is empty: a {KIND} is expected")
    problems: list[str] = []
    read: list[PlacedDocument[PolicyTest]] = []
    for document in found:
        wrong = [*_kind(label, document)] or None
        one = wrong or _model(label, document, PolicyTest)
        if isinstance(one, PlacedDocument):
            problems += [_sentence(one.place(problem.path), problem) for problem in _beyond_schema(one.read)]
            read.append(one)
        else:
            problems += one
    if problems:
        raise UnusableTestError(*problems)
    return read


def authzen_cases(label: str, raw: bytes) -> PlacedDocument[AuthzenCases]:
    """Read a file of AuthZEN cases; JSON is YAML. Raises `UnusableTestError`."""
    found = documents(raw)
    if len(found) != 1:
        raise UnusableTestError(f"{label}:1:1: one JSON object of AuthZEN cases is expected")
    read = _model(label, found[0], AuthzenCases)
    if not isinstance(read, PlacedDocument):
        raise UnusableTestError(*read)
    for index, case in enumerate(read.read.evaluations):
        wanted, given = len(case.request.evaluations), len(case.expected)
        if wanted != given:
            path = f"evaluations[{index}].expected"
            raise read.wrong(path, f"has {given} decisions, but the request has {wanted} evaluations")
    if not (read.read.evaluation or read.read.evaluations):
        raise UnusableTestError(f"{label}:1:1: there is no case: evaluation or evaluations must have an entry")
    return read


def _kind(label: str, document: Document) -> Iterator[str]:
    data = document.data
    if not isinstance(data, dict) or not document.complete:
        return
    for member, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if (found := data.get(member)) != wanted:
            instead = f", not '{visible(found)}'" if isinstance(found, str) else ""
            line, column = document.place(member)
            yield f"{label}:{line}:{column}: {member}: must be {wanted}{instead}"


def _model(label: str, document: Document, model: type[_Read]) -> PlacedDocument[_Read] | list[str]:
    if document.flaws:
        return [
            _sentence(f"{label}:{flaw.place.line}:{flaw.place.column}", Problem(flaw.path, flaw.message))
            for flaw in document.flaws
        ]
    try:
        read = model.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        problems = []
        for problem in schemaerrors.problems(error, model):
            line, column = document.place(problem.path)
            problems.append(_sentence(f"{label}:{line}:{column}", problem))
        return problems
    return PlacedDocument(label, read, document)


def _beyond_schema(read: PolicyTest) -> Iterator[Problem]:
    """Yield what the types alone cannot say."""
    seen: dict[str, int] = {}
    for index, case in enumerate(read.tests):
        path = f"tests[{index}]"
        if case.name in seen:
            yield Problem(f"{path}.name", f"tests[{seen[case.name]}] already has this name")
        seen.setdefault(case.name, index)
        yield from _problems_of_case(path, case)
    for name, subject in read.subjects.items():
        for path, one in ((f"subjects.{name}", subject), *_actors(name, subject.actors)):
            yield from _problems_of_party(path, one)


def _problems_of_case(path: str, case: PolicyTestCase) -> Iterator[Problem]:
    listed = case.subjects and case.resources and case.actions
    if not (case.expect or case.sequence or listed or case.never or case.always):
        yield Problem(
            path, "tests nothing: it needs expect, sequence, never, always, or subjects, resources and actions"
        )
    if case.sequence and (case.expect or case.subjects or case.resources or case.actions):
        yield Problem(
            f"{path}.sequence", "names its calls itself: move expect, subjects, resources and actions to another test"
        )
    for number, always in enumerate(case.always):
        if always.subject is None:
            yield Problem(f"{path}.always[{number}].subject", "is required: no policy speaks of everybody")
    if "intent" in case.context and case.intent is not None:
        yield Problem(f"{path}.intent", "is also in context: keep one of them")
    for number, row in enumerate(case.expect):
        yield from _row(f"{path}.expect[{number}]", number, row)


def _problems_of_party(path: str, party: PartyFixture) -> Iterator[Problem]:
    kinds = (party.service_account, party.user, party.entity)
    if sum(kind is not None for kind in kinds) != 1:
        yield Problem(path, "needs exactly one of serviceAccount, user, entity")
    if party.groups and party.user is None:
        yield Problem(f"{path}.groups", "only a user has groups")
    if party.workload and party.service_account is None:
        yield Problem(f"{path}.workload", "only a serviceAccount has a workload")


def _row(path: str, number: int, row: Expectation) -> Iterator[Problem]:
    if row.repeat and number == 0:
        yield Problem(f"{path}.repeat", "there is no entry before this one to repeat")
    if row.repeat and any((row.subject, row.resource, row.action)):
        yield Problem(f"{path}.repeat", "repeats the call of the entry before: remove subject, resource and action")


def _actors(name: str, actors: list[PartyFixture]) -> Iterator[tuple[str, PartyFixture]]:
    yield from ((f"subjects.{name}.actors[{index}]", actor) for index, actor in enumerate(actors))


def _sentence(place: str, problem: Problem) -> str:
    return f"{place}: {problem.path}: {problem.message}" if problem.path else f"{place}: {problem.message}"
