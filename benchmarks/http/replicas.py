"""Replicas: how many more decisions two and three of them answer, on cores that they share with the load.

Standing: starts three decision points, none pinned, each in front of a stand-in of its own, and loads the first one, or
two, or three at once, in interleaved rounds. Holds: the connections of all together are about as many in each row, so
that a row has more replicas and not more callers.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from statistics import median
from typing import Any, Final

from benchmarks.rig import workload
from benchmarks.rig.cores import usable
from benchmarks.rig.load import CONNECTIONS, Round, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, Section, ratio
from benchmarks.rig.servers import MissingError, Server, Servers
from benchmarks.rig.workload import EXPORT
from benchmarks.targets import ours

_POLICIES: Final = 1_000
_DIFFERENT: Final = 16
_COUNTS: Final = (1, 2, 3)
_COLUMNS: Final = ("requests/s", "times one replica", "CPU us", "cores they used", "p50 ms", "p99 ms", "resident MB")


def section(plan: Plan, servers: Servers) -> Section:
    """Measure one, two and three replicas."""
    name = f"Replicas: {usable()} cores for them and the load, {CONNECTIONS} connections, one CEL condition"
    made = Section(name, _COLUMNS)
    try:
        wrk = Wrk.find(None)
        with Servers(servers.folder, None) as unpinned:
            rounds, resident = _measured(plan, unpinned, wrk)
    except MissingError as error:
        made.rows.append(Row("all", missing=str(error)))
        return made
    made.rows += [_row(count, rounds, resident[:count]) for count in _COUNTS]
    made.notes.append("The connections are shared out among the replicas. p50 and p99: of the slowest replica.")
    return made


_Rounds = dict[int, list[tuple[Round, ...]]]


def _measured(plan: Plan, servers: Servers, wrk: Wrk) -> tuple[_Rounds, list[float]]:
    replicas: list[Server] = []
    for number in range(1, _COUNTS[-1] + 1):
        plan.progress.say(f"Starting replica {number} ...")
        replicas.append(ours.in_cluster(servers, _POLICIES, load_core=None, name=f"replica {number}"))
    prepared = [_prepared(servers, server) for server in replicas]
    rounds: _Rounds = {count: [] for count in _COUNTS}
    with ThreadPoolExecutor(_COUNTS[-1]) as pool:

        def loaded(count: int, seconds: int) -> tuple[Round, ...]:
            pairs = zip(replicas[:count], prepared, strict=False)
            running = [pool.submit(wrk.round, server, what, seconds, CONNECTIONS // count) for server, what in pairs]
            return tuple(one.result() for one in running)

        loaded(_COUNTS[-1], 1)
        for number in range(plan.rounds):
            plan.progress.say(f"Round {number + 1} of {plan.rounds}")
            for count in _COUNTS:
                rounds[count].append(loaded(count, plan.seconds))
    return rounds, [server.resident_megabytes() for server in replicas]


def _prepared(servers: Servers, server: Server) -> WireRequests:
    lines = [
        (one.path, dict(server.headers(one)), one.encoded()) for one in workload.load(_POLICIES, _DIFFERENT, EXPORT)
    ]
    return WireRequests.write(servers.folder / f"{server.name}.requests", lines)


def _row(count: int, rounds: _Rounds, resident: Sequence[float]) -> Row:
    these = rounds[count]
    rates = [sum(one.per_second for one in together) for together in these]
    # Round by round, of neighbours: what else the machine does meets both.
    alone = [together[0].per_second for together in rounds[1]]
    cells = (
        f"{median(rates):,.0f}",
        ratio(median(rate / one for rate, one in zip(rates, alone, strict=True))),
        f"{median(_cpu(together) for together in these):.1f}",
        f"{median(_cpu(together) * rate / 1e6 for together, rate in zip(these, rates, strict=True)):.2f}",
        f"{median(max(one.p50 for one in together) for together in these):.2f}",
        f"{median(max(one.p99 for one in together) for together in these):.2f}",
        f"{sum(resident):.0f}" if all(resident) else NONE,
    )
    data: dict[str, Any] = {
        "resident_mb": [*resident],
        "rounds": [[asdict(one) for one in together] for together in these],
    }
    return Row(f"{count} replica{'s' * (count > 1)}", cells, data=data)


def _cpu(together: Sequence[Round]) -> float:
    """Return the microseconds of a request, over all replicas of one round."""
    return sum(one.cpu * one.requests for one in together) / sum(one.requests for one in together)
