"""Fixtures: what a test file calls its subjects, resources and actions, its own and those of files that it includes.

Holds: a name means one thing; what a name stands for is checked once, against the endpoint that is tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_cli.policytest.document import PlacedDocument
from bailiwick_cli.policytest.model import PolicyTest, SubjectFixture
from bailiwick_cli.policytest.parties import UnknownPartyError, is_named, party_of
from bailiwick_engine.call import RESERVED_CONTEXT, Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.cel.hints import suggest_name
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_engine.policy.snapshot import CompiledEndpoint

_MAPS: Final = ("subjects", "resources", "actions")


@dataclass(frozen=True, slots=True)
class EndpointUnderTest:
    """The endpoint whose calls are tested."""

    namespace: str
    name: str
    endpoint: CompiledEndpoint
    settings: CompiledSettings

    @property
    def caller(self) -> ServiceAccount:
        """An enforcer of it; a policy that compiles names at least one."""
        return ServiceAccount(min(self.endpoint.enforcers), "")

    def call(
        self, subject: Party, actors: tuple[Party, ...], action: Action, resource: Resource, context: Mapping[str, Any]
    ) -> Call:
        """Return a call as an enforcer would ask about it."""
        return Call(self.namespace, self.name, self.caller, subject, action, resource, context, actors)


class Fixtures:
    """The names of one test file, against one endpoint. Raises `UnusableTestError` where one cannot be."""

    def __init__(
        self, own: PlacedDocument[PolicyTest], included: Sequence[PlacedDocument[PolicyTest]], tested: EndpointUnderTest
    ) -> None:
        self._own = own
        self._tested = tested
        self._subjects: dict[str, tuple[Party, tuple[Party, ...]]] = {}
        self._resources: dict[str, Resource] = {}
        self._actions: dict[str, Action] = {}
        defined: dict[str, str] = {}
        for document in (own, *included):
            for member in _MAPS:
                for name in getattr(document.read, member):
                    path = f"{member}.{name}"
                    if path in defined:
                        raise document.wrong(path, f"is also defined at {defined[path]}")
                    defined[path] = document.place(path)
            for name, subject in document.read.subjects.items():
                self._subjects[name] = _parties(document, f"subjects.{name}", subject, tested)
            for name, given in document.read.resources.items():
                self._resources[name] = Resource(given.type, given.id, given.properties)
            for name, action in document.read.actions.items():
                self._actions[name] = Action(action.name, action.properties)

    def call(self, names: tuple[str, str, str], path: str, context: Mapping[str, Any]) -> Call:
        """Return the call of a subject, a resource and an action. `path` is where they are named."""
        subject, resource, action = names
        party, actors = self._look_up("subject", subject, self._subjects, path)
        return self._tested.call(
            party,
            actors,
            self._actions.get(action) or Action(action),
            self._look_up("resource", resource, self._resources, path),
            context,
        )

    def subject(self, name: str, path: str) -> tuple[Party, tuple[Party, ...]]:
        """Return a subject and its actors. `path` is where it is named."""
        found: tuple[Party, tuple[Party, ...]] = self._look_up("subject", name, self._subjects, path)
        return found

    def resource(self, name: str, path: str) -> Resource:
        """Return a resource."""
        found: Resource = self._look_up("resource", name, self._resources, path)
        return found

    def context(self, index: int) -> dict[str, Any]:
        """Return the context of the calls of a test."""
        case = self._own.read.tests[index]
        for name in case.context:
            if name in RESERVED_CONTEXT:
                raise self._own.wrong(f"tests[{index}].context.{name}", "is not part of a call")
        return dict(case.context) | ({} if case.intent is None else {"intent": case.intent})

    def _look_up(self, what: str, name: str, found: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - of either map
        if name not in found:
            raise self._own.wrong(path, f"{what}s has no entry {name}{suggest_name(name, sorted(found))}")
        return found[name]


def _parties(
    document: PlacedDocument[PolicyTest], path: str, subject: SubjectFixture, tested: EndpointUnderTest
) -> tuple[Party, tuple[Party, ...]]:
    parties: list[Party] = []
    places = [path, *(f"{path}.actors[{index}]" for index in range(len(subject.actors)))]
    for place, fixture in zip(places, (subject, *subject.actors), strict=True):
        try:
            parties.append(party_of(fixture, tested.settings))
        except UnknownPartyError as error:
            raise document.wrong(f"{place}.{error.member}", str(error)) from error
    named = [is_named(tested.endpoint, party) for party in parties]
    where = f"{tested.namespace}/{tested.name}"
    if not subject.stranger and not all(named):
        place = places[named.index(False)]
        raise document.wrong(
            place,
            f"no policy of {where} names this subject, so every call is denied and a Deny shows nothing: correct it,"
            " or set stranger: true",
        )
    if subject.stranger and all(named):
        raise document.wrong(f"{path}.stranger", f"a policy of {where} names this subject: remove stranger")
    return parties[0], tuple(parties[1:])
