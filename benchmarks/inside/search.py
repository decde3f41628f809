"""A search in process: what one agent may do to one object, by number of policies on one endpoint.

Standing: measures in a process of its own (`python -m benchmarks.inside.search`) on the servers' core, by processor
time. Holds: what is found is checked before it is timed; the workload's policies have four rules each.
"""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.search import Prospect, SearchKind, candidates, tried
from bailiwick_engine.policy.snapshot import Snapshot
from benchmarks.inside.decide import CompiledSet, call_of
from benchmarks.rig import workload
from benchmarks.rig.cores import pinned
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section
from benchmarks.rig.workload import EXPORT, Place

_SIZES: Final = (10, 250, 1_000)
_BUDGETS: Final = {1_000: "<= 1,000 us at 1,000 rules"}
_ROUNDS: Final = 15
_CALLS: Final = 20
_SECONDS: Final = 300


def _search(size: int, compiled: CompiledSet) -> tuple[int, Callable[[], dict[str, Prospect]]]:
    """Return how many rules the endpoint has, and a search over them."""
    snapshot = Snapshot.of(compiled.policies(size, one_endpoint=True))
    call = call_of(workload.request(Place(size // 2, one_endpoint=True), EXPORT))
    endpoint, around = snapshot.endpoints[(call.namespace, call.endpoint)], Circumstances(time.time())

    def search() -> dict[str, Prospect]:
        names = candidates(endpoint, SearchKind.ACTION, call, around.now).names
        return {name: tried(snapshot, endpoint, SearchKind.ACTION, call, name, around) for name in names}

    if search().get(EXPORT) is not Prospect.ALLOWED:
        raise ValueError(f"a search among {size} policies does not find {EXPORT}")
    return len(endpoint.rules), search


def measure() -> list[dict[str, Any]]:
    """Measure every size in turn, round after round."""
    compiled = CompiledSet()
    searches = [_search(size, compiled) for size in _SIZES]
    gc.collect()
    gc.freeze()
    taken: list[list[float]] = [[] for _ in searches]
    for _ in range(_ROUNDS):
        for (_, search), times in zip(searches, taken, strict=True):
            began = time.process_time_ns()
            for _ in range(_CALLS):
                search()
            times.append((time.process_time_ns() - began) / _CALLS / 1e3)
    return [
        {"rules": rules, "found": len(search()), "us": times}
        for (rules, search), times in zip(searches, taken, strict=True)
    ]


def section(plan: Plan) -> Section:
    """Measure in a process of its own."""
    made = Section("An action search in process: us by number of rules on the endpoint", ("found", "us", "budget"))
    command = [sys.executable, "-m", "benchmarks.inside.search"]
    with pinned(plan.cores.server):
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603 - ours
    if answer.returncode != 0:
        made.rows.append(Row("search", missing=answer.stderr.strip()[-2000:]))
        return made
    for entry in json.loads(answer.stdout):
        budget = _BUDGETS.get(entry["rules"], NONE)
        cells = (str(entry["found"]), f"{median(entry['us']):.0f}", budget)
        made.rows.append(Row(f"{entry['rules']:,} rules", cells, data={"us": entry["us"]}))
    made.notes.append(f"Processor time, median of {_ROUNDS} interleaved rounds; without HTTP and the record.")
    return made


if __name__ == "__main__":
    json.dump(measure(), sys.stdout)
