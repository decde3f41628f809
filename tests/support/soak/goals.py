"""The goals of the soak, and its report: a table for people, JSON for programs.

Holds: a goal that was not measured is missed; a flood that did nothing is a goal missed, since then nothing was shown.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

INNOCENT_SECONDS: Final = 0.1
COUNTED_SECONDS: Final = 1.0
UNWITNESSED_SECONDS: Final = 60.0
_PART: Final = 0.99


@dataclass(frozen=True, slots=True)
class Goal:
    """What must hold. `timely`: it is about time, which a machine that others use may take away."""

    name: str
    wanted: str
    measured: str
    met: bool
    timely: bool = False


@dataclass
class SoakReport:
    """What came of a run. `figures` are what the goals do not say, by subject."""

    seconds: float
    goals: list[Goal] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether every goal is met."""
        return bool(self.goals) and all(goal.met for goal in self.goals)

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "seconds": self.seconds,
            "met": self.met,
            "goals": [asdict(goal) for goal in self.goals],
            "figures": self.figures,
        }

    def lines(self) -> Iterator[str]:
        """Return it for people."""
        rows = [("goal", "wanted", "measured", "")]
        rows += [(goal.name, goal.wanted, goal.measured, "" if goal.met else "MISSED") for goal in self.goals]
        widths = [max(len(row[place]) for row in rows) for place in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            yield "  ".join([*cells, row[3]]).rstrip()
        yield ""
        for name, value in self.figures.items():
            if isinstance(value, Mapping):
                yield f"{name}:"
                yield from (f"  {key}: {one}" for key, one in value.items())
            else:
                yield f"{name}: {value}"


def count_goal(name: str, counts: Mapping[str, int], most: int = 0) -> Goal:
    """Return the goal that something happened at most so often."""
    total = sum(counts.values())
    whys = ", ".join(f"{count} {why}" for why, count in counts.items() if count)
    told = f"{total} ({whys})" if total else "0"
    return Goal(name, f"{most}", told, total <= most)


def time_goal(name: str, quantile: float, most: float, count: int) -> Goal:
    """Return the goal that 99 of 100 took less than so many seconds."""
    told = "not answered" if math.isinf(quantile) else f"{quantile * 1000:.0f} ms"
    return Goal(name, f"< {most * 1000:.0f} ms", f"{told} (n={count})", bool(count) and quantile < most, timely=True)


def witness_goal(seconds: float) -> Goal:
    """Return the goal that a witness cosigned the log of decisions all the time."""
    most = UNWITNESSED_SECONDS
    return Goal(
        "longest time without a cosignature", f"< {most:.0f} s", f"{seconds:.0f} s", seconds < most, timely=True
    )


def memory_goal(name: str, most: int, limit: int) -> Goal:
    """Return the goal that a pod stayed within its limit."""
    return Goal(name, f"< {limit} MiB", f"{most} MiB", 0 < most < limit)


def milliseconds(quantiles: Mapping[str, float]) -> str:
    """Return quantiles in one line; what was not answered is infinite."""
    return ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in quantiles.items())
