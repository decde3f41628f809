"""A search in process: what one agent may do to one object, by number of rules on its endpoint.

Standing: measures in a process of its own (`python -m benchmarks.inside.search`) on the servers' core, by processor
time. Holds: every search finds something, or nothing is timed; the workload's policies have four rules each.
"""

import gc
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.search import Prospect, Prospects, SearchKind, candidates
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from benchmarks.inside.decide import CompiledSet, call_of
from benchmarks.rig import workload
from benchmarks.rig.ownprocess import measured
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section
from benchmarks.rig.workload import EXPORT, Place, Request

_SIZES: Final = (10, 250, 1_000)
_RULES: Final = 1_000
_BUDGET: Final = "<= 1,000 us at 1,000 rules"
_ROUNDS: Final = 15
_CALLS: Final = 20
_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class _Case:
    """A search for what one agent may do to one object."""

    name: str
    snapshot: Snapshot
    endpoint: CompiledEndpoint
    call: Call

    @classmethod
    def of(cls, name: str, policies: Iterable[CompiledPolicy], request: Request) -> "_Case":
        """Return the case of the agent that sends this request."""
        snapshot, call = Snapshot.of(list(policies)), call_of(request)
        return cls(name, snapshot, snapshot.endpoints[(call.namespace, call.endpoint)], call)

    def search(self) -> int:
        """Return how many actions are found."""
        around = Circumstances(time.time())
        found = candidates(self.endpoint, SearchKind.ACTION, self.call, around.now)
        prospects = Prospects(self.snapshot, self.endpoint, SearchKind.ACTION, self.call, found, around)
        return [prospects.prospect(name) for name in found.names].count(Prospect.ALLOWED)


def _cases() -> Iterator[_Case]:
    compiled = CompiledSet()
    for size in _SIZES:
        request = workload.request(Place(size // 2, one_endpoint=True), EXPORT)
        policies = compiled.policies(size, one_endpoint=True)
        yield _Case.of("four rules speak of the subject", policies, request)
    # The first carries the settings of the endpoint.
    request = workload.request(Place(0, one_endpoint=True), EXPORT)
    (policy,) = compiled.policies(1, one_endpoint=True)
    rule = next(rule for rule in policy.rules if EXPORT in rule.actions)
    rules = tuple(replace(rule, actions=NameSet.of([f"{EXPORT}.{number}"])) for number in range(_RULES))
    yield _Case.of("all speak of the subject, of an action each", [replace(policy, rules=rules)], request)


def measure() -> list[dict[str, Any]]:
    """Measure every case in turn, round after round."""
    cases = list(_cases())
    found = [case.search() for case in cases]
    if not all(found):
        raise ValueError(f"a search finds nothing: {found}")
    gc.collect()
    gc.freeze()
    taken: list[list[float]] = [[] for _ in cases]
    for _ in range(_ROUNDS):
        for case, times in zip(cases, taken, strict=True):
            began = time.process_time_ns()
            for _ in range(_CALLS):
                case.search()
            times.append((time.process_time_ns() - began) / _CALLS / 1e3)
    return [
        {"name": case.name, "rules": len(case.endpoint.rules), "found": count, "us": times}
        for case, count, times in zip(cases, found, taken, strict=True)
    ]


def section(plan: Plan) -> Section:
    """Measure in a process of its own."""
    made = Section("An action search in process: us by number of rules on the endpoint", ("found", "us", "budget"))
    for entry in measured(plan, "benchmarks.inside.search", seconds=_SECONDS):
        cells = (f"{entry['found']:,}", f"{median(entry['us']):,.0f}", _BUDGET if entry["rules"] == _RULES else NONE)
        made.rows.append(Row(f"{entry['rules']:,} rules, {entry['name']}", cells, data={"us": entry["us"]}))
    made.notes.append(f"Processor time, median of {_ROUNDS} interleaved rounds; without HTTP and the record.")
    return made


if __name__ == "__main__":
    json.dump(measure(), sys.stdout)
