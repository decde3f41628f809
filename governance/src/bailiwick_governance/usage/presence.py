"""Presence: since when each scope is in force without a break, by the lists of policies that the lines of a log name.

Standing: under `logusage`, over `memory`. Holds: a scope that was away and came back is as young as its return; where a
policy's text is not known, it is not known that it had the scope.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class ScopeRun(NamedTuple):
    """A while in which a process had these scopes of an endpoint, in seconds since the epoch.

    `order`: the number of the first line of the process on the endpoint, among all lines.
    """

    order: int
    endpoint: str
    first: float
    last: float
    scopes: frozenset[RuleScope]


class ScopePresence:
    """Which policies each process had of each endpoint, and when."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], list[_Run]] = {}
        self._orders: dict[tuple[str, str], int] = {}

    def take(self, chain: str, endpoint: str, listed: Mapping[str, Any], moment: float, order: int) -> None:
        """Take what a line of a chain lists. `order`: the number of the line."""
        runs = self._runs.setdefault((endpoint, chain), [])
        self._orders.setdefault((endpoint, chain), order)
        state = orjson.dumps(dict(listed))
        if runs and runs[-1].state == state:
            runs[-1].first, runs[-1].last = min(runs[-1].first, moment), max(runs[-1].last, moment)
        else:
            runs.append(_Run(state, listed, moment, moment))

    def runs(self, in_force: InForce) -> Iterator[ScopeRun]:
        """Yield what was taken. `in_force` yields the scopes of an endpoint's policies."""
        for key, runs in self._runs.items():
            for run in runs:
                scopes = frozenset(in_force(key[0], run.listed))
                yield ScopeRun(self._orders[key], key[0], run.first, run.last, scopes)


def remember(memory: UseMemory, runs: Iterable[ScopeRun]) -> None:
    """Put into a memory since when the scopes are there. The runs of one process and endpoint stay together."""
    listed: dict[str, list[ScopeRun]] = {}
    for run in sorted(runs, key=lambda run: run.order):
        listed.setdefault(run.endpoint, []).append(run)
    found = {endpoint: frozenset[RuleScope]().union(*(run.scopes for run in own)) for endpoint, own in listed.items()}
    here = frozenset[RuleScope]().union(*found.values())
    for endpoint, own in listed.items():
        gone = {scope for scope in memory.scopes.keys() - here if _may_be_of(memory, scope, endpoint)}
        for scope in found[endpoint] | gone:
            _remember(memory, scope, endpoint, own)


def _may_be_of(memory: UseMemory, scope: RuleScope, endpoint: str) -> bool:
    """Tell whether a scope was of an endpoint. Of one that was only used, it is not known of which it was."""
    known = memory.scopes[scope].endpoint
    return endpoint == known if known is not None else endpoint.startswith(f"{scope.namespace}/")


def _remember(memory: UseMemory, scope: RuleScope, endpoint: str, runs: Sequence[ScopeRun]) -> None:
    use = memory.scope(scope)
    use.endpoint = endpoint
    missed = max((run.last for run in runs if scope not in run.scopes), default=None)
    if missed is not None:
        use.miss(missed)
    for run in runs:
        if scope in run.scopes and (missed is None or run.last > missed):
            use.see(run.first if missed is None else max(run.first, missed))
