"""Rows of the same path with asking and without: what asking adds to it.

Standing: under `enforcement` and `applications`. Holds: latencies are those of one connection, since with many they are
the queue's; rate and processor time are those of `connections`, the time of all who work on a call. What cannot be
started, or does not answer as it should, is a row that says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.rig.cores import cpu_seconds
from benchmarks.rig.load import CONNECTIONS, Round, WireRequests, Wrk
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import NONE, Row, ratio
from benchmarks.rig.servers import MissingError, Server
from localcluster.process import RunningProcess

COLUMNS: Final = (
    *("calls/s", "CPU us", "p50 ms", "p99 ms", "added p50 ms", "added p99 ms", "added CPU us", "CPU, over allow-all"),
)


@dataclass(slots=True)
class AskingPath:
    """One row: who works on a call, and its rounds over one connection and over many.

    `alone` is the row of the same path without a check, `floor` the one whose processor time it is compared with.
    """

    server: Server | None
    others: tuple[RunningProcess, ...] = ()
    prepared: WireRequests = field(default_factory=lambda: WireRequests(Path()))
    alone: str = ""
    floor: str = ""
    missing: str = ""
    connections: int = CONNECTIONS
    one: list[Round] = field(default_factory=list)
    many: list[Round] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        name: str,
        started: tuple[RunningProcess, int],
        others: tuple[RunningProcess, ...],
        prepared: WireRequests,
        alone: str,
        floor: str,
    ) -> "AskingPath":
        """Return the row of what was started: its first process, and the port that calls come to."""
        server = Server(name, "", *started, lambda _: "", lambda said: said == b"true")
        return cls(server, others, prepared, alone, floor)

    @classmethod
    def absent(cls, why: str) -> "AskingPath":
        """Return the row of what is not there."""
        return cls(None, missing=why)

    def measure(self, wrk: Wrk, seconds: int, *, counts: bool) -> None:
        """Load it over one connection, then over 32."""
        if self.server is None:
            return
        try:
            one = wrk.round(self.server, self.prepared, seconds, connections=1)
            before = self._cpu_seconds()
            many = wrk.round(self.server, self.prepared, seconds, self.connections)
        except MissingError as error:
            self.server, self.missing = None, str(error)
            return
        if counts:
            self.one.append(one)
            self.many.append(many)
            self.cpu.append((self._cpu_seconds() - before) / many.requests * 1e6)

    def row(self, name: str, rows: Mapping[str, "AskingPath"]) -> Row:
        """Return it as it is shown, beside the others."""
        if self.server is None:
            return Row(name, missing=self.missing)
        alone = rows[self.alone]
        if alone.server is None:
            return Row(name, missing=f"there is no row {self.alone} to compare it with")
        added = [(mine.p50 - other.p50, mine.p99 - other.p99) for mine, other in zip(self.one, alone.one, strict=True)]
        cpu = median(mine - other for mine, other in zip(self.cpu, alone.cpu, strict=True))
        p50, p99 = (median(column) for column in zip(*added, strict=True))
        floor = rows[self.floor].cpu if self.floor else []
        over = [mine / other for mine, other in zip(self.cpu, floor, strict=False) if other]
        itself = self is alone
        cells = (
            f"{median(one.per_second for one in self.many):,.0f}",
            f"{median(self.cpu):.0f}",
            f"{median(one.p50 for one in self.one):.2f}",
            f"{median(one.p99 for one in self.one):.2f}",
            NONE if itself else f"{p50:.2f}",
            NONE if itself else f"{p99:.2f}",
            NONE if itself else f"{cpu:.0f}",
            f"{ratio(median(over))} ({min(over):.2f}..{max(over):.2f})" if over else NONE,
        )
        rounds = [
            {"one": round_data(one), "many": round_data(many), "cpu_us": used}
            for one, many, used in zip(self.one, self.many, self.cpu, strict=True)
        ]
        added_data = {"added_p50_ms": p50, "added_p99_ms": p99, "added_cpu_us": cpu}
        return Row(name, cells, data={"rounds": rounds, **added_data})

    def _cpu_seconds(self) -> float:
        own = () if self.server is None else (self.server.running,)
        return sum(cpu_seconds(each.handle.pid) for each in (*own, *self.others))


def measure_rows(plan: Plan, wrk: Wrk, paths: Mapping[str, AskingPath]) -> list[Row]:
    """Measure all of them in interleaved rounds; return their rows."""
    for number in range(plan.rounds + 1):
        plan.progress.say(f"Round {number} of {plan.rounds}" if number else "Warming up")
        for path in paths.values():
            path.measure(wrk, plan.seconds if number else 1, counts=number > 0)
    return [path.row(name, paths) for name, path in paths.items()]


def round_data(one: Round) -> dict[str, float]:
    """Return a round as it is written."""
    return {"per_second": one.per_second, "p50_ms": one.p50, "p99_ms": one.p99, "cpu_us": one.cpu}
