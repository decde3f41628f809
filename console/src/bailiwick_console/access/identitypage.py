"""What the page of an identity says: at each endpoint what it may do, and what it used.

Standing: over `rights`, whose answers `what-can` prints too. Holds: pure; what is not compared, or not shown, is
counted; what is not known to be used is never called unused.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_console.access.identities import NamedIdentity
from bailiwick_console.endpoints import knownuses, shownaccess
from bailiwick_console.endpoints.shownaccess import ShownAccess
from bailiwick_console.endpoints.source import EndpointReading
from bailiwick_console.markup.listpages import ShownPart, page_of
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.atom import TooManyError
from bailiwick_evidence.usage.scopes import RuleScope
from bailiwick_governance.suggestion.report import SuggestionReport
from bailiwick_governance.views import rightsview
from bailiwick_regions.rights.answers import AccessRow
from bailiwick_regions.rights.matrix import AccessMatrix
from bailiwick_regions.rights.questions import what_can

ENDPOINTS: Final = 10
_MOST: Final = 40_000


@dataclass(frozen=True, slots=True)
class PolicyUseSummary:
    """What the status of a policy says of its use, by any subject."""

    policy: str
    use: str


@dataclass(frozen=True, slots=True)
class RuleUse:
    """What the records say of one rule and this identity."""

    policy: str
    rule: str
    state: str
    last: str
    uses: int


@dataclass(frozen=True, slots=True)
class EndpointAccess:
    """What an identity may do at one endpoint."""

    namespace: str
    endpoint: str
    note: str
    access: ShownAccess
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    policies: tuple[PolicyUseSummary, ...]
    uses: tuple[RuleUse, ...]


@dataclass(frozen=True, slots=True)
class IdentityPage:
    """The page."""

    name: str
    label: str
    endpoints: ShownPart[EndpointAccess]


def compose(identity: NamedIdentity, report: SuggestionReport | None, wanted: str) -> IdentityPage:
    """Return the page. `report`: what the records say, if they were read; `wanted`: the number of the page."""
    chosen = page_of(identity.endpoints, wanted, ENDPOINTS)
    shown = tuple(_access(identity, one, report) for one in chosen.entries)
    return IdentityPage(identity.name, identity.label, ShownPart(shown, chosen.number, chosen.pages, chosen.total))


def _access(identity: NamedIdentity, found: EndpointReading, report: SuggestionReport | None) -> EndpointAccess:
    rows: Sequence[AccessRow] | None = ()
    note = ""
    notes: tuple[str, ...] = ()
    if found.compiled is not None:
        try:
            party = AccessMatrix(found.key, found.compiled, found.now).subject(identity.key).named
        except TooManyError:
            party, rows = None, None
        if party is not None:
            answer = what_can(found.key, found.compiled, party.party, identity.label, found.now, limit=_MOST)
            rows = None if answer.incomplete else answer.rows
            notes = tuple(rightsview.notes(found.key, found.compiled.settings, answer.rows))
        elif rows is not None:
            note = "the endpoint accepts no subjects of this issuer"
    named = _policies(identity.key, found)
    uses = {one.name: one.use for one in found.state.policies}
    return EndpointAccess(
        *found.key,
        note,
        shownaccess.access_table(rows),
        notes,
        found.problems,
        tuple(PolicyUseSummary(name, uses.get(name, "not known")) for name in named),
        () if report is None else tuple(_uses(identity.key, found.key[0], named, report)),
    )


def _policies(key: Key, found: EndpointReading) -> list[str]:
    """Return the names of the policies that name somebody."""
    rules = () if found.compiled is None else found.compiled.enforced
    return sorted({rule.policy.name for rule in rules if key in rule.subjects})


def _uses(key: Key, namespace: str, policies: Iterable[str], report: SuggestionReport) -> Iterator[RuleUse]:
    wanted = set(policies)
    for scope in sorted(report.uses):
        if _is_of(scope, key, namespace) and scope.policy in wanted:
            use, state = report.uses[scope]
            yield RuleUse(scope.policy, scope.rule, state.value, knownuses.last(use), use.uses)


def _is_of(scope: RuleScope, key: Key, namespace: str) -> bool:
    return scope.subject == key and scope.namespace == namespace
