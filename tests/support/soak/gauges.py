"""What is looked at while the soak runs: memory of the two pods, whether the kubelet would restart them, and the load.

Holds: the memory of a pod is that of all its processes, shared pages counted once, as its limit counts them; limits and
probes are the chart's.
"""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import requests
import yaml

from bailiwick_api import times
from demo.ground import ROOT
from localcluster.process import RunningProcess
from support.soak.stage import Stage

_VALUES: Final = ROOT / "charts/bailiwick/values.yaml"
_MIB: Final = 1024
_EACH_SECONDS: Final = 1.0
_SAMPLE_SECONDS: Final = 30.0
_CHECKPOINT: Final = b'"kind":"checkpoint"'
_UNITS: Final = {"Mi": 1, "Gi": 1024}


@dataclass
class PodMemory:
    """What a pod's processes hold, in MiB. `limit` is the chart's; `seen` has a sample each half minute."""

    limit: int
    most: int = 0
    seen: list[int] = field(default_factory=list)

    def take(self, running: RunningProcess, *, keep: bool) -> None:
        """Look."""
        held = _resident(running.id.pid)
        self.most = max(self.most, held)
        if keep:
            self.seen.append(held)


@dataclass
class Probe:
    """What the kubelet asks. `lost` counts how often it would have acted; `failed`, what it got no answer to."""

    url: str
    period: float
    timeout: float
    failures: int
    failed: int = 0
    lost: int = 0
    _in_turn: int = 0
    _due: float = 0.0

    def ask_if_due(self) -> None:
        """Ask, if it is time to."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self.period
        try:
            good = requests.get(self.url, timeout=self.timeout).ok
        except requests.RequestException:
            good = False
        self._in_turn = 0 if good else self._in_turn + 1
        self.failed += not good
        self.lost += self._in_turn == self.failures


class Gauges:
    """Looks once a second, until the event of `run`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        values: dict[str, Any] = yaml.safe_load(_VALUES.read_text(encoding="utf-8"))
        self.point, self.operator = (PodMemory(_mebibytes(values[part])) for part in ("webhook", "operator"))
        probes, status = values["webhook"]["probes"], stage.point.status_url
        # Timeouts are those of the chart's Deployment.
        self.ready = Probe(f"{status}/readyz", probes["readinessPeriodSeconds"], 2, probes["readinessFailures"])
        self.live = Probe(f"{status}/healthz", probes["livenessPeriodSeconds"], 5, probes["livenessFailures"])
        self.load: list[float] = []

    def processor_seconds(self) -> dict[str, float]:
        """Return what the processes of each part have used since they began."""
        parts = {"decision point": self._stage.point.process.id.pid, "operator": self._stage.operator.id.pid}
        if self._stage.ours.plane is not None:
            parts |= {name: each.pid for name, each in self._stage.ours.plane.processes.items()}
        return {name: round(sum(_used(stat) for _, stat in _session(pid)), 1) for name, pid in parts.items()}

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set. An operator that has ended is started again."""
        threads = [threading.Thread(target=self._probe, args=(stop, probe)) for probe in (self.ready, self.live)]
        for thread in threads:
            thread.start()
        due = time.monotonic()
        while not stop.wait(_EACH_SECONDS):
            keep = time.monotonic() >= due
            if keep:
                due += _SAMPLE_SECONDS
                self.load.append(os.getloadavg()[0])
            self._stage.keep_operator()
            self.operator.take(self._stage.operator, keep=keep)
            if self._stage.point.process.alive:
                self.point.take(self._stage.point.process, keep=keep)
        for thread in threads:
            thread.join()

    @staticmethod
    def _probe(stop: threading.Event, probe: Probe) -> None:
        while not stop.wait(_EACH_SECONDS):
            probe.ask_if_due()


def longest_unwitnessed(ledger: Path, began: float, ended: float) -> float:
    """Return the most seconds between two cosignatures that an operator's log has of decision points' logs.

    `began` and `ended`, in seconds since the epoch, count as cosignatures.
    """
    told = [line for line in ledger.read_bytes().splitlines() if _CHECKPOINT in line]
    moments = [times.parse_time(orjson.loads(line)["time"]) for line in told]
    stamps = [moment.timestamp() for moment in moments if moment is not None]
    inside = sorted(stamp for stamp in stamps if began < stamp < ended)
    return max(after - before for before, after in pairwise((began, *inside, ended)))


def _session(leader: int) -> Iterator[tuple[Path, list[str]]]:
    """Yield each process of a session: its folder, and the fields of proc_pid_stat(5) from its state on."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                yield folder, fields


def _resident(leader: int) -> int:
    """Return what the processes of a session hold, in MiB; a process that ends meanwhile holds nothing."""
    total = 0
    for folder, _ in _session(leader):
        try:
            lines = (folder / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total // _MIB


def _used(stat: list[str]) -> float:
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def _mebibytes(part: dict[str, Any]) -> int:
    limit = str(part["resources"]["limits"]["memory"])
    return int(limit[:-2]) * _UNITS[limit[-2:]]
