"""How the use of scopes is printed: a table for people, one of Markdown, and JSON.

Holds: every text of others is escaped before people see it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bailiwick_api import times
from bailiwick_engine.approval.display import visible
from bailiwick_engine.keys import label
from bailiwick_evidence.usage.scopes import RuleScope, ScopeState, ScopeUse
from bailiwick_governance.display import Line
from bailiwick_governance.markdown import plain, table

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
        """Return the answer: how many scopes have no use."""
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
        texts = (f"{scope.namespace}/{scope.policy}", scope.rule, label(scope.subject), last, str(use.uses))
        yield [(line.state.value, _STYLES[line.state]), *((visible(text), "") for text in texts)]


def markdown(report: UsageReport) -> str:
    """Return a table of Markdown."""
    lines = [f"**{report.headline}**", ""]
    if cells := [[text for text, _ in row] for row in rows(report)]:
        lines += table([header.lower() for header in HEADERS], cells)
    lines += [f"\nNot whole, so that nothing is unused for now: {plain(visible(one))}" for one in report.missing]
    return "\n".join(lines) + "\n"


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


def _object(line: ScopeLine) -> dict[str, object]:
    scope, use = line.scope, line.use
    return {
        "namespace": scope.namespace,
        "policy": scope.policy,
        "rule": scope.rule,
        "subject": label(scope.subject),
        "state": line.state.value,
        "firstSeen": None if use.first_seen is None else times.epoch_stamp(use.first_seen),
        "lastUse": None if use.last_use is None else times.epoch_stamp(use.last_use),
        "uses": use.uses,
    }
