"""One run: everybody else begins, the innocent are asked and reviewed for so long, and the figures become goals.

Standing: over all parts of the soak, under its command and its test. Holds: what was measured before a neighbour was at
work counts for nothing, so all of them are prepared first.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Final, Protocol

from support.pdp.steady import JudgedCalls
from support.soak.bystanders import GrantRounds, InnocentCaller, TimedAnswers
from support.soak.floods import FloodCrowd, enforcer_floods, stranger_floods
from support.soak.gauges import Gauges, longest_unwitnessed
from support.soak.goals import (
    COUNTED_SECONDS,
    INNOCENT_SECONDS,
    SoakReport,
    count_goal,
    memory_goal,
    milliseconds,
    time_goal,
    witness_goal,
)
from support.soak.neighbours import WritingCrowd
from support.soak.stage import Stage

PIECE_SECONDS: Final = 30.0
_QUIET_SECONDS: Final = 5.0
_JOIN_SECONDS: Final = 120.0
_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}


class _Part(Protocol):
    def run(self, stop: threading.Event) -> None: ...


class Soak:
    """A run on a stage. `tell` is given a line now and then."""

    def __init__(self, stage: Stage, tell: Callable[[str], None]) -> None:
        self._stage = stage
        self._tell = tell
        self._floods = [FloodCrowd(stranger_floods(stage)), FloodCrowd(enforcer_floods(stage))]
        self._neighbours = WritingCrowd(stage)
        self.innocent = InnocentCaller(stage.cast.innocent, stage.certificate)
        self._rounds = {"reviewed": GrantRounds(stage.cast.reviewed), "innocent": GrantRounds(stage.cast.innocent)}
        self._gauges = Gauges(stage)
        self._quiet = TimedAnswers()

    def play(self, seconds: float) -> SoakReport:
        """Play for so long."""
        transitions = self._stage.lease_transitions()
        self._neighbours.prepare()
        self._quiet = _timed(self.innocent.ask(_QUIET_SECONDS))
        self.innocent.forget()
        stop, began = threading.Event(), time.time()
        with ExitStack() as closing:
            parts: tuple[_Part, ...] = (*self._floods, self._neighbours, *self._rounds.values(), self._gauges)
            for part in parts:
                thread = threading.Thread(target=part.run, args=(stop,), name=type(part).__name__)
                thread.start()
                closing.callback(thread.join, _JOIN_SECONDS)
            # What was pushed last is done first.
            closing.callback(stop.set)
            left = seconds
            while left > 0:
                piece = min(PIECE_SECONDS, left)
                left -= piece
                self._progress(self.innocent.ask(piece), seconds - left)
            unwitnessed = longest_unwitnessed(self._stage.ours.stack.ledger(), began, time.time())
        return self._report(seconds, self._stage.lease_transitions() - transitions, unwitnessed)

    def _progress(self, piece: JudgedCalls, done: float) -> None:
        calls, counted = _timed(piece), self._rounds["reviewed"].counted
        gauges = self._gauges
        self._tell(
            f"{done:5.0f} s  innocent p99 {calls.quantile(0.99) * 1000:.0f} ms ({len(calls.seconds)} answered,"
            f" {calls.failed.total()} not, {piece.wrong.total()} wrong)  reviews counted {len(counted.seconds)},"
            f" p99 {counted.quantile(0.99) * 1000:.0f} ms  MiB {gauges.point.most} and {gauges.operator.most}"
            f"  restarts {len(self._stage.restarts)}  load {gauges.load[-1] if gauges.load else 0:.1f}"
        )

    def _report(self, seconds: float, transitions: int, unwitnessed: float) -> SoakReport:
        calls, gauges, rounds = self.innocent.calls, self._gauges, self._rounds
        counted = rounds["reviewed"].counted
        wrong = self.innocent.wrong.copy()
        for one in rounds.values():
            wrong += one.wrong
        restarts = {
            "decision point ended": int(not self._stage.point.process.alive),
            "decision point not live": gauges.live.lost,
        }
        # A lease is lost, and a probe times out, also where an API server has no processor to answer with.
        late = {
            "operator ended": len(self._stage.restarts),
            "lease lost": transitions,
            "decision point not ready": gauges.ready.lost,
        }
        unused = sum((one.used.failed for one in rounds.values()), start=Counter[str]())
        idle = {name: 1 for name, counts in self._counts().items() if not counts.keys() - {"attempts"}}
        report = SoakReport(seconds)
        report.goals = [
            count_goal("wrong answers", wrong),
            time_goal("innocent calls, p99", calls.quantile(0.99), INNOCENT_SECONDS, len(calls.seconds)),
            time_goal("reviews counted, p99", counted.quantile(0.99), COUNTED_SECONDS, len(counted.seconds)),
            count_goal("grants that served nobody", unused),
            witness_goal(unwitnessed),
            memory_goal("memory of the decision point", gauges.point.most, gauges.point.limit),
            memory_goal("memory of the operator", gauges.operator.most, gauges.operator.limit),
            count_goal("restarts of the decision point", restarts),
            replace(count_goal("restarts of the operator, and probes", late), timely=True),
            replace(count_goal("floods that did nothing", idle), timely=True),
        ]
        report.figures = {
            "innocent calls without the others": _told(self._quiet),
            "innocent calls": _told(calls),
            **{f"grants of the tenant {name}": _rounds_told(one) for name, one in rounds.items()},
            "memory each half minute, MiB": {"decision point": gauges.point.seen, "operator": gauges.operator.seen},
            "probes that failed": {"live": gauges.live.failed, "ready": gauges.ready.failed},
            "last words of operators that ended": {f"{at}": said for at, said in enumerate(self._stage.restarts, 1)},
            "seconds of a processor, from the start": gauges.processor_seconds(),
            "load average each half minute": [round(one, 1) for one in gauges.load],
            "what the others were answered": {name: json.dumps(counts) for name, counts in self._counts().items()},
        }
        return report

    def _counts(self) -> dict[str, dict[str, int]]:
        crowds: tuple[WritingCrowd | FloodCrowd, ...] = (self._neighbours, *self._floods)
        return {name: dict(counts) for each in crowds for name, counts in each.counts.items()}


def _timed(calls: JudgedCalls) -> TimedAnswers:
    return TimedAnswers(calls.seconds, calls.failed)


def _told(calls: TimedAnswers) -> str:
    quantiles = {name: calls.quantile(part) for name, part in _QUANTILES.items()}
    failed = f", not answered {dict(calls.failed)}" if calls.failed else ""
    return f"{len(calls.seconds)}, {milliseconds(quantiles)}{failed}" if calls.seconds else f"none{failed}"


def _rounds_told(rounds: GrantRounds) -> dict[str, str]:
    return {name: _told(getattr(rounds, name)) for name in ("requested", "reviewed", "counted", "usable", "used")}
