"""How the use of scopes is printed: a table for people, and JSON.

Holds: every text of others is escaped before people see it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bailiwick_api import times
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_cli.output import Line
from bailiwick_engine import keys
from bailiwick_engine.approval.display import visible
from bailiwick_engine.keys import Key
from bailiwick_evidence.usage.scopes import RuleScope, ScopeState, ScopeUse

_STYLES: Final = {ScopeState.UNUSED: "bold yellow", ScopeState.NOT_YET_KNOWN: "dim", ScopeState.USED: "green"}
_ORDER: Final = (ScopeState.UNUSED, ScopeState.NOT_YET_KNOWN, ScopeState.USED)
HEADERS: Final = ("STATE", "POLICY", "RULE", "SUBJECT", "LAST USE", "USES")


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """One scope with what is known of it."""

    scope: RuleScope
    use: ScopeUse
    state: ScopeState


@dataclass(frozen=True, slots=True)
class UsageReport:
    """All scopes, the window, and what is missing of the log."""

    lines: tuple[ScopeLine, ...]
    begin: float
    end: float
    missing: tuple[str, ...]

    def count(self, state: ScopeState) -> int:
        """Return how many scopes are in a state."""
        return sum(line.state is state for line in self.lines)

    @property
    def headline(self) -> str:
        """Return the answer: how many scopes nobody used."""
        counted = ", ".join(f"{self.count(state)} {state}" for state in _ORDER)
        window = f"{times.epoch_stamp(self.begin)} to {times.epoch_stamp(self.end)}"
        known = self.count(ScopeState.UNUSED) + self.count(ScopeState.USED)
        share = f"; {100 * self.count(ScopeState.UNUSED) / known:.0f} % of what is known is unused" if known else ""
        return f"{counted} from {window}{share}"


def rows(report: UsageReport) -> Iterator[Line]:
    """Yield the rows of the table, what is unused first."""
    for line in sorted(report.lines, key=lambda one: (_ORDER.index(one.state), one.scope)):
        scope, use = line.scope, line.use
        last = "never" if use.last_use is None else times.epoch_stamp(use.last_use)
        texts = (f"{scope.namespace}/{scope.policy}", scope.rule, subject_of(scope.subject), last, str(use.uses))
        yield [(line.state.value, _STYLES[line.state]), *((visible(text), "") for text in texts)]


def document(report: UsageReport) -> str:
    """Return all of it as JSON, in ASCII."""
    body = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "UnusedScopes",
        "from": times.epoch_stamp(report.begin),
        "to": times.epoch_stamp(report.end),
        "missing": list(report.missing),
        "totals": {state.value: report.count(state) for state in _ORDER},
        "scopes": [_object(line) for line in sorted(report.lines, key=lambda one: one.scope)],
    }
    return json.dumps(body, indent=2) + "\n"


def subject_of(key: Key) -> str:
    """Return whom a key names, as people write it."""
    kind, *parts = keys.spelled(key)
    if kind == keys.SERVICE_ACCOUNT:
        return f"sa:{parts[0].removeprefix(SERVICE_ACCOUNT_PREFIX).replace(':', '/')}"
    return {keys.USER: "{1}@{0}", "group": "group {0}:{1}"}.get(kind, "{0}/{1}").format(*parts)


def _object(line: ScopeLine) -> dict[str, object]:
    scope, use = line.scope, line.use
    return {
        "namespace": scope.namespace,
        "policy": scope.policy,
        "rule": scope.rule,
        "subject": subject_of(scope.subject),
        "state": line.state.value,
        "firstSeen": None if use.first_seen is None else times.epoch_stamp(use.first_seen),
        "lastUse": None if use.last_use is None else times.epoch_stamp(use.last_use),
        "uses": use.uses,
    }
