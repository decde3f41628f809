"""Microseconds of `decide` in process, by number of policies, with and without a condition.

Standing: measures in a process of its own (`python -m benchmarks.inside.decide`) on the servers' core, by processor
time, so that what else runs there counts little. Up to 1,000 policies are compiled; beyond that they are copies of
compiled ones under names of their own, since what is measured is deciding, and `start` measures compiling.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

from bailiwick_engine import keys
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.model import CompiledPolicy, CompiledResource, CompiledRule, PolicyRef
from bailiwick_engine.policy.snapshot import Snapshot
from benchmarks.rig import workload
from benchmarks.rig.ownprocess import measured
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.workload import EXPORT, READ, Place, Request

_SIZES: Final = (10, 1_000, 10_000, 100_000)
_ONE_ENDPOINT: Final = (10, 1_000, 10_000)
_COMPILED: Final = 1_000
_CALLS: Final = 500
_ROUNDS: Final = 15
_SECONDS: Final = 900
_ACTIONS: Final = {"no condition": READ[1], "one condition": EXPORT}
_BUDGET: Final = 10_000


class CompiledSet:
    """Policies, compiled or copied."""

    def __init__(self) -> None:
        self._kept: dict[Place, CompiledPolicy] = {}

    def policies(self, count: int, *, one_endpoint: bool) -> list[CompiledPolicy]:
        """Return this many, each with a subject and a type of its own."""
        return [self._policy(place) for place in workload.places(count, one_endpoint=one_endpoint)]

    def _policy(self, place: Place) -> CompiledPolicy:
        if place.number >= _COMPILED:
            # Of one that carries settings where this one does, and of none where not.
            pattern = replace(place, number=place.number % workload.POLICIES_OF_AN_ENDPOINT + _COMPILED // 2)
            return _copy(self._policy(pattern), place)
        if place not in self._kept:
            compiled = compile_object(workload.policy(place))
            if not isinstance(compiled, CompiledPolicy):
                raise TypeError(f"the policy of the workload does not compile: {compiled}")
            self._kept[place] = compiled
        return self._kept[place]


def _copy(policy: CompiledPolicy, place: Place) -> CompiledPolicy:
    ref = PolicyRef(place.namespace, place.name, f"uid-{place.number}", 1)
    subjects, settings = frozenset({keys.service_account(place.agent)}), policy.settings

    def own(rule: CompiledRule) -> CompiledRule:
        resources = tuple(CompiledResource(place.type, entry.ids, entry.properties) for entry in rule.resources)
        return replace(rule, policy=ref, subjects=subjects, resources=resources)

    if settings is not None:
        settings = replace(settings, carrier=ref)
    return replace(policy, ref=ref, settings=settings, rules=tuple(own(rule) for rule in policy.rules))


def call_of(request: Request) -> Call:
    """Return what the request authenticator makes of a request that the gateway sent."""
    gateway = workload.GATEWAY
    body = request.body
    subject, action, resource = body["subject"], body["action"], body["resource"]
    return Call(
        request.place.namespace,
        workload.ENDPOINT,
        ServiceAccount(gateway, "uid-of-gateway"),
        Party(subject["type"], subject["id"], "uid", {"sub": subject["id"]}, subject["properties"]),
        Action(action["name"], action["properties"]),
        Resource(resource["type"], resource["id"], resource["properties"]),
        body["context"],
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """One number of the table: calls spread over the policies of one snapshot."""

    size: int
    action: str
    one_endpoint: bool
    snapshot: Snapshot
    calls: Sequence[Call]

    def measure(self) -> float:
        """Return the microseconds of one decision, over all calls."""
        around, snapshot = Circumstances(time.time()), self.snapshot
        began = time.process_time_ns()
        for call in self.calls:
            decide(snapshot, call, (), around)
        return (time.process_time_ns() - began) / len(self.calls) / 1e3


def _cases(sizes: Sequence[int]) -> list[_Case]:
    compiled = CompiledSet()
    found = []
    for one_endpoint, counts in ((False, sizes), (True, tuple(size for size in sizes if size in _ONE_ENDPOINT))):
        for size in counts:
            snapshot = Snapshot.of(compiled.policies(size, one_endpoint=one_endpoint))
            # Where a decision goes through all policies, a few will do.
            amount = max(5, 50_000 // size) if one_endpoint else _CALLS
            places = [Place(index * size // min(amount, _CALLS), one_endpoint) for index in range(min(amount, _CALLS))]
            for action, name in _ACTIONS.items():
                calls = [call_of(workload.request(place, name)) for place in places]
                found.append(_Case(size, action, one_endpoint, snapshot, calls))
    return found


def measure(sizes: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Measure every case in turn, round after round; return the medians."""
    cases = _cases(sizes)
    around = Circumstances(time.time())
    for case in cases:
        if any(decide(case.snapshot, call, (), around).outcome is not Outcome.ALLOW for call in case.calls):
            raise ValueError(f"a call of {case.size} policies is not allowed")
    # What was built is here to stay; looking through it again and again is not what is measured.
    gc.collect()
    gc.freeze()
    taken: list[list[float]] = [[] for _ in cases]
    for number in range(rounds + 1):
        for case, times in zip(cases, taken, strict=True):
            found = case.measure()
            if number:
                times.append(found)
    return [
        {
            "policies": case.size,
            "condition": case.action,
            "one_endpoint": case.one_endpoint,
            "us": median(times),
            "rounds": times,
        }
        for case, times in zip(cases, taken, strict=True)
    ]


def section(plan: Plan) -> Section:
    """Measure in a process of its own."""
    sizes = [size for size in _SIZES if not plan.quick or size <= _BUDGET]
    columns = (*(f"{size:,}" for size in sizes), "flatness", "budget")
    made = Section("decide in process: us per decision by number of policies", columns)
    found = measured(plan, "benchmarks.inside.decide", *map(str, sizes), seconds=_SECONDS)
    for one_endpoint, where in ((False, "four policies an endpoint"), (True, "all on one endpoint")):
        for condition in _ACTIONS:
            times = {
                entry["policies"]: entry["us"]
                for entry in found
                if entry["condition"] == condition and entry["one_endpoint"] is one_endpoint
            }
            cells = [f"{times[size]:.1f}" if size in times else NONE for size in sizes]
            budget = "<= 10 us at 10,000; flat" if condition == "one condition" and not one_endpoint else NONE
            flatness = ratio(times[max(times)] / times[min(times)])
            made.rows.append(Row(f"{where}, {condition}", (*cells, flatness, budget), data={"us": times}))
    made.notes.append(
        f"Processor time, median of {_ROUNDS} interleaved rounds of up to {_CALLS} different calls; "
        "flatness: most policies over fewest."
    )
    return made


def main() -> None:
    """Measure the sizes given, and print the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sizes", type=int, nargs="+")
    json.dump(measure(parser.parse_args().sizes, _ROUNDS), sys.stdout)


if __name__ == "__main__":
    main()
