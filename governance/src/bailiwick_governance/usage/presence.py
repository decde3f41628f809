"""Presence: since when each scope is in force without a break, by the lists of policies that the lines of a log name.

Standing: under `logusage`, over `memory`. Holds: a scope that was away and came back is as young as its return; where a
policy's text is not known, it is not known that it had the scope.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bailiwick_evidence.usage.scopes import RuleScope
from bailiwick_governance.usage.memory import UseMemory

InForce = Callable[[str, Mapping[str, Any]], Iterable[RuleScope]]


@dataclass(slots=True)
class _Run:
    """A while in which a process had the same policies of an endpoint, in seconds since the epoch."""

    state: bytes
    listed: Mapping[str, Any]
    first: float
    last: float


class ScopePresence:
    """Which policies each process had of each endpoint, and when."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], list[_Run]] = {}

    def take(self, chain: str, endpoint: str, listed: Mapping[str, Any], moment: float) -> None:
        """Take what a line of a chain lists."""
        runs = self._runs.setdefault((endpoint, chain), [])
        state = orjson.dumps(dict(listed))
        if runs and runs[-1].state == state:
            runs[-1].first, runs[-1].last = min(runs[-1].first, moment), max(runs[-1].last, moment)
        else:
            runs.append(_Run(state, listed, moment, moment))

    def remember(self, memory: UseMemory, in_force: InForce) -> None:
        """Put into a memory since when the scopes are there. `in_force` yields those of an endpoint's policies."""
        listed: dict[str, list[tuple[_Run, frozenset[RuleScope]]]] = {}
        for (endpoint, _), own in self._runs.items():
            listed.setdefault(endpoint, []).extend((run, frozenset(in_force(endpoint, run.listed))) for run in own)
        found = {
            endpoint: frozenset[RuleScope]().union(*(scopes for _, scopes in runs)) for endpoint, runs in listed.items()
        }
        here = frozenset[RuleScope]().union(*found.values())
        for endpoint, runs in listed.items():
            gone = {scope for scope in memory.scopes.keys() - here if _may_be_of(memory, scope, endpoint)}
            for scope in found[endpoint] | gone:
                _remember(memory, scope, endpoint, runs)


def _may_be_of(memory: UseMemory, scope: RuleScope, endpoint: str) -> bool:
    """Tell whether a scope was of an endpoint. Of one that was only used, it is not known of which it was."""
    known = memory.scopes[scope].endpoint
    return endpoint == known if known is not None else endpoint.startswith(f"{scope.namespace}/")


def _remember(
    memory: UseMemory, scope: RuleScope, endpoint: str, runs: Iterable[tuple[_Run, frozenset[RuleScope]]]
) -> None:
    use = memory.scope(scope)
    use.endpoint = endpoint
    missed = max((run.last for run, scopes in runs if scope not in scopes), default=None)
    if missed is not None:
        use.miss(missed)
    for run, scopes in runs:
        if scope in scopes and (missed is None or run.last > missed):
            use.see(run.first if missed is None else max(run.first, missed))
